"""How alike answers are, and what they come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.analysis.compare import Compared, agreement, likeness, records, summaries, words
from qfmagic.core.answer import Answer
from qfmagic.core.errors import ConnectError
from qfmagic.core.usage import Usage

FAILED = ConnectError("option.quote", name="x")


def said(model, text, n=1, problem=None, usage=Usage(3, 5, 8)):  # noqa: B008 - a value
    return Compared(model, n, Answer(text, usage, seconds=2.0), problem)


def test_words_of_any_language_without_case_and_punctuation():
    assert words("The Great-Wall, 长城!  is_long. 2.5") == ("the", "great", "wall", "长", "城", "is", "long", "2", "5")
    assert words("?! —") == ()


@pytest.mark.parametrize(
    ("one", "other", "like"),
    [("Yes.", "yes", 1.0), ("yes", "no", 0.0), ("a b", "b c", 0.5), ("a a", "a", 2 / 3), ("", "", 1.0), ("a", "", 0.0)],
)
def test_likeness(one, other, like):
    assert likeness(words(one), words(other)) == pytest.approx(like)


@given(st.text(), st.text())
def test_likeness_is_symmetric_between_0_and_1_and_1_for_the_same(one, other):
    found = likeness(words(one), words(other))
    assert found == likeness(words(other), words(one))
    assert 0 <= found <= 1
    assert likeness(words(one), words(one)) == 1


def test_each_answer_is_compared_with_those_of_other_models():
    agreed = agreement([said("a", "yes"), said("a", "no", 2), said("b", "Yes!")])
    assert agreed.each == (1.0, 0.0, 0.5)
    assert (agreed.same, agreed.pairs) == (1, 3)


def test_one_model_is_compared_with_itself():
    assert agreement([said("a", "yes"), said("a", "yes", 2), said("a", "no", 3)]).each == (0.5, 0.5, 0.0)


def test_what_is_missing_is_compared_with_nothing():
    agreed = agreement([said("a", "yes"), said("b", " ", problem=FAILED)])
    assert (agreed.each, agreed.same, agreed.pairs) == ((None, None), 0, 0)
    assert agreement([]).each == ()


def test_what_a_models_answers_come_to():
    compared = [said("a", "four"), said("a", "eighty", 2), said("b", "", problem=FAILED), said("c", "x", usage=Usage())]
    a, b, c = summaries(compared, (1.0, 0.5, None, None))
    assert a == ("a", 2, 2, 5, 6, 10, ("stop",), 0.75, 4.0)
    assert b == ("b", 1, 0, None, None, None, ("ConnectError",), None, 2.0)
    assert (c.prompt_tokens, c.completion_tokens) == (None, None)


def test_the_answers_as_data():
    compared = [said("a", "yes")._replace(row=0, index=7), said("b", "", problem=FAILED)]
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
