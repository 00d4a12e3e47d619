// Tokens and seconds of each turn: as bars for the eye, as a table for everyone.
import { html } from "htm/preact";

const wide = (part, most) => ({ width: `${most ? (100 * (part ?? 0)) / most : 0}%` });
const shown = (number) => (number == null ? "–" : String(number));

function Bars({ t, turns }) {
  const tokens = Math.max(...turns.map((turn) => (turn.prompt ?? 0) + (turn.completion ?? 0)), 1);
  const seconds = Math.max(...turns.map((turn) => turn.seconds), 0);
  return html`<div class="qf-chart" aria-hidden="true">
    <p class="qf-legend"><span data-part="prompt">${t("usage.prompt")}</span><span data-part="completion">${t("usage.completion")}</span>
      <span data-part="seconds">${t("usage.seconds")}</span></p>
    ${turns.map((turn) => html`<div class="qf-bars" key=${turn.number}>
      <span class="qf-bars-name">#${turn.number}</span>
      <span class="qf-stack"><span data-part="prompt" style=${wide(turn.prompt, tokens)}></span><span data-part="completion" style=${wide(turn.completion, tokens)}></span></span>
      <span class="qf-bars-said">${shown(turn.prompt)} + ${shown(turn.completion)}</span>
      <span class="qf-stack"><span data-part="seconds" style=${wide(turn.seconds, seconds)}></span></span>
      <span class="qf-bars-said">${turn.seconds} s</span>
    </div>`)}
  </div>`;
}

export function Usage({ t, state }) {
  const { turns, sums, count } = state.usage;
  if (!turns.length) return html`<p class="qf-hint">${t("usage.empty")}</p>`;
  const columns = ["prompt", "completion", "total", "seconds"];
  return html`<p>${t("usage.sum", { n: count, ...sums })}</p>
    <${Bars} t=${t} turns=${turns} />
    <details><summary>${t("usage.table")}</summary>
      <div class="qf-scroll"><table><thead><tr><th scope="col">${t("usage.turn")}</th><th scope="col">${t("usage.model")}</th>
        ${columns.map((name) => html`<th scope="col" key=${name}>${t(`usage.${name}`)}</th>`)}</tr></thead>
      <tbody>${turns.map((turn) => html`<tr key=${turn.number}><th scope="row">#${turn.number}</th><td>${turn.model}</td>
        ${columns.map((name) => html`<td key=${name}>${shown(turn[name])}</td>`)}</tr>`)}</tbody>
      <tfoot><tr><th scope="row" colspan="2">${t("usage.all")}</th>${columns.map((name) => html`<td key=${name}>${sums[name]}</td>`)}</tr></tfoot></table></div>
    </details>`;
}
