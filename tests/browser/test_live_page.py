"""The live answer's page side, alone in a real browser: what it shows, what it costs, and that text stays text."""

import json
import random
from pathlib import Path

import nbformat
import pytest

from tests.support.browser.page import LABELS, LINES, STATIC, live_page, long_texts, measure
from tests.support.emphasis import CASES, inner

ROOT = Path(__file__).parents[2]
CORPUS = json.loads((Path(__file__).parent / "payloads.json").read_text("ascii"))


@pytest.fixture
def page(chromium):
    with live_page(chromium) as page:
        yield page
        assert page.errors == []


@pytest.fixture
def shown(page):
    """Show a text at once; return what is in the view."""

    def show(text, name="m", **state):
        page.model(name, **state)
        page.view(name)
        page.send(name, t=text)
        page.settle()
        return page.text()

    return show


# ---- what it shows


def test_live_view_renders_markdown(shown):
    text = shown(
        "# 标题\n\n长城是**中国**的 `code`。\n\n| a | b |\n|:--|--:|\n| 1 | **2** |\n\n```python\ndef f(): return 1 < 2  # 注释\n```\n\n"
        '- one\n  - two\n    1. three\n\n> quote\n\n[link](https://example.org/ "t") <https://example.net/x> ~~gone~~\n\n- [x] done'
    )
    assert text.locator("h1").inner_text() == "标题"
    assert text.locator("strong").all_inner_texts() == ["中国", "2"]
    assert text.locator("td.qf-right").inner_text() == "2"
    assert text.locator("pre code").inner_text() == "def f(): return 1 < 2  # 注释"
    assert text.locator("pre .hljs-keyword").all_inner_texts() == ["def", "return"]
    assert text.locator("ul > li > ul > li > ol > li").inner_text() == "three"
    assert text.locator("blockquote").inner_text() == "quote"
    assert text.locator("del").inner_text() == "gone"
    assert "☑ done" in text.inner_text()
    links = text.locator("a").evaluate_all("links => links.map((a) => [a.href, a.target, a.rel])")
    rel = "noopener noreferrer nofollow"
    assert links == [["https://example.org/", "_blank", rel], ["https://example.net/x", "_blank", rel]]


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("$a_1 < b$ and \\(x*y*z\\)", 2),
        ("$$\\frac{1}{2}$$", 1),
        ("text\n$$\na\n+ b\n$$\ntext\n\\[\nc\n- d\n\\]\ntext", 2),
        ("\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", 1),
        ("1. one\n   $$x$$\n2. two \\[y\\]", 2),
        ("*see $a*b$ there*", 1),
        ("$5 and $6", 0),
        ("US$5, US$6 and $7", 0),
        ("it costs $5.", 0),
        ("\\$x\\$ and `$y$`", 0),
        ("$ x $", 0),
        ("$$\nnever\n\nclosed", 0),
    ],
)
def test_live_view_renders_math_between_delimiters(shown, text, formulas):
    assert shown(text).locator("math").count() == formulas


def test_live_view_emphasis_equals_saved_form(page, shown):
    """The cases of tests/notebook/output/test_emphasis.py, one after the other."""
    wrong = {}
    for number, (text, expected) in enumerate(CASES):
        found = inner(shown(text, f"m{number}").inner_html())
        if found != expected:
            wrong[text] = found
        page.page.evaluate("document.body.replaceChildren()")
    assert wrong == {}


def test_live_view_renders_incomplete_markdown(page, shown):
    text = shown("```python\nx = 1")
    assert text.locator("pre code").inner_text() == "x = 1"
    page.send(t="\ny = 2\n`")
    page.settle()
    assert "y = 2" in text.locator("pre code").inner_text()
    assert shown("an **open", "b").inner_html() == "<p>an **open</p>"
    assert shown("$$\n\\frac{1", "c").inner_text() == "$$\n\\frac{1"
    assert shown("[link](https://exa", "d").locator("a").count() <= 1


def test_live_view_shows_html_and_images_as_text(page, shown):
    text = shown("a <b>bold</b> <img src=http://evil.test/1> ![alt](http://evil.test/2 'x') [x](javascript:alert(1))")
    assert "a <b>bold</b> <img src=http://evil.test/1>" in text.inner_text()
    assert "image: alt (http://evil.test/2)" in text.inner_text()
    assert "[x](javascript:alert(1))" in text.inner_text()
    assert text.locator("img").count() == 0
    assert page.requests == []


@pytest.mark.parametrize("harmless", CORPUS["harmless"], ids=lambda case: case["shows"][:30])
def test_live_view_shows_harmless_text_as_written(shown, harmless):
    assert harmless["shows"] in shown(harmless["text"]).inner_text()


def test_live_view_head_shows_status(page):
    page.model(context="sent 3 of 5 turns", elapsed=12.3)
    view = page.view()
    assert view.locator(".qf-head").inner_text().split("\n")[0].startswith("yi_34b_chat")
    assert "sent 3 of 5 turns" in view.locator(".qf-head").inner_text()
    assert view.locator(".qf-status").inner_text() == LABELS["waiting"]
    page.send(wait="the service asks to wait 3 s")
    page.page.wait_for_function("document.querySelector('.qf-status').textContent.includes('asks to wait')")
    page.send(wait="", r="First, <b>think</b>.")
    page.page.wait_for_function("!document.querySelector('.qf-reasoning').hidden")
    details = view.locator("details")
    assert details.locator("summary").inner_text() == "Reasoning · 20 characters"
    assert details.locator(".qf-thinking").inner_text() == "First, <b>think</b>."  # open while the model thinks
    assert view.locator(".qf-status").is_hidden()
    page.send(t="长城🎉")
    page.page.wait_for_function("document.querySelector('.qf-size').textContent === '3 characters'")
    assert not details.evaluate("details => details.open")
    details.locator("summary").click()
    page.send(tokens=7)
    page.page.wait_for_function("document.querySelector('.qf-size').textContent === '7 tokens'")
    assert details.evaluate("details => details.open")  # the reader's choice stays
    before = float(view.locator(".qf-time").inner_text().split()[0])
    assert before >= 12.3
    page.page.wait_for_function(f"parseFloat(document.querySelector('.qf-time').textContent) > {before}")
    assert view.locator("[role=region]").get_attribute("aria-label") == "Answer: yi_34b_chat"
    live = view.locator("[aria-live]")
    assert live.count() == 1
    assert live.get_attribute("class") == "qf-status"


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_live_view_shows_other_formats_as_written(shown, form):
    text = shown("**a** <b>\n$x$", format=form)
    assert text.inner_text().strip() == "**a** <b>\n$x$"
    assert text.locator("strong, b, math").count() == 0


# ---- messages and views


def test_live_view_marks_gap_and_shows_rest(page):
    page.model()
    view = page.view()
    page.send(n=0, t="one ")
    page.settle()
    assert view.locator(".qf-gap").is_hidden()
    page.send(n=2, t="three")
    page.settle()
    assert view.locator(".qf-gap").inner_text() == LABELS["gap"]
    assert page.text().inner_text() == "one three"
    page.model("late")
    late = page.view("late")
    page.send("late", n=40, t="the end")
    page.settle()
    assert late.locator(".qf-gap").is_visible()
    assert page.text().inner_text() == "the end"


def test_live_view_opened_late_is_complete(page):
    page.model()
    page.send(t="**one** ")
    page.view()
    page.send(t="two ", r="hm")
    page.view()
    page.send(t="three")
    page.settle()
    first, second = page.text(0), page.text(1)
    assert first.inner_text() == second.inner_text() == "one two three"
    assert first.inner_html() == second.inner_html()


def test_stub_script_is_replaced_by_bundle(page):
    page.model("stub", source="stub")
    view = page.view("stub")
    page.send("stub", t="**one** <b>")
    page.settle()
    assert view.locator("pre").inner_text() == "**one** <b>"
    assert "yi_34b_chat" in view.inner_text()
    page.model("full")
    page.page.wait_for_selector(".view .qf-text")
    page.send("stub", t=" two")
    page.settle()
    assert page.text().inner_html() == "<p><strong>one</strong> &lt;b&gt; two</p>"
    assert view.locator("pre").count() == 0
    page.model("next", source="stub")
    page.view("next")
    page.send("next", t="`x`")
    page.settle()
    assert page.text(1).inner_html() == "<p><code>x</code></p>"


def test_live_view_leaves_no_timers_or_listeners(page):
    page.page.evaluate(
        """() => {
          window.left = new Set();
          const set = window.setInterval, clear = window.clearInterval;
          window.setInterval = (...all) => { const id = set(...all); window.left.add(id); return id; };
          window.clearInterval = (id) => { window.left.delete(id); clear(id); };
        }"""
    )
    for source in ("stub", "live"):
        page.model(source, source=source)
        page.view(source)
        page.send(source, t="text")
        page.settle()
        page.page.evaluate(
            "name => { const {views, leave} = window.qf.models[name]; for (const view of views) view.leave(); leave(); }",
            source,
        )
        page.page.evaluate("window.qf.frames()")
        assert page.page.evaluate("name => window.qf.models[name].listeners.size", source) == 0
        assert page.page.evaluate("[...document.querySelectorAll('.view')].every((view) => !view.firstChild)")
        page.send(source, t="more")
    assert page.page.evaluate("window.left.size") == 0
    assert page.page.evaluate("document.head.querySelectorAll('style').length") == 1  # the page's own


# ---- following


def test_live_view_follows_end_until_reader_scrolls_up(page):
    page.model()
    page.view()
    area = page.page.locator(".qf-scroll")
    gap = "area => area.scrollHeight - area.scrollTop - area.clientHeight"
    page.send(t="\n\n".join(LINES * 30))
    page.settle()
    assert area.evaluate(gap) < 2
    assert area.evaluate("area => area.clientHeight <= innerHeight * 0.61")
    area.hover()
    page.page.mouse.wheel(0, -300)
    page.page.wait_for_function(f"({gap})(document.querySelector('.qf-scroll')) > 100")
    top = area.evaluate("area => area.scrollTop")
    page.send(t="\n\n" + "\n\n".join(LINES * 10))
    page.settle()
    assert abs(area.evaluate("area => area.scrollTop") - top) < 2
    page.page.mouse.wheel(0, 100_000)
    page.page.wait_for_function(f"({gap})(document.querySelector('.qf-scroll')) < 2")
    page.send(t="\n\n" + "\n\n".join(LINES * 10))
    page.settle()
    assert area.evaluate(gap) < 2


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_live_view_does_not_widen_narrow_page(chromium, scheme):
    text = f"{'x' * 300}\n\n```python\n{'y = 1; ' * 60}\n```\n\n| {'head | ' * 12}\n|{'---|' * 12}\n| {'cell | ' * 12}\n\n$${'x+' * 80}x$$\n\n{LINES[0]}"
    style = ":root { color-scheme: light dark } body { margin: 0 }"
    with live_page(chromium, size=(400, 700), style=style, color_scheme=scheme) as page:
        page.model()
        page.view()
        page.send(t=text)
        page.settle()
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.page.evaluate("(el => el.scrollWidth <= el.clientWidth)(document.querySelector('.qf-scroll'))")
        code = page.page.locator(".qf-code")
        assert code.evaluate("code => code.scrollWidth > code.clientWidth")


# ---- growing piece by piece

CONSTRUCTS = Path(__file__).parent / "constructs.md"

# All at once against in pieces, drawn after each or every third; straight on the blocks, without the clock.
PIECES = """([text, runs]) => {
  const {blocks} = window.qf.models.m.views[0].leave.view();
  const shown = (pieces, every) => {
    const root = document.createElement("div");
    const grown = new blocks.constructor(root, {image: "image"});
    pieces.forEach((piece, at) => { grown.feed(piece); if (at % every === 0) grown.show(); });
    grown.show();
    root.normalize();
    return root.innerHTML;
  };
  const whole = shown([text], 1), wrong = [];
  for (const cuts of runs) {
    const pieces = [0, ...cuts].map((cut, at) => text.slice(cut, cuts[at] ?? text.length));
    // With two pieces only the first is drawn either way.
    for (const every of pieces.length > 2 ? [1, 3] : [1]) if (shown(pieces, every) !== whole) wrong.push([cuts, every]);
  }
  return wrong;
}"""


def guide_texts():
    """The Markdown of the guide's notebooks: prose and answers."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        answers = [output["data"]["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})]
        yield path.stem, "\n\n".join(prose + answers)


def test_live_view_renders_pieces_like_whole_text(page):
    page.model()
    page.view()
    chosen = random.Random(7)
    parts = CONSTRUCTS.read_text("utf-8").split("\n%%%%\n")
    texts = [*enumerate(parts), *((name, text[:2500]) for name, text in guide_texts())]
    assert len(parts) > 8
    for name, text in texts:
        places = range(1, len(text))
        one_by_one = [list(places)] if len(text) < 2500 else []
        halves = [[place] for place in chosen.sample(places, min(40, len(places)))]
        several = [sorted(chosen.sample(places, min(len(places), chosen.randint(2, 15)))) for _ in range(15)]
        wrong = page.page.evaluate(PIECES, [text, one_by_one + halves + several])
        assert wrong == [], name
        crlf = text.replace("\n", "\r\n")
        assert page.page.evaluate(PIECES, [crlf, [list(range(1, len(crlf)))][: len(crlf) < 2500]]) == [], name


# ---- what it costs


@pytest.mark.parametrize("name", ["mixed", "table", "list"])
def test_live_view_update_cost_is_constant(page, name):
    """The blocks drawn, and their size, don't grow with what came before them."""
    text = long_texts(12_000)[name]
    count = """([text, size]) => {
      const {blocks} = window.qf.models.m.views[0].leave.view();
      const root = document.createElement("div"), grown = new blocks.constructor(root, {image: "image"});
      const costs = [];
      for (let at = 0; at < text.length; at += size) {
        const before = [grown.drawings, grown.characters];
        grown.feed(text.slice(at, at + size));
        grown.show();
        costs.push([grown.drawings - before[0], grown.characters - before[1]]);
      }
      return costs;
    }"""
    page.model()
    page.view()
    costs = page.page.evaluate(count, [text, 100])
    third = len(costs) // 3
    for kind in (0, 1):
        early, late = sum(cost[kind] for cost in costs[:third]), sum(cost[kind] for cost in costs[-third:])
        assert late < 1.5 * early + 10
    assert max(cost[1] for cost in costs) < 1500


@pytest.mark.parametrize("name", ["mixed", "code", "table"])
def test_live_view_keeps_up_with_stream(chromium, name):
    """A coarse limit, in one of three tries: the machine may be busy. tests/support/browser/page.py prints the figures."""
    tries = []
    while not any(found["longest"] < 1000 and found["late"] < 3 for found in tries):
        assert len(tries) < 3, tries
        with live_page(chromium) as page:
            tries.append(measure(page, long_texts()[name], updates=120, per_second=20))
            page.settle()
            assert page.errors == []
            assert page.text().evaluate("text => text.textContent.length") > 5000


def test_live_view_whole_answer_does_not_block_page(chromium):
    with live_page(chromium) as page:
        page.model()
        page.send(t=long_texts()["mixed"])
        page.view()
        page.settle()
        assert max(page.page.evaluate("window.qf.long"), default=0) < 1500
        assert page.text().locator("table").count() > 40


# ---- text is data

STREAMED = """async ([payloads, labels]) => {
  const faults = [];
  const roots = [];
  for (const [at, {n, text}] of payloads.entries()) {
    const whole = `w${at}`;
    await window.qf.model(whole, "stub", {labels, model: "m", context: "", elapsed: 0, lang: "en"});
    await window.qf.view(whole);
    window.qf.send(whole, {t: text, r: text, wait: text});
    const {blocks} = window.qf.models.m.views[0].leave.view();
    for (const size of [1, 7, Math.ceil(text.length / 2)]) {
      const root = document.createElement("div");
      document.body.append(root);
      const grown = new blocks.constructor(root, {image: "image"});
      const drawn = size === 1 && text.length > 1000 ? 50 : 1;
      for (let from = 0; from < text.length; from += size) {
        grown.feed(text.slice(from, from + size));
        if ((from / size) % drawn === 0) grown.show();
        for (const fault of window.judge(root)) faults.push([n, fault]);
      }
      grown.show();
      roots.push([n, root]);
    }
  }
  await window.qf.settled();
  payloads.forEach(({n}, at) => {
    for (const {el} of window.qf.models[`w${at}`].views) {
      const text = el.querySelector(".qf-text");
      if (!text) faults.push([n, "no view"]); else roots.push([n, text]);
    }
  });
  for (const [n, root] of roots) for (const fault of window.judge(root)) faults.push([n, fault]);
  // What a reader may do with it: everything that can be hovered, focused or clicked, except going where a link leads.
  document.addEventListener("click", (event) => event.preventDefault());
  for (const [, root] of roots) for (const element of root.querySelectorAll("*")) {
    for (const kind of ["mouseover", "pointerover", "focus", "click", "toggle"]) {
      element.dispatchEvent(new MouseEvent(kind, {bubbles: true, cancelable: true}));
    }
  }
  await new Promise((done) => setTimeout(done, 50));
  return faults;
}"""

BATCH = 65


@pytest.mark.parametrize("begin", range(0, len(CORPUS["hostile"]), BATCH))
def test_live_view_payloads_are_inert_whole_or_in_pieces(page, begin):
    page.model()
    page.view()
    assert page.page.evaluate(STREAMED, [CORPUS["hostile"][begin : begin + BATCH], LABELS]) == []
    assert page.page.evaluate("window.qf.executed") == []
    assert page.requests == []
    assert page.dialogs == []
    assert page.navigations == 0


def test_judge_detects_raw_payloads(chromium):
    """The corpus put into a page as it stands is found dangerous, and some of it runs."""
    html = [payload for payload in CORPUS["hostile"] if payload["class"] in ("handler", "svg", "frame", "remote html")]
    with live_page(chromium) as page:
        found = page.page.evaluate(
            """(payloads) => payloads.filter(({text}) => {
              const root = document.createElement("div");
              root.innerHTML = text;
              document.body.append(root);
              return window.judge(root).length;
            }).length""",
            html,
        )
        assert found > 100
        page.page.wait_for_function("window.qf.executed.length > 10")
        assert page.requests


def test_bundle_fetches_nothing(page):
    assert len((STATIC / "stub.js").read_bytes()) < 3200
    page.model()
    page.view()
    page.send(t=(ROOT / "README.md").read_text("utf-8"))
    page.settle()
    assert page.requests == []
