"""One exchange as a line: the same bytes back, nothing volatile, and every edit seen."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import RequestError
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.transport.cassette.recording import Recorded, RecordingError, in_events, recorded_of

JSON_HEADERS = {"content-type": "application/json", "date": "today", "x-ratelimit-limit-requests": "3"}


def request_of(prompt="hi", model="yi_34b_chat", *, stream=False, **parameters):
    return plan_request(registry().target(model), prompt, parameters=parameters, stream=stream).request


def answer_of(text="Hello!"):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return json.dumps({"id": "as-1", "result": text, "usage": usage}, ensure_ascii=False).encode()


def recording(prompt="hi", text="Hello!", n=0, **parameters):
    request = request_of(prompt, **parameters)
    return recorded_of(request, n, status=200, headers=JSON_HEADERS, events=[(0.1234, answer_of(text))])


def events_of(*payloads):
    return [f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode() for payload in payloads]


def test_line_is_stable():
    line = recording().line()
    row = json.loads(line)
    assert line == json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert row["response"] == {
        "events": [[0.123, answer_of().decode()]],
        "headers": {"content-type": "application/json"},
        "status": 200,
    }
    assert row["body"] == {"messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert row["hash"] == request_of().hash
    assert "\n" not in line


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8))
def test_recorded_bytes_round_trip(pieces):
    made = recorded_of(request_of(), 0, status=200, headers={}, events=[(0.0, piece) for piece in pieces])
    back = Recorded.of_line(made.line())
    assert b"".join(data for _, data in back.events) == b"".join(pieces)
    assert back == made


def test_in_events_joins_any_chunks():
    whole = b"".join(events_of({"result": "长城"}, {"result": "!", "is_end": True}))
    for size in range(1, len(whole)):
        pieces = [(float(start), whole[start : start + size]) for start in range(0, len(whole), size)]
        kept = in_events(pieces)
        assert [data for _, data in kept] == events_of({"result": "长城"}, {"result": "!", "is_end": True})
        assert [at for at, _ in kept] == sorted(at for at, _ in kept)
    assert in_events([(1.0, b"a\r\n\r\nb"), (2.0, b"c")]) == ((1.0, b"a\r\n\r\n"), (2.0, b"bc"))


def test_play_decodes_like_client():
    assert recording(text="好").play().outcome.text == "好"
    assert recording().play().complete
    streamed = request_of(stream=True)
    first, last = events_of(
        {"id": "1", "result": "Hel"}, {"result": "lo", "is_end": True, "usage": {"total_tokens": 7}}
    )
    headers = {"content-type": "text/event-stream"}
    whole = recorded_of(streamed, 0, status=200, headers=headers, events=[(0, first), (1, last)]).play()
    assert (whole.outcome.text, whole.outcome.usage.total_tokens, whole.complete) == ("Hello", 7, True)
    cut = recorded_of(streamed, 0, status=200, headers=headers, events=[(0, first)], cut="reset").play()
    assert (cut.outcome.text, cut.outcome.finish_reason, cut.complete) == ("Hel", "incomplete", False)
    refused = recorded_of(streamed, 0, status=200, headers={}, events=[(0, b'{"error_code":336003,"error_msg":"x"}')])
    assert isinstance(refused.play().error, RequestError)
    gone = recorded_of(streamed, 0, status=502, headers={}, events=[(0, b"<html>")]).play()
    assert gone.error is not None
    assert not gone.complete


def test_recorded_stub_is_marked_as_stub():
    made = recorded_of(request_of(), 0, status=200, headers={"server": "qfmagic-stub"}, events=[])
    assert Recorded.of_line(made.line()).stub
    assert not recorded_of(request_of(), 0, status=200, headers={"server": "nginx"}, events=[]).headers


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda line: line.replace("Hello", "Hallo"), "edited"),
        (lambda line: line.replace('"content":"hi"', '"content":"ho"'), "edited"),
        (lambda line: line.replace('"n":0', '"n":1'), "edited"),
        (lambda line: line[:-5], "json"),
        (lambda line: "{}", "shape"),
        (lambda line: "3", "shape"),
        (lambda line: line.replace('"events":[[', '"events":[[[],'), "shape"),
    ],
)
def test_changed_line_is_rejected(edit, reason):
    line = recording().line()
    assert Recorded.of_line(line) == recording()
    changed = edit(line)
    assert changed != line
    with pytest.raises(RecordingError) as error:
        Recorded.of_line(changed)
    assert error.value.reason == reason
