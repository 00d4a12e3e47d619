"""Sentences and cells show just the characters they hold, and what stands in one ends in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.notebook.output.tables import Rendered, TextTable, short
from tests.support.html_judge import RENDERERS, formulas, markdown_faults

PIECES = ["\\(", "\\)", "\\[", "\\]", "\\\\[", "\\\\(", "\\", "$", "$$", "\\begin{a}", "\\end{a}", "@@0@@", "{", "}"]
PIECES += ["|", "`", "*", "_", "<b>", "&amp;", "[x](y)", "a", " "]
CELLS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


def cells(text):
    """The rows of a table as they are read, by each renderer."""
    from bs4 import BeautifulSoup

    for renderer in RENDERERS[1:]:  # plain CommonMark has no tables
        found = BeautifulSoup(renderer.render(text), "html.parser")
        yield [[cell.get_text().strip() for cell in row.find_all(["td", "th"])] for row in found.find_all("tr")]


def test_text_table_truncated_formula_keeps_other_cells():
    """A preview is cut at 40 characters, in the middle of a formula too."""
    long = short(r"Let \(x = a_1 + a_2 + a_3 + a_4 + a_5 + a_6\) be")
    rows = [["one", long], ["two", "fine"], ["three", r"so \(y\) is it"]]
    said = TextTable(["row", "m"], rows).said()
    assert formulas(said.markdown) == []
    assert list(cells(said.markdown)) == [[["row", "m"], *rows]] * 2


def test_text_table_puts_numbers_at_the_right():
    """A column of numbers, also where some cells have none; not one in which anything else stands."""
    rows = [["a", 1, "1,234", "50%", "2/3", "-", "7", "1"], ["b", "", "-0.5", "-", "3/3", "", "x", "1.2 s"]]
    said = TextTable(list("ABCDEFGH"), rows).said()
    assert said.markdown.splitlines()[1] == "|---|---:|---:|---:|---:|---|---|---:|"
    assert said.plain.splitlines()[1] == "a  1  1,234  50%  2/3  -  7      1"


@pytest.mark.parametrize("text", [r"\(x\)", "$5 and $6", r"\[x\]", r"\begin{a}x\end{a}", "$$x$$", r"\\[x\\]"])
def test_rendered_text_is_not_a_formula(text):
    """MathJax looks through the page's text too; it takes nothing for a formula that an element divides."""
    assert "<span>" in Rendered.of(text).markdown


def test_rendered_usual_text_needs_no_elements():
    assert Rendered.of(r"C:\data\new costs $5").markdown == r"C:\\data\\new costs \$5"


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=3))
def test_text_table_cells_keep_their_text(rows):
    said = TextTable(["a", "b"], rows).said()
    assert formulas(said.markdown) == []
    assert markdown_faults(said.markdown) == []
    assert list(cells(said.markdown)) == [[["a", "b"], *([" ".join(cell.split()) for cell in row] for row in rows)]] * 2
