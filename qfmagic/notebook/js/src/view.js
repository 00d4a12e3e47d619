// One view of a live answer: what it waits for, how long it takes, its reasoning, its text.
import { Blocks } from "./blocks.js";
import { hold, isStyled } from "./lab.js";
import { Source } from "./source.js";
import { stopButton } from "./stop.js";
import style from "./style.css";
import { visible } from "./visible.js";
import { filled } from "./words.js";

const TICK = 250; // milliseconds between two looks at the clock
const PIECE = 2000; // characters read at once
const SLICE = { least: 12, most: 60 }; // milliseconds of reading before the page gets its turn: twice as long as it takes
const PAUSE = 40; // milliseconds between two drawings of the open block, at least
const REST = 4; // as many times longer than the drawing took, a pause is: a slow page stays usable

function make(tag, name, parent) {
  const element = document.createElement(tag);
  element.className = name;
  parent?.append(element);
  return element;
}

export function view(store, el) {
  const labels = store.get("labels");
  const fill = (key, n) => filled(labels[key], { n });

  const root = make("div", "qf-live");
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", [labels.region, visible(store.get("model"))].filter(Boolean).join(": "));
  root.lang = store.get("lang") === "zh" ? "zh-CN" : store.get("lang");
  make("style", "qf-style", root).textContent = style;
  // The order is the saved answer's: what the model thought, its text, and a line about both.
  const gap = make("div", "qf-gap", root);
  gap.textContent = labels.gap;
  const status = make("div", "qf-status", root);
  // Only this is read out: a clock and a text that grows would never let a screen reader rest.
  status.setAttribute("aria-live", "polite");
  const scroll = make("div", "qf-scroll", root);
  scroll.tabIndex = 0;
  const page = make("div", "qf-page", scroll);
  const thoughts = make("details", "qf-reasoning", page);
  const summary = make("summary", "", thoughts);
  const thinking = new Source(make("div", "qf-thinking", thoughts));
  const text = make("div", "qf-text", page);
  if (isStyled()) page.classList.add("jp-RenderedHTMLCommon", "jp-RenderedMarkdown");
  else root.classList.add("qf-own");
  const head = make("div", "qf-head", root);
  make("b", "qf-model", head).textContent = visible(store.get("model"));
  const size = make("span", "qf-size", head);
  if (store.get("context")) make("span", "qf-context", head).textContent = visible(store.get("context"));
  const time = make("span", "qf-time", head);
  const stop = stopButton(store, head);
  el.replaceChildren(root);
  const letGo = hold(root);

  const written = ["text", "json", "html"].includes(store.get("format"));
  const blocks = written ? new Source(make("pre", "qf-code qf-source", text)) : new Blocks(text, labels);
  let reasoned = 0; // characters of the reasoning that are shown
  let read = 0; // characters of the text that the blocks have
  let following = true;
  let lastTop = 0;
  let resting = 0; // until when the open block isn't drawn anew
  let slice = SLICE.least;
  let frame = 0;
  let timer = 0;
  let chosen = false; // whether the reader opened or closed the thoughts: then they stay so
  summary.addEventListener("click", () => (chosen = true));

  const onScroll = () => {
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 2;
    // A text that grows moves nothing; only the reader moves up.
    if (atEnd) following = true;
    else if (scroll.scrollTop < lastTop) following = false;
    lastTop = scroll.scrollTop;
  };
  scroll.addEventListener("scroll", onScroll, { passive: true });

  const showTime = () => {
    time.textContent = fill("seconds", (((store.ended ?? performance.now()) - store.began) / 1000).toFixed(1));
  };

  const showState = () => {
    const { tokens, characters, reasoning } = store;
    size.textContent = tokens === undefined ? fill("characters", characters) : fill("tokens", tokens);
    const waiting = visible(store.wait) || (characters || reasoning || store.ended ? "" : labels.waiting);
    if (status.textContent !== waiting) status.textContent = waiting;
    status.hidden = !waiting;
    gap.hidden = !store.gap;
    stop.show();
    thoughts.hidden = !reasoning;
    if (reasoning) summary.textContent = `${labels.reasoning} · ${fill("characters", reasoning.length)}`;
    if (!chosen) thoughts.open = !characters && store.ended === undefined;
  };

  // Reads what is new, a slice at a time, and draws the open block when it is due.
  const work = () => {
    frame = 0;
    const began = performance.now();
    showState();
    while (reasoned < store.reasoning.length && performance.now() - began < slice) {
      thinking.feed(store.reasoning.slice(reasoned, reasoned + PIECE));
      thinking.show();
      reasoned = Math.min(reasoned + PIECE, store.reasoning.length);
    }
    while (read < store.text.length && performance.now() - began < slice) {
      blocks.feed(store.text.slice(read, read + PIECE));
      read = Math.min(read + PIECE, store.text.length);
    }
    const behind = read < store.text.length || reasoned < store.reasoning.length;
    const drawn = !behind && began >= resting;
    if (drawn) blocks.show();
    const made = performance.now();
    if (following && thoughts.open) thinking.element.scrollTop = thinking.element.scrollHeight;
    if (following) scroll.scrollTop = scroll.scrollHeight; // makes the browser lay the text out: the larger part
    const took = performance.now() - began;
    slice = Math.min(SLICE.most, Math.max(SLICE.least, 2 * (began + took - made)));
    if (drawn) resting = began + took + Math.max(PAUSE, REST * took);
    else if (!behind) timer ||= setTimeout(() => ((timer = 0), wake()), resting - began);
    blocks.took?.(took);
    if (behind) wake();
  };
  const wake = () => {
    frame ||= requestAnimationFrame(work);
  };

  const clock = setInterval(showTime, TICK);
  store.watchers.add(wake);
  showTime();
  work();

  const leave = () => {
    letGo();
    stop.leave();
    clearInterval(clock);
    clearTimeout(timer);
    cancelAnimationFrame(frame);
    store.watchers.delete(wake);
    scroll.removeEventListener("scroll", onScroll);
    root.remove();
  };
  const busy = () => frame !== 0 || timer !== 0 || read < store.text.length || reasoned < store.reasoning.length;
  return Object.assign(leave, { blocks, busy });
}
