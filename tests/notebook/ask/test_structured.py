"""schema=: the answer is an object, or its cell fails with the answer shown and kept."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest

from qfmagic import Answer, ExpectationError, SchemaError
from qfmagic.core.errors import OptionError
from qfmagic.testing.harness import magics_of
from qfmagic.testing.scripted import ScriptedTransport
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from tests.support.documents import asked, cassette, found, recorded, request_of
from tests.support.services import send_through, v2

SHORT = "'name str, score float'"
GOOD = '{"name": "a", "score": 0.5}'
VALUE = {"name": "a", "score": 0.5}


@dataclass
class Review:
    name: str
    score: float


def engine(shell):
    return magics_of(shell).engine


def turns(shell, chat="main"):
    return engine(shell).session.chats.get(chat).turns


def ask(shell, line="", cell="Rate it.", schema=SHORT):
    return shell.run_cell_magic("qianfan", f"model=yi_34b_chat schema={schema} {line}", cell)


def stored(journal, where=""):
    """The records of turns that the journal has on disk."""
    with closing(sqlite3.connect(journal.path)) as database:
        return database.execute(f"select record from turns {where}").fetchall()


def reply(said):
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return Reply.of_json({"id": "x", "result": said, "usage": usage})


def broken_off(said):
    """A stream of V2 without its end."""
    choice = {"index": 0, "delta": {"content": said}, "finish_reason": None}
    return Reply.of_events([{"id": "as-1", "model": "m", "created": 1, "choices": [choice]}])


def ask_v2(shell, line=""):
    return shell.run_cell_magic("qianfan", f"model=ernie-5.1 schema={SHORT} {line}", "Rate it.")


def streamed(said):
    half = len(said) // 2
    common = {"id": "x", "is_truncated": False}
    return Reply.of_events([{**common, "result": said[:half]}, {**common, "result": said[half:], "is_end": True}])


@pytest.fixture
def say(shell, monkeypatch):
    """Let the model say these texts, one a question."""

    def use(*said):
        steps = [reply(one) if isinstance(one, str) else one for one in said]
        return send_through(shell, ScriptedTransport(steps), monkeypatch)

    return use


def sent(transport):
    """The texts of the messages of each request."""
    return [[one["content"] for one in json.loads(request.body)["messages"]] for request in transport.requests]


# ---- on the stub


@pytest.mark.parametrize("model", ["yi_34b_chat", "ernie-5.1", "my-tuned-service"])
@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("question", ["Rate it.", "请评价。"])
def test_schema_stub_answer_matches(shell, model, stream, question):
    line = f"model={model} stream={stream} into=row schema='name str, score float, mood good|bad, n int?'"
    answer = shell.run_cell_magic("qianfan", line, question)
    row = shell.user_ns["row"]
    assert answer.value is row
    assert (type(row["score"]), row["mood"] in ("good", "bad")) == (float, True)
    assert answer.rejected == ()


def test_schema_error_names_stub_as_cause(shell):
    schema = '{"properties":{"code":{"type":"string","pattern":"^[A-Z]{3}$"}}}'
    with pytest.raises(SchemaError, match="Simulated answer: the stub does not support every schema"):
        ask(shell, schema=schema)


def test_schema_names_class_of_notebook(shell, capsys):
    shell.user_ns["Review"] = Review
    answer = ask(shell, schema="Review")
    assert answer.value == Review("stub name", answer.value.score)
    assert isinstance(answer, Answer)
    assert '{\n  "name": "stub name"' in capsys.readouterr().out  # laid out as JSON


def test_schema_dry_shows_request_that_is_sent_and_stored(shell, capsys):
    line = f"model=ernie-5.1 schema={SHORT}"
    shell.run_cell_magic("qianfan", f"{line} dry", "Rate it.")
    body = json.loads(capsys.readouterr().out.split("application/json")[1])
    answer = shell.run_cell_magic("qianfan", line, "Rate it.")
    assert answer.request == body
    assert body["response_format"] == {"type": "json_object"}
    (message,) = body["messages"]
    assert message["content"].startswith("Rate it.\n\nAnswer with one JSON value only")
    assert turns(shell)[0].prompt == message["content"]


def test_schema_without_native_parameter_is_sent_in_prompt(shell):
    assert "response_format" not in ask(shell).request
    answer = shell.run_cell_magic("qianfan", f"model=a-model-without-a-row schema={SHORT} dry", "Rate it.")
    assert answer is None


def test_schema_does_not_affect_next_prompt(shell):
    ask(shell)
    assert shell.run_cell_magic("qianfan", "model=yi_34b_chat", "And why?").text.startswith("(stub)")


# ---- asking again


def test_schema_repair_is_outside_of_conversation(shell, say, capsys):
    transport = say("no JSON here", GOOD, "Because.")
    answer = ask(shell, "into=row")
    assert (answer.value, shell.user_ns["row"]) == (VALUE, VALUE)
    assert answer.rejected == ("no JSON here",)
    (turn,) = turns(shell)
    assert (turn.answer.text, turn.answer.rejected, turn.versions) == (GOOD, ("no JSON here",), ())
    shell.run_cell_magic("qianfan", "model=yi_34b_chat", "Why?")
    first, second, third = sent(transport)
    assert second[:2] == [*first, "no JSON here"]
    assert "holds no JSON" in second[2]
    assert third == [*first, GOOD, "Why?"]
    assert "repaired 1×" in capsys.readouterr().out


def test_schema_answer_with_defects_is_read_and_noted(shell, say, capsys):
    transport = say("{'name': 'a', 'score': '0.5',}")
    answer = ask(shell, "into=row")
    assert shell.user_ns["row"] == VALUE
    assert answer.rejected == ()
    assert len(transport.requests) == 1
    assert "read despite a trailing comma, a number in quotation marks, missing or other" in capsys.readouterr().out


def test_schema_repairs_are_counted_in_usage(shell, say):
    say("no", "no", GOOD)
    answer = ask(shell, "repairs=2")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (30, 15)
    calls = engine(shell).session.meter.calls
    assert {call.kind for call in calls} == {"ask", "repair"}
    assert sum(call.prompt_tokens for call in calls) == 30


def test_schema_turn_is_removed_by_one_undo(shell, say):
    say("no", GOOD)
    ask(shell)
    shell.run_line_magic("qf", "undo")
    assert not turns(shell)[0].in_history


def test_schema_mismatch_shows_answer_and_fails_cell(shell, say, capsys):
    say("no", '{"name": "b"}')
    shell.user_ns["row"] = "before"
    with pytest.raises(SchemaError) as caught:
        ask(shell, "into=row")
    assert "score: Field required" in str(caught.value)
    assert caught.value._render_traceback_() == [f"SchemaError: {caught.value}"]
    assert '"name": "b"' in capsys.readouterr().out
    assert shell.user_ns["row"] == "before"
    assert shell.user_ns["_"].text == '{"name": "b"}'
    (turn,) = turns(shell)
    assert turn.in_history
    assert turn.answer.rejected == ("no",)


def test_schema_repairs_can_be_set(shell, say):
    shell.run_line_magic("qf", "set repairs=0")
    transport = say("no", "no", GOOD)
    with pytest.raises(SchemaError):
        ask(shell)
    assert len(transport.requests) == 1
    assert ask(shell, "repairs=1").value == VALUE


def test_schema_truncated_answer_is_not_repaired(shell, say):
    transport = say(Reply.of_json({"id": "x", "result": '{"name": "a', "is_truncated": True}))
    with pytest.raises(SchemaError, match="max_output_tokens="):
        ask(shell)
    assert len(transport.requests) == 1


def test_schema_failed_repair_keeps_first_answer(shell, say, capsys):
    say("no JSON", Reply.of_json({"error_code": 336003, "error_msg": "bad request"}))
    with pytest.raises(SchemaError, match="bad request"):
        ask(shell)
    assert "no JSON" in capsys.readouterr().out
    (turn,) = turns(shell)
    assert (turn.answer.text, turn.in_history) == ("no JSON", True)


def test_schema_blank_repair_keeps_first_answer(shell, say, capsys):
    say("earlier", '{"name": "b"}', "", "", "")
    shell.run_cell_magic("qianfan", "model=yi_34b_chat", "Hello.")
    with pytest.raises(SchemaError, match=r"score: Field required.* Retry failed: The answer is empty"):
        ask(shell)
    assert '"name": "b"' in capsys.readouterr().out
    assert shell.user_ns["_"].text == turns(shell)[1].answer.text == '{"name": "b"}'
    with pytest.raises(SchemaError, match="holds no JSON"):
        ask(shell, "once")
    assert shell.user_ns["_"].text == ""


def test_schema_interrupted_repair_keeps_first_answer(shell, say, capsys):
    say(v2('{"name": "b"}'), broken_off('{"name": "c", '))
    with pytest.raises(SchemaError, match=r"score: Field required.* Retry failed: The connection was lost"):
        ask_v2(shell)
    assert '"name": "b"' in capsys.readouterr().out
    (turn,) = turns(shell)
    assert (turn.answer.text, turn.answer.rejected, turn.in_history) == ('{"name": "b"}', ('{"name": "c", ',), True)


def test_schema_interrupted_answer_keeps_variable(shell, say):
    transport = say(broken_off('{"name": "a", '), broken_off(GOOD))
    shell.user_ns["row"] = "before"
    with pytest.raises(SchemaError, match="The connection was lost"):
        ask_v2(shell, "into=row")
    assert len(transport.requests) == 1
    assert shell.user_ns["row"] == "before"
    assert shell.user_ns["_"].text == '{"name": "a", '
    assert [(turn.state, turn.answer.text) for turn in turns(shell)] == [("interrupted", '{"name": "a", ')]
    assert ask_v2(shell, "into=row").value == shell.user_ns["row"] == VALUE


@pytest.mark.parametrize("before", [(), ("no JSON",)])
def test_schema_interrupt_during_check_keeps_answer(shell, say, before):
    class Slow(Review):
        def __post_init__(self):
            raise KeyboardInterrupt  # as the second Ctrl-C does, wherever it comes

    shell.user_ns["Slow"] = dataclass(Slow)
    transport = say(*before, GOOD)
    with pytest.raises(KeyboardInterrupt):
        ask(shell, schema="Slow")
    (turn,) = turns(shell)
    assert (turn.answer.text, turn.answer.rejected, turn.in_history) == (GOOD, before, True)
    assert len(transport.requests) == len(before) + 1


def test_schema_answer_is_stored_before_check(shell, say, monkeypatch):
    monkeypatch.setenv("QFMAGIC_JOURNAL", "true")
    kept = []

    class Looking(Review):
        def __post_init__(self):
            journal = engine(shell).session.journal
            kept.extend(stored(journal, "where partial"))

    shell.user_ns["Looking"] = dataclass(Looking)
    say(GOOD)
    ask(shell, schema="Looking")
    assert "score" in str(kept)


def test_schema_repair_reports_truncated_context(shell, say, capsys):
    transport = say("old " * 900, "no JSON " * 600, GOOD, "Because.")
    shell.run_cell_magic("qianfan", "model=yi_34b_chat", "Hello.")
    capsys.readouterr()
    ask(shell)
    assert [len(one) for one in sent(transport)] == [1, 3, 3]
    assert "sent 0 of 1 earlier turn" in capsys.readouterr().out
    first, second = turns(shell)
    assert second.parent is None
    assert first.in_history


def test_schema_response_format_of_user_is_kept(shell):
    shell.run_line_magic("qf", """set response_format='{"type":"text"}'""")
    line = f"model=ernie-5.1 schema={SHORT}"
    assert shell.run_cell_magic("qianfan", line, "Rate it.").request["response_format"] == {"type": "text"}
    own = f"""{line} response_format='{{"type":"json_object"}}'"""
    assert shell.run_cell_magic("qianfan", own, "Rate it.").request["response_format"] == {"type": "json_object"}


def test_schema_interrupt_during_repair_keeps_first_answer(shell, say):
    def interrupting(_):
        os.kill(os.getpid(), signal.SIGINT)
        return reply(GOOD)

    say("no JSON", interrupting)
    with pytest.raises(KeyboardInterrupt):
        ask(shell)
    (turn,) = turns(shell)
    assert turn.answer.text == "no JSON"


def test_schema_long_answer_leaves_no_room_for_repair(shell, say):
    transport = say("no JSON " * 1500)
    with pytest.raises(SchemaError, match="exceeds the model's limit"):
        ask(shell)
    assert len(transport.requests) == 1


def test_schema_value_is_available_to_expect(shell, say):
    say(GOOD, GOOD)
    ask(shell, "expect='answer.value[\"score\"] == 0.5'")
    with pytest.raises(ExpectationError):
        ask(shell, "expect='answer.value[\"score\"] > 0.5'")


# ---- what can't be asked like that


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("schema='name strng'", "part 'name strng' of the short form"),
        ("schema=Nowhere", "Undefined name in schema=Nowhere"),
        ('schema={"type":"strin"}', "Unknown type"),
        (f"schema={SHORT} repairs=-1", "repairs"),
        (f"schema={SHORT} repairs=many", "repairs"),
        ("schema='  '", "The schema is empty"),
        ("schema=name str, score float", "schema='name str, score float'"),
        ("schema={{Review}}", "schema=Review"),
        ("schema=", "schema"),
    ],
)
def test_schema_invalid_is_rejected_before_sending(shell, say, line, told):
    transport = say()
    shell.user_ns["Review"] = Review
    model = "" if "model=" in line else "model=yi_34b_chat"
    with pytest.raises(OptionError, match=told):
        shell.run_cell_magic("qianfan", f"{model} {line}", "Rate it.")
    assert transport.requests == []


def test_schema_errors_use_language_of_user(shell, say):
    shell.run_line_magic("qf", "set lang=zh")
    say("no", "no")
    with pytest.raises(SchemaError, match="回答中没有 JSON"):
        ask(shell)


def test_schema_prompt_is_sent_again_by_retry(shell, say):
    transport = say(GOOD, "other")
    ask(shell)
    assert shell.run_line_magic("qf", "retry").text == "other"
    assert sent(transport)[0] == sent(transport)[1]


# ---- live, recorded, journalled, audited


def test_schema_live_cell_ends_as_one_static_output(start):
    answers = iter(["no JSON", GOOD, "no", "no"])
    with LoopbackServer(lambda _: streamed(next(answers)), pace=0.4) as server:
        kernel = start(QIANFAN_ACCESS_TOKEN="t", **server.environ)
        ran = kernel.run(f"%%qianfan model=yi_34b_chat schema={SHORT} into=row\nRate it.", cell="c1")
        assert ran.status == "ok", ran.error
        (output,) = ran.outputs
        assert output["data"].keys() == {"text/markdown", "text/plain"}
        assert "repaired 1×" in output["data"]["text/plain"]
        assert ran.opened  # there was a live view
        assert ran.models == set()
        assert len(ran.metadata["rejected"]) == 1
        assert kernel.value("row") == str(VALUE)
        failed = kernel.run(f"%%qianfan model=yi_34b_chat schema={SHORT}\nRate it.", cell="c2")
        assert failed.error[0] == "SchemaError"
        assert (len(failed.outputs), failed.models) == (1, set())
        assert len(failed.traceback) == 1
        assert kernel.value("_.text") == "no"


def test_schema_repair_is_recorded_and_stored_in_journal(shell, tmp_path, monkeypatch):
    monkeypatch.delenv("QFMAGIC_TRANSPORT")
    monkeypatch.setenv("QFMAGIC_JOURNAL", "true")
    monkeypatch.setenv("QIANFAN_ACCESS_TOKEN", "t")
    path = tmp_path / "talk.qf.jsonl"
    answers = iter(["no JSON at all", GOOD])
    with LoopbackServer(lambda _: reply(next(answers))) as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        shell.run_line_magic("qf", f"transport record {path}")
        assert ask(shell, "stream=false").value == VALUE
    journal = engine(shell).session.journal
    assert "no JSON at all" in stored(journal)[0][0]
    shell.run_line_magic("qf", "reset")
    shell.run_line_magic("qf", f"transport replay {path}")
    answer = ask(shell, "stream=false")
    assert (answer.value, answer.rejected) == (VALUE, ("no JSON at all",))


def test_schema_repair_passes_audit():
    prompt, before = "Rate it.", (("Rate it.", "no"),)
    exchanges = cassette(recorded(prompt, "no"), recorded("Again!", GOOD, before))
    requests = {"request": request_of("Again!", before).hash, "transport": "record"}
    repaired = asked(prompt, GOOD, 2, rejected=[request_of(prompt).hash], **requests)
    assert found(repaired, cassette=exchanges) == []
    assert found(asked(prompt, GOOD, 2, **requests), cassette=exchanges) != []


def test_schema_repair_after_blank_answer_passes_audit():
    prompt, again = "Rate it.\n\nAs JSON:\n{}", "Rate it.\n\nAs JSON:\n{}\n\nThe answer holds no JSON. Again!"
    exchanges = cassette(recorded(prompt, ""), recorded(again, GOOD))
    requests = {"request": request_of(again).hash, "transport": "record"}
    repaired = asked(prompt, GOOD, 2, rejected=[request_of(prompt).hash], **requests)
    assert found(repaired, cassette=exchanges) == []
    other = asked("Something else.", GOOD, 2, rejected=[request_of(prompt).hash], **requests)
    assert found(other, cassette=exchanges) != []


def test_schema_repair_with_truncated_context_passes_audit():
    old, prompt, before = ("Hello.", "Hi."), "Rate it.", (("Rate it.", "no"),)
    exchanges = cassette(recorded(*old), recorded(prompt, "no", (old,)), recorded("Again!", GOOD, before))
    more = {
        "request": request_of("Again!", before).hash, "rejected": [request_of(prompt, (old,)).hash], "turn": 2,
        "context": {"sent": 0, "available": 1}, "transport": "record",
    }  # fmt: skip
    assert found(asked(*old, 2, transport="record"), asked(prompt, GOOD, 3, **more), cassette=exchanges) == []
