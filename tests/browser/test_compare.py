"""Several models in a real JupyterLab: below each other while they come, one table at the end."""

from qfmagic.testing.server import LoopbackServer
from tests.held import KEY_ENVIRON, held_reply

MODELS = ("ernie-4.5-turbo-128k", "deepseek-v3")
ASK = f"%%qianfan model={','.join(MODELS)}\n介绍下长城"
WALL = [
    "**万里长城**是中国古代的军事防御工程，",
    "总长超过 21,000 公里。\n\n| 朝代 | 公里 |\n|---|---|\n| 明 | 8,850 |",
]
OTHER = ["The Great Wall:\n\n- walls\n- towers\n\n```python\nlength =", " 21_196  # km\n", "print(length)"]


def test_the_answers_stand_below_each_other_and_end_as_one_table(visit):
    held = {name: held_reply(pieces, model=name) for name, pieces in zip(MODELS, (WALL, OTHER), strict=True)}
    with LoopbackServer(lambda request: held[request.json()["model"]]) as server:
        environ = {**server.environ, **KEY_ENVIRON, "QFMAGIC_TRANSPORT": "live"}
        page = visit("compare.ipynb", f"import os\nos.environ.update({environ!r})\n%load_ext qfmagic", ASK)
        page.run(0)
        page.begin(1)
        held[MODELS[1]].chunks.let(2)  # the second one writes first, and still stands second
        views = page.output(1).locator(".qf-live")
        views.nth(1).locator("code", has_text="length").wait_for()
        assert [MODELS[0] in text for text in views.all_inner_texts()] == [True, False]
        held[MODELS[0]].chunks.let(1)
        views.nth(0).get_by_text("万里长城").wait_for()
        page.screenshot("compare-1-live")
        held[MODELS[1]].chunks.let_all()
        page.output(1).locator(".jp-RenderedMarkdown code", has_text="print(length)").wait_for()
        assert views.count() == 1  # the other still comes
        held[MODELS[0]].chunks.let_all()
        page.wait()
    (output,) = page.outputs(1)
    assert set(output["data"]) == {"text/markdown", "text/plain"}
    page.output(1).locator(".jp-RenderedMarkdown table td", has_text=MODELS[1]).wait_for()
    assert page.output(1).locator(".jp-RenderedMarkdown hr").count() == 2
    page.screenshot("compare-2-static")
    assert "widgets" not in page.save().metadata
    assert page.problems == []
