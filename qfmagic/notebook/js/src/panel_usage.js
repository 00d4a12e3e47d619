// What was asked and what it used, in the groupings and words of %qf usage; the choice of one is the page's own.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { Line } from "./panel_parts.js";

const PARTS = ["prompt", "completion"];

function Bar({ row }) {
  return html`<span class="qf-stack" aria-hidden="true">${PARTS.map((part) => html`<span key=${part} data-part=${part} style=${{ width: `${row[part]}%` }}></span>`)}</span>`;
}

function Table({ group, columns, title }) {
  const of = (cells) => columns.map((column) => cells[column]);
  const heads = of(group.head);
  const part = (n) => PARTS.find((one) => one === of(group.columns)[n]); // its colour in the bars
  // The bar stands behind the numbers; where there is no room for it, below the name.
  const cells = (given, row) => of(given).map((cell, n) => (n ? html`<td key=${n}>${cell}</td>`
    : html`<th scope="row" key=${n}>${cell}${row && html`<${Bar} row=${row} />`}</th>`));
  return html`<div class="qf-scroll"><table class="qf-usage"><caption>${title}</caption>
    <thead><tr>${heads.map((head, n) => html`<th scope="col" key=${n} data-part=${part(n)}>${head}</th>`)}<td></td></tr></thead>
    <tbody>${group.rows.map((row, n) => html`<tr key=${n}>${cells(row.cells, row)}<td><${Bar} row=${row} /></td></tr>`)}</tbody>
    ${group.sum.length > 0 && html`<tfoot><tr>${cells(group.sum)}<td></td></tr></tfoot>`}
  </table></div>`;
}

export function Usage({ t, usage, id }) {
  const [by, choose] = useState("cell");
  const [seconds, withSeconds] = useState(false);
  if (usage.problem) return html`<p class="qf-problem">${usage.problem}</p>`;
  const group = usage.by[by];
  const columns = group.columns.map((_, n) => n).filter((n) => seconds || group.columns[n] !== "seconds");
  const share = usage.budget == null ? null : Math.round(100 * usage.budget);
  return html`<div class="qf-row">
      <label for="${id}-by">${t("usage.by")}</label>
      <select id="${id}-by" value=${by} onChange=${(event) => choose(event.target.value)}>
        ${Object.entries(usage.by).map(([name, { title }]) => html`<option key=${name} value=${name}>${title}</option>`)}
      </select>
      <label class="qf-row"><input type="checkbox" checked=${seconds} onChange=${(event) => withSeconds(event.target.checked)} />${t("usage.seconds")}</label>
    </div>
    ${group.earlier > 0 && html`<p class="qf-hint">${t("usage.earlier", { n: group.earlier })}</p>`}
    ${group.rows.length ? html`<${Table} group=${group} columns=${columns} title=${usage.above} />` : html`<p>${usage.above}</p>`}
    ${usage.below.map((note) => html`<p class="qf-hint" key=${note}>${note}</p>`)}
    ${share != null && html`<span class="qf-bar" role="meter" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.min(100, share)}
      aria-valuetext=${usage.below.at(-1)} data-spent=${share >= 100 ? "all" : "some"}><span style=${{ width: `${Math.min(100, share)}%` }}></span></span>`}
    <${Line} t=${t} label=${t("same")} line=${group.line + (seconds ? " seconds" : "")} name="usage" />`;
}
