"""History is whole turns, in order, within the limit, whatever happened to the turns."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core import conversation as turns
from qfmagic.core.answer import Answer
from qfmagic.core.context import Exchange, Size, choose_context, measure, parse_policy
from qfmagic.core.conversation import Conversation
from qfmagic.core.errors import ContextLengthError, OptionError
from qfmagic.core.messages import Message
from qfmagic.core.models import ModelLimits, registry
from qfmagic.core.plan import plan_request
from qfmagic.core.wire import check_messages

LIMITS = ModelLimits(max_chars=30)


def history(*lengths):
    return [Exchange.of("q" * n, "a" * n) for n in lengths]


def choose(exchanges, prompt="p", **options):
    return choose_context(exchanges, prompt, **{"system": None, "limits": LIMITS, **options})


OUTCOMES = st.tuples(
    st.text(min_size=1).filter(str.strip),
    st.sampled_from(["stop", "length", "interrupted", "incomplete", "failed"]),
    st.text(),
)


@given(st.lists(OUTCOMES), st.text(min_size=1).filter(str.strip), st.sampled_from(["all", "none", 0, 1, 3]))
def test_context_messages_alternate_for_any_conversation(outcomes, prompt, policy):
    conversation = Conversation()
    for question, finish, text in outcomes:
        if finish != "failed":  # a failed request never becomes a turn
            conversation = conversation.add(question, Answer(text, finish_reason=finish))
    context = choose_context(conversation.history, prompt, system=None, limits=ModelLimits(), policy=policy)
    check_messages("v1", context.messages)
    assert context.messages[-1] == Message("user", prompt)
    kept = [q for q, f, t in outcomes if f in ("stop", "length") and t.strip()]
    assert [m.content for m in context.messages[:-1:2]] == (
        kept[-policy:] if isinstance(policy, int) and policy else kept if policy == "all" else []
    )


@given(st.lists(st.integers(1, 12)), st.integers(1, 30))
def test_context_truncates_whole_turns_oldest_first(lengths, size):
    exchanges = history(*lengths)
    context = choose(exchanges, "p" * size)
    assert context.size.chars <= 30
    assert context.available == len(lengths)
    kept = exchanges[len(exchanges) - context.sent :]
    assert [m.content for m in context.messages[:-1]] == [t for e in kept for t in (e.prompt, e.answer)]
    if context.sent < len(lengths):  # the next older one would not have fitted
        assert context.size.chars + 2 * lengths[-context.sent - 1] > 30
    assert context.cut == (context.sent < context.available)


def test_context_rejects_prompt_over_limit_with_size():
    assert choose([], "p" * 30).size == Size(30, 1)
    with pytest.raises(ContextLengthError, match=r"31 characters \(limit 30\)"):
        choose([], "p" * 31)


def test_context_counts_tokens_where_limited():
    limits = registry().models["ernie-char-fiction-8k"].limits
    assert choose_context([], "长" * 9829, system=None, limits=limits).size.tokens == 6143
    with pytest.raises(ContextLengthError, match="limit 6144"):
        choose_context([], "长" * 9833, system=None, limits=limits)


def test_context_counts_system_where_required():
    counting = ModelLimits(max_chars=30, system_counts=True)
    assert choose(history(5), "p" * 10, system="s" * 10).sent == 1
    assert choose(history(6), "p" * 10, system="s" * 10, limits=counting).sent == 0
    with pytest.raises(ContextLengthError, match=r"with the system prompt.*31 characters \(limit 30\)\. "):
        choose([], "p" * 21, system="s" * 10, limits=counting)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("hello world", 2), ("长城", 1), ("介绍下长城 please", 4), ("a_b-c", 3)]
)
def test_measure_estimates_tokens_like_sdk(text, tokens):
    assert measure(text).tokens == tokens


@pytest.mark.parametrize(("written", "policy"), [("all", "all"), ("none", "none"), ("3", 3), (0, 0)])
def test_parse_policy_accepts_names_and_counts(written, policy):
    assert parse_policy(written) == policy


@pytest.mark.parametrize("written", ["some", "-1", -1, True, None, "²"])
def test_parse_policy_rejects_invalid_value(written):
    with pytest.raises(OptionError, match="context="):
        parse_policy(written)


def test_turn_hash_includes_parent():
    first = Conversation().add("a", Answer("b"))
    second = first.add("c", Answer("d"))
    other = Conversation().add("a", Answer("B")).add("c", Answer("d"))
    assert second.turns[1].parent == first.turns[0].hash == first.head
    assert second.turns[1].hash != other.turns[1].hash
    assert Conversation().head is None


def test_conversation_keeps_partial_turn_out_of_history():
    conversation = Conversation().add("a", Answer("b")).add("c", Answer("d", finish_reason="interrupted"))
    assert [turn.state for turn in conversation.turns] == ["answered", "interrupted"]
    assert [e.prompt for e in conversation.history] == ["a"]
    assert conversation.add("e", Answer("f")).turns[2].parent == conversation.turns[0].hash


def test_answer_repr_is_short():
    answer = Answer("x" * 100, model="m", seconds=1.5)
    assert repr(answer) == f"Answer({'x' * 57 + '...'!r}, model='m', finish_reason='stop')"
    assert str(answer) == "x" * 100
    assert answer.complete
    assert Answer("x", finish_reason="length").truncated


def test_plan_contains_request_and_context():
    plan = plan_request(registry().target("yi_34b_chat"), "hi", history=history(3), parameters={"top_p": 0.5})
    assert len(plan.request.body["messages"]) == 3
    assert (plan.context.sent, plan.request.parameters) == (1, {"top_p": 0.5})


def test_turns_docstring_examples_pass():
    assert doctest.testmod(turns).failed == 0
