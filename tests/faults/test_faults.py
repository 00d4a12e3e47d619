"""Every row of the table, over real sockets."""

import gzip

import pytest

from qfmagic import Conversation, Qianfan, Settings
from qfmagic.core import errors
from qfmagic.core.wire import check_messages
from tests.support.faults.server import FaultServer, stream, told, whole
from tests.support.faults.table import BOMB, BUSY, FAULTS, FINE, GOOD, SO_FAR, Fault, packed, sse

MODELS = {"v1": "yi_34b_chat", "v2": "ernie-5.1"}


def settings(url, **more):
    """Asks again without a pause: what decides about pauses has tests of its own."""
    keys = {
        "access_token": "t",
        "bearer_token": "b",
        **dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), url),
    }
    return Settings(**{**keys, "backoff_factor": 0, "retry_jitter": 0, "max_wait_interval": 0, **more})


@pytest.fixture(autouse=True)
def smaller_bounds(monkeypatch):
    """So that what has no end is given up sooner."""
    monkeypatch.setattr("qfmagic.client.attempt.MAX_BODY", 4 * 2**20)
    monkeypatch.setattr("qfmagic.core.wire.sse.SSEDecoder.__init__.__defaults__", (2**20,))


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{row.wire}: {row.name}" for row in FAULTS])
def test_client_handles_every_fault(fault: Fault):
    with (
        FaultServer(fault.scripts) as server,
        Qianfan(settings=settings(server.url), model=MODELS[fault.wire], timeout=fault.timeout) as client,
    ):
        stream = client.stream("hi")
        error, pieces = None, []
        try:
            for delta in stream:
                pieces.append(delta.text)  # noqa: PERF401 - those before an error count
        except errors.QianfanError as raised:
            error = raised
        answer = stream.answer if error is None else error.partial
        assert sum(head.startswith("POST") for head in server.heads) == fault.asked
        assert answer.text == "".join(pieces)
        assert answer.text.startswith(SO_FAR * 9) if fault.text is None else answer.text == fault.text
        if fault.error is None:
            assert error is None
            assert answer.finish_reason == fault.finish
        else:
            kind, code = fault.error
            assert type(error).__name__ == kind
            assert code in (None, error.key, getattr(error, "code", None))
            assert not answer.complete
            for lang in ("en", "zh"):
                assert error.message(lang)
        # What came is no history unless it is whole, and the history is one the service takes.
        conversation = Conversation().add("hi", answer) if answer.complete else Conversation()
        check_messages("v1", client.plan("on", history=conversation, model="ernie-5.1").context.messages)


@pytest.mark.parametrize("fault", [row for row in FAULTS if row.asked > 1], ids=lambda row: f"{row.wire}: {row.name}")
def test_retry_pauses_are_reported(fault):
    with (
        FaultServer(fault.scripts) as server,
        Qianfan(settings=settings(server.url), model=MODELS[fault.wire]) as client,
    ):
        stream = client.stream("hi")
        waits, error = [], None
        try:
            for delta in stream:
                waits += [delta.wait] if delta.wait else []
        except errors.QianfanError as raised:
            error = raised
    assert (error is None) == (fault.error is None)
    if error is not None:
        assert f"Failed after {fault.asked} attempts" in str(error)
        assert f"已尝试 {fault.asked} 次" in error.message("zh")
    assert [wait.attempt for wait in waits] == list(range(2, fault.asked + 1))
    assert all("Retrying in" in wait.describe("en") for wait in waits)


def test_connection_with_surplus_bytes_is_not_reused():
    surplus = (*FINE["v1"], b"data: surplus\n\n")
    with (
        FaultServer([surplus, FINE["v1"]]) as server,
        Qianfan(settings=settings(server.url), model=MODELS["v1"]) as client,
    ):
        for _ in range(3):
            assert "".join(delta.text for delta in client.stream("hi")) == GOOD


@pytest.mark.parametrize("count", [1, 2, 5])
def test_retry_count_counts_attempts(count):
    busy = told({"error_code": 336100, "error_msg": "x"})
    with (
        FaultServer([busy]) as server,
        Qianfan(settings=settings(server.url, retry_count=count), model=MODELS["v1"]) as client,
        pytest.raises(errors.UnavailableError),
    ):
        client.ask("hi")
    assert len(server.heads) == count


def test_cut_body_is_not_retried():
    half = (b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + b'{"id": "as-1", "res', "close")
    with (
        FaultServer([half]) as server,
        Qianfan(settings=settings(server.url), model=MODELS["v1"]) as client,
        pytest.raises(errors.TransportError),
    ):
        client.ask("hi")
    assert len(server.heads) == 1


def test_refused_connection_is_retried_and_reported():
    with FaultServer([FINE["v1"]]) as server:
        gone = server.url
    with (
        Qianfan(settings=settings(gone), model=MODELS["v1"]) as client,
        pytest.raises(errors.ConnectError, match="Failed after 3 attempts"),
    ):
        client.ask("hi")


@pytest.mark.parametrize("wire", ["v1", "v2"])
def test_error_event_in_stream_closes_connection(wire):
    busy = b"".join(stream(sse(BUSY[wire])))  # at once: what ends behind the refusal isn't waited for
    with FaultServer([(busy,)]) as server, Qianfan(settings=settings(server.url), model=MODELS[wire]) as client:
        for _ in range(3):
            with pytest.raises(errors.UnavailableError):
                list(client.stream("hi"))
    assert server.connections == 1


WAYS = {  # how a token comes to be asked for, and how an answer
    "token of an application": {"ak": "a", "sk": "s", "access_token": "", "bearer_token": ""},
    "token of IAM": {"access_key": "a", "secret_key": "s", "access_token": "", "bearer_token": ""},
    "answer": {},
}
PACKED = {
    "a bomb": (packed(BOMB, by="gzip"), ("protocol.endless", "protocol.event")),
    "two layers": (packed(gzip.compress(BOMB), by="gzip, gzip"), ("protocol.encoding",)),
    "an unknown way": (packed(b"x", by="zstd"), ("protocol.encoding",)),
    "damaged": (packed(gzip.compress(b"{}" * 999)[:-8] + b"x" * 8, by="gzip"), ("protocol.packed_broken",)),
    "cut off": (packed(gzip.compress(b"{}" * 999)[:-9], by="gzip"), ("protocol.packed_cut",)),
    "deep": (whole(b"[" * 20_000), ("protocol.json", "protocol.token")),
}


@pytest.mark.parametrize(("body", "keys"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("stream", [True, False])
def test_unreadable_body_is_the_same_error_everywhere(monkeypatch, body, keys, way, stream):
    monkeypatch.setattr("qfmagic.client.http.network.MAX_BODY", 4 * 2**20)
    with (
        FaultServer([body]) as server,
        Qianfan(settings=settings(server.url, **way), model=MODELS["v2" if "access_key" in way else "v1"]) as client,
        pytest.raises(errors.ProtocolError) as caught,
    ):
        list(client.stream("hi")) if stream else client.ask("hi")
    assert caught.value.key in keys
    assert "\n" not in str(caught.value)
    assert all("\r\nAccept-Encoding: identity\r\n" in head for head in server.heads)


@pytest.mark.parametrize("seconds", ["1e999", "9" * 400, "-1", "NaN", '"\\ud800"', "[" * 900 + "]" * 900])
def test_token_with_invalid_lifetime_is_used_or_rejected(seconds):
    token = whole(f'{{"access_token": "fetched", "expires_in": {seconds}}}'.encode())
    error = answer = None
    with (
        FaultServer([token, FINE["v1"]]) as server,
        Qianfan(settings=settings(server.url, **WAYS["token of an application"]), model=MODELS["v1"]) as client,
    ):
        try:
            answer = "".join(delta.text for delta in client.stream("hi"))
        except errors.ProtocolError as raised:
            error = raised
    assert (answer == GOOD) != (error is not None)
