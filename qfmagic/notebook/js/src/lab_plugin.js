// Tells the kernel the order of the page's cells: with each cell of ours that is queued, and when the order changes.
import { orderOf, ours } from "./lab_order.js";

const TARGET = "qfmagic";

// A comm is opened for each report and forgotten: one that stays open would be lost at Restart & Run All, where the
// new kernel hears of the cells before it could open one.
function report(kernel, data) {
  try {
    const comm = kernel.createComm(TARGET);
    comm.commsOverSubshells = "disabled"; // in line with the cells; over a subshell it would overtake them
    comm.open(data);
    comm.dispose();
  } catch (error) {
    console.warn("qfmagic: the order of the cells was not reported", error);
  }
}

function follow(notebook, tracker) {
  const { NotebookActions } = notebook;
  const listening = new WeakSet(); // kernels with qfmagic loaded; the others would complain of the comm
  const panels = new WeakSet();

  const panelOf = (content) => tracker.find((panel) => panel.content === content);
  const kernelOf = (panel) => panel.sessionContext?.session?.kernel;
  const order = (panel) => !panel.isDisposed && panel.context.model && orderOf(panel.context.model.cells);

  // Synchronous: the request of the cell is sent right after it, on the same socket.
  NotebookActions.executionScheduled.connect((_, { notebook: content, cell }) => {
    if (cell.model.type !== "code" || !ours(cell.model.sharedModel.getSource())) return;
    const panel = panelOf(content);
    const kernel = panel && kernelOf(panel);
    const found = kernel && order(panel);
    if (found) report(kernel, { ...found.report, at: found.code.indexOf(cell.model) });
  });

  NotebookActions.executed.connect((_, { notebook: content, cell, success }) => {
    const panel = success && !cell.isDisposed && ours(cell.model.sharedModel.getSource()) && panelOf(content);
    const kernel = panel && kernelOf(panel);
    if (kernel) listening.add(kernel);
  });

  // A page that is loaded again asks whether a report was received before.
  function meet(kernel) {
    kernel.statusChanged.connect((_, status) => {
      if (/restarting|dead|terminating/.test(status)) listening.delete(kernel);
    });
    kernel.requestCommInfo({ target_name: TARGET }).then(
      ({ content }) => content.status === "ok" && Object.keys(content.comms).length && listening.add(kernel),
      () => {}, // the kernel is gone
    );
  }

  function watch(panel) {
    if (panels.has(panel)) return;
    panels.add(panel);
    const session = panel.sessionContext;
    if (kernelOf(panel)) meet(kernelOf(panel));
    session.kernelChanged.connect((_, { newValue }) => newValue && meet(newValue));
    panel.context.ready.then(() => {
      let due = false;
      panel.context.model?.cells.changed.connect(() => {
        if (due) return;
        due = true;
        queueMicrotask(() => {
          due = false;
          const kernel = kernelOf(panel);
          const found = kernel && listening.has(kernel) && order(panel);
          if (found) report(kernel, found.report);
        });
      });
    });
  }

  tracker.widgetAdded.connect((_, panel) => watch(panel));
  tracker.forEach(watch);
}

export function plugin(notebook) {
  return {
    id: "qfmagic:plugin",
    description: "Reports the order of the cells to qfmagic in the kernel.",
    autoStart: true,
    optional: notebook ? [notebook.INotebookTracker] : [],
    activate(_app, tracker) {
      if (tracker) follow(notebook, tracker);
    },
  };
}
