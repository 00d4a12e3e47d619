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

const LANGUAGES = { bash, c, cpp, csharp, css, diff, go, ini, java, javascript, json, julia, latex, markdown, matlab };
Object.assign(LANGUAGES, { python, r, rust, shell, sql, typescript, xml, yaml });
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

const LONGEST = 12_000; // characters that are coloured within a few frames; longer code stays plain
const CHUNK = 4000; // characters of code that the browser lays out together

// A block of code; its text is text, whatever it says.
export function codeBlock(text, info = "") {
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  pre.className = "qf-code";
  pre.append(code);
  if (text.length > CHUNK) addChunks(code, text);
  else code.textContent = text;
  const language = info.trim().split(/\s/, 1)[0].toLowerCase();
  return { pre, colour: () => colour(code, text, language) };
}

// Adds plain text in boxes, so that the browser lays out only the last one when there is more. A box of code holds
// whole lines; one of prose ends where it is full.
export function addChunks(parent, text, lines = true) {
  let rest = text;
  let box = parent.lastElementChild;
  while (rest) {
    if (!box?.matches(".qf-chunk")) {
      box = parent.appendChild(document.createElement("span"));
      box.className = "qf-chunk";
      box.append("");
    }
    const room = Math.max(0, CHUNK - box.firstChild.length);
    let end = rest.length;
    if (end > room) end = lines ? rest.indexOf("\n", room) + 1 || end : room;
    if (/[\ud800-\udbff]/.test(rest[end - 1])) end += 1;
    box.firstChild.appendData(rest.slice(0, end));
    rest = rest.slice(end);
    box = rest ? null : box;
  }
}

function colour(code, text, language) {
  if (text.length > LONGEST || !hljs.getLanguage(language)) return;
  code.replaceChildren(cleanHtml(hljs.highlight(text, { language, ignoreIllegals: true }).value));
}
