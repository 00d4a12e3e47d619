// What several tabs of the panel use.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { filled } from "./words.js";

export function translator(labels) {
  return (key, values = {}) => filled(labels[key] ?? key, values);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No permission, or a page that isn't served safely: the old way.
    const area = Object.assign(document.createElement("textarea"), { value: text });
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// A line that does the same as the panel, ready to be copied.
export function Line({ t, label, line, name }) {
  return html`<div class="qf-line" data-line=${name}>
    <span class="qf-label">${label}</span><code>${line}</code><${Copy} t=${t} text=${line} />
  </div>`;
}

function Copy({ t, text }) {
  const [said, say] = useState("copy");
  const click = async () => {
    say((await copy(text)) ? "copied" : "not_copied");
    setTimeout(() => say("copy"), 1500);
  };
  return html`<button type="button" class="qf-copy" onClick=${click} aria-live="polite">${t(said)}</button>`;
}
