// One setting as a field, by its kind. A value is sent when the user has done with it, as text: the kernel reads it by
// the same rules as a line.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";

export function Field({ t, one, send, bad, outcome, pending, id }) {
  const [draft, setDraft] = useState(null);
  const [sent, setSent] = useState(false);
  const { name, written, kind } = one;
  const wrong = bad.includes(name);
  // What was typed stands until the kernel has taken it; what it refuses stands to be mended.
  useEffect(() => { setDraft(null); setSent(false); }, [written]);
  useEffect(() => {
    if (!sent || pending.length) return;
    setSent(false);
    if (!wrong) setDraft(null);
  }, [pending.length, outcome.count]);
  const reset = () => send({ do: "unset", names: [name] });
  const put = (value) => {
    setSent(true);
    if (value !== "") send({ do: "set", values: { [name]: value } });
    else if (one.changed) reset();
  };
  const Kind = KINDS[kind] ?? Short;
  const notes = [one.source && written !== "" ? t("fields.source", { source: one.source }) : "",
    one.default && written === "" ? t("fields.default", { value: one.default }) : "",
    one.allowed ? t("fields.allowed", { allowed: one.allowed }) : ""];
  return html`<div class="qf-field" data-name=${name}>
    <label for=${id} title=${one.help}><code>${name}</code> <span class="qf-hint">${one.help}</span></label>
    <div class="qf-row">
      <${Kind} t=${t} one=${one} id=${id} put=${put} wrong=${wrong} value=${draft ?? written} setDraft=${setDraft} />
      ${one.changed && html`<button type="button" class="qf-reset" onClick=${reset} aria-label="${t("fields.reset")}: ${name}"
        title=${t("fields.reset")}>↺</button>`}
    </div>
    <p class="qf-hint" id="${id}-notes">${wrong && html`<span class="qf-error">${outcome.error}</span><br />`}${notes.filter(Boolean).join(" · ")}</p>
  </div>`;
}

// What all text inputs have: Enter or leaving sends, Escape takes back.
function handlers({ value, put, setDraft, one, wrong, id }, multiline = false) {
  return {
    id,
    value,
    "aria-invalid": String(wrong),
    "aria-describedby": `${id}-notes`,
    onInput: (event) => setDraft(event.target.value),
    onChange: (event) => { if (event.target.value !== one.written) put(event.target.value); },
    onKeyDown: (event) => {
      if (event.key === "Escape") setDraft(null);
      else if (event.key === "Enter" && (!multiline || event.ctrlKey || event.metaKey)) event.target.blur();
      else return;
      event.preventDefault();
    },
  };
}

function Short(props) {
  return html`<input type="text" placeholder=${props.t("fields.unset")} ...${handlers(props)} />`;
}

function Long(props) {
  return html`<textarea rows="3" placeholder=${props.t("fields.unset")} ...${handlers(props, true)}></textarea>`;
}

function Numeric(props) {
  const { t, one, value, setDraft, put, id } = props;
  const number = parseFloat(value);
  const start = parseFloat(one.default) || one.low;
  // As few digits as the step has: a slider's 0.30000000000000004 is nobody's wish.
  const slid = (event) => String(parseFloat(Number(event.target.value).toFixed(one.step < 1 ? 2 : 0)));
  return html`${one.slider && html`<input type="range" min=${one.low} max=${one.high} step=${one.step}
      value=${Number.isNaN(number) ? start : number} data-unset=${String(value === "")}
      aria-label=${t("fields.slider", { name: one.name })} aria-valuetext=${value === "" ? t("fields.unset") : value}
      onInput=${(event) => setDraft(slid(event))} onChange=${(event) => put(slid(event))} />`}
    <input type="text" inputmode="decimal" class="qf-number" placeholder=${t("fields.unset")} ...${handlers({ ...props, id })} />`;
}

function Select({ t, one, value, put, id, wrong }) {
  const choices = one.kind === "bool" ? ["true", "false"] : one.choices;
  return html`<select id=${id} value=${value} aria-invalid=${String(wrong)} aria-describedby="${id}-notes"
    onChange=${(event) => put(event.target.value)}>
    ${(value === "" || one.changed) && html`<option value="">${t("fields.unset")}</option>`}
    ${choices.map((choice) => html`<option key=${choice} value=${choice}>${choice}</option>`)}
  </select>`;
}

// A stop list may hold line ends and the like: shown, and typed, as in a string of JSON.
const asTyped = (entry) => JSON.stringify(entry).slice(1, -1).replaceAll('\\"', '"');
function fromTyped(text) {
  try {
    return JSON.parse(`"${text.replaceAll('\\"', '"').replaceAll('"', '\\"')}"`);
  } catch {
    return text;
  }
}

function List({ t, one, put, id, wrong }) {
  const [extra, setExtra] = useState("");
  const entries = one.value ?? [];
  useEffect(() => setExtra(""), [one.written]);
  const send = (list) => put(list.length ? JSON.stringify(list) : "");
  const change = (n) => (event) => send(entries.map((entry, index) => (index === n ? fromTyped(event.target.value) : entry)).filter(Boolean));
  const add = () => extra && send([...entries, fromTyped(extra)]);
  const onKeyDown = (event) => { if (event.key === "Enter") { event.preventDefault(); add(); } };
  const full = one.items != null && entries.length >= one.items;
  return html`<div class="qf-list">
    ${entries.map((entry, n) => html`<span class="qf-row" key=${n}>
      <input type="text" value=${asTyped(entry)} onChange=${change(n)} aria-label=${t("fields.entry", { name: one.name, n: n + 1 })} />
      <button type="button" onClick=${() => send(entries.filter((_, index) => index !== n))}
        aria-label="${t("fields.remove")}: ${t("fields.entry", { name: one.name, n: n + 1 })}">×</button></span>`)}
    ${!full && html`<span class="qf-row"><input type="text" id=${id} value=${extra} aria-invalid=${String(wrong)} aria-describedby="${id}-notes"
      onInput=${(event) => setExtra(event.target.value)} onKeyDown=${onKeyDown} />
      <button type="button" onClick=${add} disabled=${!extra}>${t("fields.add")}</button></span>`}
  </div>`;
}

function Text(props) {
  return props.one.name === "system" ? html`<${Long} ...${props} />` : html`<${Short} ...${props} />`;
}

const KINDS = { float: Numeric, int: Numeric, bool: Select, choice: Select, list: List, map: Long, json: Long, string: Text };
