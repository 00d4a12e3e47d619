"""A tape between client and service: what was recorded is played to the last byte, without keys and without the service."""

import asyncio
from pathlib import Path

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.core.errors import CassetteError, CredentialError, QianfanError, TransportError
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.cassette.tape import CassetteTape, NoNetwork
from tests.support.faults.server import CLOSE, HOLD, STREAM, FaultServer, chunk, stream, told, whole
from tests.support.faults.table import BUSY, END, FAULTS, FINE, FIRST, GOOD, SO_FAR, v1

PATH = Path("a.qf.jsonl")
KEYS = {"access_token": "SEKRET-token", "bearer_token": "SEKRET-bearer"}
NO_PAUSES = {"backoff_factor": 0, "retry_jitter": 0, "max_wait_interval": 0}
MODELS = {"v1": "yi_34b_chat", "v2": "ernie-5.1"}


@pytest.fixture
def smaller_bounds(monkeypatch):
    """So that what has no end is given up sooner."""
    monkeypatch.setattr("qfmagic.client.attempt.MAX_BODY", 2**20)
    monkeypatch.setattr("qfmagic.core.wire.sse.SSEDecoder.__init__.__defaults__", (2**18,))


def recorder(server, mode="record", *, tape=None, **settings):
    settings = Settings(**KEYS, base_url=server.url, console_base_url=server.url, **NO_PAUSES, **settings)
    return Qianfan(settings=settings, tape=tape or CassetteTape(PATH, mode), label="record", timeout=5)


def player(*, tape=None, **options):
    tape = tape or CassetteTape(PATH, "replay", **options)
    return Qianfan(settings=Settings(), transport=NoNetwork(), tape=tape, label="replay", timeout=5)


def outcome(client, prompt="hi", model="yi_34b_chat", **options):
    """Everything that a caller can tell one run by."""
    stream = client.stream(prompt, model=model, **options)
    try:
        text = "".join(delta.text for delta in stream)
    except QianfanError as error:
        part = error.partial
        return type(error).__name__, error.key, part and (part.text, part.finish_reason)
    answer = stream.answer
    return text, answer.text, answer.usage, answer.id, answer.finish_reason, answer.reasoning, answer.created


def whole_answer(client):
    stream = client.stream("hi", model="yi_34b_chat")
    for _ in stream:
        pass
    return stream.answer


def exchanges():
    return list(cassette.read(PATH).exchanges.values())


# What a stand-in can't do again, or what differs because nothing is waited for: silence is no exchange.
UNRECORDED = ("ResponseTimeout", "ConnectError")
# Replayed with what came, but as a connection that broke: what was wrong with the packing is not in the recording.
UNREADABLE = (
    "no end",
    *(
        row.name
        for row in FAULTS
        if row.error and str(row.error[1]).startswith(("protocol.packed", "protocol.encoding"))
    ),
)
NOTHING = ("closed without a word, always",)


@pytest.mark.usefixtures("smaller_bounds")
@pytest.mark.parametrize(
    "fault", [row for row in FAULTS if row.name not in UNREADABLE], ids=lambda fault: f"{fault.wire}-{fault.name}"
)
def test_tape_replays_every_fault(fault):
    options = {"model": MODELS[fault.wire], "timeout": fault.timeout}
    with FaultServer(fault.scripts) as server, recorder(server, retry_count=2) as client:
        recorded = outcome(client, **options)
    kept = exchanges()
    if recorded[0] in UNRECORDED or fault.name in NOTHING:
        assert not kept
        return
    assert len(kept) == 1  # whatever was tried before is no part of it
    with player() as client:
        assert outcome(client, **options) == recorded


def test_tape_replay_needs_no_keys_or_network():
    with FaultServer([FINE["v1"]]) as server, recorder(server) as client:
        recorded = outcome(client)
        whole_answer(client)
    assert exchanges()[0].play().outcome.text == GOOD
    with player() as client:
        assert outcome(client) == recorded
        assert whole_answer(client).transport == "replay"


def test_tape_record_marks_answers_and_sends_every_time():
    with FaultServer([FINE["v1"]]) as server, recorder(server) as client:
        assert whole_answer(client).transport == "record"
        whole_answer(client)
        assert len(server.heads) == 2
    assert [one.n for one in exchanges()] == [0, 1]


def test_tape_record_replaces_exchange_of_same_slot():
    with FaultServer([stream(v1("old"), END["v1"]), FINE["v1"]]) as server, recorder(server) as client:
        plan = client.plan("hi", model="yi_34b_chat", stream=True)
        texts = []
        for slot in ("cell 1", "cell 1", "cell 2"):
            with client.send(plan, slot=slot) as answer:
                texts.append("".join(delta.text for delta in answer))
    assert texts == ["old", GOOD, GOOD]
    assert [(one.n, one.play().outcome.text) for one in exchanges()] == [(0, GOOD), (1, GOOD)]
    with player() as client:
        for slot in ("b", "b", "c", "b"):
            list(client.send(plan, slot=slot))
        with pytest.raises(CassetteError, match="only 2 answers to this request, which was sent 3 times"):
            list(client.send(plan, slot="d"))


def test_tape_auto_sends_only_missing_exchanges():
    with FaultServer([FINE["v1"]]) as server:
        for count in (1, 1):
            with recorder(server, "auto") as client:
                assert outcome(client)[0] == GOOD
            assert len(server.heads) == count
        with recorder(server, "auto") as client:
            outcome(client)
            assert outcome(client, "other")[0] == GOOD
    assert len(exchanges()) == 2
    keyless = Qianfan(settings=Settings(), tape=CassetteTape(PATH, "auto"))
    with keyless as client:
        assert outcome(client)[0] == GOOD
        with pytest.raises(CredentialError):
            client.ask("a third", model="yi_34b_chat")


def test_tape_auto_sends_failed_exchange_again():
    with FaultServer([told(BUSY["v1"]), FINE["v1"]]) as server:
        with recorder(server, "auto", retry_count=1) as client:
            assert outcome(client)[0] == "UnavailableError"
        with recorder(server, "auto", retry_count=1) as client:
            assert outcome(client)[0] == GOOD
    assert [one.play().complete for one in exchanges()] == [True]
    PATH.unlink()
    with FaultServer([told({"error_code": 336003, "error_msg": "the request's own fault"}), FINE["v1"]]) as server:
        for _ in range(2):
            with recorder(server, "auto") as client:
                assert outcome(client)[0] == "RequestError"
        assert len(server.heads) == 1


def test_tape_stopped_answer_keeps_earlier_recording():
    with FaultServer([FINE["v1"], (STREAM, chunk(FIRST["v1"]), HOLD)]) as server, recorder(server) as client:
        plan = client.plan("hi", model="yi_34b_chat", stream=True)
        list(client.send(plan, slot="cell"))
        with client.send(plan, slot="cell") as answer:
            assert next(answer).text == SO_FAR
            answer.stop()
    assert [one.play().outcome.text for one in exchanges()] == [GOOD]


def test_tape_stores_answer_at_its_end_mark():
    with FaultServer([(STREAM, chunk(FIRST["v1"]), chunk(END["v1"]), HOLD)]) as server, recorder(server) as client:
        assert outcome(client)[0] == SO_FAR
    assert exchanges()[0].play().complete


def test_tape_redacts_keys_repeated_by_service():
    key = KEYS["access_token"]
    echo = stream(v1(f"your key is {key[:8]}"), v1(key[8:]), END["v1"])
    with FaultServer([echo, told({"error_code": 6, "error_msg": f"no: {KEYS['bearer_token']}"})]) as server:
        with recorder(server) as client:
            outcome(client)
        with recorder(server) as client:
            outcome(client, model="ernie-5.1")
            told_it = outcome(client, f"it is {key}", model="ernie-5.1")
    assert len(exchanges()) == 3
    assert b"SEKRET" not in PATH.read_bytes()
    assert "your key is ***" in [one.play().outcome.text for one in exchanges()]
    with player() as client:
        assert outcome(client, f"it is {key}", model="ernie-5.1") == told_it


def test_tape_stores_compressed_answer_readable():
    import gzip

    body = gzip.compress(v1("长城") + END["v1"])
    packed = whole(body, content_type="text/event-stream", content_encoding="gzip")
    with FaultServer([packed]) as server, recorder(server) as client:
        recorded = outcome(client)
    assert recorded[0] == "长城"
    assert "长城" in PATH.read_text(encoding="utf-8")
    with player() as client:
        assert outcome(client) == recorded


def test_tape_replay_keeps_recorded_pace():
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)

    with FaultServer([FINE["v1"]]) as server, recorder(server) as client:
        outcome(client)
    (kept,) = exchanges()
    with player(sleep=sleep) as client:
        assert outcome(client)[0] == GOOD
    assert sum(slept) == pytest.approx(kept.events[-1][0])
    assert len(slept) == len(kept.events)


def test_tape_unwritable_cassette_keeps_answer():
    with FaultServer([FINE["v1"]]) as server:
        tape = CassetteTape(PATH, "record")
        client = recorder(server, tape=tape)
        PATH.unlink()
        PATH.mkdir()  # as a full disk would
        with client:
            assert outcome(client)[0] == GOOD
            assert tape.trouble.key == "cassette.unwritable"
            assert "1 exchange not recorded yet" in str(tape.trouble)
            assert outcome(client, "again")[0] == GOOD
            assert "2 条记录尚未写入" in tape.trouble.message("zh")
            tape.tidy()
            assert "2 exchanges not recorded yet" in str(tape.trouble)
            PATH.rmdir()  # there is room again
            assert outcome(client, "and again")[0] == GOOD
            assert tape.trouble is None
            assert len(exchanges()) == 3
            PATH.unlink()
            PATH.mkdir()
            assert outcome(client, "at the end")[0] == GOOD
            PATH.rmdir()
            tape.tidy()
            assert tape.trouble is None
    assert [one.body["messages"][0]["content"] for one in exchanges()] == ["at the end"]


def test_tape_records_concurrent_exchanges():
    def answer(head, body):
        number = body.decode().rsplit("q", 1)[1].split('"')[0]
        return stream(v1(f"a{number}"), END["v1"])

    with FaultServer(answer) as server, recorder(server) as client:
        streams = [client.stream(f"q{number}", model="yi_34b_chat") for number in range(30)]
        assert ["".join(delta.text for delta in one) for one in streams] == [f"a{number}" for number in range(30)]
    assert len(exchanges()) == 30
    tape = CassetteTape(PATH, "replay")
    with player(tape=tape) as client:
        streams = [client.stream(f"q{number}", model="yi_34b_chat") for number in reversed(range(30))]
        assert [one.answer.text for one in streams if list(one)] == [f"a{number}" for number in reversed(range(30))]
        assert tape.unplayed == []


def test_tape_replays_broken_connection():
    broken = (STREAM, chunk(FIRST["v1"]), CLOSE)
    with FaultServer([broken]) as server, recorder(server) as client, pytest.raises(TransportError) as first:
        whole_answer(client)
    with player() as client, pytest.raises(TransportError) as second:
        whole_answer(client)
    assert str(second.value) == str(first.value)
    assert second.value.partial.text == SO_FAR


def test_tape_skips_endless_answer(monkeypatch):
    monkeypatch.setattr("qfmagic.transport.cassette.tape.LARGEST", 10_000)
    long = stream(*(v1("x" * 50, number) for number in range(200)), END["v1"])
    tape = CassetteTape(PATH, "record")
    with FaultServer([long, FINE["v1"]]) as server, recorder(server, tape=tape) as client:
        assert outcome(client)[0] == "x" * 10_000
        assert not exchanges()
        assert tape.trouble.key == "cassette.too_long"
        outcome(client, "short")
        assert tape.trouble is None
    assert len(exchanges()) == 1


def test_tape_failed_request_leaves_no_gap():
    with FaultServer([(CLOSE,), FINE["v1"]]) as server, recorder(server, retry_count=1) as client:
        assert outcome(client)[0] == "TransportError"
        assert outcome(client)[0] == GOOD
    with player() as client:
        assert outcome(client)[0] == GOOD
        with pytest.raises(CassetteError, match="only 1 answer to this request, which was sent 2 times"):
            client.send(client.plan("hi", model="yi_34b_chat", stream=True)).__next__()
    with FaultServer([stream(v1("new"), END["v1"])]) as server, recorder(server, "auto") as client:
        assert [outcome(client)[0] for _ in range(2)] == [GOOD, "new"]
    with player() as client:
        assert [outcome(client)[0] for _ in range(2)] == [GOOD, "new"]


def test_tape_trouble_is_cleared_after_successful_write():
    with FaultServer([FINE["v1"]]) as server:
        with recorder(server, "auto") as client:
            outcome(client)
        tape = CassetteTape(PATH, "auto")
        tape.trouble = CassetteError("cassette.empty", path="a")
        with recorder(server, tape=tape) as client:
            assert outcome(client)[0] == GOOD
        assert len(server.heads) == 1
    assert tape.trouble is None


def test_tape_replays_non_ascii_header():
    odd = whole(
        b'{"error_code": 336003, "error_msg": "no"}', content_type="text/plain; x=\u957f".encode().decode("latin-1")
    )
    with FaultServer([odd]) as server, recorder(server) as client:
        recorded = outcome(client)
    with player() as client:
        assert outcome(client) == recorded


class Watched(dict):
    """The exchanges of a tape, with a count of how often all of them are looked through."""

    looks = 0

    def values(self):
        self.looks += 1
        return super().values()

    def __iter__(self):
        self.looks += 1
        return super().__iter__()


def test_tape_lookup_does_not_scan_all_exchanges():
    """A map over many new rows would take time in proportion to their square."""
    with FaultServer([FINE["v1"]]) as server:
        with recorder(server) as client:
            whole_answer(client)
        tape = CassetteTape(PATH, "auto")
        tape.exchanges = Watched(tape.exchanges)
        with recorder(server, tape=tape) as client:
            for number in range(20):
                assert outcome(client, f"new {number}")[0] == GOOD
            assert tape.exchanges.looks == 0
    assert len(exchanges()) == 21
