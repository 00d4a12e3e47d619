"""Whatever bytes come, the decoders end in an answer or in an error of ours. `make fuzz` runs these for hours."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import ProtocolError, QianfanError, ServiceError
from qfmagic.core.pacing.clock_skew import clock_hint, http_date
from qfmagic.core.pacing.limits import RateLimits
from qfmagic.core.pacing.retry import Attempted, GiveUp, RetryPolicy, decide, retry_after
from qfmagic.core.pause import Wait
from qfmagic.core.wire import Accumulator, feed_events, feed_rest, iam_error, make_error, read_body, service_error
from qfmagic.core.wire.sse import SSEDecoder

WIRES = st.sampled_from(["v1", "v2"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NAMES = st.sampled_from(
    [
        "id", "object", "created", "result", "is_truncated", "need_clear_history", "ban_round", "usage", "sentence_id",
        "is_end", "finish_reason", "reasoning_content", "choices", "delta", "message", "content", "index", "model",
        "prompt_tokens", "completion_tokens", "total_tokens", "error", "error_code", "error_msg", "code", "msg",
        "error_description", "requestId", "type",
    ]
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6),
    max_leaves=20,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=8)
LINES = st.one_of(
    OBJECTS.map(lambda payload: f"data: {json.dumps(payload, ensure_ascii=False)}"),
    OBJECTS.map(json.dumps),
    st.sampled_from(
        ["", "data: [DONE]", "event: plugin", "event: chat", ": keep-alive", "data:", "id: 1", "<html>", "{"]
    ),
    st.text(max_size=30),
)


@st.composite
def split_streams(draw):
    """A stream of odd lines, damaged here and there, cut into chunks anywhere."""
    ends = st.sampled_from(["\n\n", "\n", "\r\n\r\n", "\r\n"])
    text = "".join(line + draw(ends) for line in draw(st.lists(LINES, max_size=12)))
    stream = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 3))):
        if stream:
            at = draw(st.integers(0, len(stream) - 1))
            stream[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [bytes(stream[start:end]) for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def read(wire, chunks):
    decoder, collector = SSEDecoder(), Accumulator(streamed=True)
    handed, error = [], None
    try:
        for chunk in chunks:
            feed_events(wire, collector, decoder.feed(chunk))
            handed.append(collector.take())
        feed_rest(wire, collector, decoder.close())
    except QianfanError as raised:
        error = raised
    handed.append(collector.take())
    return collector, error, [delta for delta in handed if delta]


@given(WIRES, split_streams())
def test_stream_of_any_bytes_is_an_answer_or_error(wire, chunks):
    collector, error, handed = read(wire, chunks)
    outcome = collector.outcome(broken=error is not None)
    for said in (error.message("en"), error.message("zh"), error.details()) if error else ():
        assert said
    outcome.text.encode()
    assert "".join(delta.text for delta in handed) in (outcome.text, outcome.text[:-1])
    if error is not None:
        assert outcome.finish_reason == "incomplete"


@given(WIRES, split_streams())
def test_stream_result_is_independent_of_chunks(wire, chunks):
    cut, cut_error, _ = read(wire, chunks)
    whole, whole_error, _ = read(wire, [b"".join(chunks)])
    assert type(cut_error) is type(whole_error)
    assert cut.outcome() == whole.outcome() or repr(cut.outcome()) == repr(whole.outcome())  # NaN is not itself


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_sse_decoder_bounds_memory_for_any_bytes(chunks):
    decoder = SSEDecoder(max_event=200)
    with contextlib.suppress(ProtocolError):
        for chunk in [*chunks, b"data: x\n" * 40]:
            decoder.feed(chunk)
            assert decoder.buffered <= 2 * 200 + 40 + 200  # a line's beginning, a first line, and those behind it
        decoder.close()


@given(WIRES, OBJECTS.map(lambda payload: json.dumps(payload).encode()) | st.binary(max_size=60))
def test_read_body_of_any_bytes_is_an_answer_or_error(wire, body):
    with contextlib.suppress(QianfanError):
        outcome = read_body(wire, body).outcome()
        assert isinstance(outcome.text, str)


@given(st.sampled_from(["v1", "v2", "token"]), OBJECTS, st.integers(100, 599), SCALARS, st.text())
def test_service_error_of_any_object_has_a_message(wire, payload, status, code, detail):
    errors = [service_error(wire, payload, status=status), make_error(wire, code, detail, status=status)]
    errors.append(iam_error(str(code), detail, status=status))
    for error in errors:
        if error is not None:
            assert isinstance(error, ServiceError)
            assert error.message("en")
            assert "\x1b" not in error.message("zh")


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "date",
            "x-ratelimit-limit-requests",
            "x-ratelimit-limit-tokens",
            "x-ratelimit-remaining-tokens",
        ]
    ),
    st.text(max_size=30) | st.integers().map(str) | st.floats().map(str),
)


@given(
    HEADERS,
    st.sampled_from([429, 503, 500, 200]),
    st.integers(1, 9),
    st.floats(0, 1e9),
    st.floats(0, 1, exclude_max=True),
)
def test_decide_accepts_any_headers(headers, status, attempt, elapsed, draw):
    now = 1.7e9
    asked = retry_after(headers, now)
    assert asked is None or asked >= 0
    http_date(headers.get("date"))
    clock_hint(headers, now)
    assert all(limit is None or limit > 0 for limit in RateLimits.told(headers))
    decided = decide(
        Attempted(make_error("v2", None, "x", status=status), headers, attempt, elapsed, now), RetryPolicy(), draw
    )
    assert isinstance(decided, GiveUp) or (isinstance(decided, Wait) and 0 <= decided.seconds <= 600)
