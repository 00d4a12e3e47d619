"""A watch on a page that shows outputs: what runs in it, what it asks for, and what of it could act."""

import json
import time
from typing import NamedTuple

import nbformat

from qfmagic.core.answer import Answer
from qfmagic.notebook.output.bundle import answer_bundle

SHOWN = 40  # outputs of one cell: JupyterLab shows no more than 50

# What must not be in an output: JupyterLab's and MathJax's own elements may be. The frame of format=html is ours.
JUDGE = r"""() => {
  const found = [];
  const outputs = document.querySelectorAll(".jp-OutputArea-output, .output_subarea");
  for (const output of outputs) for (const element of output.querySelectorAll("*")) {
    const name = element.localName;
    const bad = ["script", "object", "embed", "form", "style", "link", "meta", "base", "img", "video", "audio", "input",
      "button", "textarea", "select", "template", "math", "marquee", "picture", "source"].includes(name);
    const math = element.closest("mjx-container, .MathJax");
    // The fold of the reasoning is ours.
    if (name === "details" && element.attributes.length) found.push(element.outerHTML);
    if (element.matches(".jp-RenderedMermaid, .jp-Mermaid, pre.mermaid")) found.push(`drawn ${element.outerHTML}`);
    if (bad && !math && !(name === "input" && element.type === "checkbox" && element.disabled)) found.push(element.outerHTML);
    if (name === "svg" && !math && !element.closest("[data-icon]")) found.push(element.outerHTML);
    if (name === "iframe" && !(element.getAttribute("sandbox") === "" && !element.hasAttribute("src"))) found.push(element.outerHTML);
    for (const {name: key, value} of element.attributes) {
      if (/^on/i.test(key)) found.push(`${name} ${key}=${value}`);
      if (/^(?:xlink:)?(?:href|src|action|formaction|data)$/i.test(key) && !/^(?:https?:\/\/|mailto:|#)/i.test(value)) found.push(`${name} ${key}=${value}`);
      if (key === "style" && /url|image/i.test(value) && !math) found.push(value);
      if (math && key === "style" && /url/i.test(value)) found.push(value);
      if (/^data-commandlinker/.test(key)) found.push(key);
    }
  }
  return found.map((one) => one.slice(0, 300));
}"""
# Everything a reader may do with an output, except going where a link leads.
TOUCH = """() => {
  document.addEventListener("click", (event) => { if (event.target.closest("a")) event.preventDefault(); }, true);
  for (const element of document.querySelectorAll(".jp-OutputArea-output *, .output_subarea *")) {
    if (element.matches("pre, [style], [id], [autofocus]")) element.scrollIntoView();
    for (const kind of ["mouseover", "pointerover", "mouseenter", "focus", "click", "toggle"]) {
      element.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
    }
  }
}"""
SETTLED = """async () => {
  let before = "";
  for (let quiet = 0; quiet < 4; ) {
    await new Promise((done) => setTimeout(done, 150));
    const now = [...document.querySelectorAll(".jp-OutputArea-output, .output_subarea")].map((one) => one.innerHTML).join("");
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}"""
SHOW = """import json
from IPython.display import display
for bundle in json.load(open({name!r}, encoding="utf-8"))[{begin}:{end}]:
    display(bundle, raw=True)"""


def bundles(texts, style="markdown"):
    return [answer_bundle(Answer(text), ["a note"], style) for text in texts]


def saved(shown):
    """Cells that have shown these bundles."""
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in shown]
    groups = [outputs[begin : begin + SHOWN] for begin in range(0, len(outputs), SHOWN)]
    return [nbformat.v4.new_code_cell("shown", outputs=group, execution_count=1) for group in groups]


def fresh(lab, name, shown):
    """Cells that will show what they read from a file."""
    (lab.root / f"{name}.json").write_text(json.dumps(shown), "ascii")
    begins = range(0, len(shown), SHOWN)
    return [SHOW.format(name=f"{name}.json", begin=begin, end=begin + SHOWN) for begin in begins]


class Figures(NamedTuple):
    """What a page did: scripts that ran, requests that left it, drawings, and what else could act."""

    run: int
    fetched: int
    drawn: int
    could: int

    def __str__(self):
        return ", ".join(f"{name} {count}" for name, count in self._asdict().items())


class Watch:
    """Notes what runs in a page and what it asks for."""

    def __init__(self, page):
        self.page = page
        self.executed = []
        self.asked = []
        self.found = []
        self._waiting = []
        page.on("dialog", self._dialog)
        page.on("request", self._asks)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.executed.append(str(error)) if "pwned" in str(error) else None)
        page.expose_function("qfpwned", lambda *what: self.executed.append(str(what)))

    @classmethod
    def of(cls, page):
        """The watch of this page, which may have shown other documents before, and seen nothing yet of this."""
        if not hasattr(page, "watch"):
            page.watch = cls(page)
        page.watch.executed.clear()
        page.watch.asked.clear()
        return page.watch

    def _asks(self, request):
        self.asked.append(request)
        self._waiting.append(request)

    def _ended(self, request):
        if request in self._waiting:
            self._waiting.remove(request)

    def _failed(self, request):
        self._ended(request)
        # The page's own rules, or that an SVG takes nothing from other servers: nothing left the browser.
        if request.failure in ("csp", "origin") and request in self.asked:
            self.asked.remove(request)

    def _dialog(self, dialog):
        self.executed.append(dialog.message)
        dialog.dismiss()

    def verdict(self):
        """Touch everything; return what was done, asked for, or could be."""
        self.page.evaluate(SETTLED)
        self.found = self.page.evaluate(JUDGE)
        self.page.evaluate(TOUCH)
        self.page.wait_for_timeout(100)
        end = time.monotonic() + 10
        while any("evil" in request.url for request in self._waiting) and time.monotonic() < end:
            self.page.wait_for_timeout(20)  # whether it left the browser is known when it has ended
        return self.executed + self.found + self._fetched()

    def figures(self):
        """How often what, by the last verdict."""
        drawn = [one for one in self.found if one.startswith("drawn")]
        return Figures(len(self.executed), len(self._fetched()), len(drawn), len(self.found) - len(drawn))

    def _fetched(self):
        return [request.url for request in self.asked if "evil" in request.url]
