"""What a model writes is data in the saved document too: in JupyterLab, trusted and fresh, and through nbconvert."""

import json
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from tests.support.browser.page import ADDRESS
from tests.support.browser.watch import SETTLED, Watch, bundles, fresh, saved

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
# A third is inserted here; test_corpus.py has the page's own renderer read all.
INSERTED = HOSTILE[::3]
PARTS = [INSERTED[begin : begin + PART] for begin in range(0, len(INSERTED), PART)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(len(PARTS)))
def test_payloads_are_inert_in_jupyterlab_saved_and_fresh(visit, lab, part):
    texts = PARTS[part]
    old = saved(bundles(texts))
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
def test_payloads_are_inert_in_jupyterlab_in_every_format(visit, lab, style):
    page = visit(f"format-{style}.ipynb", *fresh(lab, style, bundles(HOSTILE[::9], style)))
    watch = Watch.of(page.page)
    page.command("notebook:run-all-cells")
    assert watch.verdict() == []


def test_harmless_text_reads_as_written_in_jupyterlab(visit, lab):
    page = visit("harmless.ipynb", *fresh(lab, "harmless", bundles([case["text"] for case in HARMLESS])))
    page.command("notebook:run-all-cells")
    page.page.evaluate(SETTLED)
    shown = page.page.locator(".jp-RenderedMarkdown").all_inner_texts()
    missing = [case for case, text in zip(HARMLESS, shown, strict=True) if case["shows"] not in text]
    assert missing == []


@pytest.mark.parametrize("template", ["lab", "classic"])
@pytest.mark.parametrize("style", STYLES)
def test_payloads_are_inert_in_nbconvert(chromium, template, style):
    texts = INSERTED if style == "markdown" and template == "lab" else HOSTILE[::9]
    notebook = nbformat.v4.new_notebook(cells=saved(bundles(texts, style)))
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
