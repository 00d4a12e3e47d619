// Text that is no Markdown (format=text, json, html): shown as it is written.
import { addChunks } from "./code.js";

export class Source {
  constructor(parent) {
    const pre = document.createElement("pre");
    pre.className = "qf-code qf-source";
    this.text = pre;
    this.waiting = "";
    parent.append(pre);
  }

  feed(piece) {
    this.waiting += piece;
  }

  show() {
    addChunks(this.text, this.waiting);
    this.waiting = "";
  }
}
