import { visible } from "./visible.js";

// The anywidget around every live answer: it collects what the kernel sends, and hands it to the view.
// The stub and the bundle share it. The bundle is large, so a page gets it once; it registers itself here, and the
// stubs of all answers look for it. Until it is there, an answer is plain text.
export const registry = (globalThis[Symbol.for("qfmagic.live")] ??= {});

// __QF_HASH__ stands in the bundle's first line too: a page may hold answers of two versions of qfmagic.
export const HASH = __QF_HASH__;

const LOOK = 250; // milliseconds between looks for the bundle: the next message may be long in coming

// All that came for one model. Views read it whole when they begin, then what is new.
function collect(model) {
  const store = {
    get: (name) => model.get(name),
    began: performance.now() - 1000 * (model.get("elapsed") ?? 0),
    text: "",
    reasoning: "",
    characters: 0,
    tokens: undefined,
    wait: "",
    gap: false,
    stoppable: false,
    epoch: 0, // how often what came before was taken back
    ended: undefined, // when the answer was whole, where its view stays: the others are still written
    signal: async () => model.widget_manager?.get_model(model.get("stop")),
    watchers: new Set(),
  };
  let expected = 0;
  const receive = (message) => {
    // A page that was reloaded in mid-answer begins in the middle; so does a model made anew.
    if (message.n !== expected) store.gap = true;
    expected = message.n + 1;
    if (message.b) {
      store.epoch += 1;
      store.text = "";
      store.characters = 0;
      if (message.b === "all") store.reasoning = "";
    }
    store.text += message.t ?? "";
    store.reasoning += message.r ?? "";
    for (const _ of message.t ?? "") store.characters += 1;
    store.tokens = message.tokens ?? store.tokens;
    store.wait = message.wait ?? store.wait;
    store.stoppable ||= message.stop === true;
    if (message.end) store.ended ??= performance.now();
    for (const watcher of [...store.watchers]) watcher();
  };
  model.on("msg:custom", receive);
  store.stop = () => model.off("msg:custom", receive);
  return store;
}

// The model's name and the text as it is: a view that needs nothing. The longer it takes, the rarer it is shown anew.
function plain(store, el) {
  const head = document.createElement("div");
  const text = document.createElement("pre");
  head.textContent = visible(store.get("model"));
  text.style.cssText = "white-space:pre-wrap;overflow-wrap:anywhere;max-height:60vh;overflow:auto";
  el.replaceChildren(head, text);
  let timer = 0;
  const show = () => {
    timer = 0;
    const following = text.scrollHeight - text.scrollTop - text.clientHeight < 2;
    const said = visible((store.text || store.wait).replace(/\r\n?/g, "\n"));
    text.textContent = (store.gap ? `${store.get("labels").gap}\n\n` : "") + said;
    if (following) text.scrollTop = text.scrollHeight;
  };
  const wake = () => {
    timer ||= setTimeout(show, store.text.length / 500);
  };
  store.watchers.add(wake);
  show();
  return () => {
    clearTimeout(timer);
    store.watchers.delete(wake);
  };
}

function mount(store, el) {
  let leave;
  let shown; // the epoch the view began in: it only reads on, so it begins anew where text was taken back
  const take = () => {
    const view = registry[HASH];
    if (!view || shown === store.epoch) return;
    clearInterval(looking);
    leave?.();
    leave = view(store, el);
    shown = store.epoch;
  };
  const looking = setInterval(take, LOOK);
  store.watchers.add(take);
  take();
  leave ??= plain(store, el);
  const close = () => {
    clearInterval(looking);
    store.watchers.delete(take);
    leave();
    el.replaceChildren();
  };
  return Object.assign(close, { view: () => leave });
}

// A function, which anywidget calls once for each model: initialize and render get different faces of the model,
// so what they share stands here.
export function widget() {
  let store;
  return {
    initialize({ model }) {
      store = collect(model);
      return store.stop;
    },
    render: ({ el }) => mount(store, el),
  };
}
