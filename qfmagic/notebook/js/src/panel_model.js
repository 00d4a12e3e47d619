// Model and parameters: the model's own, with its ranges.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { Field } from "./panel_fields.js";

const GROUPS = ["v2", "v1", "own"];
const OTHER = "\0"; // no model has such a name

function Choice({ t, state, fixed, send, id }) {
  const { value, endpoint, api, changed } = state.model;
  const [wanted, want] = useState(null); // chosen here, and not complete yet
  const [name, setName] = useState("");
  const [place, setPlace] = useState(endpoint);
  useEffect(() => { want(null); setPlace(endpoint); }, [value, endpoint]);
  const shown = wanted ?? value;
  const row = fixed.models.find((one) => one.name === shown);
  const own = row?.group === "own";
  const choose = (event) => {
    const chosen = event.target.value;
    const complete = chosen !== OTHER && fixed.models.find((one) => one.name === chosen)?.group !== "own";
    want(complete ? null : chosen);
    if (complete && chosen) send({ do: "set", values: { model: chosen } });
    event.target.value = complete ? value : chosen;
  };
  const useName = () => name && send({ do: "set", values: { model: name } });
  const usePlace = () => {
    if (!place) return endpoint && send({ do: "unset", names: ["endpoint"] });
    send({ do: "set", values: own ? { model: shown, endpoint: place } : { endpoint: place } });
  };
  const entered = (act) => (event) => { if (event.key === "Enter") { event.preventDefault(); act(); } };
  return html`<div class="qf-grid">
    <label for="${id}-model">${t("model.model")}</label>
    <span class="qf-row"><select id="${id}-model" value=${shown} onChange=${choose}>
      ${!shown && html`<option value="">endpoint=${endpoint}</option>`}
      ${shown && shown !== OTHER && !row && html`<option value=${shown}>${shown}</option>`}
      ${GROUPS.map((group) => html`<optgroup key=${group} label=${t(`model.${group}`)}>
        ${fixed.models.filter((one) => one.group === group).map((one) => html`<option key=${one.name} value=${one.name}>${one.title}</option>`)}
      </optgroup>`)}
      <option value=${OTHER}>${t("model.other")}</option>
    </select>
    ${changed.length > 0 && html`<button type="button" class="qf-reset" title=${t("fields.reset")} aria-label="${t("fields.reset")}: ${t("model.model")}"
      onClick=${() => send({ do: "unset", names: changed })}>↺</button>`}</span>
    ${wanted === OTHER && html`<label for="${id}-name">${t("model.other_name")}</label>
      <span class="qf-row"><input id="${id}-name" value=${name} onInput=${(event) => setName(event.target.value)} onKeyDown=${entered(useName)} />
      <button type="button" onClick=${useName}>${t("model.use")}</button></span>`}
    ${own && !endpoint && html`<span class="qf-wide qf-problem" role="status">${t("model.needs_endpoint")}</span>`}
    <label for="${id}-endpoint">${t("model.endpoint")}</label>
    <span class="qf-row"><input id="${id}-endpoint" value=${place} placeholder=${t("model.endpoint_hint")}
      onInput=${(event) => setPlace(event.target.value)} onKeyDown=${entered(usePlace)} />
      <button type="button" disabled=${place === endpoint && wanted === null} onClick=${usePlace}>${t("model.use")}</button></span>
    <label for="${id}-api">${t("model.api")}</label>
    <select id="${id}-api" value=${api} onChange=${(event) => send(event.target.value
      ? { do: "set", values: { api: event.target.value } } : { do: "unset", names: ["api"] })}>
      <option value="">${t("model.api_own")}</option><option value="v1">V1</option><option value="v2">V2</option>
    </select>
    ${state.model.facts?.length > 0 && html`<p class="qf-wide qf-hint">${[...state.model.facts, state.model.source].filter(Boolean).join(" · ")}</p>`}
  </div>`;
}

export function Model({ t, state, fixed, send, bad, outcome, pending, id }) {
  const { parameters, others, unsent } = state.fields;
  const changed = parameters.filter((one) => one.changed).map((one) => one.name);
  const field = (one) => html`<${Field} key=${one.name} t=${t} one=${one} send=${send} bad=${bad} outcome=${outcome} pending=${pending}
    id="${id}-${one.name}" />`;
  return html`<${Choice} t=${t} state=${state} fixed=${fixed} send=${send} id=${id} />
    <fieldset><legend>${t("fields.parameters", { model: state.model.title || state.model.value })}</legend>
      ${parameters.length ? parameters.map(field) : html`<p class="qf-hint">${t("fields.none")}</p>`}
      ${changed.length > 0 && html`<button type="button" onClick=${() => send({ do: "unset", names: changed })}>${t("fields.reset_all")}</button>`}
    </fieldset>
    ${unsent.length > 0 && html`<p class="qf-problem">${t("fields.unsent")} ${unsent.join(", ")}
      <button type="button" onClick=${() => send({ do: "unset", names: unsent })}>${t("fields.reset")}</button></p>`}
    <fieldset><legend>${t("fields.others")}</legend>${others.map(field)}</fieldset>`;
}
