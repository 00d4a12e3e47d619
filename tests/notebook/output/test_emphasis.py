"""Emphasis beside Chinese, Japanese and Korean signs, and single tildes, as the renderers of saved documents read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.notebook.output.safe_markdown import safe_markdown
from tests.support.emphasis import CASES, inner
from tests.support.html_judge import RENDERERS

SIGNS = ["“", "”", "《", "》", "：", "，", "！", "（", "）", "、", "…", "·", "%", ".", '"', "`a`", "$x$"]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_emphasis_beside_east_asian_signs_is_saved(text, expected):
    for renderer in RENDERERS[1:] if "|" in expected or "~~" in text else RENDERERS:  # CommonMark has no tables
        assert inner(renderer.render(safe_markdown(text))) == expected


@given(
    st.sampled_from(["**", "__", "***", "~~"]),
    st.sampled_from(["", "长", "a ", "很 "]),
    st.sampled_from(["", *SIGNS]),
    st.sampled_from(["城", "城 a", "1~2"]),
    st.sampled_from(["", *SIGNS]),
    st.sampled_from(["", "是", "很长", "，", " a"]),
)
def test_emphasis_keeps_its_place_in_every_renderer(mark, before, first, word, last, after):
    """Where the parser sees emphasis, so do those who read what was written."""
    text = f"{before}{mark}{first}{word}{last}{mark}{after}"
    shown = {inner(renderer.render(safe_markdown(text))) for renderer in RENDERERS[1:]}
    assert len(shown) == 1
    closes = last not in ("“", "《", "（") and first not in ("”", "》", "）", "：", "，", "！", "、")
    if closes and mark != "__":
        assert mark not in shown.pop()
