"""The stub service as an httpx transport: no keys of the user's, no network."""

import httpx

from .reply import ChunkStream, incoming
from .service import StubKeys, StubService


class StubTransport(httpx.AsyncBaseTransport):
    """
    Answers every request from a :class:`StubService`.

    Args:
        service: The stand-in to ask; one with the usual stub keys when not given.
        pace: Seconds between the events of a stream, to watch it stream.
    """

    def __init__(self, service: StubService | None = None, *, pace: float = 0.0) -> None:
        self.service = service or StubService()
        self._pace = pace

    @property
    def keys(self) -> StubKeys:
        """The keys it accepts."""
        return self.service.keys

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; httpx calls this."""
        reply = self.service(await incoming(request))
        return httpx.Response(reply.status, headers=dict(reply.headers), stream=ChunkStream(reply.chunks, self._pace))
