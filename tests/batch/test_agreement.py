"""How alike answers are, and what they come to."""

from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.batch.agreement import Compared, Wording, agreement, records, summaries
from qfmagic.core.answer import Answer
from qfmagic.core.errors import ConnectError
from qfmagic.core.usage import Usage

FAILED = ConnectError("option.quote", name="x")


def said(model, text, n=1, problem=None, usage=Usage(3, 5, 8)):  # noqa: B008 - a value
    return Compared(model=model, n=n, answer=Answer(text, usage, seconds=2.0), problem=problem)


def words(text):
    return tuple(Wording.of(text).words.elements())


def likeness(one, other):
    return Wording.of(one).likeness(Wording.of(other))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Great-Wall, 长城!  is_long.", "the great wall 长 城 is long"),
        ("2.5 v1.2 3x -5 7-5 1.", "2.5 v1 2 3x -5 7 5 1"),
        ("x != 3 > 2 #1 C# **b** | c", "x ! = 3 > 2 1 c # b c"),
        ("カタカナ です 안녕 𠀀", "カ タ カ ナ で す 안 녕 𠀀"),
        ("👍🇨🇳 ❤\ufe0f", "👍 🇨🇳 ❤"),
        ("?! —…", ""),
    ],
)
def test_words_split_any_language_without_case_and_punctuation(text, found):
    assert sorted(words(text)) == sorted(found.split())


@pytest.mark.parametrize(
    ("one", "other", "like"),
    [
        ("Yes.", "yes", 1.0),
        ("yes", "no", 0.0),
        ("a b", "b c", 0.5),
        ("a a", "a", 2 / 3),
        ("", "", 1.0),
        ("a", "", 0.0),
        ("!", "?", 0.0),
        ("👍", "👎", 0.0),
        ("-5", "5", 0.0),
        ("1.5", "5.1", 0.0),
        ("C++", "C", 0.5),
        ("> 3", "< 3", 0.5),
        ("$5", "5%", 0.5),
        ("カタカナ です", "カタカナです", 1.0),
        ("안녕 하세요", "안녕하세요", 1.0),
        ("e\u0301t\u00e9", "\u00e9te\u0301", 1.0),
    ],
)
def test_likeness_compares_words(one, other, like):
    assert likeness(one, other) == pytest.approx(like)


@given(st.text(), st.text())
def test_likeness_is_symmetric_and_bounded(one, other):
    found = likeness(one, other)
    assert found == likeness(other, one)
    assert 0 <= found <= 1
    assert likeness(one, one) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Yes!", "yes.", True),
        ("the  wall\n", "The wall", True),
        ("C++", "C", False),
        ("-5", "5", False),
        ("b a", "a b", False),
        ("good?", "good", False),
        ("!", ".", False),
        ("👍", "👎", False),
    ],
)
def test_agreement_same_ignores_case_and_punctuation(one, other, same):
    assert agreement([said("a", one), said("b", other)]).same == same


def test_agreement_compares_answers_of_different_models():
    agreed = agreement([said("a", "yes"), said("a", "no", 2), said("b", "Yes!")])
    assert agreed.each == (1.0, 0.0, 0.5)
    assert (agreed.same, agreed.pairs) == (1, 3)


def test_agreement_of_one_model_compares_its_own_answers():
    assert agreement([said("a", "yes"), said("a", "yes", 2), said("a", "no", 3)]).each == (0.5, 0.5, 0.0)


def test_agreement_skips_missing_answers():
    agreed = agreement([said("a", "yes"), said("b", " ", problem=FAILED)])
    assert (agreed.each, agreed.same, agreed.pairs) == ((None, None), 0, 0)
    assert agreement([]).each == ()


def test_summaries_total_each_model():
    failed = said("b", "", problem=FAILED, usage=Usage())
    compared = [said("a", "four"), said("a", "eighty", 2), failed, said("c", "x", usage=Usage())]
    a, b, c = summaries(compared, (1.0, 0.5, None, None))
    assert astuple(a) == ("a", 2, 2, 5, 6, 10, ("stop",), 0.75, 4.0)
    assert astuple(b) == ("b", 1, 0, None, None, None, ("ConnectError",), None, 2.0)
    assert (c.prompt_tokens, c.completion_tokens) == (None, None)


def test_summaries_count_usage_of_answers_without_text():
    unasked = Compared(model="a", n=2, answer=Answer("", finish_reason=""))
    (summary,) = summaries([said("a", ""), unasked, said("a", "", 3, FAILED, Usage())], (None,) * 3)
    assert (summary.answered, summary.asked, summary.prompt_tokens, summary.completion_tokens) == (0, 3, 3, 5)
    assert summary.finish == ("stop", "ConnectError")
    assert records([unasked], (None,))[0]["finish"] is None


def test_records_list_answers_as_data():
    compared = [replace(said("a", "yes"), row=0, index=7), said("b", "", problem=FAILED)]
    first, second = records(compared, (0.123456, None))
    assert first == {
        "index": 7,
        "model": "a",
        "n": 1,
        "answer": "yes",
        "error": None,
        "finish": "stop",
        "characters": 3,
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "seconds": 2.0,
        "agreement": 0.1235,
        "id": None,
    }
    assert (second["answer"], second["finish"]) == (None, "ConnectError")
    assert second["error"] == FAILED.message("en")
