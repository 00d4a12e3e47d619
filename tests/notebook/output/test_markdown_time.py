"""What a text costs grows with its length, however it is made up."""

import time

import pytest

from qfmagic.core.answer import Answer
from qfmagic.notebook.output.bundle import answer_bundle

pytestmark = pytest.mark.slow

FAMILIES = {
    "brackets of formulas": "\\(",
    "brackets of displays": "\\[",
    "closed formulas": "\\(x\\) ",
    "dollars": "$",
    "dollars and blanks": "$ a",
    "double dollars": "$$a\n",
    "stars": "*",
    "open strong": "**a ",
    "open emphasis": "*a _b ",
    "underscores": "_",
    "brackets": "[",
    "closing brackets": "]",
    "images": "![",
    "open links": "[a](",
    "open addresses": "[a](<b",
    "open titles": '[a](b "',
    "labels": "[a]: b\n",
    "open tags": "<",
    "tags": "<a ",
    "autolinks": "<http://a",
    "comments": "<!--",
    "declarations": "<!A ",
    "instructions": "<?",
    "ampersands": "&",
    "entities": "&a",
    "tildes": "~~",
    "open strikes": "~~a ",
    "cells": "|a",
    "tables": "|a\n|-\n",
    "quotations": "> ",
    "quoted lines": "> a\n",
    "lists": "- ",
    "listed lines": "- a\n",
    "numbers": "1. ",
    "begins": "\\begin{a}",
    "begins and lines": "\\begin{a}\n",
    "ends": "\\end{a}",
    "backslashes": "\\",
    "backticks": "`",
    "open spans": "`a ``b ",
    "fences": "```\n",
    "open fences": "> ```\n",
    "places": "@@0@@",
    "braces": "{",
    "addresses": "http://a",
    "rules": "---\n",
    "headings": "# a\n",
    "blanks": " ",
    "tabs": "\t",
    "lines": "\n",
    "returns": "\r",
    "hidden": "\u202e",
    "nulls": "\x00",
    "nested mix": "> - 1. *[`$",
    "mixed lines": "> - a $b\n",
    "mixed marks": "*_`$[<\\(|",
    "words": "a b c. ",
    "one word": "a",
    "characters": "长",
}
# Those whose pieces differ.
GROWING = {
    "growing spans": lambda size: _until(size, lambda n: "`" * n + " "),
    "growing dollars": lambda size: _until(size, lambda n: "$" * n + " "),
    "growing quotations": lambda size: _until(size, lambda n: ">" * (n % 40) + "a\n"),
    "growing lists": lambda size: _until(size, lambda n: "  " * (n % 40) + "- a\n"),
    "growing brackets": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "growing stars": lambda size: "*a" * (size // 4) + "*" * (size // 2),
    "growing begins": lambda size: _until(size, lambda n: f"\\begin{{a{'b' * (n % 50)}}} "),
}


def _until(size, piece):
    parts, length, number = [], 0, 0
    while length < size:
        number += 1
        parts.append(piece(number))
        length += len(parts[-1])
    return "".join(parts)


def texts(size):
    """Each family's text of about so many characters."""
    return {
        **{name: unit * (size // len(unit)) for name, unit in FAMILIES.items()},
        **{name: made(size) for name, made in GROWING.items()},
    }


def seconds(text, times):
    """How long it takes at best, with the reasoning made of it too."""
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        answer_bundle(Answer(text, reasoning=text[: len(text) // 2]), ["a note"])
        best = min(best, time.process_time() - begin)
    return best


# Nothing is said of what takes no time. A text that takes four times as long as one a quarter of its length is in
# proportion to it; one that takes sixteen times as long, and more so with each, would never end.
ENOUGH, SMALL, LARGE = 0.05, 3_000, 12_000


def _in_proportion(family, times):
    long = seconds(texts(LARGE)[family], times)
    return long < ENOUGH or long < 9 * seconds(texts(SMALL)[family], times)


@pytest.mark.parametrize("family", [*FAMILIES, *GROWING])
def test_safe_markdown_time_is_linear(family):
    # A busy machine makes one look wrong now and then; three times it doesn't.
    assert _in_proportion(family, 1) or _in_proportion(family, 3)
