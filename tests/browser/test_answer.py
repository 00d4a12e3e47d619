"""The answer in a real JupyterLab: while it comes, when it is stopped, and what stays in the document."""

import threading
import time

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from tests.support.held import KEY_ENVIRON, held_json, held_reply

ASK = "%%qianfan model=ernie-5.1\n介绍下长城"
PIECES = [
    {"reasoning_content": "先想一想 <b>历史</b>。"},
    "# 长城\n\n**万里长城**是中国古代的",
    "军事防御工程。\n\n| 朝代 | 长度 |\n|---|---|\n| 秦 | 5,000 km |\n| 明 | 8,850 km |\n\n",
    "```python\ndef length(walls):\n    return sum(w.km for w in walls)  # 公里\n",
    "```\n\n质能方程 $E=mc^2$，价格 $5 和 $6。\n\n",
    "- 一\n  - 二\n\n<img src=x onerror=alert(1)> 完。",
]


class Service:
    """What the notebook's kernel asks; the test holds the reply."""

    def __init__(self, server, left):
        self.server, self.left, self.reply = server, left, None

    def holds(self, pieces=PIECES):
        self.reply = held_reply(pieces)
        return self.reply.chunks

    @property
    def setup(self):
        environ = {**self.server.environ, **KEY_ENVIRON, "QFMAGIC_TRANSPORT": "live"}
        return f"import os\nos.environ.update({environ!r})\n%load_ext qfmagic"


@pytest.fixture
def service():
    replies = []
    left = threading.Event()
    with LoopbackServer(lambda _: replies[0].reply, on_disconnect=left.set) as server:
        replies.append(Service(server, left))
        yield replies[0]
        if replies[0].reply is not None:
            replies[0].reply.chunks.let_all()


def live(page, index=1):
    return page.output(index).locator(".qf-live")


def check_static(page, index=1):
    """The cell's one output is the answer, and no widget."""
    (output,) = [one for one in page.outputs(index) if one["output_type"] == "display_data"]
    assert set(output["data"]) == {"text/markdown", "text/plain"}
    assert live(page, index).count() == 0
    return output


def test_live_answer_renders_and_becomes_static_text(visit, service):
    page = visit("live.ipynb", service.setup, ASK)
    page.run(0)
    held = service.holds()
    page.begin(1)
    view = live(page)
    view.locator(".qf-status", has_text="waiting for the answer").wait_for()
    page.screenshot("live-1-waiting")
    held.let(4)
    view.locator("table td", has_text="8,850 km").wait_for()
    view.locator("code .hljs-keyword").first.wait_for()
    page.screenshot("live-2-table-and-code")
    held.let(2)
    view.locator("math").wait_for()
    view.get_by_text("<img src=x onerror=alert(1)>").wait_for()
    assert view.locator("img").count() == 0
    view.locator("summary", has_text="Reasoning").click()
    assert "先想一想 <b>历史</b>。" in view.locator(".qf-thinking").inner_text()
    page.screenshot("live-3-whole")
    held.let_all()
    page.wait()
    output = check_static(page)
    page.output(1).locator(".jp-RenderedMarkdown h1", has_text="长城").wait_for()
    page.screenshot("live-4-static")
    saved = page.save()
    assert saved.cells[1].outputs[0].data == output["data"]
    assert "widgets" not in saved.metadata
    assert page.problems == []


def test_stop_button_stops_answer_and_run_all(visit, service):
    page = visit("stop.ipynb", service.setup, ASK, "print('ran on')")
    page.run(0)
    held = service.holds(["部分回答", *["。"] * 500])
    page.begin_command("notebook:run-all-cells")
    held.let()
    stop = live(page).get_by_role("button", name="Stop")
    stop.wait_for()
    page.screenshot("stop-button")
    pressed = time.monotonic()
    stop.click()
    while not service.left.is_set():
        held.let()  # a server sees that a client left when it writes
        service.left.wait(0.02)
    took = time.monotonic() - pressed
    print(f"from the click to the closed connection: {took:.2f} s")
    page.wait()
    output = check_static(page)
    assert output["data"]["text/plain"].startswith("部分回答")
    assert "interrupted" in output["data"]["text/plain"]
    assert "KeyboardInterrupt" in page.output(1).inner_text()
    assert page.outputs(2) == []  # Run All stopped
    page.screenshot("stopped")


def test_interrupt_button_stops_answer_and_run_all(visit, service):
    page = visit("square.ipynb", service.setup, ASK, "print('ran on')")
    page.run(0)
    held = service.holds(["部分回答", *["。"] * 500])
    page.begin_command("notebook:run-all-cells")
    held.let()
    live(page).get_by_text("部分回答").wait_for()
    page.interrupt()
    page.wait()
    assert "interrupted" in check_static(page)["data"]["text/plain"]
    assert page.outputs(2) == []


def test_failed_answer_shows_only_the_error(visit, service):
    page = visit("error.ipynb", service.setup, ASK)
    page.run(0)
    error = {"code": "invalid_model", "message": "no such model", "type": "invalid_request_error"}
    service.reply = held_json({"error": error}, 404)
    page.begin(1)
    live(page).wait_for()
    service.reply.chunks.let_all()
    page.wait()
    outputs = page.outputs(1)
    assert [output["output_type"] for output in outputs] == ["error"], outputs


def test_page_reload_keeps_answers(visit, service):
    page = visit("reload.ipynb", service.setup, ASK, "%qf last", ASK)
    page.run(0)
    page.save()
    held = service.holds()
    page.begin(1)
    held.let(3)
    live(page).locator("table").wait_for()
    page.save()
    page.page.reload()
    held.let_all()
    page.open()
    page.run(2)
    page.output(2).get_by_text("8,850 km").wait_for()
    service.holds().let(3)
    page.begin(3)
    live(page, 3).locator("table").wait_for()  # the page has the script again
    service.reply.chunks.let_all()
    page.wait()


def test_widget_state_saving_saves_no_answer_state(visit, service, keeping_lab):
    page = visit("state.ipynb", service.setup, ASK, server=keeping_lab)
    page.run(0)
    held = service.holds()
    page.begin(1)
    held.let(4)
    live(page).locator("table").wait_for()
    held.let_all()
    page.wait()
    saved = page.save()
    state = saved.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    assert state == {}
    keeping_lab.shut_down_kernels()
    page.page.reload()
    page.open()
    page.output(1).locator(".jp-RenderedMarkdown h1", has_text="长城").wait_for()
    assert "model not found" not in page.page.locator(".jp-Notebook").inner_text()
    page.screenshot("reopened")


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_answer_is_readable_narrow_dark_and_in_chinese(visit, service, theme):
    setup = service.setup.replace("%load_ext", "os.environ['QFMAGIC_LANG'] = 'zh'\n%load_ext")
    page = visit("narrow.ipynb", setup, ASK, size=(640, 800), fresh=True)
    page.change_theme(theme)
    page.command("application:toggle-left-area")
    page.page.set_viewport_size({"width": 440, "height": 800})
    page.run(0)
    held = service.holds([*PIECES, "\n\n```\n" + "x" * 300])
    page.begin(1)
    held.let(7)
    view = live(page)
    view.get_by_text("x" * 300).wait_for()
    assert view.get_by_text("秒").count() == 1
    wide = "element => element.scrollWidth - element.clientWidth"
    assert view.evaluate(wide) <= 0
    page.screenshot(f"narrow-{theme.split()[-1].lower()}")
    held.let_all()
    page.wait()
    page.change_theme("JupyterLab Light")
