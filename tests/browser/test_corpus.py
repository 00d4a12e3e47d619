"""
The composed corpus in a real JupyterLab and in nbconvert's pages: nothing runs, is fetched or drawn.

CI takes a share of the product; ``CORPUS_SHARE=1`` takes all of it, for a night.
"""

import os
from itertools import chain, cycle, islice

import nbformat
import pytest
from nbconvert import HTMLExporter, SlidesExporter

from tests.notebook.conftest import shell  # noqa: F401 - for the outputs of a session
from tests.support.browser.jupyterlab import Renderer
from tests.support.browser.page import ADDRESS
from tests.support.browser.watch import SETTLED, Watch, saved
from tests.support.corpus import alone, cases, numbered, of_each_kind, payloads
from tests.support.services import serve
from tests.support.ways import PURE, Session

SHARE = int(os.environ.get("CORPUS_SHARE", "4000"))
DEEP = ["quotation", "list by tabs", "second item"]


def shown(tried):
    """Each case's output, in one way after the other."""
    return {PURE[way](case.text)["text/markdown"]: case for case, way in zip(tried, cycle(PURE), strict=False)}


def sample():
    """Outputs to look at in a page, with a number in each by which it is known; and what they were made of."""
    tried = [*of_each_kind(*DEEP), *cases(max(SHARE * 20, 1)), *islice(alone(397), 100)]
    return [
        (case, way, PURE[way](numbered(case.text, number)))
        for number, (case, way) in enumerate(zip(tried, cycle(PURE), strict=False))
    ]


def only(*kinds):
    """Payloads of these kinds, in a quotation."""
    return [case for case in of_each_kind("quotation") if case.payload.kind in kinds]


@pytest.fixture
def tell(capsys):
    """Print a figure where whoever runs the tests sees it."""

    def say(line):
        with capsys.disabled():
            print(f"\n{line}")

    return say


@pytest.mark.timeout(0)
def test_jupyterlab_renders_corpus_inert(visit, tell):
    """The page's own renderer, in a document where nothing runs: so thousands of texts can be looked at."""
    renderer = Renderer(visit("corpus.ipynb", "pass").page)
    texts = shown(chain(cases(SHARE), alone(max(SHARE // 40, 1))))
    found = renderer.faults([*texts])
    tell(f"rendered by JupyterLab: {len(texts)} tried, {len(found)} could act")
    assert {texts[text].name: (text, faults) for text, faults in [*found.items()][:5]} == {}


def test_jupyterlab_renderer_acts_on_raw_payloads(visit):
    renderer = Renderer(visit("seen.ipynb", "pass").page)
    raw = {one.text: one.kind for one in payloads()[::5]}
    kinds = {raw[text] for text in renderer.faults([*raw])}
    assert kinds >= {"info string", "html", "link", "image", "drawing", "formula"}


@pytest.mark.timeout(300)
def test_jupyterlab_saved_corpus_does_nothing(visit, tell):
    outputs = sample()
    page = visit("inserted.ipynb", *saved([bundle for _, _, bundle in outputs]))
    watch = Watch.of(page.page)
    page.page.evaluate("() => { for (const cell of window.qf.notebook.widgets) cell.model.trusted = true; }")
    page.page.evaluate(SETTLED)
    found = watch.verdict()
    tell(f"in JupyterLab's page: {len(outputs)} tried, {watch.figures()}")
    assert page.page.locator(".jp-OutputArea-output").count() >= len(outputs)
    assert found == []
    assert [url for url in page.requests if "evil" in url] == []


@pytest.mark.timeout(300)
def test_jupyterlab_saved_session_does_nothing(visit, shell, monkeypatch, tell):  # noqa: F811
    session = Session(shell, serve(shell, monkeypatch))
    outputs = []
    for case in only("info string", "drawing"):
        for _, left in session.ways(numbered(case.text, len(outputs))):
            outputs += left
    page = visit("session.ipynb", *saved(outputs))
    watch = Watch.of(page.page)
    page.page.evaluate("() => { for (const cell of window.qf.notebook.widgets) cell.model.trusted = true; }")
    page.page.evaluate(SETTLED)
    found = watch.verdict()
    tell(f"of a session, in JupyterLab's page: {len(outputs)} tried, {watch.figures()}")
    assert found == []


def test_watch_detects_raw_corpus(visit, tell):
    """As it was written it runs, fetches and draws, each by itself."""
    texts = [case.text for case in only("info string", "image", "drawing")]
    texts += ["<img src=x onerror=qfpwned(0)>", "[x](javascript:qfpwned(0))", "![x](http://evil.test/0)"]
    raw = [{"text/markdown": numbered(text, number)} for number, text in enumerate(texts)]
    page = visit("unsafe.ipynb", *saved(raw), fresh=True)  # what runs there mustn't stay
    watch = Watch.of(page.page)
    page.page.evaluate("() => { for (const cell of window.qf.notebook.widgets) cell.model.trusted = true; }")
    page.page.evaluate(SETTLED)
    found = watch.verdict()
    figures = watch.figures()
    tell(f"as written, in JupyterLab's page: {len(raw)} tried, {figures}")
    assert {"(0,)", "(3,)", "a href=javascript:qfpwned(4)", "http://evil.test/1", "http://evil.test/5"} <= {*found}
    assert figures.drawn


@pytest.mark.parametrize("template", ["lab", "classic", "slides"])
def test_nbconvert_page_of_corpus_does_nothing(chromium, template, tell):
    outputs = sample()[:: 1 if template == "lab" else 4]
    notebook = nbformat.v4.new_notebook(cells=saved([bundle for _, _, bundle in outputs]))
    exporter = SlidesExporter() if template == "slides" else HTMLExporter(template_name=template)
    html, _ = exporter.from_notebook_node(notebook)
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
    found = watch.verdict()
    tell(f"in nbconvert's {template} page: {len(outputs)} tried, {watch.figures()}")
    context.close()
    assert found == []
