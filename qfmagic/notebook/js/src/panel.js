// The panel in the page. The kernel sends its whole state as one value, and what was used as another; every click is one message, and what it did
// comes back as the line that does the same.
import { html, render } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import css from "./panel.css";
import { Keys } from "./panel_keys.js";
import { Model } from "./panel_model.js";
import { Line, translator } from "./panel_parts.js";
import { leaveNoTrace } from "./panel_save.js";
import { Talk } from "./panel_talk.js";
import { Usage } from "./panel_usage.js";
import "./panel_visible.js";

const TABS = { keys: Keys, model: Model, talk: Talk, usage: Usage };
const PATIENCE = 300; // ms without an answer, then the panel says that it waits

// Messages to the kernel, and what is known of those under way.
function useKernel(model) {
  const [outcome, setOutcome] = useState({});
  const [open, setOpen] = useState({});
  const [late, setLate] = useState(false);
  useEffect(() => {
    const hear = (message) => {
      if (message?.reply === undefined) return;
      setOpen(({ [message.reply]: _, ...rest }) => rest);
      setOutcome({ ...message, count: message.reply });
    };
    model.on("msg:custom", hear);
    return () => model.off("msg:custom", hear);
  }, [model]);
  const pending = Object.values(open);
  const waiting = pending.some((one) => !one.startsWith("check")); // a test of keys takes its time
  useEffect(() => {
    if (!waiting) return setLate(false);
    const timer = setTimeout(() => setLate(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [waiting]);
  const send = useMemo(() => (message) => {
    const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    setOpen((before) => ({ ...before, [id]: `${message.do} ${message.kind ?? ""}` }));
    model.send({ ...message, id });
  }, [model]);
  return { send, outcome, late, pending };
}

function useTraits(model, names) {
  const [values, setValues] = useState(() => names.map((name) => model.get(name)));
  useEffect(() => {
    const read = () => setValues(names.map((name) => model.get(name)));
    read();
    for (const name of names) model.on(`change:${name}`, read);
    return () => { for (const name of names) model.off(`change:${name}`, read); };
  }, [model]);
  return values;
}

function Tabs({ t, id, current, choose }) {
  const names = Object.keys(TABS);
  const list = useRef();
  const onKeyDown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const now = names.indexOf(current);
    const next = step ? (now + step + names.length) % names.length : { Home: 0, End: names.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(names[next]);
    list.current.children[next].focus();
  };
  return html`<div class="qf-tabs" role="tablist" ref=${list} onKeyDown=${onKeyDown} aria-label=${t("title")}>
    ${names.map((name) => html`<button type="button" role="tab" id="${id}-tab-${name}" key=${name}
      aria-selected=${String(name === current)} aria-controls="${id}-${name}" tabindex=${name === current ? 0 : -1}
      onClick=${() => choose(name)}>${t(`tab.${name}`)}</button>`)}
  </div>`;
}

function Header({ t, state, send }) {
  const id = useMemo(() => `qf-mode-${Math.random().toString(36).slice(2)}`, []);
  return html`<div class="qf-head">
    <label for=${id}>${t("transport")}</label>
    <select id=${id} value=${state.mode.value} onChange=${(event) => send({ do: "transport", mode: event.target.value })}>
      ${["live", "stub"].map((mode) => html`<option key=${mode} value=${mode}>${t(mode)}</option>`)}
    </select>
    <button type="button" class="qf-close" title=${t("close_hint")} onClick=${() => send({ do: "close" })}>${t("close")}</button>
  </div>`;
}

function Footer({ t, state, outcome, late }) {
  const wrong = outcome.error && outcome.fields?.length; // a line that fails is not for copying
  const lines = [["same", wrong ? "" : outcome.line], ["all", state.line]].filter(([key, line]) => line && !(key === "all" && line === outcome.line));
  return html`<div class="qf-foot">
    <div class="qf-late" role="status">${late ? t("waiting") : ""}</div>
    <div class="qf-error" role="alert">${outcome.error || state.broken || ""}</div>
    <div class="qf-said" role="status">${outcome.error ? "" : outcome.said}</div>
    ${lines.map(([key, line]) => html`<${Line} key=${key} t=${t} label=${t(key)} line=${line} name=${key} />`)}
  </div>`;
}

let count = 0;

function App({ model }) {
  const [fixed, state, usage, mask] = useTraits(model, ["fixed", "state", "usage", "mask"]);
  const { send, outcome, late, pending } = useKernel(model);
  const [current, choose] = useState("model");
  const id = useMemo(() => `qf-panel-${++count}`, []);
  const t = useMemo(() => translator(fixed.labels ?? {}), [fixed]);
  if (!state.mode) return html`<div class="qf-error" role="alert">${state.broken ?? ""}</div>`;
  const bad = outcome.error ? outcome.fields ?? [] : [];
  const shared = { t, state, usage, fixed, send, bad, outcome, pending, mask };
  return html`
    <${Header} t=${t} state=${state} send=${send} />
    <${Tabs} t=${t} id=${id} current=${current} choose=${choose} />
    ${state.problem && html`<div class="qf-problem" role="status">${t("problem")} ${state.problem}</div>`}
    ${Object.entries(TABS).map(([name, Tab]) => html`<div role="tabpanel" key=${name} id="${id}-${name}"
      aria-labelledby="${id}-tab-${name}" hidden=${name !== current} tabindex="-1">
      <${Tab} ...${shared} id="${id}-${name}" />
    </div>`)}
    <${Footer} t=${t} state=${state} outcome=${outcome} late=${late} />`;
}

// JupyterLab takes plain keys for commands on cells wherever no text is typed: not here. Ctrl+S stays its own. It looks
// for the mark on the element that has the focus first, in its capturing listener on the document.
function keepKeys(root) {
  const decide = ({ target, ctrlKey, metaKey }) => {
    if (root.contains(target)) target.toggleAttribute("data-lm-suppress-shortcuts", !(ctrlKey || metaKey));
  };
  window.addEventListener("keydown", decide, true);
  return () => window.removeEventListener("keydown", decide, true);
}

export default {
  render({ model, el }) {
    el.classList.add("qf-panel");
    const style = document.createElement("style");
    style.textContent = css;
    const root = document.createElement("div");
    root.className = "qf-root";
    el.append(style, root);
    render(html`<${App} model=${model} />`, root);
    const ends = [keepKeys(el), leaveNoTrace(model)];
    return () => {
      render(null, root);
      for (const end of ends) end();
    };
  },
};
