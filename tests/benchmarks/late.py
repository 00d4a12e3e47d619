"""A server that answers every request 100 ms after it has come, in a process of its own and in one thread."""

import asyncio
import sys
import threading

from .server import END, HEAD, encoded

LATENCY = 0.1  # seconds


class _Late(asyncio.Protocol):
    def __init__(self) -> None:
        self._incoming = b""
        self._reply = b"".join((HEAD, *encoded("v1", 1), END))

    def connection_made(self, transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._incoming += data
        while True:
            head, blank, rest = self._incoming.partition(b"\r\n\r\n")
            if not blank:
                return
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(rest) < length:
                return
            self._incoming = rest[length:]
            asyncio.get_running_loop().call_later(LATENCY, self._transport.write, self._reply)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Late, "127.0.0.1", 0, backlog=200)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer() -> None:
        for _ in sys.stdin:
            print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=answer, daemon=True).start()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
