"""The panel in a real JupyterLab: by keyboard, in both themes, saved and opened again, and with a key typed into it."""

import json
import os
import re
import subprocess
import sys
import threading
from html import unescape

import pytest
from nbconvert import HTMLExporter, MarkdownExporter

from qfmagic.testing.stub_server import LoopbackServer
from tests.support.services import v2

SETUP = "%load_ext qfmagic\n%qf set lang=en model=yi_34b_chat\n%qf transport stub"
CANARY = "bce-v3/ALTAK-canaryTYPED/0123456789"


@pytest.fixture
def panel(visit):
    """Open a notebook and its panel; the cells given stand behind it."""

    def begin(name, *cells, setup=SETUP, **options):
        page = visit(name, setup, "%qf panel", *cells, **options)
        page.run(0)
        page.run(1)
        page.page.wait_for_selector(".qf-root [role=tab]")
        return page

    return begin


def tab(page, name):
    page.page.click(f".qf-root [id$=-tab-{name}] >> nth=0")
    page.page.wait_for_selector(f".qf-root [role=tabpanel][id$=-{name}] >> visible=true")


def field(page, name):
    return page.page.locator(f".qf-field[data-name={name}]").first


def said(page, line):
    """Wait until the panel shows the line that does the same."""
    page.page.locator('.qf-line[data-line="same"] code, .qf-line[data-line="all"] code', has_text=line).first.wait_for()


def test_panel_supports_keyboard_only(panel):
    """Tabs by arrows, a slider by arrows, a number by Enter; the notebook's own keys stay out of it."""
    page = panel("keyboard.ipynb", "%%qianfan\nhi")
    keys = page.page.keyboard
    cells = page.page.evaluate("qf.notebook.widgets.length")
    page.page.focus(".qf-root [id$=-tab-model]")
    keys.press("ArrowRight")
    assert page.page.evaluate("document.activeElement.textContent") == "Conversation"
    assert page.page.locator(".qf-root [role=tabpanel][id$=-talk]").is_visible()
    keys.press("Home")
    assert page.page.evaluate("document.activeElement.textContent") == "Keys"
    for key in ("d", "d", "a", "b", "ArrowDown", "Enter", "x"):  # delete, insert, move, edit, cut: not from here
        keys.press(key)
    assert page.page.evaluate("[qf.notebook.widgets.length, qf.notebook.activeCellIndex, qf.notebook.mode]") == [
        cells,
        1,
        "command",
    ]
    keys.press("ArrowRight")
    slider = field(page, "temperature").locator("input[type=range]")
    slider.focus()
    keys.press("End")
    said(page, "%qf set temperature=1")
    keys.press("ArrowLeft")
    said(page, "%qf set temperature=0.99")
    keys.press("Tab")
    assert page.page.evaluate("document.activeElement.className") == "qf-number"
    keys.press("Control+a")
    keys.type("0.25")
    keys.press("Enter")
    said(page, "%qf set temperature=0.25")
    page.run(2)
    assert page.outputs(2)[0]["metadata"]["qfmagic"]["parameters"] == {"temperature": 0.25}
    assert page.problems == []


def test_panel_shows_invalid_value_at_its_field(panel):
    page = panel("wrong.ipynb")
    box = field(page, "temperature").locator(".qf-number")
    box.fill("7")
    box.press("Enter")
    alert = page.page.locator(".qf-foot [role=alert]")
    alert.filter(has_text="Invalid temperature=7 for Yi-34B-Chat. Allowed: float, (0, 1.0]").wait_for()
    assert box.get_attribute("aria-invalid") == "true"
    assert "Invalid temperature=" in field(page, "temperature").locator(".qf-error").inner_text()
    assert box.input_value() == "7"
    box.fill("0.7")
    box.press("Enter")
    said(page, "%qf set temperature=0.7")
    page.page.wait_for_function("document.querySelector('.qf-foot [role=alert]').textContent === ''")
    assert box.get_attribute("aria-invalid") == "false"


def test_panel_copies_command_line(panel):
    page = panel("copy.ipynb", permissions=["clipboard-read", "clipboard-write"])
    page.page.select_option(".qf-root [id$=-model-model]", "ernie-char-fiction-8k")
    said(page, "%qf set model=ernie-char-fiction-8k")
    field(page, "system").locator("textarea").fill("two\nlines")
    page.page.keyboard.press("Control+Enter")
    line = 'get_ipython().run_line_magic("qf", \'set system="two\\nlines"\')'
    said(page, line)
    page.page.locator('.qf-line[data-line="same"] .qf-copy').click()
    page.page.wait_for_selector(".qf-copy:has-text('Copied')")
    assert page.page.evaluate("navigator.clipboard.readText()") == line


def test_panels_agree_and_follow_commands(panel):
    page = panel("two.ipynb", "%qf panel", "%qf set temperature=0.4 stop='[\"END\"]'")
    page.run(2)
    page.page.wait_for_function("document.querySelectorAll('.qf-root [role=tablist]').length === 2")
    boxes = page.page.locator(".qf-field[data-name=temperature] .qf-number")
    boxes.nth(1).fill("0.8")
    boxes.nth(1).press("Enter")
    page.page.wait_for_function(
        "[...document.querySelectorAll('[data-name=temperature] .qf-number')].every((e) => e.value === '0.8')"
    )
    page.run(3)
    page.page.wait_for_function(
        "[...document.querySelectorAll('[data-name=temperature] .qf-number')].every((e) => e.value === '0.4')"
    )
    stops = page.page.locator(".qf-field[data-name=stop] input[aria-label]")
    assert [stop.input_value() for stop in stops.all()] == ["END", "END"]


def test_panel_defers_clicks_while_cell_runs(panel):
    page = panel("busy.ipynb", "import threading\ngo = threading.Event()\nprint('here', flush=True)\ngo.wait(20)", "go")
    page.begin(2)
    page.output(2).get_by_text("here").wait_for()
    box = field(page, "temperature").locator(".qf-number")
    box.fill("0.6")
    box.press("Enter")
    page.page.get_by_text("Waiting for the running cell").wait_for()
    assert box.input_value() == "0.6"
    page.interrupt()
    said(page, "%qf set temperature=0.6")
    page.page.wait_for_function("document.querySelector('.qf-late').textContent === ''")


@pytest.mark.timeout(300)
def test_panel_saved_and_reopened_is_a_document(panel, visit, lab, keeping_lab):
    """With and without widget state saving: the table stays, the page keeps the panel, nbval and nbconvert agree."""
    documents = []
    for server in (lab, keeping_lab):
        page = panel("saved.ipynb", "%%qianfan\nhi", server=server)
        page.run(2)
        saved = page.save()
        assert page.page.locator(".qf-root [role=tab]").count() == 4
        (output,) = saved.cells[1].outputs
        assert set(output.data) == {"text/markdown", "text/plain"}
        assert "widgets" not in saved.metadata
        assert not page.page.evaluate("qf.panel.context.model.dirty")
        documents.append([[one.get("data", one.get("text")) for one in cell.outputs] for cell in saved.cells])
        server.shut_down_kernels()
        check_opened_again(visit("saved.ipynb", server=server, fresh=True), saved)
    assert documents[0] == documents[1]  # so the other tools need to see one only
    path = keeping_lab.root / "saved.ipynb"
    for exporter in (HTMLExporter, MarkdownExporter):
        made, _ = exporter().from_filename(str(path))
        assert "Settings at the time this cell ran" in made
        assert "qf-panel" not in made
    environ = {**os.environ, "QFMAGIC_LANG": "en", "QFMAGIC_JOURNAL": "false", "QFMAGIC_FOOTER": "true"}
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(path)]
    subprocess.run(command, check=True, capture_output=True, env=environ)


def check_opened_again(page, saved):
    """The panel's table is there; the panel comes when it's asked for, and leaves the table when it goes."""
    page.output(1).get_by_text("Settings at the time this cell ran").wait_for()
    assert "model not found" not in page.output(1).inner_text()
    page.run(0)
    page.run(1)
    page.page.wait_for_selector(".qf-root [role=tab]")
    assert not page.output(1).get_by_text("Settings at the time this cell ran").is_visible()
    page.page.click(".qf-close")
    page.output(1).get_by_text("Settings at the time this cell ran").wait_for()
    assert page.page.locator(".qf-root").count() == 0
    assert page.save().cells[1].outputs == saved.cells[1].outputs
    assert page.problems == []


def test_panel_key_is_found_nowhere_else(panel, keeping_lab):
    """No frame either way, no file of the server's, the kernel's or the user's, with widget state saving on."""
    page = panel("key.ipynb", "%qf auth check", "%qf settings", server=keeping_lab)
    tab(page, "keys")
    box = page.page.locator("input[name=bearer_token]")
    assert box.get_attribute("type") == "password"
    box.type(CANARY)
    page.save()  # half-way: typed, and not handed over
    box.press("Enter")
    said(page, "%qf auth bearer")
    assert box.input_value() == ""
    page.page.locator(".qf-card", has_text="V2 API key").get_by_text("from panel").wait_for()
    page.run(2)
    page.run(3)
    page.save()
    assert CANARY not in page.page.content()
    frames = [frame if isinstance(frame, str) else bytes(frame).decode("utf-8", "replace") for _, frame in page.frames]
    assert any('"do": "key"' in frame or '"do":"key"' in frame for frame in frames)
    part = CANARY.split("/")[1]
    assert not [frame[:300] for frame in frames if part in frame]
    files = {path: path.read_bytes() for path in keeping_lab.root.parent.rglob("*") if path.is_file()}
    assert any(".ipynb_checkpoints" in str(path) for path in files)
    assert not [str(path) for path, content in files.items() if part.encode() in content]


PRICES = """
[[price]]
model = "priced"
input = 4
output = 12
per = 1000000
"""
HOSTILE = "<img/src=x/onerror=window.hit=1>"
# Each cell is told by one row of the tab; the second is run twice.
ASKED = [
    "%%qianfan model=priced\n介绍下长城",
    "%%qianfan model=priced\n推荐一些中国自驾游路线",
    "%%qianfan model=priced,uncounted\nhi",
    f"%%qianfan model=priced chat={HOSTILE}\nhi",
    "%%qf map ['one','two','late'] model=uncounted workers=1 into=rated\n{{ item }}",
]
GROUPS = ("cell", "chat", "model", "day")


def usage_rows(page):
    """The cells of the tab's table, without the bars."""
    script = "rows => rows.map((row) => [...row.cells].slice(0, -1).map((cell) => cell.textContent))"
    return page.page.eval_on_selector_all(".qf-usage tr", script)


def told_rows(page, index):
    """The same of a cell with %qf usage."""
    marked = page.outputs(index)[0]["data"]["text/markdown"]
    rows = [line.strip("| ").split(" | ") for line in marked.splitlines() if line.startswith("| ")]
    cells = [[unescape(re.sub(r"\\(.)", r"\1", cell)).strip() for cell in row] for row in rows]
    return [row[: len(cells[0]) - 1] for row in cells]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_panel_usage_equals_usage_command(panel, tmp_path, lang):
    """While a map runs too; names are text; the line is ready to be copied."""
    late = threading.Event()

    def answer(request):
        if b"late" in request.body:
            late.wait(30)
        uncounted = b'"uncounted"' in request.body
        return v2("长城是中国古代的伟大防御工程。" * 4, prompt=0 if uncounted else 31, completion=180)

    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES, "utf-8")
    with LoopbackServer(answer) as server:
        environ = {**server.environ, "QIANFAN_BEARER_TOKEN": "bce-v3/ALTAK-x/y"}
        setup = f"{_environ_cell(tmp_path, environ)}\n%load_ext qfmagic\n%qf transport live\n"
        setup += f"%qf set lang={lang} prices={prices}"
        told = [f"%qf usage by={by}" for by in GROUPS]
        page = panel(f"usage-{lang}.ipynb", *ASKED, *told, "%qf set budget=20000tok", setup=setup, size=(1200, 1000))
        tab(page, "usage")
        for index in (2, 3, 3, 4, 5):
            page.run(index)
        page.begin(6)
        page.page.wait_for_function("document.querySelectorAll('.qf-usage tbody tr').length === 5")
        assert not late.is_set()  # the map waits for its last row
        late.set()
        page.wait()
        for number, by in enumerate(GROUPS):
            page.run(7 + number)
            page.page.select_option(".qf-root [id$=-usage-by]", by)
            assert usage_rows(page) == told_rows(page, 7 + number)
            line = page.page.locator('.qf-line[data-line="usage"] code').inner_text()
            assert line == ("%qf usage" if by == "cell" else f"%qf usage by={by}")
            page.page.locator(".qf-panel").screenshot(path=_shot(f"panel-usage-{lang}-{by}"))
        page.page.select_option(".qf-root [id$=-usage-by]", "chat")
        assert HOSTILE in [row[0] for row in usage_rows(page)]
        assert page.page.locator(".qf-root img").count() == 0
        assert page.page.evaluate("window.hit") is None
        page.run(11)
        page.page.wait_for_selector(".qf-root [id$=-usage] .qf-bar[data-spent=some]")
        page.page.click(".qf-root [id$=-usage] input[type=checkbox]")
        page.page.locator('.qf-line[data-line="usage"] code', has_text="%qf usage by=chat seconds").wait_for()
        page.page.locator(".qf-panel").screenshot(path=_shot(f"panel-usage-{lang}-budget"))
        page.screenshot(f"panel-usage-{lang}-page")
        assert page.problems == []


def _environ_cell(folder, environ):
    """Sets the environment without a key in the cell: a cell of ours that holds one is refused."""
    path = folder / "environ.json"
    path.write_text(json.dumps(environ), "utf-8")
    return f"import json, os\nwith open({str(path)!r}) as file: os.environ.update(json.load(file))"


@pytest.mark.parametrize(("theme", "lang"), [("JupyterLab Light", "en"), ("JupyterLab Dark", "zh")])
def test_panel_is_readable_in_both_themes_and_at_400_pixels(panel, theme, lang, tmp_path):
    """Nothing sticks out at 400 px, and text stands out from its ground; the screenshots are for people."""
    environ = {"QFMAGIC_LANG": lang, "QIANFAN_AK": "app-key-of-the-environment"}
    setup = SETUP.replace("lang=en", f"lang={lang}").replace("yi_34b_chat", "ernie-char-fiction-8k")
    setup = f"{_environ_cell(tmp_path, environ)}\n{setup}"
    cells = ["%%qianfan\n介绍下长城", "%%qianfan\n推荐一些中国自驾游路线", "%%qianfan model=yi_34b_chat\nhi"]
    page = panel(f"look-{lang}.ipynb", *cells, "%qf drop 2", setup=setup, size=(1100, 1000), fresh=True)
    page.change_theme(theme)
    for number in range(2, 6):
        page.run(number)
    name = f"panel-{lang}-{theme.split()[1].lower()}"
    for width in (None, 400):
        if width:
            page.page.add_style_tag(content=f".qf-panel {{ width: {width}px; }}")
        for one in ("keys", "model", "talk", "usage"):
            tab(page, one)
            page.page.locator(".qf-panel").screenshot(path=_shot(f"{name}-{one}{'-400' if width else ''}"))
            wide, inside = page.page.evaluate(
                "(() => { const e = document.querySelector('.qf-root'); return [e.scrollWidth, e.clientWidth]; })()"
            )
            assert wide <= inside
            hidden = page.page.evaluate(_OVERFLOWING)
            assert hidden == []
            assert [found for found in page.page.evaluate(_CONTRAST) if found[1] < 4.5] == []
    page.change_theme("JupyterLab Light")
    assert page.problems == []


def _shot(name):
    from .conftest import SCREENSHOTS

    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS / f"{name}.png"


_OVERFLOWING = """(() => {
  const root = document.querySelector(".qf-root").getBoundingClientRect();
  return [...document.querySelectorAll(".qf-root *")].filter((e) => e.getBoundingClientRect().width > 0
    && e.getBoundingClientRect().right > root.right + 1 && !e.closest(".qf-scroll")).map((e) => e.outerHTML.slice(0, 120));
})()"""

# Of every visible piece of text: the contrast of its colour with its ground, as WCAG reckons it.
_CONTRAST = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colour, ground) => {
    canvas.fillStyle = `rgb(${ground.join(",")})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => { const [r, g, b] = rgb.map((c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { const chain = []; for (let one = e; one; one = one.parentElement) chain.unshift(getComputedStyle(one).backgroundColor);
    return chain.reduce((below, colour) => over(colour, below), [255, 255, 255]); };
  return [...document.querySelectorAll(".qf-root *")].filter((e) => e.checkVisibility() && !e.disabled && !["OPTION", "OPTGROUP"].includes(e.tagName)
    && !e.closest('[data-state="out"] .qf-said-by') && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
    const back = ground(e), ink = over(getComputedStyle(e).color, back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    return [e.textContent.slice(0, 40), Math.round(100 * (a + 0.05) / (b + 0.05)) / 100];
  });
})()"""
