"""Markdown by grammar, as JupyterLab's own renderer reads what is made of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic.core.answer import Answer
from qfmagic.notebook.output.bundle import answer_bundle
from tests.support.browser.jupyterlab import Renderer
from tests.support.grammar import documents


@pytest.mark.timeout(0)
def test_answer_bundle_is_inert_in_jupyterlab_for_any_text(visit):
    renderer = Renderer(visit("fuzz.ipynb", "pass").page)
    examples = max(settings.default.max_examples // 10, 20)  # each holds several documents

    @settings(max_examples=examples)
    @given(st.lists(st.tuples(documents, documents), min_size=1, max_size=10))
    def look(pairs):
        answers = [Answer(text, reasoning=reasoning) for text, reasoning in pairs]
        assert renderer.faults([answer_bundle(answer, ["a note"])["text/markdown"] for answer in answers]) == {}

    look()
