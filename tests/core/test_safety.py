"""Which turns leave the history when the service's safety check flags one, and what of an answer may be shown."""

import pytest

from qfmagic.core.answer import Answer, Delta
from qfmagic.core.conversation import Conversation
from qfmagic.core.safety import flagged_rounds
from qfmagic.core.wire import Accumulator

ROUNDS = [4, 5, 7, 9]  # as the caller numbers them


@pytest.mark.parametrize(
    ("said", "leaving"),
    [
        ({"flag": 0}, ()),
        ({"flag": 1, "ban_round": 2}, ()),
        ({"flag": 2}, (9,)),
        ({"flag": 3, "ban_round": -1}, (9,)),
        ({"flag": 2, "ban_round": 1}, (4, 5, 9)),  # counted from 1, or from 0
        ({"flag": 4, "ban_round": 0}, (4, 9)),
        ({"flag": 2, "ban_round": 4}, (9,)),
        ({"flag": 2, "ban_round": 5}, None),
        ({"flag": 2, "ban_round": -2}, None),
        ({"clears": True, "ban_round": -1}, (9,)),
        ({"clears": True, "ban_round": 2}, (5, 9)),
        ({"clears": True, "ban_round": 4}, (9,)),
        ({"clears": True, "ban_round": 0}, None),
        ({"clears": True}, None),
        ({"clears": True, "flag": 3}, None),
    ],
)
def test_flagged_rounds_leave_the_history(said, leaving):
    given = {"flag": 0, "clears": False, "ban_round": None} | said
    assert flagged_rounds(ROUNDS, **given) == leaving


def test_flagged_turns_leave_the_history():
    chat = Conversation().add("a", Answer("1")).add("b", Answer("2")).add("c", Answer("3"))
    assert [turn.removed for turn in chat.add("d", Answer("4", flag=2)).turns] == [None, None, None, "flagged"]
    assert [one.prompt for one in chat.add("d", Answer("4", flag=2, ban_round=1)).history] == ["c"]
    assert [one.prompt for one in chat.add("d", Answer("4", flag=1)).history] == ["a", "b", "c", "d"]
    assert chat.add("d", Answer("4", need_clear_history=True)).history == ()


def test_ban_round_counts_from_the_fresh_start():
    chat = Conversation().add("a", Answer("1")).add("b", Answer("2"))
    chat = Conversation(turns=(chat.turns[0], fresh(chat.turns[1])))
    asked = chat.add("c", Answer("3", need_clear_history=True, ban_round=1))
    assert [turn.removed for turn in asked.turns] == [None, "flagged", "flagged"]
    alone = Conversation(turns=(chat.turns[0], fresh(asked.turns[2])))
    assert [turn.removed for turn in alone.without_flagged(1).turns] == [None, "flagged"]


def fresh(turn):
    return type(turn)(turn.prompt, turn.answer, fresh=True, id=turn.id)


def test_withheld_text_is_kept_but_not_shown():
    answer = Answer("secret", flag=3)
    assert (answer.text, answer.shown, str(answer), answer.withheld) == ("secret", "", "", True)
    assert "secret" not in repr(answer)
    assert not Conversation().add("a", answer).turns[0].in_history
    restored = Conversation().add("a", answer).restore(0)
    assert restored.history == ()
    assert Answer("fine", flag=2).shown == "fine"
    assert Answer("f***", finish_reason="content_filter").filtered


def test_accumulator_withdraws_its_text_once():
    collector = Accumulator(streamed=True)
    collector.add_content("secret")
    assert collector.take().text == "secret"
    collector.flag = 4
    collector.add_content(" more")
    assert collector.take() == Delta(takes_back="all")
    assert collector.take() is None
    silent = Accumulator(streamed=True, flag=3)
    silent.add_content("secret")
    assert silent.take() == Delta(takes_back="all")
    assert silent.take() is None
