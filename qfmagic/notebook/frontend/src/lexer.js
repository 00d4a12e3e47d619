// marked, set up to read Markdown as the saved answer does: raw HTML and reference definitions are text, and what
// stands between mathematical delimiters is nobody else's.
import { Lexer, Marked } from "marked";

const CLOSING = { "$$": "$$", "\\[": "\\]", "\\(": "\\)" };
const BLOCK = /^ {0,3}(?:(\$\$|\\\[)|\\begin\{([a-zA-Z]+\*?)\})/;
const LINE = /\n {0,3}(?:\$\$|\\\[|\\begin\{)/g;
const BLANK = /\n[ \t]*\n/;
// As Pandoc has it: the text of $…$ neither begins nor ends with a space, and no digit follows: "$5 and $6" is money.
const DOLLARS = /^\$(?![\s$])((?:\\[^]|[^$\\])*?)(?<!\s)\$(?!\d)/;
const SPAN = /^(?:\\\(|\\\[|\$\$)/;

// A formula that stands alone on its lines. It may hold what would be a list or a heading elsewhere, no blank line.
// One that is still open takes the rest, so that half a formula isn't rendered as something else.
function blockMath(src) {
  const begin = BLOCK.exec(src);
  if (!begin) return undefined;
  const closing = begin[1] ? CLOSING[begin[1]] : `\\end{${begin[2]}}`;
  const blank = BLANK.exec(src);
  const end = src.indexOf(closing, begin[0].length);
  if (end < 0 || (blank && blank.index < end)) {
    return blank ? undefined : { type: "math", raw: src, text: src, display: true, open: true };
  }
  const after = /^[ \t]*(?:\n|$)/.exec(src.slice(end + closing.length));
  if (!after) return undefined;
  const raw = src.slice(0, end + closing.length + after[0].length);
  const text = begin[1] ? src.slice(begin[0].length, end) : src.slice(0, end + closing.length);
  return { type: "math", raw, text, display: true };
}

function inlineMath(src) {
  const dollars = DOLLARS.exec(src);
  if (dollars) return BLANK.test(dollars[1]) ? undefined : { type: "math", raw: dollars[0], text: dollars[1] };
  const begin = SPAN.exec(src)?.[0];
  if (!begin) return undefined;
  const end = src.indexOf(CLOSING[begin], 2);
  const text = src.slice(2, end);
  if (end < 0 || !text.trim() || BLANK.test(text)) return undefined;
  return { type: "math", raw: src.slice(0, end + 2), text, display: begin !== "\\(" };
}

// The next line of a paragraph where a formula of its own begins.
function nextBlockMath(src) {
  const end = BLANK.exec(src)?.index ?? src.length;
  LINE.lastIndex = 0;
  for (let line = LINE.exec(src); line && line.index < end; line = LINE.exec(src)) {
    if (blockMath(src.slice(line.index + 1))) return line.index + 1;
  }
  return undefined;
}

// Emphasis must not begin before a formula and end inside it. What is masked already doesn't show the formulas, so
// they are looked for in the source.
let source = "";

function maskMath(masked) {
  if (source.length !== masked.length) return masked;
  let result = masked;
  for (let at = source.search(/[$\\]/); at >= 0 && at < source.length; at += 1) {
    if (source[at] !== "$" && source[at] !== "\\") continue;
    if (source[at] === "$" && masked[at] !== "$") continue;
    const found = inlineMath(source.slice(at, at + 2000));
    if (!found && source[at] === "\\") at += 1;
    if (!found) continue;
    result = result.slice(0, at) + "a".repeat(found.raw.length) + result.slice(at + found.raw.length);
    at += found.raw.length - 1;
  }
  return result;
}

const nothing = () => undefined;
const marked = new Marked({
  tokenizer: { html: nothing, tag: nothing, def: nothing },
  hooks: { emStrongMask: maskMath },
  extensions: [
    { name: "blockMath", level: "block", start: nextBlockMath, tokenizer: blockMath },
    { name: "inlineMath", level: "inline", start: (src) => src.indexOf("$"), tokenizer: inlineMath },
  ],
});

class Reader extends Lexer {
  inlineTokens(src, tokens) {
    const before = source;
    source = src;
    try {
      return super.inlineTokens(src, tokens);
    } finally {
      source = before;
    }
  }
}

// The blocks of a text, and a function that gives the tokens inside one of them: what isn't shown isn't read.
export function read(text) {
  const reader = new Reader(marked.defaults);
  const blocks = reader.blockTokens(text, []);
  const waiting = new Map(reader.inlineQueue.map(({ src, tokens }) => [tokens, src]));
  const inside = (tokens) => {
    if (waiting.has(tokens)) {
      const src = waiting.get(tokens);
      waiting.delete(tokens);
      reader.inlineTokens(src, tokens);
    }
    return tokens;
  };
  return { blocks, inside };
}
