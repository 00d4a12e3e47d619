"""A transport that plays what a test wrote, and refuses everything else."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import httpx

from ..transport.stub.reply import ChunkStream, Incoming, Reply, incoming

Step = Reply | Exception | httpx.AsyncByteStream | Callable[[Incoming], Reply]


class UnscriptedRequest(AssertionError):
    """A request came that nobody scripted."""


class ScriptedTransport(httpx.AsyncBaseTransport):
    """
    Plays steps in order: a reply, an exception to raise, a byte stream, or a function of the request.

    ``requests`` holds what was sent. :meth:`finish` fails if a step was not played, so that a script can't rot.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = list(steps)
        self.requests: list[Incoming] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Play the next step; httpx calls this."""
        seen = await incoming(request)
        if not self._steps:
            raise UnscriptedRequest(f"nobody scripted {seen.method} {seen.path} (request {len(self.requests) + 1})")
        self.requests.append(seen)
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.AsyncByteStream):
            return httpx.Response(200, stream=step)
        reply = step if isinstance(step, Reply) else step(seen)
        return httpx.Response(reply.status, headers=dict(reply.headers), stream=ChunkStream(reply.chunks))

    def finish(self) -> None:
        """Fail if steps are left."""
        if self._steps:
            raise AssertionError(f"{len(self._steps)} scripted replies were not asked for")


class HeldStream(httpx.AsyncByteStream):
    """
    A body that sends *first*, then waits until *hold* returns, then sends *rest*; ``closed`` tells whether the client
    let go of it.
    """

    def __init__(
        self, first: Iterable[bytes], hold: Callable[[], Awaitable[object]], rest: Iterable[bytes] = ()
    ) -> None:
        self._first, self._hold, self._rest = first, hold, rest
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._first:
            yield chunk
        await self._hold()
        for chunk in self._rest:
            yield chunk

    async def aclose(self) -> None:
        """Note that the response was closed."""
        self.closed = True
