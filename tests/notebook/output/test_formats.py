"""The output formats, a row each."""

import json
import re
from pathlib import Path

import pytest

import qfmagic
from qfmagic.notebook.output.bundle import answer_bundle
from qfmagic.notebook.output.formats import EXCLUSIVE, FORMATS
from qfmagic.notebook.parsing.option_table import help_table

ANSWER = qfmagic.Answer("# a\n\n<b>c</b>\n")


def test_formats_are_the_choices_of_the_option():
    assert list(FORMATS) == list(help_table().options["format"].choices)


def test_formats_in_the_page_are_those_with_a_source_view():
    source = Path(qfmagic.__file__).parent.joinpath("notebook", "js", "src", "view.js").read_text("utf-8")
    (listed,) = re.findall(r"(\[[^]]*\])\.includes\(store\.get\(\"format\"\)\)", source)
    assert json.loads(listed) == [row.name for row in FORMATS.values() if row.source_view]


@pytest.mark.parametrize(
    ("name", "markdown"),
    [
        ("markdown", "# a\n\n&lt;b>c&lt;/b>"),
        ("text", "```\n# a\n\n<b>c</b>\n```"),
        ("json", "```json\n# a\n\n<b>c</b>\n```\n\n◈ *"),
        ("code", "# a\n\n&lt;b>c&lt;/b>\n\n◈ *"),
        ("html", "# a\n\n&lt;b>c&lt;/b>"),
    ],
)
def test_format_renders_a_text(name, markdown):
    bundle = answer_bundle(ANSWER, [], name)
    assert bundle["text/markdown"].startswith(markdown)
    assert bundle["text/plain"].startswith(ANSWER.text.rstrip())
    assert ("text/html" in bundle) is FORMATS[name].framed


def test_formats_with_a_frame_or_a_new_cell_are_exclusive():
    assert {"code", "html"} == EXCLUSIVE
