"""Messages hold text or parts, in the forms of the Python API and of the service's pages."""

import doctest

import pytest

from qfmagic.core import messages as module
from qfmagic.core.context import Dialogue, Exchange, Size, choose_context
from qfmagic.core.errors import PromptError
from qfmagic.core.messages import Message, TextPart, as_messages, text_of
from qfmagic.core.models import ModelLimits, registry
from qfmagic.core.plan import plan_request

V1, V2 = registry().target("yi_34b_chat"), registry().target("ernie-5.1")
PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def dialogue(roles):
    """Messages with these roles by their first letters."""
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [Message(names[role], f"{role}{number}") for number, role in enumerate(roles)]


def bodies(plan):
    return [message["content"] for message in plan.request.body["messages"]]


def test_module_examples_hold():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    "prompt",
    [
        "hi",
        Message("user", "hi"),
        {"role": "user", "content": "hi"},
        [Message("user", "hi")],
        [{"role": "user", "content": "hi"}],
        iter([{"role": "user", "content": "hi"}]),
    ],
    ids=["text", "message", "dict", "messages", "dicts", "iterator"],
)
def test_as_messages_takes_every_form(prompt):
    assert as_messages(prompt) == (Message("user", "hi"),)


def test_as_messages_takes_messages_and_dicts_together():
    assert as_messages([Message("user", "a"), {"role": "assistant", "content": "b"}]) == (
        Message("user", "a"),
        Message("assistant", "b"),
    )


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (None, "NoneType"),
        (5, "int"),
        (b"hi", "bytes"),
        ([None], "type NoneType"),
        (["hi"], "type str"),
        ({"role": "user"}, "'content'"),
        ({"content": "hi"}, "'role'"),
        ({"role": "user", "text": "hi"}, "Unknown message key 'text'.*role, content"),
        ({"role": "human", "content": "hi"}, "role='human'.*system, user, assistant, tool"),
        ({"role": None, "content": "hi"}, "role=None"),
        ({"role": "user", "content": None}, "NoneType"),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": 7}], "int"),
    ],
    ids=str,
)
def test_as_messages_refuses_other_forms(prompt, said):
    with pytest.raises(PromptError, match=said) as caught:
        as_messages(prompt)
    assert caught.value.message("zh")


@pytest.mark.parametrize("content", [None, b"hi", 7, 1.5, {"type": "text", "text": "a"}, [], (), {"a"}], ids=str)
def test_message_refuses_content_that_is_neither_text_nor_parts(content):
    with pytest.raises(PromptError, match=f"content of type {type(content).__name__}"):
        Message("user", content)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("a", r"list\[str\]"),
        (None, r"list\[NoneType\]"),
        ({"text": "a"}, "type=None.*text"),
        ({"type": "image_url", "image_url": {"url": "https://a.example"}}, "type='image_url'.*text"),
        ({"type": ["text"]}, "type="),
        ({"type": "text"}, "NoneType"),
        ({"type": "text", "text": 7}, "int"),
    ],
    ids=str,
)
def test_message_refuses_unknown_parts(part, said):
    with pytest.raises(PromptError, match=said):
        Message("user", [{"type": "text", "text": "a"}, part])


def test_message_has_its_parts_as_values():
    message = Message("user", PARTS)
    assert message == Message("user", (TextPart("a"), TextPart("b")))
    assert message.content == (TextPart("a"), TextPart("b"))
    assert message.as_dict() == {"role": "user", "content": PARTS}
    assert message.text == text_of(PARTS) == "a\n\nb"
    assert hash(message) == hash(Message("user", tuple(PARTS)))


def test_message_of_text_keeps_its_text():
    message = Message("user", "hi")
    assert (message.content, message.text) == ("hi", "hi")
    assert message.as_dict() == {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("content", "blank"),
    [("", True), (" \n\r\f", True), ("a", False), ([TextPart(" ")], True), ([TextPart(" "), TextPart("a")], False)],
    ids=str,
)
def test_message_is_blank_without_visible_text(content, blank):
    assert Message("user", content).blank is blank


def test_message_gets_one_more_paragraph():
    assert Message("user", "a \n").with_paragraph("b") == Message("user", "a\n\nb")
    assert Message("user", PARTS[:1]).with_paragraph("b") == Message("user", PARTS)


@pytest.mark.parametrize(
    ("content", "text"),
    [("hi", "hi"), (None, ""), (7, ""), ([None, {"text": 7}, {"text": "a"}, {"image_url": {}}], "a")],
    ids=str,
)
def test_text_of_reads_content_of_any_form(content, text):
    assert text_of(content) == text


# ---- messages as a prompt


@pytest.mark.parametrize(
    ("roles", "divided"),
    [
        ("", ("", [], "")),
        ("u", ("", [], "u")),
        ("uau", ("", ["ua"], "u")),
        ("uauau", ("", ["ua", "ua"], "u")),
        ("uu", ("", [], "uu")),
        ("uuau", ("", ["uua"], "u")),
        ("uauu", ("", ["ua"], "uu")),
        ("ua", ("", [], "ua")),
        ("uaua", ("", ["ua"], "ua")),
        ("uaa", ("", [], "uaa")),
        ("s", ("", [], "s")),
        ("su", ("s", [], "u")),
        ("ssuau", ("ss", ["ua"], "u")),
        ("uasu", ("", ["ua"], "su")),
        ("uatau", ("", ["uata"], "u")),
        ("uauat", ("", ["ua"], "uat")),
        ("auau", ("", ["a", "ua"], "u")),
    ],
)
def test_dialogue_is_divided_into_whole_exchanges(roles, divided):
    messages = dialogue(roles)
    found = Dialogue.of(messages)
    shown = [[message.role[0] for message in one] for one in (found.instructions, found.question)]
    exchanges = ["".join(message.role[0] for message in one.messages) for one in found.exchanges]
    assert ("".join(shown[0]), exchanges, "".join(shown[1])) == divided
    inner = [message for exchange in found.exchanges for message in exchange.messages]
    assert [*found.instructions, *inner, *found.question] == messages


def test_exchange_has_the_texts_of_its_question_and_answer():
    assert Exchange(tuple(dialogue("uuata"))).prompt == "u0\n\nu1"
    assert Exchange(tuple(dialogue("uuata"))).answer == "a4"
    assert Exchange.of("a", "b") == Exchange((Message("user", "a"), Message("assistant", "b")))
    assert Exchange.of("ab c", "长城").size == Size(6, 3)


def test_context_drops_whole_exchanges_and_keeps_the_instructions():
    messages = dialogue("suatauau")
    context = choose_context([Exchange.of("old", "older")], messages, system=None, limits=ModelLimits(), policy=1)
    assert [message.text for message in context.messages] == ["s0", "u5", "a6", "u7"]
    assert (context.sent, context.available) == (1, 3)


def test_context_measures_the_instructions_where_the_model_counts_them():
    messages = [Message("system", "s" * 20), *dialogue("u")]
    assert choose_context([], messages, system=None, limits=ModelLimits(max_chars=30)).size.chars == 2
    limits = ModelLimits(max_chars=30, system_counts=True)
    assert choose_context([], messages, system=None, limits=limits).size.chars == 22


def test_plan_refuses_a_broken_rule_even_where_the_history_is_not_sent():
    with pytest.raises(PromptError, match="Message 1"):
        plan_request(V1, dialogue("auau"), policy="none")


def test_plan_sends_instructions_before_the_history():
    plan = plan_request(V2, dialogue("su"), history=[Exchange.of("q", "a")])
    assert bodies(plan) == ["s0", "q", "a", "u1"]


@pytest.mark.parametrize("target", [V1, V2], ids=["v1", "v2"])
def test_plan_refuses_a_blank_prompt(target):
    for prompt in (" \n", [], {"role": "user", "content": [{"type": "text", "text": " "}]}):
        with pytest.raises(PromptError, match="Empty prompt"):
            plan_request(target, prompt)


def test_plan_replaces_half_characters_in_every_message():
    half = "a\ud83d"
    messages = [Message("user", half), Message("assistant", half), Message("user", [TextPart(half)])]
    assert bodies(plan_request(V1, messages)) == ["a\ufffd"] * 3
    assert bodies(plan_request(V1, half)) == ["a\ufffd"]
    assert len(plan_request(V2, messages).request.hash) == 16
