"""The decoder gives the same events for the same bytes, however they are split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import ProtocolError
from qfmagic.core.wire.sse import STRAY, Event, SSEDecoder


def decode(*chunks, **options):
    decoder = SSEDecoder(**options)
    events = []
    for chunk in chunks:
        events += decoder.feed(chunk)
    return events + decoder.close()


def data(*chunks):
    return [event.data for event in decode(*chunks)]


ORDINARY = 'data: {"result":"长城，万里"}\n\n: keep-alive\n\ndata:{"result":"🐉"}\r\n\r\nevent: chat\nid: 7\nretry: 5\ndata: x\n\n'.encode()


@pytest.mark.parametrize("split", range(len(ORDINARY) + 1))
def test_sse_two_chunks_give_same_events(split):
    expected = [
        Event('{"result":"长城，万里"}'),
        Event('{"result":"🐉"}'),
        Event("x", "chat", "7", 5),
    ]
    assert decode(ORDINARY[:split], b"", ORDINARY[split:]) == expected


def test_sse_single_bytes_give_same_events():
    assert decode(*(ORDINARY[i : i + 1] for i in range(len(ORDINARY)))) == decode(ORDINARY)


LINE = st.one_of(
    st.sampled_from(
        [
            "",
            "data: {}",
            "data:",
            "data",
            ": c",
            "event: chat",
            "id: 1",
            "id: a\0b",
            "retry: 10",
            "retry: x",
            "{",
            "}",
            '{"error_code":1}',
            '  "a": 1',
            "<html>",
            "nonsense",
            "data: [DONE]",
        ]
    ),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12),
)


@given(st.lists(LINE, max_size=12), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.lists(st.integers(0, 200)))
def test_sse_any_split_gives_same_events(lines, end, closed, cuts):
    stream = (end.join(lines) + (end if closed else "")).encode()
    points = sorted({min(cut, len(stream)) for cut in cuts})
    parts = [stream[a:b] for a, b in zip([0, *points], [*points, len(stream)], strict=True)]
    assert decode(*parts) == decode(stream)


@given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1))
def test_sse_data_line_is_unchanged(text):
    assert data(f"data: {text}\n\n".encode()) == [text]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_sse_lines_end_at_line_feed_only(separator):
    """str.splitlines, and so httpx's iter_lines, would tear these events."""
    assert data(f'data: {{"result":"a{separator}b"}}\n\n'.encode()) == [f'{{"result":"a{separator}b"}}']


def test_sse_data_lines_are_joined():
    assert data(b"data: a\ndata:\ndata\ndata:  b\n\n") == ["a\n\n\n b"]


def test_sse_event_without_data_is_skipped():
    assert decode(b"event: chat\n\ndata: x\n\n") == [Event("x")]


def test_sse_id_persists_and_invalid_fields_are_ignored():
    events = decode(b"id: 1\ndata: a\n\nid: x\0y\nretry: soon\ndata: b\n\n")
    assert events == [Event("a", id="1"), Event("b", id="1")]


def test_sse_bom_is_skipped():
    assert data(b"\xef\xbb\xbfdata: x\n\n") == ["x"]


def test_sse_close_flushes_open_event():
    assert data(b"data: x") == ["x"]


def test_sse_plain_json_body_is_one_stray_event():
    assert decode(b'{"error_code":110,\n', b'"error_msg":"x"}') == [
        Event('{"error_code":110,\n"error_msg":"x"}', STRAY, sse=False)
    ]
    pretty = b'{\n  "error_code": 110,\n\n  "error_msg": "x"\n}\n'
    assert decode(pretty) == [Event(pretty.decode().replace("\n\n", "\n").rstrip("\n"), STRAY, sse=False)]


def test_sse_json_line_in_stream_is_emitted_at_once():
    decoder = SSEDecoder()
    assert decoder.feed(b'data: {"result":"a"}\n\n{"error_code":336100}\n') == [
        Event('{"result":"a"}'),
        Event('{"error_code":336100}', STRAY, sse=False),
    ]


def test_sse_json_body_in_stream_ends_at_data_or_blank_line():
    stray = Event('{\n"error_code":1}', STRAY, sse=False)
    assert decode(b'data: a\n\n{\n"error_code":1}\ndata: b\n\n') == [Event("a"), stray, Event("b")]
    assert decode(b'data: a\n\n{\n"error_code":1}\n\ndata: b\n\n') == [Event("a"), stray, Event("b")]


def test_sse_open_data_precedes_stray_line():
    assert data(b'data: a\n{"error_code":1}\n') == ["a", '{"error_code":1}']


def test_sse_unknown_fields_are_skipped():
    assert data(b"data: a\n\nfoo: bar\nbaz\n\ndata: b\n\n") == ["a", "b"]


def test_sse_html_is_one_stray_event():
    (event,) = decode(b"<html>\n\n<body>502</body>\n</html>\n")
    assert not event.sse
    assert event.data.startswith("<html>")


def test_sse_invalid_utf8_is_replaced():
    assert data(b"data: a\xff\xfeb\n\n") == ["a\ufffd\ufffdb"]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: ", b"x" * 60, b"x" * 60],
        [b"data: a\n"] * 30,
        [b"<html>\n"] * 30,
    ],
    ids=["line", "event", "stray"],
)
def test_sse_endless_event_is_rejected(chunks):
    with pytest.raises(ProtocolError, match="100 bytes"):
        decode(*chunks, max_event=100)


def test_sse_bound_applies_per_event():
    assert len(decode(*[b"data: a\ndata: b\n\n"] * 30, max_event=100)) == 30
    assert len(decode(b"data: x\n\n", *[b'{"a": 1}\n\n'] * 30, max_event=100)) == 31


def test_sse_without_blank_lines_emits_each_object():
    decoder = SSEDecoder()
    lines = [b'data: {"a": 1}\n', b'data:{"b": 2}\n', b"event: chat\n", b'data: {"c": 3}\n', b"data: [DONE]\n"]
    found = [[(event.data, event.event) for event in decoder.feed(line)] for line in lines]
    message = "message"
    assert found == [
        [],  # this one may still be an event of several lines
        [('{"a": 1}', message), ('{"b": 2}', message)],
        [],
        [('{"c": 3}', "chat")],
        [("[DONE]", message)],
    ]
    assert decoder.close() == []


def test_sse_multiline_object_is_one_event():
    assert data(b'data: {\ndata: "a": 1\ndata: }\n\n') == ['{\n"a": 1\n}']
    torn = b'data: {"a":\ndata: {"b": 1}\ndata: }\n\n'
    assert data(b'data: {"x": 1}\ndata: {"y": 1}\n\n' + torn) == ['{"x": 1}', '{"y": 1}', '{"a":\n{"b": 1}\n}']
    assert data(b"data: {x}\ndata: {y}\n\n") == ["{x}\n{y}"]


def test_sse_line_memory_is_freed():
    assert data(b"data: " + b"x" * 60 + b"\n\ndata: " + b"y" * 60, b"\n\n") == ["x" * 60, "y" * 60]
