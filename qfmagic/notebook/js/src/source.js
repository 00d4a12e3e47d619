// Text that is no Markdown (format=text, json, html; reasoning): shown as it is written.
import { addChunks } from "./code.js";

export class Source {
  constructor(element) {
    this.element = element;
    this.waiting = "";
  }

  feed(piece) {
    this.waiting += piece;
  }

  show() {
    const text = this.waiting;
    this.waiting = text.endsWith("\r") ? "\r" : ""; // half a line end
    addChunks(this.element, text.slice(0, text.length - this.waiting.length).replace(/\r\n?/g, "\n"));
  }
}
