// The Stop button. A click reaches a kernel that runs a cell only where the kernel has subshells and the page uses
// them, and nothing tells. So the page greets the kernel, and shows the button when the kernel says that it heard.
const FIRST = 300; // milliseconds: the page makes a subshell when the comm opens; what is sent before waits for the cell
const AGAIN = 500;
const TRIES = 6;

export function stopButton(store, head) {
  const labels = store.get("labels");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "qf-stop";
  button.textContent = labels.stop;
  button.hidden = true;
  head.append(button);

  const say = async (what) => (await store.signal())?.send({ do: what });
  button.addEventListener("click", () => {
    button.disabled = true;
    button.textContent = labels.stopping;
    say("stop");
  });

  let tries = store.get("stop") ? TRIES : 0;
  let timer = 0;
  const greet = () => {
    if (store.stoppable || tries-- <= 0) return;
    say("hello").catch(() => (tries = 0));
    timer = setTimeout(greet, AGAIN);
  };
  timer = setTimeout(greet, FIRST);

  return {
    show: () => (button.hidden = !store.stoppable || store.ended !== undefined),
    leave: () => clearTimeout(timer),
  };
}
