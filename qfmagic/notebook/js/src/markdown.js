// Tokens to elements. Text becomes text nodes, so nothing a model writes is ever read as HTML.
import { address, clean } from "./clean.js";
import { codeBlock } from "./code.js";
import { formula } from "./math.js";
import { visible } from "./visible.js";

const ENTITY = /&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z][a-z\d]{1,31});/gi;
const CACHED = 3000;
const ELEMENTS = 8000; // of one block; what would have more stays text
const SLOW = 250; // milliseconds that colours for a block of code may take
const entities = new Map();
const reader = document.createElement("textarea");

function entity(written) {
  if (!entities.has(written)) {
    if (entities.size >= CACHED) entities.clear();
    // Only the entity, which can't be anything else, is given to the HTML parser; the x keeps a space in its place.
    reader.innerHTML = `x${written}`;
    const read = reader.value.slice(1);
    entities.set(written, read.length > 1 && read.endsWith(";") ? written : read); // &notanything; isn't &not;
  }
  return entities.get(written);
}

const decode = (text) => text.replace(ENTITY, entity);

const MATHML = "http://www.w3.org/1998/Math/MathML";

// Shows the hidden characters in all texts of an element; a formula has none but those KaTeX sets.
function reveal(element) {
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentNode } = texts.currentNode;
    if (parentNode.namespaceURI === MATHML) continue;
    const shown = visible(data);
    if (shown !== data) texts.currentNode.data = shown;
  }
}

// Builds one block. `inside` reads the tokens of a block when they are wanted; `later` gathers what is done to an
// element after it has been cleaned.
export class Builder {
  constructor(inside, labels, budget) {
    this.inside = inside;
    this.labels = labels;
    this.budget = budget;
    this.later = [];
    this.elements = 0; // made for the block
    this.coloured = 0; // characters of code in it
  }

  element(tag, children = [], className = "") {
    this.count(1);
    const element = document.createElement(tag);
    if (className) element.className = className;
    for (const child of children) element.append(child);
    return element;
  }

  count(more) {
    this.elements += more;
    if (this.elements > ELEMENTS) throw new RangeError("too many elements in one block");
  }

  formula(token) {
    return formula(token, this.budget, (more) => this.count(more));
  }

  // The element of a token, clean and coloured; null for what shows nothing.
  block(token) {
    const made = this.make(token);
    return made && this.finish(made);
  }

  finish(element) {
    clean(element);
    reveal(element);
    for (const step of this.later.splice(0)) step();
    return element;
  }

  // The items of a list, or the rows of a table: they are shown one by one, while the whole still grows.
  parts(token, from = 0) {
    const made = token.type === "list" ? token.items.slice(from).map((item) => this.item(item)) : this.rows(token, from);
    return [...this.finish(this.element(token.type === "list" ? "ul" : "tbody", made)).children];
  }

  make(token) {
    switch (token.type) {
      case "space":
        return null;
      case "code": {
        const { pre, colour } = codeBlock(token.text, token.lang);
        if (this.budget.colours > 0) this.later.push(() => this.colour(colour));
        this.coloured += token.text.length;
        this.count(2);
        return pre;
      }
      case "math":
        return this.formula(token);
      case "heading":
        return this.element(`h${token.depth}`, this.spans(token.tokens));
      case "hr":
        return this.element("hr");
      case "blockquote":
        return this.element("blockquote", this.blocks(token.tokens));
      case "list": {
        const list = this.list(token);
        list.append(...token.items.map((item) => this.item(item)));
        return list;
      }
      case "table": {
        const table = this.table(token);
        table.querySelector("tbody").append(...this.rows(token, 0));
        return table;
      }
      case "checkbox":
        return this.element("span", [token.checked ? "☑ " : "☐ "]);
      case "source":
        return this.element("p", [token.raw], "qf-source");
      default:
        return this.element("p", token.tokens ? this.spans(token.tokens) : [token.raw]);
    }
  }

  // Some languages' rules take the square of what was written to provoke it: once is enough.
  colour(step) {
    const began = performance.now();
    step();
    if (performance.now() - began > SLOW) this.budget.colours = 0;
  }

  blocks(tokens) {
    return tokens.map((token) => this.make(token)).filter(Boolean);
  }

  list(token) {
    const list = this.element(token.ordered ? "ol" : "ul");
    if (token.ordered && token.start !== 1) list.setAttribute("start", String(token.start));
    return list;
  }

  // An item has paragraphs if there is a blank line inside it; what stands in the other items doesn't matter, so
  // that an item is done once the next one begins.
  item({ tokens }) {
    const first = tokens.findIndex((token) => token.type !== "space");
    const last = tokens.findLastIndex((token) => token.type !== "space");
    const loose = tokens.some((token, at) => token.type === "space" && at > first && at < last);
    const nodes = tokens.flatMap((token) =>
      !loose && ["text", "paragraph"].includes(token.type) ? this.spans(token.tokens ?? []) : (this.make(token) ?? []),
    );
    return this.element("li", nodes);
  }

  table(token) {
    const head = this.element("tr", token.header.map((cell) => this.cell("th", cell)));
    // A table wider than the page scrolls in its own box.
    return this.element("div", [this.element("table", [this.element("thead", [head]), this.element("tbody")])], "qf-table");
  }

  rows(token, from) {
    return token.rows.slice(from).map((row) => this.element("tr", row.map((cell) => this.cell("td", cell))));
  }

  cell(tag, { tokens, align }) {
    return this.element(tag, this.spans(tokens), align ? `qf-${align}` : "");
  }

  spans(tokens) {
    return this.inside(tokens).flatMap((token) => this.span(token));
  }

  span(token) {
    switch (token.type) {
      case "escape":
      case "text":
        return token.tokens ? this.spans(token.tokens) : decode(token.text);
      case "codespan":
        return this.element("code", [token.text]);
      case "strong":
      case "em":
      case "del":
        return this.element(token.type, this.spans(token.tokens));
      case "br":
        return this.element("br");
      case "math":
        return this.formula(token);
      case "checkbox":
        return this.make(token);
      case "link":
        return this.link(token, () => this.spans(token.tokens));
      case "image":
        return this.link(token, (to) => [`${this.labels.image}: ${decode(token.text)} (${to})`]);
      default:
        return token.raw;
    }
  }

  // What leads elsewhere than to a page or a mailbox isn't a link, it stays as it was written. Images are never
  // loaded: where they come from would learn that, and what, the reader reads.
  link(token, content) {
    const to = address(token.autolink ? token.href : decode(token.href));
    if (!to) return token.raw;
    const link = this.element("a", content(to));
    link.setAttribute("href", to);
    link.setAttribute("target", "_blank");
    link.setAttribute("rel", "noopener noreferrer nofollow");
    return link;
  }
}
