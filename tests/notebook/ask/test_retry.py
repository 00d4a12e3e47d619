"""``%qf retry`` and ``%qf continue`` in a real kernel."""

import json

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from tests.support.held import KEY_ENVIRON

MODEL = "model=ernie-5.1"


def reply(*texts, finish="stop"):
    events = [
        {
            "id": "as-1",
            "created": 1,
            "model": "ernie-5.1",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        }
        for text in texts
    ]
    events.append({**events[-1], "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": finish}]})
    events[-1]["usage"] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return Reply.of_events(events, done=True)


@pytest.fixture
def service():
    replies = []
    with LoopbackServer(lambda _: replies.pop(0)) as server:
        server.replies = replies
        yield server


@pytest.fixture
def lab(start, service):
    kernel = start(**service.environ, **KEY_ENVIRON, QIANFAN_LLM_API_RETRY_COUNT="1")
    kernel.run(f"%qf set {MODEL}")
    return kernel


def sent(service, number=-1):
    return [message["content"] for message in json.loads(service.requests[number].body)["messages"]]


def history(kernel):
    conversation = "get_ipython().magics_manager.registry['QianfanMagics'].engine.session.chats.get('main')"
    return json.loads(
        kernel.value(f"__import__('json').dumps([[t.prompt, t.answer.text, t.state] for t in {conversation}.turns])")
    )


def test_continue_joins_truncated_answer_into_one_turn(lab, service):
    service.replies += [reply("one two", finish="length"), reply(" three"), reply("ok")]
    first = lab.run("%%qianfan temperature=0.3\ncount", "a")
    assert "%qf continue" in first.plain
    ran = lab.run("%qf continue", "b")
    assert ran.plain == "one two three"
    assert sent(service) == ["count", "one two", "Go on exactly where you stopped, without repeating anything."]
    assert json.loads(service.requests[-1].body)["temperature"] == 0.3
    assert history(lab) == [["count", "one two three", "answered"]]
    assert ran.metadata["usage"]["total_tokens"] == 30
    assert ran.metadata["turn"] == 1
    lab.run("%%qianfan\nnext", "c")
    assert sent(service) == ["count", "one two three", "next"]
    assert "stale" not in lab.run("%qf history").plain


def test_continue_and_retry_reject_missing_or_whole_turns(lab, service):
    assert "Conversation main has no truncated or interrupted answer" in lab.run("%qf continue", "b").error[1]
    assert "has no questions yet" in lab.run("%qf retry", "b").error[1]
    assert "No turn 7" in lab.run("%qf retry 7", "b").error[1]
    service.replies += [reply("whole")]
    lab.run("%%qianfan\ncount", "a")
    assert "has a complete answer" in lab.run("%qf continue 1", "b").error[1]
    assert len(service.requests) == 1


def test_continue_keeps_answer_interrupted_again(lab, service):
    broken = Reply((reply("one").chunks[0],), headers={"content-type": "text/event-stream"})
    service.replies += [broken, Reply((reply(" two").chunks[0],), headers=broken.headers), reply(" three")]
    lab.run("%%qianfan\ncount", "a")
    assert history(lab) == [["count", "one", "interrupted"]]
    lab.run("%qf continue", "b")
    assert history(lab) == [["count", "one two", "interrupted"]]
    assert lab.run("%qf continue", "b").plain == "one two three"
    assert history(lab) == [["count", "one two three", "answered"]]


def test_retry_sends_prompt_and_options_again(lab, service):
    service.replies += [reply("one"), reply("two"), reply("three"), reply("four")]
    lab.run("%%qianfan temperature=0.3\nfirst {{ 1 + 1 }}", "a")
    lab.run("%%qianfan\nsecond", "b")
    ran = lab.run("%qf retry 1 temperature=0.9", "c")
    assert ran.plain.startswith("three")
    assert sent(service) == ["first 2"]
    assert json.loads(service.requests[-1].body)["temperature"] == 0.9
    assert history(lab) == [["first 2", "three", "answered"], ["second", "two", "answered"]]
    assert "stale" in lab.run("%qf history").plain.splitlines()[-1]
    lab.run("%qf retry", "d")
    assert sent(service) == ["first 2", "three", "second"]
    assert history(lab)[1] == ["second", "four", "answered"]


@pytest.mark.parametrize("others", ["", ",deepseek-v4-pro"])
def test_retry_sends_system_again(lab, service, others):
    service.replies += [reply("x")] * 6
    lab.run(f"%%qianfan {MODEL}{others} system='be brief'\nfirst", "a")
    lab.run("%qf retry", "b")
    assert sent(service) == ["be brief", "first"]
    lab.run("%%qianfan\nsecond", "c")
    assert sent(service) == ["first", "x", "second"]
    lab.run("%qf retry 1 system='be long'", "d")
    assert sent(service) == ["be long", "first"]


def test_retry_failure_keeps_answer(lab, service):
    service.replies += [reply("one"), Reply.of_json({"error": {"code": "invalid_model", "message": "x"}}, status=404)]
    lab.run("%%qianfan\nfirst", "a")
    assert lab.run("%qf retry", "b").status == "error"
    assert history(lab) == [["first", "one", "answered"]]
