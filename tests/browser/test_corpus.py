"""The composed corpus in a real JupyterLab and in nbconvert's pages: nothing runs, nothing is fetched or drawn."""

import os
import time

import pytest

from qfmagic.core.answer import Answer
from qfmagic.notebook.display import answer_bundle
from tests.browser.jupyterlab import Renderer
from tests.corpus import alone, cases

SHARE = int(os.environ.get("CORPUS_SHARE", "997"))


@pytest.mark.timeout(0)
def test_what_jupyterlab_makes_of_the_corpus_holds_nothing_that_acts(visit, lab):
    page = visit("corpus.ipynb", "pass")
    renderer = Renderer(page.page)
    tried = [*cases(SHARE), *alone(max(SHARE // 40, 1))]
    shown = {answer_bundle(Answer(case.text), ["a note"])["text/markdown"]: case for case in tried}
    begin = time.monotonic()
    found = renderer.faults([*shown])
    print(f"{len(tried)} texts, {len(found)} wrong, {time.monotonic() - begin:.0f} s")
    from collections import Counter

    print(Counter(shown[t].payload.kind for t in found))
    ex = {}
    for t, f in sorted(found.items(), key=lambda x: len(x[0])):
        ex.setdefault(shown[t].payload.kind, []).append((shown[t].text, t, f))
    for k, v in ex.items():
        print(k, v[:2])
    assert found == {}
