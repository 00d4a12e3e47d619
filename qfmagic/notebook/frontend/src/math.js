// Formulas as MathML, which needs neither fonts nor styles of ours.
import katex from "katex";

const LIMITS = { output: "mathml", trust: false, throwOnError: false, strict: "ignore", maxSize: 20, maxExpand: 200 };
const CACHED = 300;
const LONGEST = 5000; // characters of a formula that is worth the time
const cache = new Map(); // a block that grows shows its formulas again and again

function typeset(text, display) {
  const span = document.createElement("span");
  try {
    katex.render(text, span, { ...LIMITS, displayMode: display, macros: {} });
  } catch {
    return null; // nested deeper than the stack
  }
  const math = span.querySelector("math");
  if (!math) return null;
  // The source beside the formula is for copying; what doesn't know it would show it.
  for (const note of math.querySelectorAll("annotation")) note.remove();
  for (const wrapper of math.querySelectorAll("semantics")) wrapper.replaceWith(...wrapper.childNodes);
  return math;
}

export function formula({ raw, text, display = false, open = false }) {
  const element = document.createElement(display ? "div" : "span");
  element.className = display ? "qf-display" : "qf-math";
  const key = `${display} ${text}`;
  if (!open && text.length <= LONGEST) {
    if (!cache.has(key)) {
      if (cache.size >= CACHED) cache.clear();
      cache.set(key, typeset(text, display));
    }
    const math = cache.get(key);
    if (math) {
      element.append(math.cloneNode(true));
      return element;
    }
  }
  element.className += " qf-source";
  element.textContent = raw.trimEnd();
  return element;
}
