"""Through nbconvert and pandoc: LaTeX reads no file, writes none and runs nothing; no directive is in rst."""

import os
import re
import shutil

import nbformat
import pytest
from nbconvert import LatexExporter, RSTExporter

from qfmagic.core.answer import Answer
from qfmagic.notebook.output.bundle import answer_bundle
from tests.support.corpus import cases, of_each_kind, payloads
from tests.support.documents_judge import latex_faults, rst_faults

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("pandoc") and "CI" not in os.environ, reason="pandoc isn't installed: nothing makes LaTeX here"
    ),
]
SHARE = int(os.environ.get("CORPUS_SHARE", "4000"))
EXPORTERS = {"latex": (LatexExporter, latex_faults), "rst": (RSTExporter, rst_faults)}
TOGETHER = 20  # texts in one output: each output starts pandoc
NOTE = re.compile(r"(?:\\emph\{|\*)end (\d+)(?:\}|\*)")


def texts():
    """Those that act in documents, each alone and in something; and of the others some."""
    own = [one.text for one in payloads() if one.kind in ("latex", "rst", "braces", "formula")]
    return [*own, *(f"- a {text}" for text in own[::4] if "\n" not in text), *(case.text for case in others())]


def others():
    return [*of_each_kind("quotation", "table", "alone"), *cases(SHARE * 20)]


def converted(exporter, texts):
    """What the exporter makes of each text, as far as the line behind it."""
    marked = [answer_bundle(Answer(text), [f"end {n}"])["text/markdown"] for n, text in enumerate(texts)]
    together = ["\n\n".join(marked[begin : begin + TOGETHER]) for begin in range(0, len(marked), TOGETHER)]
    outputs = [nbformat.v4.new_output("display_data", data={"text/markdown": one}) for one in together]
    cell = nbformat.v4.new_code_cell("shown", outputs=outputs, execution_count=1)
    body, _ = exporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    body = re.split(
        r"shown\}?\n\\end\{Verbatim\}\n\\end\{tcolorbox\}|^    shown$", body, maxsplit=1, flags=re.MULTILINE
    )[1]
    parts = NOTE.split(body)
    return {int(number): part for part, number in zip(parts[::2], parts[1::2], strict=False)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", EXPORTERS)
def test_exported_documents_of_corpus_are_inert(kind):
    exporter, judge = EXPORTERS[kind]
    tried = list(dict.fromkeys(texts()))
    found = converted(exporter, tried)
    assert [*found] == [*range(len(tried))], "a text reached over the line behind it"
    wrong = {tried[number]: faults for number, part in found.items() if (faults := judge(part))}
    assert dict(sorted(wrong.items(), key=lambda one: len(one[0]))[:9]) == {}, f"{len(wrong)} of {len(tried)}"


@pytest.mark.parametrize("kind", EXPORTERS)
def test_document_judges_detect_raw_payloads(kind, monkeypatch):
    monkeypatch.setitem(
        globals(), "answer_bundle", lambda answer, notes: {"text/markdown": f"{answer.text}\n\n*{notes[0]}*"}
    )
    exporter, judge = EXPORTERS[kind]
    raw = [r"\input{/etc/passwd}", r"$\input{/etc/passwd}$", "![x](http://evil.test/0)", "$\\write18{id}$"]
    harmless = [
        "# a\n\n- b\n\n1. c\n\n> d\n\n`e_f` **g** *h* ~~i~~ [j](https://a.example/x_y?z=1#w)",
        "$a_1^2 \\frac{1}{2}$ $5",
    ]
    harmless += [
        "| a | b |\n|---|:-:|\n| 1 | 2 |",
        "```python\nx = '\\n'  # 1\n```\n\n```\n\\input{x}\n```",
        "a ^^5c {x} % & #",
    ]
    harmless += ["\\begin{align}\na &= b\n\\end{align}"] if kind == "latex" else []
    found = {number: judge(part) for number, part in converted(exporter, [*raw, *harmless]).items()}
    assert all(found[number] for number in range(len(raw)))
    assert [found[number] for number in range(len(raw), len(found))] == [[]] * len(harmless)
