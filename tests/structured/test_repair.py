"""Answers that must fit a schema: found in what models write, asked for again, and nothing of them lost."""

import asyncio
import json
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic import Message, Qianfan, QianfanError, Schema, SchemaError, Settings, aextract, extract
from qfmagic.core.answer import Answer
from qfmagic.core.conversation import Turn
from qfmagic.core.errors import OptionError, RateLimitError
from qfmagic.core.i18n import text
from qfmagic.core.models import registry
from qfmagic.core.serialization import turn_from_record, turn_to_record
from qfmagic.structured.reading.json_in_text import NoJSON, found_json
from qfmagic.structured.repair import ask_structured, check_repairs, exchanges, language_of, question_of, room_in
from qfmagic.testing.scripted import ScriptedTransport
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply

SCHEMA = Schema.of("name str, score float")
GOOD = '{"name": "a", "score": 0.5}'
VALUE = {"name": "a", "score": 0.5}


# ---- finding JSON in what models write


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f" \n{GOOD}\n",
        f"\ufeff{GOOD}",
        f"```json\n{GOOD}\n```",
        f"Sure, here you are:\n\n```\r\n{GOOD}\r\n```\r\nAnything else?",
        f"~~~\n{GOOD}\n~~~",
        f"```python\nprint(1)\n```\n\n```json\n{GOOD}\n```",
        f"```\n42\n```\n{GOOD}",
        f"好的，结果如下：{GOOD}。希望有帮助！",
        f"See [1] and {{this}} and {{}}: {GOOD}",
        f"{GOOD}\n\n{GOOD}",
        f'First {{"name": "a"}}, then {GOOD}.',
        '{"name": "a", "score": "0.5", "more": [1, {"name": "b"}]}',
        '{"name": "a", "score": 0.5, "text": "line\nbreak and ``` and {"}',
        f'{GOOD}\n\n{{"name": "a", "score": 0.5, "more": 1}} {{"name": "a", "score": "0.50"}}',
        "{x} " * 5000 + GOOD,
        f'The form is {{"name": ..., "score": [{{"a": 1}}, oops]}}, so: {GOOD}',
        'The form is {"name": "...", "score": 0..1}, so: ' + GOOD,
        f"The form is {{\"name\": 'x'}}, so:\n```json\n{GOOD}\n```",
        f"```python\n[1, 2]\n```\n{GOOD}",
        f'The input:\n```json\n{{"text": "x"}}\n```\nThe answer: {GOOD}',
    ],
)
def test_parse_finds_json_in_surrounding_text(said):
    assert SCHEMA.parse(said) == VALUE


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "holds no JSON"),
        ("No.", "holds no JSON"),
        ("{this} [1] {}", "holds no JSON"),
        ("[1, 2]", "Input should be an object"),
        ('{"name": "a"}', "score: Field required"),
        ('{"name": "a", "score": "high"}', "(got 'high')"),
        ('{"name": "a", "score": NaN}', "NaN is not JSON"),
        ('{"name": "a", "score": -Infinity}', "Infinity is not JSON"),
        ('{"name": "a", "score": "NaN"}', "finite number"),
        ('{"name": "a", "score": 1e999}', "1e999 is too large"),
        ('{"name": "a", "score": ' + "9" * 5000 + "}", "is too large"),
        ('{"name": "a", "name": "b", "score": 1}', "'name' occurs twice"),
        ('{"name": "\\ud800", "score": 1}', "surrogates"),
        ('{"name": "a", "score": 0.5', "can't be read"),
        ('{"a": {"name": "a", "score": 0.5}, "b": ', "can't be read"),
        (f'{{"a": {GOOD}, "b": oops}}', "can't be read"),
        (f'Here: {{"a": oops, "b": {GOOD}}}', "can't be read"),
        (f"```json\n[{GOOD}, {GOOD}]\n```", "should be an object"),
        ('Here: {"a": {"name": "a", "score": 0.5}, "b": ', "can't be read"),
        (f'{GOOD} or {{"name": "b", "score": 1}}', "2 different JSON values"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"name": ' + "[" * 500 + "]" * 500 + ', "score": 1}', "nested too deeply"),
        ("{" * 100_000, "holds no JSON"),
        ("{} " * 100_000, "holds no JSON"),
        ("x {x " * 100_000, "holds no JSON"),
        ("```" * 50_000, "holds no JSON"),
        ("```a\n" * 20_000, "holds no JSON"),
        ("~~~a\n" * 5_000 + "```b\n" * 5_000, "holds no JSON"),
        ('```json\n{"name": 1', "can't be read"),
        ('{"name": "\x1b[31mred", "score": "\x1b[0m"}', r"\x1b[0m"),
    ],
)
def test_parse_reports_mismatch(said, told):
    with pytest.raises(SchemaError) as caught:
        SCHEMA.parse(said)
    assert told in caught.value.message("en")
    assert len(caught.value.message("en")) < 1000
    assert caught.value.message("zh")


def test_parse_time_is_linear():
    fields = ",".join(f'"k{n}":1' for n in range(40_000))
    texts = [
        f'{{{fields},"k39999":2}}',
        '{"a" x} ' * 60_000,
        '{"a": {"a' * 60_000,
        '{"\\"' + '\\"' * 200_000,
        "[1 " * 200_000,
    ]
    started = time.process_time()
    for said in texts:
        for schema in (SCHEMA, Schema.of(list[int])):
            with pytest.raises(SchemaError):
                schema.parse(said)
    assert time.process_time() - started < 10


def test_parse_bounds_reported_faults():
    with pytest.raises(SchemaError, match="and 7 more"):
        Schema.of(", ".join(f"f{n} int" for n in range(12))).parse("{}")


def test_parse_finds_number():
    schema = Schema.of({"type": "integer"})
    assert [schema.parse(said) for said in ("42", "```json\n42\n```", "Sure:\n```\n42\n```")] == [42, 42, 42]


def test_parse_finds_list_in_prose():
    assert Schema.of(list[int]).parse("The numbers [see below] are [1, 2].") == [1, 2]


# A backspace is no part of an answer; what follows on a tab or a line end may make a command of LaTeX of it.
characters = st.characters(codec="utf-8", exclude_characters="\b\f\n\r\t")
value = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters, max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(characters, max_size=5), inside, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(value, st.sampled_from(["{}", "```json\n{}\n```", "Sure:\n```\n{}\n```\n"]), st.sampled_from([None, 2]))
@settings(deadline=None)
def test_found_json_keeps_any_value(one, around, indent):
    written = json.dumps(one, ensure_ascii=False, indent=indent)
    (found,) = found_json(around.replace("{}", written))
    assert found.value == json.loads(found.written) == one
    assert found.defects == frozenset()


@given(st.text(max_size=200) | st.text('{}[]",:0 \n`', max_size=60))
@settings(deadline=None)
def test_found_json_accepts_any_text(text):
    with suppress(NoJSON):
        assert found_json(text)


# ---- asking, and asking again


def run(said, **options):
    """Ask with these answers; return what came of it and the requests."""
    asked, answers = [], iter(said)

    async def ask(messages, parameters):
        asked.append((messages, parameters))
        one = next(answers)
        if isinstance(one, Exception):
            raise one
        return one if isinstance(one, Answer) else Answer(one)

    question = options.pop("messages", [Message("user", "Rate it.")])
    came = asyncio.run(ask_structured(ask, question, options.pop("schema", SCHEMA), **{"way": None, **options}))
    return came, asked


def test_exchanges_send_matching_answer_once():
    came, asked = run([GOOD])
    assert came[:1] + came[2:4] == (VALUE, 0, None)
    assert came.answer.value == VALUE
    assert [answer.text for answer in came.answers] == [GOOD]
    (((message,), parameters),) = asked
    assert message == Message("user", f"Rate it.\n\n{SCHEMA.instruction('en')}")
    assert parameters == {}


def test_exchanges_append_schema_in_language_of_prompt():
    history = [Message("user", "hi"), Message("assistant", "Hello"), Message("user", "评价一下")]
    _, [(messages, _)] = run([GOOD], messages=history)
    assert messages == (*history[:2], Message("user", f"评价一下\n\n{SCHEMA.instruction('zh')}"))
    _, [(messages, _)] = run([GOOD], messages=history, lang="en")
    assert messages[-1].content.endswith(SCHEMA.instruction("en"))


def test_exchanges_use_native_json_for_objects():
    assert run([GOOD], way="json_object")[1][0][1] == {"response_format": {"type": "json_object"}}
    assert run([GOOD], way="json_schema")[1][0][1]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA.json_schema, "strict": True},
    }
    for way in ("json_object", "json_schema"):
        assert run(["[1]"], way=way, schema=Schema.of(list[int]))[1][0][1] == {}


def test_exchanges_repair_with_fault():
    came, asked = run(['{"name": "a"}', GOOD], way="json_object")
    assert (came.value, came.repairs, came.error) == (VALUE, 1, None)
    assert [answer.text for answer in came.answers] == ['{"name": "a"}', GOOD]
    assert came.answer.rejected == ('{"name": "a"}',)
    question, answer, word = asked[1][0]
    assert question == asked[0][0][0]
    assert answer == Message("assistant", '{"name": "a"}')
    assert word.role == "user"
    assert "score: Field required" in word.content
    assert asked[1][1] == asked[0][1]


def test_exchanges_repair_last_answer_only():
    came, asked = run(["one", "two", GOOD], repairs=5)
    assert came.repairs == 2
    assert [message.content for message in asked[2][0]][1] == "two"
    assert len(asked[2][0]) == 3
    assert came.answer.rejected == ("one", "two")


@pytest.mark.parametrize(("repairs", "asked"), [(0, 1), (1, 2), (3, 4)])
def test_exchanges_repair_at_most_given_times(repairs, asked):
    came, requests = run(["no"] * 9, repairs=repairs)
    assert len(requests) == len(came.answers) == asked
    assert (came.value, came.repairs, came.answer.text) == (None, repairs, "no")
    assert came.error.key == "schema.no_json"


def test_exchanges_drop_blank_answer_from_repair():
    _, asked = run([" \n", GOOD])
    (message,) = asked[1][0]
    assert message.content.startswith(asked[0][0][0].content)
    assert "holds no JSON" in message.content


def test_exchanges_do_not_repair_truncated_answer():
    came, asked = run([Answer('{"name": "a", "sc', finish_reason="length")], repairs=3)
    assert len(asked) == 1
    assert "max_output_tokens=" in came.error.message("en")


def test_exchanges_do_not_repair_interrupted_answer():
    came, asked = run([Answer("so f", finish_reason="incomplete")])
    assert len(asked) == 1
    assert came.error is not None


def test_exchanges_failed_repair_keeps_first_answer():
    came, asked = run(["no", RateLimitError(code=18, detail="slow down")])
    assert len(asked) == 2
    assert [answer.text for answer in came.answers] == ["no"]
    assert came.answer.text == "no"
    for lang in ("en", "zh"):
        assert "slow down" in came.error.message(lang)


@pytest.mark.parametrize(
    "last", ["", " \n", Answer('{"name": "z", "sc', finish_reason="incomplete"), Answer("", finish_reason="incomplete")]
)
def test_exchanges_worse_repair_keeps_first_answer(last):
    came, asked = run(['{"name": "a"}', last])
    assert len(asked) == 2
    assert (came.answer.text, came.place, came.value) == ('{"name": "a"}', 0, None)
    assert [answer.text for answer in came.answers] == [getattr(last, "text", last), '{"name": "a"}']
    assert came.answer.rejected == (getattr(last, "text", last),)
    said = came.error.message("en")
    assert "score: Field required" in said
    assert "Retry failed: " in said
    assert ("connection was lost" in said) is isinstance(last, Answer)
    assert "重试失败" in came.error.message("zh")


def test_exchanges_accept_matching_interrupted_answer():
    came, _ = run([Answer(GOOD, finish_reason="incomplete")])
    assert (came.value, came.error) == (VALUE, None)
    came, _ = run([Answer('{"name": "a", ', finish_reason="incomplete")])
    assert "The connection was lost" in came.error.message("en")
    assert "断开" in came.error.message("zh")


def test_exchanges_do_not_repair_without_room_for_prompt():
    target = registry().target("yi_34b_chat")
    room = room_in(target, {})
    came, asked = run(["no JSON " * 1500, GOOD], room=room)
    assert len(asked) == 1
    assert "exceeds the model's limit" in came.error.message("en")
    came, asked = run(["", GOOD], room=room)
    assert came.value == VALUE
    assert room([Message("user", "x" * target.limits.max_chars)])
    assert not room([Message("user", "x" * target.limits.max_chars), Message("assistant", "y")])


def test_room_in_counts_system_where_required():
    target = registry().target("ernie-char-fiction-8k")
    whole = [Message("user", "x" * target.limits.max_chars)]
    assert room_in(target, {})(whole)
    assert not room_in(target, {"system": "Be brief."})(whole)


@pytest.mark.parametrize("question", ["Rate it.", "请评价。"])
@pytest.mark.parametrize("fields", ["名称 str", "name str"])
def test_exchanges_repair_in_language_of_prompt(question, fields):
    schema = Schema.of(fields)
    asked = question_of(question, schema, way=None)
    steps = exchanges(asked, schema)
    next(steps)
    again = steps.send(Answer("no"))
    lang = language_of(question)
    assert again.messages[-1].content == text("schema.repair", lang, fault=text("schema.no_json", lang))


@pytest.mark.parametrize("repairs", [-1, 11, 1.0, True, None, "1"])
def test_check_repairs_rejects_invalid_count(repairs):
    for lang in ("en", "zh"):
        with pytest.raises(OptionError) as caught:
            check_repairs(repairs)
        assert "repairs" in caught.value.message(lang)
    for ask in both("Rate it.", "a int", repairs=repairs):
        asker, transport = client()
        with asker, pytest.raises(OptionError, match="repairs"):
            ask(asker)
        assert transport.requests == []
    assert [check_repairs(number) for number in (0, 10)] == [0, 10]


def test_exchanges_raise_error_before_any_answer():
    with pytest.raises(RateLimitError):
        run([RateLimitError(code=18, detail="slow down")])


@pytest.mark.parametrize(("question", "lang"), [("hi", "en"), ("", "en"), ("a 长城", "zh"), ("カタカナ", "en")])
def test_language_of_follows_prompt(question, lang):
    assert language_of(question) == lang


# ---- the twins in Python


def client(*said, model="yi_34b_chat"):
    replies = [one if isinstance(one, Reply) else Reply.of_json({"id": "x", "result": one}) for one in said]
    transport = ScriptedTransport(replies)
    return Qianfan(model=model, settings=Settings(access_token="t", bearer_token="b"), transport=transport), transport


def both(prompt, schema, **options):
    """The two twins, each to be called with a client."""
    return (
        lambda client: extract(prompt, schema, client=client, **options),
        lambda client: asyncio.run(aextract(prompt, schema, client=client, **options)),
    )


@pytest.mark.parametrize("ask", both("Rate it.", "name str, score float", temperature=0.3))
def test_extract_returns_answer_with_value(ask):
    asker, transport = client("no", GOOD)
    with asker:
        answer = ask(asker)
    assert (answer.value, answer.text, answer.rejected) == (VALUE, GOOD, ("no",))
    first, second = (json.loads(request.body) for request in transport.requests)
    assert first["temperature"] == second["temperature"] == 0.3
    assert len(second["messages"]) == 3


PARTS = [{"role": "user", "content": [{"type": "text", "text": "Rate it."}]}]


@pytest.mark.parametrize("prompt", [PARTS, iter(PARTS)], ids=["list", "iterator"])
@pytest.mark.parametrize("twin", [0, 1], ids=["extract", "aextract"])
def test_extract_adds_the_schema_to_the_parts_of_a_dict(prompt, twin):
    prompt = prompt if isinstance(prompt, list) else iter(PARTS)
    said = {"choices": [{"index": 0, "message": {"role": "assistant", "content": GOOD}, "finish_reason": "stop"}]}
    asker, transport = client(Reply.of_json({"id": "x", **said}), model="ernie-5.1")
    with asker:
        assert both(prompt, "name str, score float")[twin](asker).value == VALUE
    (body,) = (json.loads(request.body) for request in transport.requests)
    question, schema = body["messages"][0]["content"]
    assert question == PARTS[0]["content"][0]
    assert "score" in schema["text"]


@pytest.mark.parametrize("ask", both("Rate it.", "name str, score float", model="yi_34b_chat"))
def test_extract_creates_client_from_environment(ask, monkeypatch):
    with LoopbackServer(lambda _: Reply.of_json({"id": "x", "result": GOOD})) as server:
        for name, value in {**server.environ, "QIANFAN_ACCESS_TOKEN": "t"}.items():
            monkeypatch.setenv(name, value)
        assert ask(None).value == VALUE


@pytest.mark.parametrize("ask", both("Rate it.", "name str, score float", repairs=0))
def test_extract_error_has_last_answer(ask):
    asker, _ = client("no")
    with asker, pytest.raises(SchemaError) as caught:
        ask(asker)
    assert caught.value.partial.text == "no"


@pytest.mark.parametrize("ask", both("Rate it.", "name str, score float"))
def test_extract_does_not_repair_without_room_for_prompt(ask):
    asker, transport = client("no JSON " * 1500, GOOD)
    with asker, pytest.raises(SchemaError, match="exceeds the model's limit"):
        ask(asker)
    assert len(transport.requests) == 1


@pytest.mark.parametrize("ask", both("Rate it.", ""))
def test_extract_rejects_empty_schema(ask):
    asker, transport = client()
    with asker, pytest.raises(OptionError, match="empty"):
        ask(asker)
    assert transport.requests == []


@pytest.mark.parametrize("ask", both("Rate it.", "name strng"))
def test_extract_rejects_invalid_schema_before_sending(ask):
    asker, transport = client()
    with asker, pytest.raises(OptionError):
        ask(asker)
    assert transport.requests == []


@pytest.mark.parametrize("ask", both("Rate it.", "name str, score float", response_format={"type": "text"}))
def test_extract_keeps_given_response_format(ask):
    whole = {
        "id": "x",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": GOOD}, "finish_reason": "stop"}],
    }
    asker, transport = client(Reply.of_json(whole), model="ernie-5.1")
    with asker:
        assert ask(asker).value == VALUE
    assert json.loads(transport.requests[0].body)["response_format"] == {"type": "text"}


def test_extract_raises_service_error_unchanged():
    asker, _ = client(Reply.of_json({"error_code": 336003, "error_msg": "bad"}))
    with asker, pytest.raises(QianfanError, match="bad"):
        extract("Rate it.", "a int", client=asker)


def test_turn_record_has_rejected_texts_without_value():
    turn = Turn("q", Answer("a", value=object(), rejected=("x", "y")))
    record = json.loads(json.dumps(turn_to_record(turn)))
    read = turn_from_record(record)
    assert read == turn
    assert (read.answer.rejected, read.answer.value) == (("x", "y"), None)
    del record["answer"]["rejected"]
    assert turn_from_record(record).answer.rejected == ()


@pytest.mark.parametrize("flag", [2, 3, 4])
def test_exchanges_do_not_repair_flagged_answer(flag):
    came, asked = run([Answer('{"name": "secret"}', flag=flag), GOOD], repairs=3)
    assert (len(asked), came.value) == (1, None)
    for lang in ("en", "zh"):
        assert text("schema.banned", lang) in came.error.message(lang)
        assert ("secret" in came.error.message(lang)) <= (flag == 2)
    assert (came.error.key == "schema.withheld") == (flag > 2)


def test_exchanges_repair_answer_of_low_risk():
    came, asked = run([Answer("no", flag=1), GOOD])
    assert (len(asked), came.value) == (2, VALUE)
