"""
One connection, for one request at a time.

httpx's own transport can do the same, in about twice the time: for many short requests at once, most of what it spends
goes into its pool, and into a layer for event loops other than asyncio's. What HTTP is, is left to httpcore.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

KEEPALIVE_S = 30.0  # seconds a connection may rest before it counts as gone
NEXT_ADDRESS_S = 0.25  # seconds after which a host's next address is tried beside the first (RFC 8305)
HIGH_WATER_BYTES = 256 * 1024  # bytes that have come and nobody has read, before the network is told to wait


class Connection(httpx.AsyncBaseTransport):
    """
    A transport of one connection, straight to a host.

    Args:
        url: An address there; scheme, host and port count.
        certificates: What is trusted; None for a connection without TLS.
    """

    def __init__(self, url: httpx.URL, certificates: ssl.SSLContext | None) -> None:
        self._url, self._certificates = url, certificates
        self._origin = _address(url).origin
        self._connection: httpcore.AsyncHTTP11Connection | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; httpx calls this."""
        connection = self._connection
        if connection is not None and (connection.is_closed() or connection.has_expired()):
            await self.aclose()
            connection = None
        if connection is None:
            timeout = request.extensions.get("timeout", {}).get("connect")
            stream = await self._connected(timeout)
            connection = httpcore.AsyncHTTP11Connection(self._origin, stream, keepalive_expiry=KEEPALIVE_S)
            self._connection = connection
        sent = httpcore.Request(
            method=request.method,
            url=_address(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            response = await connection.handle_async_request(sent)
        return httpx.Response(
            response.status, headers=response.headers, stream=_ConnectionBody(response), extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def _connected(self, timeout: float | None) -> "_Stream":
        host, port = self._url.host, self._url.port or {"http": 80, "https": 443}[self._url.scheme]
        try:
            async with asyncio.timeout(timeout):
                _, stream = await asyncio.get_running_loop().create_connection(
                    _Stream, host, port, ssl=self._certificates, happy_eyeballs_delay=NEXT_ADDRESS_S
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:  # a host's name may be none
            raise httpx.ConnectError(str(error)) from error
        return stream


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """
    A connection's bytes.

    A request's head and body are written by themselves; they leave together when the answer is first waited for.
    What came before a connection broke is read before that is told.
    """

    def __init__(self) -> None:
        self._leaving: list[bytes] = []
        self._came = bytearray()
        self._ended = False
        self._problem: Exception | None = None
        self._reading: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        if len(self._came) > HIGH_WATER_BYTES:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._problem = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._leaving:
            self._transport.write(b"".join(self._leaving))
            self._leaving.clear()
        if not (self._came or self._ended):
            self._reading = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._reading
            except TimeoutError as error:
                raise httpcore.ReadTimeout(str(error)) from error
        if not self._came and self._problem is not None:
            raise httpcore.ReadError(str(self._problem)) from self._problem
        found = bytes(self._came[:max_bytes])
        del self._came[:max_bytes]
        if len(self._came) <= HIGH_WATER_BYTES:
            self._transport.resume_reading()
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - it doesn't wait
        if buffer:
            self._leaving.append(buffer)

    async def aclose(self) -> None:
        # Nothing is left to be sent, and nobody waits for what a server may say to a goodbye.
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # of a connection that rests: its end, or what nobody asked for
            return self._ended or bool(self._came)
        if info == "buffered":  # bytes that have come and nobody has read
            return len(self._came)
        if info == "is_paused":  # whether the network was told to wait
            return not self._transport.is_reading()
        return self._transport.get_extra_info(info)


class _ConnectionBody(httpx.AsyncByteStream):
    """A response's body."""

    def __init__(self, response: httpcore.Response) -> None:
        self._stream: Any = response.stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in self._stream:
                yield piece

    async def aclose(self) -> None:
        with _as_httpx():
            await self._stream.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The errors of httpcore as those of httpx, which have the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error)) from error


def _address(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
