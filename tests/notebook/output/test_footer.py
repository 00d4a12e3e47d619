"""The line under an answer: what answered, what it took, and how many turns went along."""

import pytest

from qfmagic import Answer
from qfmagic.core.usage import Usage
from qfmagic.notebook.output.bundle import footer

ASKED = Answer("hi", usage=Usage(332, 17, 349), model="ernie-5.1", seconds=1.2)


@pytest.mark.parametrize(
    ("answer", "lang", "context", "expected"),
    [
        (ASKED, "en", (2, 2), "ernie-5.1 · 332+17 tokens · 2 of 2 turns"),
        (ASKED, "zh", (2, 2), "ernie-5.1 · 332+17 token · 2/2 轮"),
        (ASKED, "en", (1, 1), "ernie-5.1 · 332+17 tokens · 1 of 1 turn"),
        (ASKED, "en", (0, 0), "ernie-5.1 · 332+17 tokens"),
        (ASKED, "en", (1, 3), "ernie-5.1 · 332+17 tokens"),  # what was left out is a note's matter
        (Answer("hi", model="ernie-5.1"), "en", (0, 0), "ernie-5.1"),
        (Answer("hi", model="ernie-5.1", served_model="ernie-5.1"), "en", (0, 0), "ernie-5.1"),
        (Answer("hi", model="a", served_model="a-2"), "en", (0, 0), "a (answered by a-2)"),
        (Answer("hi", model="a", served_model="a-2"), "zh", (0, 0), "a（由 a-2 回答）"),
    ],
)
def test_footer_names_model_tokens_and_turns(answer, lang, context, expected):
    sent, available = context
    assert " · ".join(footer(answer, lang, sent=sent, available=available)) == expected


def test_footer_stands_under_each_answer_until_it_is_turned_off(start):
    kernel = start(QFMAGIC_TRANSPORT="stub", QFMAGIC_FOOTER="true")
    first, second = (kernel.run(f"%%qianfan model=ernie-5.1\n{n}", cell=f"c{n}").plain for n in (1, 2))
    assert first.count("[◈ ernie-5.1 · ") == 1
    assert "turn" not in first.split("◈")[1]
    assert " tokens · 1 of 1 turn · simulated answer" in second
    assert kernel.run("%qf set footer=off").status == "ok"
    assert "ernie-5.1 ·" not in kernel.run("%%qianfan model=ernie-5.1\n3", cell="c3").plain
    assert kernel.run("%qf set footer=on lang=zh").status == "ok"
    assert " token · 3/3 轮 · 模拟回答" in kernel.run("%%qianfan model=ernie-5.1\n4", cell="c4").plain


def test_footer_has_nothing_that_differs_from_run_to_run(start):
    kernel = start(QFMAGIC_TRANSPORT="stub", QFMAGIC_FOOTER="true")
    shown = {kernel.run("%%qianfan once\nhi", cell="c").plain.split("◈")[1] for _ in range(2)}
    assert len(shown) == 1
