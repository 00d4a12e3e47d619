"""One attempt at an answer: a request sent, its response read as it comes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import httpx

from ..core.answer import STUB_SERVER
from ..core.errors import ProtocolError, ResponseTimeout, ServiceError
from ..core.wire import body_error, feed_events, feed_rest, make_error, read_body
from ..core.wire.sse import SSEDecoder
from .auth.authorizer import gateway_error
from .exchange import HttpExchange
from .http.chunks import read_portions
from .http.network import MAX_BODY, cut, read_whole

DRAIN_TIMEOUT = 0.2  # seconds
STREAM_OPTIONS = "stream_options"  # a field of the request that some gateways reject
_KEPT_HEADERS = ("x-ratelimit-", "x-baidu-request-id", "x-request-id", "statement")


class Hear(Protocol):
    """Takes note of a sign of life."""

    def __call__(self, *, body: bool = False) -> None:
        """Wait anew; *body*: it is a part of the answer's body."""
        ...


async def attempt(exchange: HttpExchange, open_response: Callable[[], Awaitable[httpx.Response]], label: str) -> None:
    """
    Send a request and fill *exchange* from what comes.

    Args:
        exchange: The request.
        open_response: Sends it, and returns the response with its body still to be read.
        label: What answers.

    Raises:
        TransportError: Not reached, silent for too long, or no answer of the service's.
        ServiceError: The service answered with an error.
    """
    silence = exchange.timeout
    heard = False
    try:
        # A moment more than the connection has, so that the more exact error comes first.
        async with asyncio.timeout(silence + 0.05) as guard:
            response = await open_response()

            def hear(*, body: bool = False) -> None:
                nonlocal heard
                heard = heard or body
                wait = DRAIN_TIMEOUT if exchange.collector.done else silence
                guard.reschedule(asyncio.get_running_loop().time() + wait)

            hear()
            try:
                await _read(exchange, response, label, hear)
            finally:
                exchange.received |= response.is_success and response.num_bytes_downloaded > 0
                await response.aclose()
    except TimeoutError:
        if not exchange.collector.done:
            key = "timeout.between" if heard else "timeout.first"
            raise ResponseTimeout(key, seconds=silence) from None
    except (httpx.TransportError, httpx.DecodingError, OSError) as error:  # some of TLS's come as they are
        if not exchange.collector.done:
            raise cut(error) from error


async def _read(exchange: HttpExchange, response: httpx.Response, label: str, hear: Hear) -> None:
    exchange.heard = dict(response.headers)
    exchange.headers = {name: value for name, value in exchange.heard.items() if name.startswith(_KEPT_HEADERS)}
    stub = response.headers.get("server") == STUB_SERVER
    exchange.transport = "stub" if stub else label
    if not response.is_success or not exchange.request.stream:
        await _whole(exchange, response, hear)
    else:
        await _streamed(exchange, response, hear)


async def _whole(exchange: HttpExchange, response: httpx.Response, hear: Hear) -> None:
    body = await read_whole(response, lambda: hear(body=True))
    status = response.status_code
    wire = exchange.request.wire
    exchange.refused = not response.is_success and STREAM_OPTIONS.encode() in body
    try:
        collector = read_body(wire, body)
    except ServiceError as error:
        # Once more with what the body doesn't say: the status decides the class of an unknown code.
        raise make_error(
            wire, error.code, error.detail, status=status, request_id=_request_id(error, response)
        ) from None
    except ProtocolError:
        gateway = gateway_error(status, response.headers)
        if response.is_success and gateway is None:
            raise
        raise gateway or body_error(wire, body, status=status) from None
    if not response.is_success:
        raise body_error(wire, body, status=status)
    exchange.collector = collector
    exchange.hand_on()


async def _streamed(exchange: HttpExchange, response: httpx.Response, hear: Hear) -> None:
    """Read the stream; *hear* is called with whatever it brings: a comment is a sign of life, too."""
    decoder = SSEDecoder()
    collector, wire = exchange.collector, exchange.request.wire
    size = 0

    def take_in(portion: bytes) -> None:
        nonlocal size
        if (
            collector.done
        ):  # what follows the end mark is read for the connection's sake, and for no longer than silence
            return
        size += len(portion)
        exchange.received = True
        if size > MAX_BODY:
            raise ProtocolError("protocol.endless", limit=MAX_BODY)
        events = decoder.feed(portion)
        try:
            if events:
                feed_events(wire, collector, events)
                exchange.hand_on()
        finally:
            hear(body=True)

    try:
        # To the very end, also behind the end mark: only then is the connection free for the next request.
        # The stream itself: the response's own iterators close the connection at the end, and an error that is raised
        # just then would be thrown into the closing, and leave the connection neither open nor closed.
        assert isinstance(response.stream, httpx.AsyncByteStream)
        await read_portions(aiter(response.stream), take_in)
        if not collector.done:
            feed_rest(wire, collector, decoder.close())
    except ServiceError as error:
        raise make_error(wire, error.code, error.detail, request_id=_request_id(error, response)) from None
    finally:
        exchange.hand_on()
    if not collector.answered:
        raise gateway_error(200, response.headers) or ProtocolError("protocol.empty")


def _request_id(error: ServiceError, response: httpx.Response) -> str | None:
    return error.request_id or response.headers.get("x-baidu-request-id")
