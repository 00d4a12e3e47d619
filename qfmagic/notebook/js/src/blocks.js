// The Markdown of an answer that grows. Blocks that are done are shown once and never touched again; what is read
// and drawn anew with each update is the open block alone, of a list its last item, of a table its last row. So an
// update costs the same at the end of a long answer as at its beginning.
import { addChunks, codeBlock } from "./code.js";
import { read } from "./lexer.js";
import { Builder } from "./markdown.js";
import { visible } from "./visible.js";

const BIG = { code: 4000, other: 8000 }; // characters of an open block that is still drawn anew
const HUGE = 10_000; // characters of a block that stays plain text: laid out as one, it would hold up the page
const SLOW = 30; // milliseconds that drawing a block may take
const SMALL = 1500; // characters of a block that isn't slow of itself, whatever the clock says
const AGAIN = 2000; // characters of an open block that is read anew with each piece; a longer one when it has grown by half
// What one answer may take to be drawn; the rest of it is plain text here. The saved answer has it all.
const BUDGET = { characters: 150_000, elements: 8000, maths: 30_000, colours: 60_000 };
const OVERFLOW = 20; // elements that a block costs which is too big
const FENCE = /^ {0,3}(`{3,}|~{3,})[^\n]*/;
const ROWS = 50; // of a table: the browser lays out all rows of one table when there is another

export class Blocks {
  constructor(parent, labels) {
    this.parent = parent;
    this.labels = labels;
    this.budget = { ...BUDGET };
    this.tail = ""; // from where the open block begins
    this.head = ""; // what of the tail is shown already: the first lines of a table
    this.carry = ""; // half a line end, or half a character
    this.ready = 0; // how long the tail is when it is read next
    this.flow = null; // what takes the text as it is, while a block is too big to be read
    this.into = null; // the list or table whose last part is open
    this.drawn = null; // what is shown of the tail
    this.drawings = 0; // how many blocks were drawn: what the tests count
    this.characters = 0; // of how many characters in all
    this.rate = 0; // milliseconds a character, at the last look
  }

  // More text. Shows what it completes; the rest waits for `show`. A block that has grown too big flows on as it is.
  feed(piece) {
    const text = this.carry + piece;
    this.carry = /[\r\ud800-\udbff]$/.exec(text)?.[0] ?? "";
    let rest = text.slice(0, text.length - this.carry.length).replace(/\r\n?/g, "\n");
    while (rest) {
      if (this.flow) {
        rest = this.pour(rest);
        continue;
      }
      const room = Math.max(1, HUGE - this.tail.length);
      this.tail += rest.slice(0, room);
      rest = rest.slice(room);
      const full = this.tail.length >= HUGE;
      if (full || this.tail.length >= this.ready) this.read();
      if (this.isSpent() || this.tail.length >= HUGE) rest = this.overflow() + rest;
    }
  }

  read() {
    // Blank lines before a block mean nothing.
    if (!this.tail.trim()) this.tail = this.tail.slice(this.tail.lastIndexOf("\n") + 1);
    for (let again = true; again; ) {
      const blocks = this.parse();
      again = this.finishBlocks(blocks) && this.tail !== "" && !this.isSpent();
      if (!again) this.finishParts(blocks);
    }
    this.ready = this.tail.length > AGAIN ? 1.5 * this.tail.length : 0;
  }

  parse() {
    const { blocks, inside } = read(this.tail);
    this.builder = new Builder(inside, this.labels, this.budget);
    return blocks;
  }

  isSpent() {
    return this.budget.characters <= 0 || this.budget.elements <= 0;
  }

  // What is open goes on as plain text: code up to its fence, else to the next blank line, at the end of the budget to
  // the end of the answer. Returns what is to be poured.
  overflow() {
    const text = this.tail.slice(this.head.length).replace(/^(?:[ \t]*\n)+/, "");
    const first = this.parse().find((token) => token.type !== "space");
    this.clear();
    this.tail = this.head = "";
    this.into = null;
    this.budget.elements -= OVERFLOW;
    const fence = first?.type === "code" && !this.isSpent() && FENCE.exec(first.raw);
    if (fence) {
      const { pre } = codeBlock("");
      this.parent.append(pre);
      const end = new RegExp(`\\n {0,3}${fence[1]}${fence[1][0]}*[ \\t]*\\n`);
      this.flow = { box: pre.firstChild, end, held: /\n {0,3}[`~]*[ \t]*$/, begun: false };
      return text.slice(text.indexOf(fence[0]) + fence[0].length);
    }
    const box = this.parent.appendChild(document.createElement("p"));
    box.className = "qf-source";
    this.flow = this.isSpent() ? { box, begun: true } : { box, end: /\n[ \t]*\n/, held: /\n[ \t]*$/, begun: true };
    return text;
  }

  // Adds text to what flows, and returns what stands behind its end. What may be the end waits in the tail.
  pour(piece) {
    this.clear();
    const text = this.tail + piece;
    const { box, end, held, begun } = this.flow;
    const found = end?.exec(text);
    const hold = found ? 0 : (held?.exec(text.slice(-SMALL))?.[0].length ?? 0);
    const now = text.slice(0, found ? found.index : text.length - hold);
    addChunks(box, begun ? now : now.replace(/^\n/, ""));
    this.flow.begun ||= now !== "";
    this.tail = hold ? text.slice(-hold) : "";
    if (!found) return "";
    this.flow = null;
    this.ready = 0;
    return text.slice(found.index + found[0].length);
  }

  // Blocks with another one behind them that no further text can undo.
  finishBlocks(blocks) {
    let begin = 0;
    let done = 0;
    for (const [at, token] of blocks.entries()) {
      if (!this.tail.startsWith(token.raw, begin)) break;
      const end = begin + token.raw.length;
      if (token.type !== "space") {
        const next = blocks.findIndex((later, place) => place > at && later.type !== "space");
        if (next < 0 || !this.isSure(blocks[next], end + blocks.slice(at + 1, next).reduce(length, 0))) break;
        this.place(token);
        done = end;
      }
      begin = end;
    }
    if (done) this.head = "";
    this.tail = this.tail.slice(done);
    return done > 0;
  }

  // Whether a block will still begin here when there is more text. What its first line is may change until the line
  // has ended; a table has two lines that make it one; half a formula may yet become text of what stands before it.
  isSure(token, begin) {
    if (token.open) return false;
    let end = this.tail.indexOf("\n", begin);
    if (token.type === "table" && end >= 0) end = this.tail.indexOf("\n", end + 1);
    return end >= 0;
  }

  // All items of the open list, or rows of the open table, but the last.
  finishParts(blocks) {
    const open = blocks.findLastIndex((token) => token.type !== "space");
    const token = blocks[open];
    if (!["list", "table"].includes(token?.type) || blocks.findIndex((other) => other.type !== "space") !== open) return;
    const begin = blocks.slice(0, open).reduce(length, 0);
    let head = "";
    let rest = begin;
    if (token.type === "list") {
      // What the last line is shows when it has ended: until then it may belong to the item before.
      const last = begin + token.items.slice(0, -1).reduce(length, 0);
      const keep = this.tail.indexOf("\n", last) < 0 ? 2 : 1;
      if (token.items.length <= keep) return;
      token.items.length -= keep;
      rest += token.items.reduce(length, 0);
    } else {
      if (token.rows.length < 2) return;
      const lines = token.raw.split("\n");
      head = `${lines[0]}\n${lines[1]}\n`;
      rest += lines.slice(0, token.rows.length + 1).join("\n").length + 1;
      token.rows.pop();
    }
    this.place(token, true);
    this.head = head;
    this.tail = head + this.tail.slice(rest);
  }

  // Puts what is done where it belongs; `unfinished` if more parts of it are to come.
  place(token, unfinished = false) {
    this.clear();
    if (!this.into && unfinished) {
      const whole = token.type === "list" ? this.builder.list(token) : this.builder.finish(this.builder.table(token));
      this.parent.append(whole);
      this.into = token.type === "list" ? whole : whole.querySelector("tbody");
    }
    if (this.into) this.into.append(...this.draw(token, true));
    else this.parent.append(...this.draw(token));
    this.budget.elements -= this.builder.elements;
    this.budget.colours -= this.builder.coloured;
    this.budget.characters -= token.raw.length;
    if (!unfinished) this.into = null;
    else if (this.into.tagName === "TBODY" && this.into.childElementCount >= ROWS) this.into = nextTable(this.into);
  }

  // Shows the open block as it is now.
  show() {
    if (this.drawn?.tail === this.tail) return;
    if (this.flow) return this.showHeld();
    const blocks = this.parse();
    const shown = blocks.filter((token) => token.type !== "space");
    if (this.grow(shown)) return;
    this.clear();
    const nodes = [];
    for (const [at, token] of shown.entries()) {
      const part = at === 0 && this.into;
      const made = this.draw(token, part);
      (part || this.parent).append(...made);
      nodes.push(...made);
    }
    const code = shown.length === 1 && shown[0].type === "code" ? shown[0].text : null;
    this.drawn = { tail: this.tail, nodes, code };
  }

  // What may be the end of what flows.
  showHeld() {
    this.clear();
    if (!this.tail.trim()) return;
    const held = this.flow.box.parentNode.appendChild(document.createElement("span"));
    held.className = "qf-source";
    held.textContent = visible(this.tail.trim());
    this.drawn = { tail: this.tail, nodes: [held], code: null };
  }

  // How long it took to draw and lay out what was drawn.
  took(milliseconds) {
    if (this.drawn) this.drawn.slow ??= milliseconds > SLOW;
  }

  // A block too big to be drawn anew each time: what is new is put behind it as it is, until it is done.
  grow(shown) {
    const { drawn } = this;
    if (!drawn?.nodes.length) return false;
    const most = drawn.slow ? SMALL : drawn.code === null ? BIG.other : BIG.code;
    if (drawn.tail.length < most) return false;
    const last = drawn.nodes.at(-1);
    if (drawn.code === null) {
      if (!this.tail.startsWith(drawn.tail)) return false;
      drawn.rest ??= last.appendChild(Object.assign(document.createElement("span"), { className: "qf-source" }));
      addChunks(drawn.rest, this.tail.slice(drawn.tail.length));
    } else {
      if (shown.length !== 1 || shown[0].type !== "code" || !shown[0].text.startsWith(drawn.code)) return false;
      addChunks(last.querySelector("code"), shown[0].text.slice(drawn.code.length));
      drawn.code = shown[0].text;
    }
    drawn.tail = this.tail;
    return true;
  }

  // The nodes of a token, or of the parts of it. If it can't be drawn, or would hold up the page, its text.
  draw(token, parts = false) {
    this.drawings += 1;
    this.characters += token.raw.length;
    const size = token.raw.length;
    const began = performance.now();
    this.builder.elements = this.builder.coloured = 0;
    try {
      if (token.type === "code" || size < BIG.other || (size < HUGE && this.rate * size < 2 * SLOW)) {
        return parts ? this.builder.parts(token) : [this.builder.block(token)].filter(Boolean);
      }
    } catch (error) {
      console.warn("qfmagic: shown as text", error);
      this.builder.later.length = 0;
    } finally {
      if (size > SMALL) this.rate = (performance.now() - began) / size;
    }
    const element = document.createElement(token.type === "table" && parts ? "td" : parts ? "li" : "p");
    element.className = "qf-source";
    addChunks(element, token.raw.slice(this.head.length));
    if (element.tagName !== "TD") return [element];
    const row = document.createElement("tr");
    row.append(element);
    return [row];
  }

  clear() {
    for (const node of this.drawn?.nodes ?? []) node.remove();
    this.drawn = null;
  }
}

const length = (sum, { raw }) => sum + raw.length;

// A table that goes on below another, with columns as wide as that one's: the reader sees one table.
function nextTable(body) {
  const table = document.createElement("table");
  const widths = [...body.closest(".qf-table").querySelectorAll("th")].map((cell) => cell.getBoundingClientRect().width);
  table.style.width = `${widths.reduce((sum, width) => sum + width, 0)}px`;
  const columns = table.appendChild(document.createElement("colgroup"));
  for (const width of widths) columns.appendChild(document.createElement("col")).style.width = `${width}px`;
  body.closest(".qf-table").append(table);
  return table.appendChild(document.createElement("tbody"));
}
