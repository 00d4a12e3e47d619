// Formulas as MathML, which needs neither fonts nor styles of ours.
import katex from "katex";
import { setLetters } from "./letters.js";
import { visible } from "./visible.js";

const LARGEST = 20; // em: what a formula may ask for in one place
const WRONG = "#cc0000"; // in which KaTeX shows the name of a command that it refuses or doesn't know
const LIMITS = { output: "mathml", trust: false, throwOnError: false, strict: "ignore", maxSize: LARGEST, maxExpand: 200, errorColor: WRONG };
const REFUSED = /^\\(?:href|url|includegraphics|html\w+)$/; // what would act or fetch, were it trusted
const CHARACTER = /\\@?char(?![a-zA-Z])/; // may make any character, hidden ones as well
const DEFINITION = /\\(?:[egx]?def|(?:re)?newcommand|providecommand)(?![a-zA-Z])/;
const CACHED = 2000;
const LONGEST = 5000; // characters of a formula that is worth the time
const DEFINING = 500; // of one that defines commands: each may stand for the others many times
const EACH = 20; // what a formula costs of itself, in characters
const NODES = 3000;
const DEEPEST = 100;
const SIZED = ["width", "height", "depth", "voffset", "lspace", "rspace", "rowspacing", "columnspacing", "linethickness", "minsize", "maxsize"];
const cache = new Map(); // a block that grows shows its formulas again and again

function typeset(text, display) {
  if (visible(text) !== text || CHARACTER.test(text) || (text.length > DEFINING && DEFINITION.test(text))) return null;
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
  setLetters(math);
  return bounded(math);
}

// A formula of a size that a page can hold, or null. Sizes inside each other aren't multiplied.
function bounded(math) {
  const open = [[math, 0, 1]];
  let nodes = 0;
  while (open.length) {
    const [element, depth, size] = open.pop();
    nodes += 1;
    if (nodes > NODES || depth > DEEPEST) return null;
    if (element.getAttribute("mathcolor") === WRONG && REFUSED.test(element.textContent)) return null;
    for (const name of SIZED) limit(element, name);
    const asked = parseFloat(element.getAttribute("mathsize"));
    if (asked) element.setAttribute("mathsize", `${+(asked / size).toFixed(4)}em`);
    for (const child of element.children) open.push([child, depth + 1, asked || size]);
  }
  return { math, nodes };
}

function limit(element, name) {
  const value = element.getAttribute(name);
  if (value && /\d/.test(value)) {
    const small = value.split(/\s+/).every((part) => Math.abs(parseFloat(part) || 0) <= (/em$|^[-\d.]+$/.test(part) ? LARGEST : 400));
    if (!small) element.removeAttribute(name);
  }
}

// `budget.maths` is what formulas not seen before may still cost, `count` is told of the elements.
export function formula({ raw, text, display = false, open = false }, budget, count) {
  count(1);
  const element = document.createElement(display ? "div" : "span");
  element.className = display ? "qf-display" : "qf-math";
  const key = `${display} ${text}`;
  if (!open && text.length <= LONGEST) {
    if (!cache.has(key) && budget.maths > 0) {
      budget.maths -= EACH + text.length;
      if (cache.size >= CACHED) cache.clear();
      cache.set(key, typeset(text, display));
    }
    const known = cache.get(key);
    if (known) {
      count(known.nodes);
      element.append(known.math.cloneNode(true));
      return element;
    }
  }
  element.className += " qf-source";
  element.textContent = raw.trimEnd();
  return element;
}
