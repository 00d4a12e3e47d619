"""Markdown by grammar: nothing acts, nothing reaches out of its answer, and what a reader would read is there."""

import re

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from markdown_it import MarkdownIt

from qfmagic.core.answer import Answer
from qfmagic.core.terminal import visible
from qfmagic.notebook.output.bundle import answer_bundle
from qfmagic.notebook.output.safe_markdown import safe_markdown
from tests.support.grammar import documents
from tests.support.html_judge import OURS, markdown_faults, outlines

pytestmark = pytest.mark.slow

# Reads a text as its writer meant it: HTML is what somebody wrote about. Definitions of links are shown, not used.
PLAIN = MarkdownIt("gfm-like", {"html": False, "linkify": False}).disable("reference")
# Where a formula ends decides what is code; renderers differ in it, and the strictest is followed.
MAY_BE_FORMULA = re.compile(r"\$|\\\\?[\[(]|\\begin")


def letters(text):
    """What there is to read, without blanks and marks; of pictures, their names."""
    found = BeautifulSoup(PLAIN.render(text), "html.parser")
    for picture in found.find_all("img"):
        picture.replace_with(picture.get("alt", ""))
    return [one for one in found.get_text() if one.isalnum()]


def code(text):
    """What stands in the blocks of code; a block that nothing ends has no line end of its own."""
    return [one.content.rstrip("\n") for one in PLAIN.parse(text) if one.type in ("fence", "code_block")]


def stands_in(part, whole):
    """Whether all of it is there, in its order; more may be."""
    rest = iter(whole)
    return all(one in rest for one in part)


@given(documents, documents)
def test_answer_bundle_of_any_text_is_inert_and_closed(text, reasoning):
    for answer in (Answer(text), Answer("The answer.", reasoning=text), Answer(text, reasoning=reasoning)):
        marked = answer_bundle(answer, ["a note"])["text/markdown"]
        assert markdown_faults(marked, OURS) == []
        for outline in outlines(marked):
            assert (outline[-1].name, outline[-1].get_text(strip=True)) == ("p", "◈a note")


@given(documents)
def test_safe_markdown_keeps_letters(text):
    assert stands_in(letters(text), letters(safe_markdown(text)))


@given(documents)
def test_safe_markdown_keeps_code(text):
    if not MAY_BE_FORMULA.search(text):
        assert code(safe_markdown(text)) == [visible(one) for one in code(text)]
