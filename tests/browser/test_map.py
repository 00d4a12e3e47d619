"""``%%qf map`` in a real JupyterLab: a bar while it runs, one table at the end, and nothing of the bar in the file."""

import re
import threading

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from tests.support.held import KEY_ENVIRON
from tests.support.services import v2

MODEL = "ernie-5.1"
WORDS = {
    "en": ("rows", "failed=1", "39 of 40 rows answered, 1 failed"),
    "zh": ("行", "失败=1", "40 行中 39 行已回答，1 行失败"),
}


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_map_progress_bar_shows_progress_and_disappears(visit, lang):
    last = threading.Event()

    def answer(request):
        text = request.json()["messages"][-1]["content"]
        if "39" in text:
            last.wait(30)
        return v2("**很好**，下次还来。", MODEL)

    with LoopbackServer(answer) as server:
        environ = {**server.environ, **KEY_ENVIRON, "QFMAGIC_TRANSPORT": "live", "QFMAGIC_LANG": lang}
        setup = f"import os\nos.environ.update({environ!r})\n%load_ext qfmagic"
        map_cell = (
            f"%%qf map range(40) into=found workers=4 model={MODEL}\n第 {{{{ 1 / (item - 5) and item }}}} 行怎么样？"
        )
        page = visit(f"map-{lang}.ipynb", setup, map_cell)
        page.run(0)
        page.begin(1)
        unit, failed, summary = WORDS[lang]
        bar = page.output(1).locator(".widget-html", has_text=failed)
        bar.wait_for()
        page.output(1).get_by_text(re.compile(r"[1-9]\d?/40")).first.wait_for()
        assert unit in page.output(1).inner_text()
        page.screenshot(f"map-{lang}-live")
        last.set()
        page.wait()
    (output,) = page.outputs(1)
    assert set(output["data"]) == {"text/markdown", "text/plain"}
    page.output(1).get_by_text(summary).wait_for()
    page.screenshot(f"map-{lang}-static")
    assert "widgets" not in page.save().metadata
    assert page.problems == []
