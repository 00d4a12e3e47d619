"""Requests and responses without HTTP, and the bridge to httpx."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from ...core.safe_json import read_json

JSON_TYPE = "application/json;charset=utf-8"
EVENT_TYPE = "text/event-stream;charset=utf-8"


class Incoming(NamedTuple):
    """A request as a service sees it; header names are lower-case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return read_json(self.body)


class Reply(NamedTuple):
    """A response: status, headers, and the body in the pieces it is sent in."""

    chunks: tuple[bytes, ...]
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({"content-type": JSON_TYPE})

    @classmethod
    def of_json(cls, payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> "Reply":
        """A JSON body."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        return cls((body,), status, {"content-type": JSON_TYPE, **(headers or {})})

    @classmethod
    def of_events(cls, payloads: Iterable[Any], *, done: bool = False) -> "Reply":
        """A stream of events, each in a piece of its own; with ``[DONE]`` behind them on V2."""
        chunks = [f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode() for payload in payloads]
        if done:
            chunks.append(b"data: [DONE]\n\n")
        return cls(tuple(chunks), 200, {"content-type": EVENT_TYPE, "cache-control": "no-cache"})


class ChunkStream(httpx.AsyncByteStream):
    """A body that comes piece by piece, *pace* seconds apart."""

    def __init__(self, chunks: Iterable[bytes], pace: float = 0.0) -> None:
        self._chunks = chunks
        self._pace = pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            await asyncio.sleep(self._pace)  # without a pace too: each piece comes by itself, as from a network
            yield chunk


async def incoming(request: httpx.Request) -> Incoming:
    """Read an httpx request."""
    return Incoming(
        request.method,
        request.url.path,
        dict(request.url.params),
        {name.lower(): value for name, value in request.headers.items()},
        await request.aread(),
    )
