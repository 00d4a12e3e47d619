// What a saved notebook keeps of the panel: nothing. The table above it is the document's.
//
// JupyterLab and Notebook write what the notebook's model gives as JSON. A widget's view in that would be shown as
// "model not found" when the notebook is opened again, so the panel's own is taken out of the copy that is written;
// the page keeps it. With widget state saving on, the panel's state is taken out with it. Where there is no such model
// (VS Code, Colab), nothing is done.
const VIEW = "application/vnd.jupyter.widget-view+json";
const STATE = "application/vnd.jupyter.widget-state+json";
const watched = new WeakMap(); // notebook model -> ids of our widgets

export function leaveNoTrace(model) {
  try {
    const notebook = model.widget_manager?.context?.model;
    const { id } = model.get("fixed");
    if (!id || typeof notebook?.toJSON !== "function") return () => {};
    if (!watched.has(notebook)) watch(notebook);
    // Not taken out again when the view goes: a panel that is scrolled away or moved is still in the document.
    watched.get(notebook).add(id);
  } catch (error) {
    console.warn("qfmagic: the panel's view will be saved with the notebook", error);
  }
  return () => {};
}

function watch(notebook) {
  const ids = new Set();
  watched.set(notebook, ids);
  const original = notebook.toJSON;
  notebook.toJSON = function (...given) {
    const json = original.apply(this, given);
    try {
      return without(json, ids);
    } catch {
      return json;
    }
  };
}

function without(json, ids) {
  const ours = (output) => ids.has(output?.data?.[VIEW]?.model_id) || isEmpty(output);
  const cells = json.cells.map((cell) => (cell.outputs?.some(ours)
    ? { ...cell, outputs: cell.outputs.filter((output) => !ours(output)) } : cell));
  const state = json.metadata?.widgets?.[STATE]?.state;
  if (!state) return { ...json, cells };
  const rest = Object.fromEntries(Object.entries(state).filter(([id]) => !ids.has(id)));
  const { widgets: _, ...others } = json.metadata;
  const kept = Object.keys(rest).length ? { widgets: { ...json.metadata.widgets, [STATE]: { ...json.metadata.widgets[STATE], state: rest } } } : {};
  return { ...json, cells, metadata: { ...others, ...kept } };
}

// What a closed panel has left: an output without anything in it.
function isEmpty(output) {
  return output?.metadata?.qfmagic_panel === "closed" && Object.keys(output.data ?? {}).length === 0;
}
