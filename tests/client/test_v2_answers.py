"""Answers in the shapes of services and gateways, read over sockets, and read again from a recording of the same bytes."""

import tomllib
from pathlib import Path

import pytest

from qfmagic.core.errors import QianfanError
from tests.client.test_tapes import MODELS, exchanges, player, recorder
from tests.support.faults.server import FaultServer, chunk, head, whole

ROWS = tomllib.loads(Path(__file__).parents[1].joinpath("data", "v2_answers.toml").read_text(encoding="utf-8"))[
    "answer"
]
LAST = b"0\r\n\r\n"


def script(row, *, in_bytes=False):
    """The row's response; with *in_bytes*, one byte at a time."""
    status = row.get("status", 200)
    if "body" in row:
        return whole(row["body"].encode(), status)
    stream = head(status, content_type="text/event-stream", transfer_encoding="chunked")
    events = row["events"] + ["[DONE]"] * row.get("end", True)
    data = "".join(f"data: {event}\n\n" if event else "data:\n\n: comment\n\n" for event in events).encode()
    pieces = [data[at : at + 1] for at in range(len(data))] if in_bytes else [data]
    return (stream, *map(chunk, pieces), LAST)


def read(client, row):
    """What a caller learns: the answer, or the error's class with what had come."""
    options = {"model": MODELS[row.get("wire", "v2")], "stream": "events" in row}
    shown = reasoned = ""
    stream = client.stream("hi", **options)
    try:
        for delta in stream:
            if delta.takes_back is not None:
                shown, reasoned = "", "" if delta.takes_back == "all" else reasoned
            shown, reasoned = shown + delta.text, reasoned + delta.reasoning
    except QianfanError as error:
        return type(error).__name__
    answer = stream.answer
    assert shown == answer.shown
    assert reasoned == ("" if answer.withheld else answer.reasoning)
    return answer


def facts(answer, row):
    """The answer's side of the fields the row expects."""
    calls = [[call["function"]["name"], call["function"]["arguments"]] for call in answer.tool_calls]
    usage = answer.usage
    found = {
        "text": answer.text,
        "reasoning": answer.reasoning,
        "finish": answer.finish_reason,
        "total_tokens": usage.total_tokens,
        "details": [usage.cached_tokens, usage.search_tokens, usage.reasoning_tokens],
        "sources": [source["url"] for source in answer.sources],
        "tool_calls": calls,
        "flag": answer.flag,
        "withheld": answer.withheld,
        "served_model": answer.served_model,
    }
    return {name: found[name] for name in row if name in found}


@pytest.mark.parametrize("in_bytes", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_answers_are_read_live_and_replayed(row, in_bytes):
    expected = {name: row[name] for name in row if name not in ("name", "wire", "events", "body", "end", "status")}
    with FaultServer([script(row, in_bytes=in_bytes)]) as server, recorder(server, retry_count=1) as client:
        live = read(client, row)
    with player() as client:
        replayed = read(client, row)
    if "error" in row:
        assert live == replayed == row["error"]
        return
    assert facts(live, row) == facts(replayed, row) == expected
    assert live.raw == replayed.raw
    assert live.raw
    assert exchanges()[0].play().outcome.text == live.text


def test_raw_contains_whole_response():
    event = '{"id":"a","object":"chat.completion","sentence_id":0,"result":"hi","is_end":true}'
    with FaultServer([script({"events": [event]})]) as server, recorder(server) as client:
        streamed = read(client, {"wire": "v1", "events": ()})
    assert streamed.raw == [
        {"id": "a", "object": "chat.completion", "sentence_id": 0, "result": "hi", "is_end": True},
    ]
    body = '{"id":"a","choices":[{"message":{"content":"hi"},"logprobs":{"content":[]}}]}'
    with FaultServer([script({"body": body})]) as server, recorder(server) as client:
        answer = read(client, {"body": body})
    assert answer.raw["choices"][0]["logprobs"] == {"content": []}


def test_answer_keeps_its_headers():
    body = b'{"id":"a","choices":[{"message":{"content":"hi"}}]}'
    with FaultServer([whole(body, Statement="AI-generated")]) as server, recorder(server) as client:
        live = read(client, {"body": ""})
    with player() as client:
        replayed = read(client, {"body": ""})
    assert live.headers["statement"] == replayed.headers["statement"] == "AI-generated"
