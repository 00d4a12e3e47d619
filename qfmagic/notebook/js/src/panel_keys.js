// Credentials: what kinds there are, where they come from, and whether they are accepted. Never a key.
import { html } from "htm/preact";
import { useRef } from "preact/hooks";

// The kernel logs what it is sent when it logs at level DEBUG: keys go there under a mask that was used for nothing else.
function masked(values, mask) {
  const bytes = new TextEncoder().encode(JSON.stringify(values));
  if (bytes.length * 2 > mask.length) return null;
  const hex = (byte, n) => (byte ^ parseInt(mask.slice(2 * n, 2 * n + 2), 16)).toString(16).padStart(2, "0");
  return Array.from(bytes, hex).join("");
}

const SIGNS = { good: "✓", bad: "✗", unknown: "?" };

function Kind({ t, one, send, mask, pending, bad, id }) {
  const card = useRef();
  const busy = pending.some((sent) => sent.startsWith("key"));
  const testing = pending.includes(`check ${one.kind}`);
  const use = () => {
    const inputs = [...card.current.querySelectorAll("input")];
    const hidden = masked(Object.fromEntries(inputs.map((input) => [input.name, input.value])), mask);
    for (const input of inputs) input.value = "";
    send({ do: "key", kind: one.kind, hidden: hidden ?? "" });
  };
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT" || busy) return;
    event.preventDefault();
    use();
  };
  const there = one.fingerprints.length > 0;
  const whole = one.fingerprints.length === one.fields.length;
  const used = one.used.length ? t("keys.used", { wires: one.used.join(", ") }) : t("keys.spare");
  return html`<section class="qf-card" ref=${card} onKeyDown=${onKeyDown} aria-labelledby="${id}-title">
    <h4 id="${id}-title">${one.title}</h4>
    <p class="qf-hint">${one.purpose}</p>
    <p class="qf-facts"><span class="qf-badge" data-on=${String(whole)}>${t(whole ? "keys.set" : there ? "keys.half" : "keys.unset")}</span>
      ${there && html`<code>${one.fingerprints.join(" ")}</code> <span>${t("keys.source", { source: one.source })}</span> <span>${used}</span>`}</p>
    <div class="qf-row">
      ${one.fields.map((field) => html`<label class="qf-key" key=${field.name}><span>${field.label}</span>
        <input type="password" name=${field.name} autocomplete="off" spellcheck=${false} data-lpignore="true" data-1p-ignore
          aria-invalid=${String(bad.includes(field.name))} /></label>`)}
      <button type="button" disabled=${busy} onClick=${use}>${t("keys.save")}</button>
      <button type="button" disabled=${!there || testing} onClick=${() => send({ do: "check", kind: one.kind })}
        title=${one.cost} aria-label="${t("keys.test")}: ${one.title}">${testing ? t("keys.testing") : t("keys.test")}</button>
      ${one.given && html`<button type="button" onClick=${() => send({ do: "forget", kind: one.kind })}
        aria-label="${t("keys.forget")}: ${one.title}">${t("keys.forget")}</button>`}
    </div>
    ${one.verdict && html`<p class="qf-verdict" data-state=${one.verdict.state} role="status">
      <span aria-hidden="true">${SIGNS[one.verdict.state]}</span> ${one.verdict.said}</p>`}
  </section>`;
}

export function Keys({ t, state, id, ...shared }) {
  return html`<p class="qf-hint">${t("keys.note")}</p>
    ${state.keys.problem && html`<p class="qf-problem">${state.keys.problem}</p>`}
    ${state.keys.kinds.map((one) => html`<${Kind} key=${one.kind} t=${t} one=${one} id="${id}-${one.kind}" ...${shared} />`)}`;
}
