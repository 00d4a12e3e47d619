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


def test_the_nearest_is_named_with_what_differs():
    near, far = recording("Tell me of the Great Wall", temperature=0.5), recording("Bake a cake", temperature=0.3)
    told = said(request_of("Tell me of the Great Wail", temperature=0.3), far, near)
    assert near.hash in told
    assert "temperature 0.5 → 0.3; message 1 (user) “… of the Great Wa[-l-]{+i+}l”" in told
    assert "温度" not in told
    assert "temperature 0.5 → 0.3；第 1 条消息（user）" in said(
        request_of("Tell me of the Great Wail", temperature=0.3), far, near, lang="zh"
    )


def test_a_model_that_differs_is_said_once():
    told = said(request_of("hi", model="ernie-5.1"), recording("hi"))
    assert "model yi_34b_chat → ernie-5.1; api v1 → v2" in told
    assert "endpoint" not in told


def test_of_many_differences_three_are_told():
    history = [Exchange.of(f"q{n}", f"a{n}") for n in range(4)]
    asked = plan_request(registry().target("yi_34b_chat"), "and now?", history=history).request
    changed = [Exchange.of(f"Q{n}", f"A{n}") for n in range(4)]
    kept = plan_request(registry().target("yi_34b_chat"), "and now?", history=changed).request
    told = said(asked, recorded_of(kept, 0, status=200, headers={}, events=[]))
    assert "message 3 (user)" in told
    assert "message 4" not in told
    assert "and 5 more" in told
    assert "9 → 1 messages" in said(request_of("and now?"), recorded_of(kept, 0, status=200, headers={}, events=[]))


def test_a_parameter_that_was_not_set():
    assert "temperature (not set) → 0.3" in said(request_of(temperature=0.3), recording())
    assert "temperature 0.3 → （未设置）" in said(request_of(), recording(temperature=0.3), lang="zh")


def test_one_more_time_than_it_was_recorded():
    told = said(request_of(), recording(), recording(n=1), n=2)
    assert "fewer answers to this request (2) than it is asked for (3)" in told
    assert "holds no exchange yet" in said(request_of())


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
def test_a_short_difference(was, now, shown):
    assert short_difference(was, now) == shown


def test_the_nearest_of_many_is_found_without_a_close_look_at_each(monkeypatch):
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
