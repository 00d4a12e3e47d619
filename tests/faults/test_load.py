"""Many streams at once, and many turns after each other."""

import gc
import logging
import resource
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.client.http.network import MAX_CONNECTIONS
from tests.support.faults.server import STREAM, FaultServer, chunk
from tests.support.faults.table import FINE, GOOD, v1

pytestmark = pytest.mark.slow

STREAMS, CHUNKS = 200, 1000


def client_of(server):
    return Qianfan(settings=Settings(access_token="t", base_url=server.url), model="yi_34b_chat", timeout=60)


def test_concurrent_streams_are_whole_and_share_connections():
    pieces = [f"{number} " for number in range(CHUNKS)]
    events = b"".join(chunk(v1(piece, number)) for number, piece in enumerate(pieces))
    long = (STREAM, events, chunk(v1("", is_end=True)), b"0\r\n\r\n")
    with FaultServer([long]) as server, client_of(server) as client:
        list(client.stream("hi"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        streams = [client.stream("hi") for _ in range(STREAMS)]
        for stream in streams:
            assert "".join(delta.text for delta in stream) == "".join(pieces)
            assert stream.answer.complete
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert 1 < server.most_open <= MAX_CONNECTIONS
    # Some 0.2 MB a stream: the text in its pieces, the server's own buffers and threads.
    assert grown < 200


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files as Linux shows them")
def test_consecutive_turns_leak_nothing(caplog):
    caplog.set_level(logging.WARNING)  # pytest keeps every record; what a log keeps is no leak of a turn
    caplog.set_level(logging.WARNING, logger="httpcore")

    def open_now():
        gc.collect()
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), threading.active_count(), len(gc.get_objects())

    with FaultServer([FINE["v1"]]) as server, client_of(server) as client:

        def turns(count):
            for _ in range(count):
                assert "".join(delta.text for delta in client.stream("hi")) == GOOD

        turns(50)
        seen = [open_now()]
        for _ in range(3):
            turns(300)
            seen.append(open_now())
        assert server.connections == 1
    assert {one[:2] for one in seen} == {seen[0][:2]}
    # Less than one object a turn; the server keeps what it was asked. What others of this process leave, they leave
    # once: a turn that leaves something does so each time.
    assert min(after[2] - before[2] for before, after in pairwise(seen)) < 300
