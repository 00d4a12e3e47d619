"""Several models in a real JupyterLab: beside each other while they come, one table at the end."""

from qfmagic.testing.stub_server import LoopbackServer
from tests.support.held import KEY_ENVIRON, held_reply

MODELS = ("ernie-5.1", "deepseek-v3")
ASK = f"%%qianfan model={','.join(MODELS)}\n介绍下长城"
WALL = [
    "**万里长城**是中国古代的军事防御工程，",
    "总长超过 21,000 公里。\n\n| 朝代 | 公里 |\n|---|---|\n| 明 | 8,850 |",
]
OTHER = ["The Great Wall:\n\n- walls\n- towers\n\n```python\nlength =", " 21_196  # km\n", "print(length)"]


def test_compare_shows_columns_and_ends_as_one_table(visit):
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
        first, second = views.nth(0).bounding_box(), views.nth(1).bounding_box()
        assert first["x"] + first["width"] <= second["x"]
        assert first["y"] == second["y"]
        assert abs(first["width"] - second["width"]) < 2
        held[MODELS[1]].chunks.let_all()
        views.nth(1).locator("code", has_text="print(length)").wait_for()
        page.screenshot("compare-1-live")
        times = views.locator(".qf-time")
        for _ in range(3):  # its end mark comes after its text
            stood = times.nth(1).inner_text()
            page.page.wait_for_function(
                "(before) => parseFloat(document.querySelector('.qf-time').innerText) >= before + 1",
                arg=float(times.nth(0).inner_text().split()[0]),
            )
            if times.nth(1).inner_text() == stood:
                break
        assert times.nth(1).inner_text() == stood, "the other still comes; this one is whole"
        page.page.set_viewport_size({"width": 700, "height": 900})
        page.page.wait_for_function(
            "() => { const [a, b] = document.querySelectorAll('.qf-live'); return b.getBoundingClientRect().top > a.getBoundingClientRect().bottom - 1 }"
        )
        page.screenshot("compare-1-narrow")
        page.page.set_viewport_size({"width": 1280, "height": 900})
        held[MODELS[0]].chunks.let_all()
        page.wait()
    (output,) = page.outputs(1)
    assert set(output["data"]) == {"text/markdown", "text/plain"}
    page.output(1).locator(".jp-RenderedMarkdown table td", has_text=MODELS[1]).wait_for()
    assert page.output(1).locator(".jp-RenderedMarkdown hr").count() == 2
    page.screenshot("compare-2-static")
    assert "widgets" not in page.save().metadata
    assert page.problems == []
