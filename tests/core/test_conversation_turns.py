"""Turns are replaced in place, left out and brought back; what followed is marked; nothing is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.answer import Answer
from qfmagic.core.conversation import Conversation, Turn, chain_of
from qfmagic.core.serialization import turn_from_record, turn_to_record
from qfmagic.core.usage import Usage


def turn(conversation, prompt, text, at=None, *, cell=None, place=0, window=None, state="answered", fresh=False):
    at = len(conversation.turns) if at is None else at
    history = conversation.before(at)
    sent = history if window is None else history[len(history) - window :]
    return Turn(prompt, Answer(text), state, cell, place, window, None if fresh else chain_of(sent), fresh)


def build(*names):
    conversation = Conversation()
    for name in names:
        conversation = conversation.put(turn(conversation, name, name.upper(), cell=name), len(conversation.turns))
    return conversation


def prompts(conversation):
    return [exchange.prompt for exchange in conversation.history]


def test_put_replaces_turn_and_marks_later_ones_stale():
    conversation = build("a", "b", "c")
    changed = conversation.put(turn(conversation, "a2", "A2", 0, cell="a"), 0, over=True)
    assert prompts(changed) == ["a2", "b", "c"]
    assert changed.stale == {1, 2}
    again = changed.put(turn(changed, "b", "B", 1, cell="b"), 1, over=True)
    assert again.stale == {2}
    assert again.put(turn(again, "c", "C", 2), 2, over=True).stale == frozenset()
    assert [version.prompt for version in changed.turns[0].versions] == ["a"]
    assert conversation.stale == frozenset()


def test_put_of_same_answer_changes_no_later_turn():
    conversation = build("a", "b")
    assert conversation.put(turn(conversation, "a", "A", 0, cell="a"), 0, over=True).stale == frozenset()


def test_put_between_marks_later_turns_stale():
    conversation = build("a", "b")
    assert conversation.put(turn(conversation, "x", "X", 1), 1).stale == {2}


def test_mark_removes_turn_and_restore_returns_it():
    conversation = build("a", "b", "c")
    without = conversation.mark(1, "dropped")
    assert prompts(without) == ["a", "c"]
    assert without.stale == {2}
    assert without.restore(1) == conversation
    assert without.restore(1).stale == frozenset()


def test_restore_cycles_through_versions():
    conversation = build("a")
    for text in ("2", "3"):
        conversation = conversation.put(turn(conversation, "a", text, 0), 0, over=True)
    seen = []
    for _ in range(4):
        seen.append(conversation.turns[0].answer.text)
        conversation = conversation.restore(0)
    assert seen == ["3", "2", "A", "3"]
    assert build("a").restore(0) == build("a")


def test_stale_considers_context_window():
    conversation = build("a", "b")
    conversation = conversation.put(turn(conversation, "c", "C", window=1), 2)
    conversation = conversation.put(turn(conversation, "d", "D", window=0), 3)
    assert conversation.put(turn(conversation, "a", "other", 0), 0, over=True).stale == {1}
    assert conversation.put(turn(conversation, "b", "other", 1), 1, over=True).stale == {2}


def test_fresh_turn_drops_earlier_history():
    conversation = build("a", "b")
    conversation = conversation.put(turn(conversation, "c", "C", fresh=True), 2)
    conversation = conversation.put(turn(conversation, "d", "D"), 3)
    assert prompts(conversation) == ["c", "d"]
    assert [e.prompt for e in conversation.before(2)] == ["a", "b"]
    assert conversation.put(turn(conversation, "a", "other", 0), 0, over=True).stale == {1}


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_failed_and_interrupted_turns_keep_place_out_of_history(state):
    conversation = build("a", "b")
    changed = conversation.put(turn(conversation, "b", "partial", 1, state=state), 1, over=True)
    assert prompts(changed) == ["a"]
    assert changed.restore(1).history == conversation.history


def test_put_keeps_turn_ids():
    conversation = build("a", "b")
    changed = conversation.put(turn(conversation, "x", "X", 0), 0).put(turn(conversation, "a", "new", 1), 1, over=True)
    assert [t.id for t in changed.turns] == [3, 1, 2]


def test_place_for_finds_place_of_new_turn():
    conversation = build("a", "c")
    assert conversation.place_for("b") == 2
    assert conversation.place_for("b", ["a", "b", "c"]) == 1
    assert conversation.place_for("d", ["a", "b", "c", "d"]) == 2
    assert conversation.place_for("a", ["c", "a"]) == 1  # behind its own
    assert conversation.place_for(None, ["a"]) == 2
    assert conversation.find("c", 0) == 1
    assert conversation.find("c", 1) is None
    assert conversation.find(None, 0) is None


def test_fork_shares_earlier_turns():
    conversation = build("a", "b")
    conversation = conversation.put(turn(conversation, "a", "other", 0), 0, over=True)
    assert conversation.fork("x", 1).turns == conversation.turns[:1]
    assert conversation.fork("x").stale == {1}
    assert conversation.fork("x").name == "x"


def test_turn_answer_stores_no_messages():
    for messages in ([1], [], "ab", None):
        request = {"messages": messages, "stream": True}
        assert Conversation().add("a", Answer("b", request=request)).turns[0].answer.request == {"stream": True}
    system = {"role": "system", "content": "be brief"}
    request = {"messages": [system, {"role": "user", "content": "a"}], "stream": True}
    kept = Conversation().add("a", Answer("b", request=request)).turns[0].answer.request
    assert kept == {"messages": [system], "stream": True}  # the persona is no turn before it


EDITS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"), st.integers(0, 9), st.sampled_from("xyz"), st.sampled_from([None, 0, 1, 2]), st.booleans()
        ),
        st.tuples(
            st.just("over"), st.integers(0, 9), st.sampled_from("xyz"), st.sampled_from([None, 0, 1, 2]), st.booleans()
        ),
        st.tuples(st.sampled_from(["dropped", "back"]), st.integers(0, 9)),
        st.tuples(st.just("restore"), st.integers(0, 9)),
    ),
    max_size=25,
)


@given(EDITS)
def test_conversation_caches_match_its_turns(edits):
    conversation = Conversation()
    for kind, where, *rest in edits:
        count = len(conversation.turns)
        if kind == "put":
            at = min(where, count)
            window = None if rest[1] is None else min(rest[1], len(conversation.before(at)))
            conversation = conversation.put(turn(conversation, rest[0], rest[0], at, window=window, fresh=rest[2]), at)
        elif count:
            at = where % count
            if kind == "over":
                conversation = conversation.put(
                    turn(conversation, rest[0], rest[0] * 2, at, fresh=rest[2]), at, over=True
                )
            elif kind == "restore":
                conversation = conversation.restore(at)
            else:
                conversation = conversation.mark(at, "dropped" if kind == "dropped" else None)
    anew = Conversation(conversation.name, conversation.turns)
    assert anew.chains == conversation.chains
    assert anew.stale == conversation.stale
    assert conversation.head == chain_of(conversation.history)


def test_turn_record_round_trips():
    full = Answer(
        " a\u2028",
        Usage(1, None, 3),
        "m",
        "id",
        "length",
        {"stream": True, "stop": ["x"]},
        1.5,
        "想",
        "v1",
        "e",
        5,
        "stub",
        need_clear_history=True,
        ban_round=-1,
        headers={"x": "1"},
        extra={"k": [1]},
    )
    conversation = Conversation().put(Turn("q", full, cell="c", place=1, window=2, parent="p", fresh=True), 0)
    conversation = conversation.put(Turn("q2", Answer("b"), "interrupted"), 0, over=True).mark(0, "gone")
    kept = conversation.turns[0]
    assert turn_from_record(json.loads(json.dumps(turn_to_record(kept)))) == kept


@pytest.mark.parametrize(
    "record",
    [{}, {"version": 2}, {"version": 1}, {"version": 1, "answer": {"usage": {}}}, {"version": 1, "answer": None}],
)
def test_turn_from_record_rejects_invalid_record(record):
    with pytest.raises(ValueError):
        turn_from_record(record)


def test_label_shows_the_execution_count():
    assert Turn("q", Answer("a"), count=7).label == "In 7"
    assert Turn("q", Answer("a")).label == ""
