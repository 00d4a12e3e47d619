"""What is said of a request that a cassette lacks."""

from pathlib import Path

import pytest

from qfmagic.core.context import Exchange
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.transport.cassette import mismatch
from qfmagic.transport.cassette.mismatch import miss, short_difference

from .test_recording import recorded_of, recording, request_of

PATH = Path("a.qf.jsonl")


def said(request, *known, n=0, lang="en"):
    return miss(PATH, request, n, known).message(lang)


def test_mismatch_names_nearest_exchange_and_difference():
    near, far = recording("Tell me of the Great Wall", temperature=0.5), recording("Bake a cake", temperature=0.3)
    told = said(request_of("Tell me of the Great Wail", temperature=0.3), far, near)
    assert near.hash in told
    assert "temperature 0.5 → 0.3; message 1 (user) differs: “… of the Great Wa[-l-]{+i+}l”" in told
    assert "温度" not in told
    assert "temperature 0.5 → 0.3；第 1 条消息（user）不同" in said(
        request_of("Tell me of the Great Wail", temperature=0.3), far, near, lang="zh"
    )


def test_mismatch_reports_model_once():
    told = said(request_of("hi", model="ernie-5.1"), recording("hi"))
    assert "model yi_34b_chat → ernie-5.1; api v1 → v2" in told
    assert "endpoint" not in told


def test_mismatch_reports_three_differences():
    history = [Exchange.of(f"q{n}", f"a{n}") for n in range(4)]
    asked = plan_request(registry().target("yi_34b_chat"), "and now?", history=history).request
    changed = [Exchange.of(f"Q{n}", f"A{n}") for n in range(4)]
    kept = plan_request(registry().target("yi_34b_chat"), "and now?", history=changed).request
    told = said(asked, recorded_of(kept, 0, status=200, headers={}, events=[]))
    assert "message 3 (user)" in told
    assert "message 4" not in told
    assert "and 5 more" in told
    assert "9 → 1 messages" in said(request_of("and now?"), recorded_of(kept, 0, status=200, headers={}, events=[]))


def test_mismatch_reports_unset_parameter():
    assert "temperature (not set) → 0.3" in said(request_of(temperature=0.3), recording())
    assert "temperature 0.3 → （未设置）" in said(request_of(), recording(temperature=0.3), lang="zh")


def test_mismatch_reports_too_few_recordings():
    told = said(request_of(), recording(), recording(n=1), n=2)
    assert "only 2 answers to this request, which was sent 3 times" in told
    assert "has no exchanges yet" in said(request_of())


@pytest.mark.parametrize(
    ("was", "now", "shown"),
    [
        ("abc", "abd", "ab[-c-]{+d+}"),
        ("", "x", "{+x+}"),
        ("长城", "", "[-长城-]"),
        ("aa", "aaa", "aa{+a+}"),
        ("one two three", "one 2 three", "one [-two-]{+2+} three"),
        ("x" * 100 + "a" + "y" * 100, "x" * 100 + "b" + "y" * 100, f"…{'x' * 16}[-a-]{{+b+}}{'y' * 16}…"),
        ("", "z" * 100, f"{{+{'z' * 60}…+}}"),
    ],
)
def test_short_difference_marks_changes(was, now, shown):
    assert short_difference(was, now) == shown


def test_mismatch_compares_few_exchanges_closely(monkeypatch):
    compared = []

    class Counting(mismatch.SequenceMatcher):
        def ratio(self):
            compared.append(self)
            return super().ratio()

    monkeypatch.setattr(mismatch, "SequenceMatcher", Counting)
    known = [recording(f"question {number}: {chr(97 + number % 26) * 50}") for number in range(100)]
    error = miss(PATH, request_of(f"question 61: {'j' * 49}"), 0, known)
    assert recording(f"question 61: {'j' * 50}").hash in str(error)
    assert 0 < len(compared) <= mismatch.CANDIDATES
