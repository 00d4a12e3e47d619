"""
A fast server of endless answers, run in a process of its own so that its CPU time is counted for nobody.

The address says what is served: ``/WAY/COUNT`` before the service's own path. WAY is ``block`` (all events handed to
the socket at once), ``single`` (each event is a TCP write of its own, as fast as they go) or ``paced`` (the same with a
pause behind each write, so that every event arrives alone, as those of a model do) or ``slow`` (a millisecond apart).
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache

TEXT = "长城是古代中国的军事防御。"
PAUSES = {"paced": 0.0003, "slow": 0.001}  # seconds
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def _v1(count: int) -> Iterator[str]:
    for number in range(count):
        event = {
            "id": "as-benchmark0",
            "object": "chat.completion",
            "created": 1700000000,
            "sentence_id": number,
            "is_end": number == count - 1,
            "is_truncated": False,
            "result": TEXT,
            "need_clear_history": False,
            "usage": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5},
        }
        yield json.dumps(event, ensure_ascii=False)


def _v2(count: int) -> Iterator[str]:
    common = {"id": "as-benchmark0", "object": "chat.completion.chunk", "created": 1700000000, "model": "benchmark"}
    for _ in range(count - 1):
        yield json.dumps({**common, "choices": [{"index": 0, "delta": {"content": TEXT}, "flag": 0}]})
    yield "[DONE]"


@cache
def encoded(wire: str, count: int) -> list[bytes]:
    """The events, each a chunk of the transfer encoding, as the service sends them."""
    events = (f"data: {data}\n\n".encode() for data in (_v2 if wire == "v2" else _v1)(count))
    return [b"%x\r\n%s\r\n" % (len(event), event) for event in events]


def _answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as incoming:
        while request := incoming.readline():
            length = 0
            while (line := incoming.readline()).strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            incoming.read(length)
            _, way, count, rest = request.split()[1].decode().split("/", 3)
            parts = encoded("v2" if rest.startswith("v2") else "v1", int(count))
            if way == "block":
                connection.sendall(b"".join((HEAD, *parts, END)))
                continue
            connection.sendall(HEAD)
            for part in parts:
                connection.sendall(part)
                time.sleep(PAUSES.get(way, 0))
            connection.sendall(END)


def main() -> None:
    """Serve until the input ends; the answer to its first line is the address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    for _ in sys.stdin:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)


if __name__ == "__main__":
    main()
