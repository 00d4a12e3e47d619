// The extension of JupyterLab and Notebook 7, as the container that Lab loads (module federation): Lab hands its own
// libraries to init() and asks get() for the plugin. Written by hand: it needs nothing but what Lab has.
import { plugin } from "./lab_plugin.js";

let shared;

// One of Lab's libraries; nothing where the application has none (Voilà has no notebooks).
async function library(name) {
  const versions = Object.values(shared?.[name] ?? {});
  const version = versions.find((one) => one.loaded) ?? versions[0];
  return version && (await version.get())();
}

async function get() {
  const notebook = await library("@jupyterlab/notebook").catch(() => undefined);
  return () => ({ __esModule: true, default: plugin(notebook) });
}

(window._JUPYTERLAB ??= {}).qfmagic = { init: (scope) => void (shared = scope), get };
