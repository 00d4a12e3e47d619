"""What a model writes is data in the saved document too: in JupyterLab, trusted and fresh, and through nbconvert."""

import json
import time
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from qfmagic.core.answer import Answer
from qfmagic.notebook.display import answer_bundle
from tests.browser.page import ADDRESS

CORPUS = json.loads((Path(__file__).parent / "payloads.json").read_text("ascii"))
HOSTILE = [payload["text"] for payload in CORPUS["hostile"]]
HOSTILE += [
    f"{left}{text}{right} $1 $2"
    for text in HOSTILE[::9]
    for left, right in (("\\(", "\\)"), ("$", "$"), ("\\[", "\\]"))
]
HARMLESS = CORPUS["harmless"]
STYLES = ["markdown", "text", "json", "code", "html"]
PART = 54  # what JupyterLab does for each output grows with their number: many small documents are shown sooner
PARTS = [HOSTILE[begin : begin + PART] for begin in range(0, len(HOSTILE), PART)]
SHOWN = 40  # outputs of one cell: JupyterLab shows no more than 50

# What must not be in an output: JupyterLab's and MathJax's own elements may be. The frame of format=html is ours.
JUDGE = r"""() => {
  const found = [];
  const outputs = document.querySelectorAll(".jp-OutputArea-output, .output_subarea");
  for (const output of outputs) for (const element of output.querySelectorAll("*")) {
    const name = element.localName;
    const bad = ["script", "object", "embed", "form", "style", "link", "meta", "base", "img", "video", "audio", "input",
      "button", "textarea", "select", "template", "math", "marquee", "details", "picture", "source"].includes(name);
    const math = element.closest("mjx-container, .MathJax");
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


def saved(texts, style="markdown"):
    """Cells that have shown answers."""
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles(texts, style)]
    groups = [outputs[begin : begin + SHOWN] for begin in range(0, len(outputs), SHOWN)]
    return [nbformat.v4.new_code_cell("shown", outputs=group, execution_count=1) for group in groups]


def fresh(lab, name, shown):
    """Cells that will show what they read from a file."""
    (lab.root / f"{name}.json").write_text(json.dumps(shown), "ascii")
    begins = range(0, len(shown), SHOWN)
    return [SHOW.format(name=f"{name}.json", begin=begin, end=begin + SHOWN) for begin in begins]


class Watch:
    """Notes what runs in a page and what it asks for."""

    def __init__(self, page):
        self.page = page
        self.executed = []
        self.asked = []
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
        found = self.page.evaluate(JUDGE)
        self.page.evaluate(TOUCH)
        self.page.wait_for_timeout(100)
        end = time.monotonic() + 10
        while any("evil" in request.url for request in self._waiting) and time.monotonic() < end:
            self.page.wait_for_timeout(20)  # whether it left the browser is known when it has ended
        return self.executed + found + [request.url for request in self.asked if "evil" in request.url]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(len(PARTS)))
def test_in_jupyterlab_saved_and_fresh(visit, lab, part):
    texts = PARTS[part]
    old = saved(texts)
    again = texts[::3]  # the same renderer, so fewer
    new = fresh(lab, f"fresh{part}", bundles(again))
    page = visit(f"payloads{part}.ipynb", *old, *new)
    assert [problem for problem in page.problems if "pwned" in problem] == []
    watch = Watch.of(page.page)
    # As if the reader had trusted the document: outputs are rendered again, and not sanitised.
    page.page.evaluate("() => { for (const cell of window.qf.notebook.widgets) cell.model.trusted = true; }")
    for number in range(len(old), len(old) + len(new)):
        page.run(number)
    if any(text.startswith("$") for text in texts):
        page.page.wait_for_selector("mjx-container", timeout=60_000)  # MathJax comes when it is wanted
    page.page.evaluate(SETTLED)
    assert page.page.evaluate("window.qf.notebook.widgets.every((cell) => cell.model.trusted)")
    assert page.page.locator(".jp-RenderedMarkdown").count() == len(texts) + len(again)
    assert watch.verdict() == []
    assert [url for url in page.requests if "evil" in url] == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("style", STYLES[1:])
def test_every_format_in_jupyterlab(visit, lab, style):
    page = visit(f"format-{style}.ipynb", *fresh(lab, style, bundles(HOSTILE[::9], style)))
    watch = Watch.of(page.page)
    page.command("notebook:run-all-cells")
    assert watch.verdict() == []


def test_the_watch_sees_what_is_wrong(visit, lab):
    raw = [{"text/markdown": text} for text in ("<img src=x onerror=qfpwned(1)>", "[x](javascript:qfpwned(2))")]
    raw += [{"text/markdown": "![x](http://evil.test/3)"}]
    page = visit("raw.ipynb", *fresh(lab, "raw", raw), fresh=True)  # what runs there mustn't stay
    watch = Watch.of(page.page)
    page.run(0)
    found = watch.verdict()
    assert "(1,)" in found
    assert "a href=javascript:qfpwned(2)" in found
    assert "http://evil.test/3" in found


def test_harmless_text_reads_as_written_in_jupyterlab(visit, lab):
    page = visit("harmless.ipynb", *fresh(lab, "harmless", bundles([case["text"] for case in HARMLESS])))
    page.command("notebook:run-all-cells")
    page.page.evaluate(SETTLED)
    shown = page.page.locator(".jp-RenderedMarkdown").all_inner_texts()
    missing = [case for case, text in zip(HARMLESS, shown, strict=True) if case["shows"] not in text]
    assert missing == []


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.parametrize("style", STYLES)
def test_through_nbconvert(chromium, template, style):
    texts = HOSTILE if style == "markdown" and template == "lab" else HOSTILE[::9]
    notebook = nbformat.v4.new_notebook(cells=saved(texts, style))
    html, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
    context = chromium.new_context()
    page = context.new_page()
    watch = Watch.of(page)

    def answer(route):
        if route.request.url == ADDRESS:
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        else:
            route.abort()  # MathJax and other scripts of the template

    page.route("**/*", answer)
    page.goto(ADDRESS)
    assert page.locator(".jp-OutputArea-output, .output_subarea").count() >= len(texts)
    assert watch.verdict() == []
    context.close()
