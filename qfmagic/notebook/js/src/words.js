// Labels come from the kernel in the user's language. {n} in one is the value n; {n:turn|turns} its word for that many.
export function filled(label, values) {
  return label.replace(/\{(\w+)(?::([^{}|]*)\|([^{}]*))?\}/g, (_, name, one, many) => {
    const value = values[name] ?? "";
    return one === undefined ? value : Number(value) === 1 ? one : many;
  });
}
