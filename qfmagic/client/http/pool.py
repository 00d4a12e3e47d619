"""Connections side by side, each for one request at a time."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httpx

IDLE_S = 30.0  # seconds after which a connection nobody used is closed


class ConnectionPool(httpx.AsyncBaseTransport):
    """
    A transport for many requests at once.

    httpx's own pool looks through all its connections with every request that begins or ends, and closes those above a
    number when they rest for a moment; with 64 at work that costs more than the requests. Here each connection has a
    transport of its own, and the one that was used last is used next: there are never more than requests under way.

    Args:
        make: Makes the transport of one connection.
        timer: Seconds of a clock that never jumps.
    """

    def __init__(
        self, make: Callable[[], httpx.AsyncBaseTransport], timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._make, self._timer = make, timer
        self._free: list[tuple[float, httpx.AsyncBaseTransport]] = []
        self._busy: set[httpx.AsyncBaseTransport] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; httpx calls this."""
        lane = self._free.pop()[1] if self._free else self._make()
        self._busy.add(lane)
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            await self._drop(lane)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _PooledBody(response.stream, self, lane)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        lanes = [*(lane for _, lane in self._free), *self._busy]
        self._free.clear()
        self._busy.clear()
        for lane in lanes:
            await _close(lane)

    async def _leave(self, lane: httpx.AsyncBaseTransport) -> None:
        """The request on it has ended; what has rested for long is closed."""
        if lane not in self._busy:  # closed meanwhile, or left before
            return
        self._busy.remove(lane)
        now = self._timer()
        self._free.append((now, lane))
        while self._free and self._free[0][0] < now - IDLE_S:  # while one is closed, others may be taken
            await _close(self._free.pop(0)[1])

    async def _drop(self, lane: httpx.AsyncBaseTransport) -> None:
        """
        The request on it was broken off: it is not used again.

        One that is cancelled while its connection is being closed leaves that counted as taken, and the next request
        there would wait for it without end.
        """
        if lane in self._busy:
            self._busy.remove(lane)
            await _close(lane)


async def _close(lane: httpx.AsyncBaseTransport) -> None:
    """Close a connection; that it can't be closed in order is no fault of the request that happens to do it."""
    with suppress(Exception):
        await lane.aclose()


class _PooledBody(httpx.AsyncByteStream):
    """A response's body; when it is closed, its connection is free."""

    def __init__(self, stream: httpx.AsyncByteStream, lanes: ConnectionPool, lane: httpx.AsyncBaseTransport) -> None:
        self._stream, self._lanes, self._lane = stream, lanes, lane
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece
        self._whole = True

    async def aclose(self) -> None:
        closed = False
        try:
            await self._stream.aclose()
            closed = True
        finally:
            end = self._lanes._leave if self._whole and closed else self._lanes._drop  # noqa: SLF001 - its own
            await end(self._lane)
