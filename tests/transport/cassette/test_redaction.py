"""Words taken out of recordings, wherever a stream has cut them."""

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.transport.cassette.recording import Recorded
from qfmagic.transport.cassette.redaction import fits, hidden, redacted

from .test_recording import events_of, recorded_of, recording, request_of


def streamed(pieces, wire="v1"):
    if wire == "v1":
        payloads = [{"id": "1", "result": piece, "is_end": False} for piece in pieces]
        payloads.append({"result": "", "is_end": True})
        data = events_of(*payloads)
    else:
        payloads = [{"id": "1", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        data = [*events_of(*payloads), b"data: [DONE]\n\n"]
    request = request_of("of 张三", "yi_34b_chat" if wire == "v1" else "ernie-5.1", stream=True)
    return recorded_of(request, 0, status=200, headers={}, events=[(0.0, one) for one in data])


@pytest.mark.parametrize("wire", ["v1", "v2"])
@given(text=st.text("ab张三 ", max_size=12), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_redacted_removes_word_in_any_chunks(wire, text, cuts):
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    before = streamed(pieces, wire)
    after = redacted(before, ["张三"])
    assert after.play().outcome.text == text.replace("张三", "[…]")
    assert after.play().complete
    assert "张三" not in after.line()
    assert "\\u5f20" not in after.line()
    assert Recorded.of_line(after.line()) == after
    assert after.hash == before.hash


def test_redacted_without_word_is_unchanged():
    one = recording("hi", "hello")
    assert redacted(one, ["张三"]) is one


def test_redacted_covers_request_and_other_content():
    one = recording("me: 张三", "To 张三")
    after = redacted(one, ["张三"])
    assert after.body["messages"][0]["content"] == "me: […]"
    assert after.play().outcome.text == "To […]"
    page = recorded_of(request_of(), 0, status=502, headers={}, events=[(0, "<p>张三".encode())])
    assert redacted(page, ["张三"]).events == ((0, "<p>[…]".encode()),)
    odd = recorded_of(request_of(), 0, status=200, headers={}, events=[(0, json.dumps({"choices": [3, {}]}).encode())])
    assert redacted(odd, ["张三"]) is odd


def test_redacted_exchange_matches_original_and_redacted_request():
    kept = redacted(recording("me: 张三!"), ["张三"])
    assert kept.hash == request_of("me: 张三!").hash
    assert fits(kept, request_of("me: […]!"))
    for other in (
        request_of("me: 李四!"),  # another question, of which nothing was taken out
        request_of("you: 张三!"),
        request_of("me: 张三!", temperature=0.1),
        request_of("me: 张三!", "ernie-5.1"),
    ):
        assert not fits(kept, other)
    assert not fits(recording("hi"), request_of("hi"))


def test_fits_is_fast_for_many_redactions():
    kept = redacted(recording("ab" * 60), ["b"])
    assert not fits(kept, request_of("[…]" + "ca" * 200))
    assert fits(kept, request_of("a[…]" * 60))


def test_redacted_keeps_lone_surrogates():
    events = [b'data: {"id":"1","result":"Bob\\ud83d"}\n\n', b'data: {"result":"\\ude00","is_end":true}\n\n']
    one = recorded_of(request_of(stream=True), 0, status=200, headers={}, events=[(0.0, data) for data in events])
    after = redacted(one, ["Bob"])
    assert "Bob" not in after.line()
    assert after.play().outcome.text == "[…]" + one.play().outcome.text.removeprefix("Bob")


def test_hidden_removes_keys_in_any_case_chunks_and_escapes():
    key = "SEKRET-key/1"
    one = streamed(["it is SEK", "RET-KEY", "/1!"])
    escaped = b'data: {"result":"SEKRET\\u002dkey\\/1"}\n\n'
    one = replace(one, events=((0.0, escaped), *one.events, (0.0, b"\xff sekret-KEY/1")), cut=f"at {key}")
    after = hidden(one, [key])
    assert after.play().outcome.text == "***it is ***!"
    assert after.events[-1][1] == b"\xff ***"
    assert after.cut == "at ***"
    assert not after.redacted  # the request is whole
    asked = hidden(recording(f"with {key}"), [key])
    assert asked.body["messages"][0]["content"] == "with ***"
    assert Recorded.of_line(asked.line()) == asked
    assert hidden(one, []) is one


@pytest.mark.parametrize("wire", ["v1", "v2"])
def test_redacted_protocol_words_stay_decodable(wire):
    words = ["result", "content", "role", "user", "data", "stop", "DONE", "id", "张三", "delta", "messages"]
    before = streamed(["the role of 张三", " and its content"], wire)
    after = redacted(before, words)
    assert after.play().complete
    assert after.play().outcome.text == "the […] of […] and its […]"
    assert after.body["messages"] == [{"role": "user", "content": "of […]"}]
    own = replace(before, body={**before.body, "metadata": {"role 张三": "x"}})
    assert "张三" not in redacted(own, words).line()
