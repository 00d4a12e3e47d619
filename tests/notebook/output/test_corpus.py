"""The composed corpus, shown in every way, holds nothing that acts, however a renderer reads it."""

import os
from itertools import islice

import pytest

from qfmagic.notebook.output.safe_markdown import safe_markdown
from tests.support.corpus import alone, cases, of_each_kind, payloads
from tests.support.html_judge import OURS, markdown_faults
from tests.support.services import serve
from tests.support.ways import PURE, WAYS, Session

pytestmark = pytest.mark.slow

# One in so many of the product; 1 takes a night.
SHARE = int(os.environ.get("CORPUS_SHARE", "4000"))


def wrong(found):
    """Of what was found, the shortest of each kind of payload, so that a failure can be read."""
    shortest = {}
    for case, faults in found:
        if faults and len(case.text) < len(shortest.get(case.payload.kind, (case.text + " ",))[0]):
            shortest[case.payload.kind] = case.text, faults
    return shortest


def test_markdown_judge_detects_every_payload_kind():
    """What acts nowhere when it is left as it is would show nothing."""
    kinds = {one.kind for one in payloads()}
    seen = {one.kind for one in payloads() if markdown_faults(one.text)}
    # LaTeX and rst act in other documents: see test_documents.py.
    assert kinds - seen == {"latex", "rst"} - seen


@pytest.mark.timeout(0)
def test_safe_markdown_of_corpus_is_inert():
    tried = [*cases(SHARE), *alone(max(SHARE // 80, 1))]
    found = [(case, markdown_faults(safe_markdown(case.text))) for case in tried]
    assert len({case.payload for case in tried}) > 1000
    assert wrong(found) == {}, f"{sum(bool(faults) for _, faults in found)} of {len(tried)}"


@pytest.mark.timeout(0)
@pytest.mark.parametrize("way", PURE)
def test_every_output_of_corpus_is_inert(way):
    tried = [*cases(SHARE * 16), *of_each_kind("quotation", "list by tabs")]
    found = [(case, markdown_faults(PURE[way](case.text)["text/markdown"], OURS)) for case in tried]
    assert wrong(found) == {}, f"{sum(bool(faults) for _, faults in found)} of {len(tried)}"


@pytest.mark.timeout(300)
def test_session_outputs_of_corpus_are_inert(shell, monkeypatch):
    session = Session(shell, serve(shell, monkeypatch))
    reached, found = set(), {}
    for case in islice(of_each_kind("quotation"), None, None, 3):
        for way, outputs in session.ways(case.text):
            for output in outputs:
                faults = markdown_faults(output.get("text/markdown", ""), OURS)
                if faults:
                    found.setdefault(way, (case.text, faults))
                if "text/markdown" in output:
                    reached.add(way)
                elif output:
                    print(way, output["text/plain"][:100])
    assert reached == {*WAYS}
    assert found == {}
