// Colours for code: a sensible set of languages, since the page gets them all.
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import csharp from "highlight.js/lib/languages/csharp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import julia from "highlight.js/lib/languages/julia";
import latex from "highlight.js/lib/languages/latex";
import markdown from "highlight.js/lib/languages/markdown";
import matlab from "highlight.js/lib/languages/matlab";
import python from "highlight.js/lib/languages/python";
import r from "highlight.js/lib/languages/r";
import rust from "highlight.js/lib/languages/rust";
import shell from "highlight.js/lib/languages/shell";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { cleanHtml } from "./clean.js";
import { joined, visible } from "./visible.js";

const LANGUAGES = { bash, c, cpp, csharp, css, diff, go, ini, java, javascript, json, julia, latex, markdown, matlab };
Object.assign(LANGUAGES, { python, r, rust, shell, sql, typescript, xml, yaml });
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

const LONGEST = 6000; // characters that are coloured within a few frames; longer code stays plain
const ENDLESS = /[\w$"']{400}/; // a word for which the rules of some languages take the square of its length
const CHUNK = 4000; // characters of text that the browser lays out together
const TOGETHER = 64; // characters at most that are kept in one box because they are seen together

// A block of code; its text is text, whatever it says. Of what stands behind the fence only a language we know counts.
export function codeBlock(text, info = "") {
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  pre.className = "qf-code";
  pre.append(code);
  if (text.length > CHUNK) addChunks(code, text);
  else code.textContent = visible(text);
  const language = /^[\w+#.-]{1,20}/.exec(info.trim())?.[0].toLowerCase();
  const known = language && text.length <= LONGEST && !ENDLESS.test(text) && hljs.getLanguage(language);
  return { pre, colour: () => known && colour(code, visible(text), language) };
}

// Adds plain text in boxes, so that the browser lays out only the last one when there is more. A box holds whole
// lines, unless a line is longer than a box.
const texts = new WeakMap(); // box -> its text as it came: what a character shows depends on those around it

export function addChunks(parent, text) {
  let rest = text;
  let box = parent.lastElementChild;
  while (rest) {
    if (!texts.has(box)) {
      box = parent.appendChild(document.createElement("span"));
      box.className = "qf-chunk";
      texts.set(box, "");
    }
    const before = texts.get(box);
    const end = cut(before, rest);
    if (end) {
      const whole = before + rest.slice(0, end);
      texts.set(box, whole);
      box.textContent = visible(whole);
      rest = rest.slice(end);
    }
    box = rest ? null : box;
  }
}

// How much of a text still goes into a box.
function cut(before, text) {
  const room = Math.max(0, CHUNK - before.length);
  if (text.length <= room) return text.length;
  const line = room || (before && !before.endsWith("\n")) ? text.slice(room, room + CHUNK).indexOf("\n") + 1 : 0;
  let end = before.length + room + line > 2 * CHUNK ? room : room + line;
  const most = end + TOGETHER;
  const near = before.slice(-2) + text.slice(0, most + 2);
  const from = Math.min(2, before.length);
  while (end < Math.min(most, text.length) && joined(near, from + end)) end += 1;
  return end;
}

function colour(code, text, language) {
  code.replaceChildren(cleanHtml(hljs.highlight(text, { language, ignoreIllegals: true }).value));
}
