"""The live answer's bundle in a blank page: a model that says what a kernel would say, and what can be seen of it."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

STATIC = Path(__file__).parents[3] / "qfmagic" / "notebook" / "static"
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ADDRESS = "http://page.test/"
LABELS = {
    "waiting": "waiting for the answer",
    "characters": "{n} characters",
    "tokens": "{n} tokens",
    "seconds": "{n} s",
    "reasoning": "Reasoning",
    "gap": "the beginning of this answer is not on this page",
    "image": "image",
    "stop": "Stop",
    "stopping": "stopping",
    "region": "Answer",
}
# What anywidget does with a module, as far as the bundle can tell: each model imports it anew, and initialize and
# render get different faces of one model.
SCRIPT = """
window.qf = {
  sources: {}, models: {}, executed: [], long: [],
  async model(name, source, state) {
    const url = URL.createObjectURL(new Blob([this.sources[source]], {type: "text/javascript"}));
    const module = await import(url);
    URL.revokeObjectURL(url);
    const definition = await module.default();
    const listeners = new Set(), sent = [];
    const face = () => ({
      get: (key) => state[key],
      on: (event, callback) => event === "msg:custom" && listeners.add(callback),
      off: (event, callback) => listeners.delete(callback),
      widget_manager: {get_model: async (id) => ({send: (content) => sent.push([id, content])})},
    });
    const leave = await definition.initialize({model: face()});
    this.models[name] = {definition, listeners, sent, face, leave, n: 0, views: []};
  },
  async view(name) {
    const el = document.createElement("div");
    el.className = "view";
    document.body.append(el);
    const model = this.models[name];
    const leave = await model.definition.render({model: model.face(), el});
    model.views.push({el, leave});
  },
  send(name, message) {
    const model = this.models[name];
    const numbered = {n: model.n, ...message};
    model.n = numbered.n + 1;
    for (const listener of model.listeners) listener(numbered, []);
  },
  frames: (count = 2) => new Promise((done) => {
    const next = () => (count-- ? requestAnimationFrame(next) : done());
    next();
  }),
  // Until the view has read and drawn all it got.
  async settled() {
    const views = () => Object.values(this.models).flatMap((model) => model.views ?? []);
    const busy = () => views().some((view) => view.leave?.view?.()?.busy?.());
    for (let quiet = 0, before = ""; quiet < 3; ) {
      await new Promise((done) => setTimeout(done, 50));
      const now = document.body.innerHTML.replace(/<span class="qf-time">.*?<.span>/g, "");
      quiet = now === before && !busy() ? quiet + 1 : 0;
      before = now;
    }
  },
};
window.qfpwned = (...what) => { window.qf.executed.push(what.join()); };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.qf.long.push(entry.duration);
}).observe({type: "longtask"});
"""

# What may stand where a model's text is shown; anything else is a hole. `found` is what was found.
JUDGE = r"""
window.judge = (root) => {
  const found = [];
  const TAGS = new Set(), MATH = new Set(), ATTRIBUTES = new Set();
  for (const element of root.querySelectorAll("*")) {
    const math = element.namespaceURI === "http://www.w3.org/1998/Math/MathML";
    if (!(math ? MATH : TAGS).has(element.localName)) found.push(element.outerHTML.slice(0, 200));
    for (const {name, value} of element.attributes) {
      if (!ATTRIBUTES.has(name)) found.push(`${element.localName} ${name}=${value}`);
      if (name === "href" && !/^(https?:\/\/|mailto:)/i.test(value)) found.push(value);
      if (name === "class" && !/^((qf|hljs)-[\w-]+|[a-z]+_)( ((qf|hljs)-[\w-]+|[a-z]+_))*$/.test(value)) found.push(value);
    }
    if (element.localName === "a" && (element.rel !== "noopener noreferrer nofollow" || element.target !== "_blank"))
      found.push(element.outerHTML);
  }
  return found;
};
"""
for _name, _names in {
    "TAGS": "a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul",
    "MATH": "math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace "
    "msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover",
    "ATTRIBUTES": "accent accentunder class columnalign columnlines columnspacing columnspan depth display displaystyle "
    "fence form height href largeop linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize "
    "movablelimits notation rel rowlines rowspacing rspace scriptlevel separator start stretchy symmetric target "
    "voffset width",
}.items():
    JUDGE = JUDGE.replace(f"{_name} = new Set()", f"{_name} = new Set({json.dumps(_names.split())})")


def launch(driver):
    """Chromium, through Playwright's driver."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError("the browser tests need Chromium (Debian: apt-get install chromium fonts-noto-cjk)")
    return driver.chromium.launch(executable_path=path, args=ARGS)


class LivePage:
    """A page with the bundle; what it asks of the network is noted and refused."""

    def __init__(self, page, *, style=""):
        self.page = page
        self.requests = []
        self.dialogs = []
        self.errors = []
        self.navigations = 0
        page.route("**/*", self._answer)
        page.on("dialog", self._dismiss)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("framenavigated", lambda _: setattr(self, "navigations", self.navigations + 1))
        self._html = f"<!doctype html><meta charset=utf-8><title>page</title><style>{style}</style><body>"
        page.goto(ADDRESS)
        page.evaluate(SCRIPT)
        page.evaluate(f"() => {{ {JUDGE} }}")  # the value of the script is a function, which would be called
        for name in ("live", "stub"):
            source = (STATIC / f"{name}.js").read_text("utf-8")
            page.evaluate("([name, source]) => { window.qf.sources[name] = source; }", [name, source])
        self.navigations = 0

    def _answer(self, route):
        if route.request.url == ADDRESS and not self.navigations:
            route.fulfill(body=self._html, content_type="text/html")
            return
        self.requests.append(route.request.url)
        route.abort()

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def model(self, name="m", source="live", **state):
        state = {"labels": LABELS, "model": "yi_34b_chat", "context": "", "elapsed": 0, "lang": "en", **state}
        self.page.evaluate("([name, source, state]) => window.qf.model(name, source, state)", [name, source, state])

    def view(self, name="m"):
        self.page.evaluate("name => window.qf.view(name)", name)
        return self.page.locator(".view").last

    def send(self, name="m", **message):
        self.page.evaluate("([name, message]) => window.qf.send(name, message)", [name, message])

    def settle(self):
        self.page.evaluate("window.qf.settled()")

    def text(self, number=-1):
        return self.page.locator(".qf-text").nth(number)

    def drawn(self):
        """How many blocks the last view drew, and of how many characters."""
        script = "() => { const {blocks} = window.qf.models.m.views.at(-1).leave.view(); return [blocks.drawings, blocks.characters]; }"
        return self.page.evaluate(script)


@contextmanager
def live_page(browser, *, size=(1000, 800), style="", **options):
    """Open a page of its own."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    try:
        yield LivePage(context.new_page(), style=style)
    finally:
        context.close()


LINES = [
    "长城是中国古代的**军事防御工程**，全长 21196 千米；see `code` and $a_1 < b$.",
    "The quick brown fox *jumps* over the [lazy dog](https://example.org/).",
]


def long_texts(size=40_000):
    """Texts of *size* characters: what an answer is usually made of, and one block of each kind that never ends."""
    row = "| 一 | two | `3` | **4** |\n"
    mixed = (
        f"# 标题\n\n{LINES[0]} {LINES[1]}\n\n- 一\n- two\n  - three\n\n```python\ndef f(x):\n    return x < 1  # 注释\n```\n\n"
        f"| a | b | c | d |\n|---|:-:|---|--:|\n{row * 3}\n$$\\sum_{{i=0}}^n x_i^2$$\n\n1. eins\n2. zwei\n\n> {LINES[1]}\n\n"
    )
    bodies = {
        "mixed": ("", mixed),
        "paragraph": ("", " ".join(LINES) + " "),
        "code": ("```python\n", "def function(value: int) -> str:\n    return f'{value} < {1}'  # 注释\n"),
        "table": ("| a | b | c | d |\n|---|---|---|---|\n", row),
        "list": ("", f"- {LINES[0]}\n- {LINES[1]}\n"),
        "nested": ("- top\n", f"  - {LINES[0]}\n"),
        "math": ("", "$\\frac{a}{b}$ and $x^2$. "),
    }
    return {name: (head + body * (size // len(body) + 1))[:size] for name, (head, body) in bodies.items()}


def measure(page, text, updates=400, per_second=20):
    """
    Feed *text* in equal pieces at a steady rate.

    Returns:
        The longest task over 50 ms and how many of them there were, the seconds of work in the page, and the seconds
        it ended late.
    """
    page.model()
    page.view()
    session = page.page.context.new_cdp_session(page.page)
    session.send("Performance.enable")

    def busy():
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    before = busy()
    late = page.page.evaluate(
        """async ([text, updates, every]) => {
          window.qf.long.length = 0;
          const size = Math.ceil(text.length / updates), began = performance.now();
          for (let i = 0; i < updates; i += 1) {
            window.qf.send("m", {t: text.slice(i * size, (i + 1) * size)});
            const rest = began + (i + 1) * every - performance.now();
            await new Promise((done) => setTimeout(done, Math.max(0, rest)));
          }
          await window.qf.frames(3);
          return performance.now() - began - updates * every;
        }""",
        [text, updates, 1000 / per_second],
    )
    work = busy() - before
    long = page.page.evaluate("window.qf.long")
    return {
        "longest": round(max(long, default=0)),
        "long": len(long),
        "work": round(work, 2),
        "late": round(late / 1000, 2),
        "seconds": updates / per_second,
    }


def main():
    """Print the figures of every text."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = launch(driver)
        for name, text in long_texts().items():
            with live_page(browser) as page:
                print(name, json.dumps(measure(page, text)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
