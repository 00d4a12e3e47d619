// marked, set up to read Markdown as the saved answer does: raw HTML and reference definitions are text, and what
// stands between mathematical delimiters is nobody else's.
import { Lexer, Marked, Tokenizer } from "marked";
import { maskLetters } from "./flanking.js";

const CLOSING = { "$$": "$$", "\\[": "\\]", "\\(": "\\)" };
const BLOCK = /^ {0,3}(?:(\$\$|\\\[)|\\begin\{([a-zA-Z]+\*?)\})/;
const LINE = /\n {0,3}(?:\$\$|\\\[|\\begin\{)/g;
const BLANK = /\n[ \t]*\n/;
// As Pandoc has it: the text of $…$ neither begins nor ends with a space, and no digit follows: "$5 and $6" is money.
const DOLLARS = /^\$(?![\s$])((?:\\[^]|[^$\\])*?)(?<!\s)\$(?!\d)/;
const CONTAINERS = 20; // quotations and list items inside each other
const SPANS = 50; // emphasis and links inside each other
const COLUMNS = 64; // of a table
const TRIES = 20; // lines of a paragraph that are tried as the beginning of a formula
const FREE = 600; // characters that cost little, whatever they are
const COST = 1_000_000; // characters, times those of them that may begin something
const SPECIAL = /[!$&*<@[\\\]_`|~]|  |www\.|:\/\//g;
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
  for (let line = LINE.exec(src), tries = TRIES; line && line.index < end && tries; line = LINE.exec(src), tries -= 1) {
    if (blockMath(src.slice(line.index + 1))) return line.index + 1;
  }
  return undefined;
}

// Emphasis must not begin before a formula and end inside it. What is masked already doesn't show the formulas, so
// they are looked for in the source.
let source = "";

function maskMath(masked) {
  if (source.length !== masked.length) return masked;
  const parts = [];
  let from = 0;
  for (let at = source.search(/[$\\]/); at >= 0 && at < source.length; at += 1) {
    if (source[at] !== "$" && source[at] !== "\\") continue;
    if (source[at] === "$" && masked[at] !== "$") continue;
    const found = inlineMath(source.slice(at, at + 2000));
    if (!found && source[at] === "\\") at += 1;
    if (!found) continue;
    parts.push(masked.slice(from, at), "a".repeat(found.raw.length));
    from = at + found.raw.length;
    at = from - 1;
  }
  return parts.join("") + masked.slice(from);
}

// A quotation. marked reads what is inside one again for each line that goes on without a mark, each time twice as
// often with each level: thirty levels would take hours. Here a line is looked at once for each level.
const QUOTED = /^ {0,3}>[ \t]?/;
const MARKS = /^(?: {0,3}>[ \t]?)+/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const BEGINS = /^(?: {0,3}(?:#{1,6}(?:\s|$)|`{3,}|~{3,}|[*+-](?:\s|$)|1[.)](?:\s|$)|\$\$|\\\[|\\begin\{|([-_*])[ \t]*(?:\1[ \t]*){2,}$)|\s*$)/;

function quotation(src) {
  if (!QUOTED.test(src)) return undefined;
  const lines = [];
  const inner = [];
  let fence = "";
  let paragraph = false; // whether the last line is one that a line without a mark goes on
  for (let from = 0; from < src.length; ) {
    const end = (src.indexOf("\n", from) + 1 || src.length + 1) - 1;
    const line = src.slice(from, end);
    const marked = QUOTED.test(line);
    if (!marked && (!paragraph || BEGINS.test(line))) break;
    const said = line.replace(MARKS, "");
    const mark = FENCE.exec(said)?.[1];
    if (mark && !fence) fence = mark;
    else if (mark?.startsWith(fence) && !said.trim().slice(mark.length)) fence = "";
    paragraph = !fence && !mark && !/^ {4}|\||^ {0,3}(?:#{1,6}\s|[-_*=]{3,}\s*$)|^\s*$/.test(said);
    lines.push(line);
    // A line of = without a mark makes no heading of what stands in the quotation.
    inner.push(marked ? line.replace(/^ {0,3}>\t/, "  ").replace(QUOTED, "") : line.replace(/^ {0,3}(?==+[ \t]*$)/, "    "));
    from = end + 1;
  }
  const text = inner.join("\n");
  const { top } = this.lexer.state;
  this.lexer.state.top = true;
  const tokens = this.lexer.blockTokens(text, []);
  this.lexer.state.top = top;
  return { type: "blockquote", raw: lines.join("\n"), text, tokens };
}

// Each row has as many cells as the first one: many columns and many rows would be more than a page can hold.
function wide(src) {
  const end = src.indexOf("\n");
  return src.slice(0, end < 0 ? src.length : end).split("|", COLUMNS + 2).length > COLUMNS + 1;
}

// marked knows the delimiter behind which it stands from the text itself, not from what is masked.
function emphasis(src, masked, before = "") {
  const seen = before && masked[masked.length - src.length - 1];
  return Tokenizer.prototype.emStrong.call(this, src, masked, seen === " " ? seen : before);
}

// Two tildes: one stands in 3~5, and GitHub's rule would strike out what is between two of those.
function strike(src, masked, before = "") {
  if (!src.startsWith("~~")) return undefined;
  const seen = before && masked[masked.length - src.length - 1];
  return Tokenizer.prototype.del.call(this, src, masked, seen === " " ? seen : before);
}

const nothing = () => undefined;
const marked = new Marked({
  tokenizer: {
    html: nothing,
    tag: nothing,
    def: nothing,
    blockquote: quotation,
    table: (src) => (wide(src) ? undefined : false),
    emStrong: emphasis,
    del: strike,
  },
  hooks: { emStrongMask: (masked) => maskLetters(maskMath(masked)) },
  extensions: [
    { name: "blockMath", level: "block", start: nextBlockMath, tokenizer: blockMath },
    { name: "inlineMath", level: "inline", start: (src) => src.indexOf("$"), tokenizer: inlineMath },
  ],
});

// What is nested deeper than a reader could follow, or would take more than its length in time, is text.
const plain = (src) => ({ type: "source", raw: src, text: src });

class Reader extends Lexer {
  depth = 0;
  inner = 0;

  blockTokens(src, tokens = [], ...rest) {
    if (this.depth >= CONTAINERS) {
      this.state.top = true;
      if (src) tokens.push(plain(src));
      return tokens;
    }
    this.depth += 1;
    try {
      return super.blockTokens(src, tokens, ...rest);
    } finally {
      this.depth -= 1;
    }
  }

  inlineTokens(src, tokens = []) {
    if (this.inner >= SPANS || (!this.inner && costly(src))) {
      tokens.push(plain(src));
      return tokens;
    }
    const before = source;
    source = src;
    this.inner += 1;
    try {
      return super.inlineTokens(src, tokens);
    } finally {
      this.inner -= 1;
      source = before;
    }
  }
}

// marked looks for the end of each emphasis, link, code and address up to the end of the text.
function costly(src) {
  return src.length > FREE && src.length * (src.match(SPECIAL)?.length ?? 0) > COST;
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
