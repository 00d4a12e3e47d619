"""The frame of ``format=html`` opens no connection: each kind has a listening socket of its own, which counts."""

import base64
import json
import selectors
import socket
import threading
from html import escape

import nbformat
import pytest
from nbconvert import HTMLExporter

from qfmagic.core.answer import Answer
from qfmagic.notebook.output.bundle import answer_bundle
from qfmagic.notebook.output.html_frame import POLICY, html_frame
from tests.support.browser.page import ADDRESS
from tests.support.browser.watch import SHOW, Watch
from tests.support.frames import KINDS, element_faults, style_faults, tag_soups

GROUP = 10
# As frames were written before: the model's own text behind the policy.
FORMER = """<iframe sandbox="" referrerpolicy="no-referrer" srcdoc="{}"></iframe>"""
FORMER_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
# These opened connections from a former frame, whatever its policy and sandbox.
CONNECTED = ["inner iframe", "iframe without quotes", "iframe in svg", "frameset", "out of the attribute"]
TREES = """(pages) => JSON.stringify(pages.map((page) => {
  const tree = new DOMParser().parseFromString(page, "text/html");
  const frame = tree.querySelector("iframe");
  const inner = new DOMParser().parseFromString(frame.getAttribute("srcdoc"), "text/html");
  const elements = [...inner.querySelectorAll("*")];
  return {
    around: [...tree.body.querySelectorAll("*")].map((one) => one.localName),
    styles: elements.filter((one) => one.localName === "style").map((one) => one.textContent),
    elements: elements.map((one) => [one.localName.toLowerCase(), [...one.attributes].map(({name, value}) => [name.toLowerCase(), value])]),
  };
}))"""


class Listeners:
    """Sockets that note who connects, and answer nothing."""

    def __init__(self, names):
        self._selector = selectors.DefaultSelector()
        self._changed = threading.Condition()
        self._sockets = {}
        self.connected = []
        for name in names:
            self._sockets[name] = socket.create_server(("127.0.0.1", 0), backlog=64)
            self._selector.register(self._sockets[name], selectors.EVENT_READ, name)
        self._ended, self._end = socket.socketpair()
        self._selector.register(self._ended, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.fileobj.accept()[0].close()
                with self._changed:
                    self.connected.append(key.data)
                    self._changed.notify_all()

    def url(self, name):
        return f"http://127.0.0.1:{self._sockets[name].getsockname()[1]}/x"

    def wait(self, *names, seconds=20):
        """Wait until each of them was connected to."""
        with self._changed:
            return self._changed.wait_for(lambda: set(names) <= set(self.connected), seconds)

    def close(self):
        self._end.send(b"x")
        self._thread.join()
        for one in (*self._sockets.values(), self._ended, self._end):
            one.close()
        self._selector.close()


@pytest.fixture
def listeners():
    listening = Listeners([*KINDS, "control"])
    yield listening
    listening.close()


def contents(listeners):
    return {kind: text.format(url=listeners.url(kind)) for kind, text in KINDS.items()}


def settled(page, listeners):
    """Wait for what frames would have connected to: they are loaded, and a connection begun after that is noted."""
    page.wait_for_timeout(300)
    page.evaluate("url => fetch(url, {mode: 'no-cors'}).catch(() => null)", listeners.url("control"))
    assert listeners.wait("control")


def former(content):
    return FORMER.format(escape(FORMER_POLICY + content))


def shown(chromium, html, until="load"):
    """A page in which what isn't the document is asked of its server."""
    page = chromium.new_context().new_page()
    watch = Watch.of(page)
    page.route(ADDRESS, lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
    page.route("https://**", lambda route: route.abort())  # MathJax and other scripts of nbconvert's template
    page.goto(ADDRESS, wait_until=until)
    return page, watch


def frames_of(listeners):
    """The frames of every kind, several in one output: what JupyterLab does for each output takes long."""
    made = [answer_bundle(Answer(text), ["a note"], "html")["text/html"] for text in contents(listeners).values()]
    return [{"text/html": "".join(made[begin : begin + GROUP])} for begin in range(0, len(made), GROUP)]


def test_listeners_detect_connections_of_raw_frames(chromium, listeners):
    frames = "".join(former(text) for kind, text in contents(listeners).items() if kind in CONNECTED)
    page, _ = shown(chromium, f"<!doctype html><body>{frames}", until="commit")  # none of the servers answers
    assert listeners.wait(*CONNECTED)
    page.context.close()


def test_html_frames_connect_to_nothing_in_nbconvert(chromium, listeners):
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in frames_of(listeners)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("shown", outputs=outputs)])
    html, _ = HTMLExporter().from_notebook_node(notebook)
    page, watch = shown(chromium, html)
    assert page.locator("iframe").count() == len(KINDS)
    settled(page, listeners)
    page.context.close()
    assert watch.executed == []
    assert set(listeners.connected) == {"control"}


def test_html_frames_connect_to_nothing_without_policy_and_sandbox(chromium, listeners):
    walls = "".join(bundle["text/html"] for bundle in frames_of(listeners))
    bare = walls.replace(' sandbox=""', "").replace(escape(escape(POLICY)), "").replace(escape(POLICY), "")
    assert "sandbox" not in bare
    assert "default-src &" not in bare
    page, watch = shown(chromium, f"<!doctype html><body>{bare}")
    assert page.locator("iframe").count() == len(KINDS)
    settled(page, listeners)
    page.context.close()
    assert watch.executed == []
    assert set(listeners.connected) == {"control"}


FRESH = 3  # groups: the same renderer as of what was saved, so fewer


def test_html_frames_connect_to_nothing_in_jupyterlab(visit, lab, listeners):
    bundles = frames_of(listeners)
    (lab.root / "frames.json").write_text(json.dumps(bundles), "ascii")
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles]
    saved = nbformat.v4.new_code_cell("shown", outputs=outputs, execution_count=1)
    page = visit("frames.ipynb", saved, SHOW.format(name="frames.json", begin=0, end=FRESH))
    watch = Watch.of(page.page)
    page.page.evaluate("() => { for (const cell of window.qf.notebook.widgets) cell.model.trusted = true; }")
    page.run(1)
    loaded = "count => document.querySelectorAll('.jp-OutputArea-output iframe').length === count"
    page.page.wait_for_function(loaded, arg=len(KINDS) + FRESH * GROUP)
    assert watch.verdict() == []
    settled(page.page, listeners)
    assert set(listeners.connected) == {"control"}


def test_html_frames_parse_to_known_elements_only(chromium):
    page = chromium.new_context().new_page()
    texts = [text.format(url="http://evil.test/") for text in KINDS.values()] + tag_soups(1500)
    trees = json.loads(page.evaluate(TREES, [html_frame(text, ["note"]) for text in texts]))
    page.context.close()
    faults = []
    for text, tree in zip(texts, trees, strict=True):
        found = [fault for name, attributes in tree["elements"] for fault in element_faults(name, attributes)]
        found += [fault for style in tree["styles"] for fault in style_faults(style)]
        found += [name for name in tree["around"] if name not in ("iframe", "p", "em")]
        found += ["metas"] * ([name for name, _ in tree["elements"]].count("meta") != 4)
        faults += [(text, found)] if found else []
    assert faults == []


def test_html_frame_draws_chart_of_model(chromium):
    drawing = (
        '<style>.bar{fill:#0a0}</style><body style="margin:0"><svg width="90" height="30" viewBox="0 0 90 30">'
        '<defs><linearGradient id="g"><stop offset="0" stop-color="#f00"/><stop offset="1" stop-color="#f00"/></linearGradient></defs>'
        '<rect width="30" height="30" fill="url(#g)"/><g transform="translate(30)"><rect class="bar" width="30" height="30"/></g>'
        '<path d="M60 0h30v30h-30z" style="fill:#00f"/></svg>'
    )
    page, _ = shown(chromium, f"<!doctype html><body style='margin:0'>{html_frame(drawing, [])}")
    page.frame_locator("iframe").locator("path").wait_for()
    pixels = page.evaluate(
        """async (png) => {
          const picture = new Image(); picture.src = `data:image/png;base64,${png}`; await picture.decode();
          const canvas = document.createElement("canvas"); canvas.width = 120; canvas.height = 60;
          const context = canvas.getContext("2d"); context.drawImage(picture, 0, 0);
          return [16, 46, 76].map((x) => [...context.getImageData(x, 16, 1, 1).data].slice(0, 3));
        }""",
        base64.b64encode(page.screenshot(clip={"x": 0, "y": 0, "width": 120, "height": 60})).decode(),
    )
    page.context.close()
    assert pixels == [[255, 0, 0], [0, 170, 0], [0, 0, 255]]
