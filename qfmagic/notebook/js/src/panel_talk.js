// The conversation: its turns, what of it goes along, and what can be done with it.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";

function Fill({ t, talk }) {
  if (!talk.size) return html`<p class="qf-problem">${talk.problem}</p>`;
  const { share, used, limit, unit } = talk.size;
  const words = share == null ? t("talk.unlimited", { used }) : t(`talk.${unit}`, { used, limit });
  return html`<div class="qf-fill">
    <span>${t("talk.going", talk)}</span>
    ${share != null && html`<span class="qf-bar" role="meter" aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(100 * share)} aria-valuetext=${words}><span style=${{ width: `${Math.min(100, 100 * share)}%` }}></span></span>`}
    <span class="qf-hint">${words}${share == null ? "" : ` (${Math.round(100 * share)} %)`}</span>
  </div>`;
}

function Turn({ t, turn, send, fork }) {
  const label = (what) => t("talk.of_turn", { what: t(what), n: turn.number });
  const button = (what, message) => html`<button type="button" aria-label=${label(what)} onClick=${() => send(message)}>${t(what)}</button>`;
  return html`<li class="qf-card qf-turn" data-state=${turn.state} data-goes=${turn.goes}>
    <p class="qf-facts"><b>#${turn.number}</b>
      <span class="qf-badge" data-state=${turn.state}>${turn.said}</span>
      ${!turn.out && html`<span>${t(`talk.${turn.goes}`)}</span>`}
      ${turn.cell && html`<span>${turn.cell}</span>`}
      <span>${t("talk.size", { n: turn.chars })}</span>
      ${turn.versions > 0 && html`<span>${t("talk.versions", { n: turn.versions })}</span>`}</p>
    <p class="qf-said-by" data-role="user">${turn.question}</p>
    <p class="qf-said-by" data-role="assistant">${turn.answer}</p>
    <div class="qf-row">
      ${turn.out ? button("talk.restore", { do: "restore", turn: turn.number }) : button("talk.drop", { do: "drop", turn: turn.number })}
      ${!turn.out && turn.versions > 0 && button("talk.version", { do: "restore", turn: turn.number })}
      ${button("talk.fork_here", { do: "fork", name: fork, turn: turn.number })}
    </div>
  </li>`;
}

function Entry({ label, value, set, act, button, id, placeholder }) {
  const onKeyDown = (event) => { if (event.key === "Enter") { event.preventDefault(); act(); } };
  return html`<label for=${id}>${label}</label><span class="qf-row">
    <input id=${id} type="text" value=${value} placeholder=${placeholder} onInput=${(event) => set(event.target.value)} onKeyDown=${onKeyDown} />
    <button type="button" disabled=${!value && !placeholder} onClick=${act}>${button}</button></span>`;
}

export function Talk({ t, state, send, id }) {
  const { talk } = state;
  const [fork, setFork] = useState("");
  const [path, setPath] = useState("");
  useEffect(() => setFork(""), [talk.fork]);
  const name = fork || talk.fork;
  return html`<div class="qf-grid">
      <label for="${id}-name">${t("talk.name")}</label>
      <select id="${id}-name" value=${talk.name} onChange=${(event) => send({ do: "switch", name: event.target.value })}>
        ${talk.names.map((one) => html`<option key=${one.name} value=${one.name}>${t("talk.count", { name: one.name, n: one.count })}</option>`)}
      </select>
      <${Entry} label=${t("talk.fork_name")} value=${fork} placeholder=${talk.fork} set=${setFork} id="${id}-fork"
        button=${t("talk.fork")} act=${() => send({ do: "fork", name })} />
      <${Entry} label=${t("talk.path")} value=${path} set=${setPath} id="${id}-path" button=${t("talk.export")}
        act=${() => path && send({ do: "export", path })} />
    </div>
    <div class="qf-row qf-tools">
      <button type="button" disabled=${!talk.turns.length} onClick=${() => send({ do: "undo" })}>${t("talk.undo")}</button>
      <button type="button" disabled=${!talk.turns.length} onClick=${() => send({ do: "reset" })}>${t("talk.reset")}</button>
    </div>
    <${Fill} t=${t} talk=${talk} />
    ${talk.earlier > 0 && html`<p class="qf-hint">${t("talk.earlier", { n: talk.earlier })}</p>`}
    ${talk.turns.length ? html`<ol class="qf-turns">${talk.turns.map((turn) => html`<${Turn} key=${turn.number} t=${t} turn=${turn} send=${send} fork=${name} />`)}</ol>`
      : html`<p class="qf-hint">${t("talk.empty")}</p>`}`;
}
