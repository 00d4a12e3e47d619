"""The async client: one request, one answer, growing as it comes."""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ..core.answer import Answer, Delta
from ..core.errors import (
    ConnectError,
    GoneError,
    ProtocolError,
    QianfanError,
    ResponseTimeout,
    ServiceError,
    TransportError,
)
from ..core.models import registry
from ..core.sse import SSEDecoder
from ..core.wire import (
    ChatRequest,
    Collector,
    feed_events,
    feed_rest,
    make_error,
    read_body,
    wants_renewal,
)
from .auth import Authorizer, Clock, Outgoing, gateway_error
from .credentials import available, choose
from .settings import Settings

CONNECT_TIMEOUT = 10.0
DRAIN_TIMEOUT = 0.2  # seconds
STUB_SERVER = "qfmagic-stub"  # what a stub calls itself in the header Server
_KEPT_HEADERS = ("x-ratelimit-", "x-baidu-request-id", "x-request-id")
_SECRET_QUERY = re.compile(r"((?:access_token|client_secret|client_id)=)[^&\s\"']+")


class _Redacted(logging.Filter):
    """httpx logs whole addresses at INFO, and V1's token rides in the query."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _SECRET_QUERY.sub(r"\1***", record.getMessage())
        record.args = ()
        return True


_REDACTED = _Redacted()


@dataclass(slots=True)
class Exchange:
    """
    One request under way.

    Filled by :meth:`Service.run`; readable from another thread once that has ended, however it ended.
    """

    request: ChatRequest
    timeout: float
    on_delta: Callable[[Delta], None] | None = None
    collector: Collector = field(default_factory=lambda: Collector(streamed=True))
    headers: Mapping[str, str] = field(default_factory=dict)
    transport: str = "live"
    started: float = 0.0
    ended: float = 0.0
    finished: threading.Event = field(default_factory=threading.Event)

    def answer(self, *, interrupted: bool = False) -> Answer:
        """The answer as far as it came."""
        outcome = self.collector.outcome(interrupted=interrupted)
        return Answer(
            text=outcome.text,
            usage=outcome.usage,
            model=self.request.model,
            id=outcome.id,
            finish_reason=outcome.finish_reason,
            request=self.request.body,
            seconds=round(max(self.ended - self.started, 0.0), 3),
            reasoning=outcome.reasoning,
            wire=self.request.wire,
            endpoint=self.request.endpoint,
            created=outcome.created,
            transport=self.transport,
            need_clear_history=outcome.need_clear_history,
            ban_round=outcome.ban_round,
            headers=self.headers,
            extra=outcome.extra,
        )


class Service:
    """
    The service, asynchronously. All of it lives in one event loop.

    Args:
        settings: Keys and addresses.
        transport: Stands in for the network; None is the network.
        label: What answers, for :attr:`Answer.transport`.
        clock: Seconds since 1970, for signatures and tokens.
        timer: Seconds of a clock that never jumps, for durations.
    """

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        label: str = "live",
        clock: Clock = time.time,
        timer: Clock = time.monotonic,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._label = label
        self._timer = timer
        self._http: httpx.AsyncClient | None = None
        self._authorizer = Authorizer(settings, self._fetch, clock)

    async def aclose(self) -> None:
        """Close the connections; a later request opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def run(self, exchange: Exchange) -> Answer:
        """
        Send a request and read its answer.

        Raises:
            CredentialError: No key for this API.
            TransportError: Not reached, silent for too long, or no answer of the service's.
            ServiceError: The service answered with an error.
        """
        exchange.started = self._timer()
        try:
            credential = choose(self._settings, exchange.request.wire)
            try:
                await self._attempt(exchange)
            except ServiceError as error:
                # A token the service no longer takes is fetched once more, and the request repeated once: nothing
                # of an answer has come, since V1 and V2 judge the token first.
                renewable = wants_renewal(exchange.request.wire, error) and not exchange.collector.pieces
                if not (renewable and await self._authorizer.renew(credential)):
                    raise
                exchange.collector = Collector(streamed=True)
                await self._attempt(exchange)
        except ServiceError as error:
            raise self._explained(error, exchange.request) from None
        finally:
            exchange.ended = self._timer()
            exchange.finished.set()
        return exchange.answer()

    def _explained(self, error: ServiceError, request: ChatRequest) -> ServiceError:
        """Add the advice that needs to know the keys in use, or the model."""
        if isinstance(error, GoneError):
            row = registry().find(request.model)
            moved = row is not None and "v2" in row.apis
            return error.with_hint("gone.v2" if moved else "gone.other", model=request.model)
        if error.remedy == "remedy.model":
            return error.with_hint("model.did_you_mean", suggestions=registry().suggest(request.model) or ["-"])
        if error.remedy not in ("remedy.keys", "remedy.app_keys", "remedy.token", "remedy.iam", "remedy.bearer"):
            return error
        kinds = available(self._settings, request.wire)
        if len(kinds) < 2:
            return error.with_hint("keys.used", used=kinds[0].variables)
        return error.with_hint("keys.both", used=kinds[0].variables, others=[kind.variables for kind in kinds[1:]])

    async def _attempt(self, exchange: Exchange) -> None:
        request = exchange.request
        phase = "timeout.first"
        try:
            async with asyncio.timeout(exchange.timeout) as guard:
                outgoing = await self._outgoing(request)
                response = await self._open(outgoing)
                try:
                    exchange.headers = _kept(response.headers)
                    exchange.transport = "stub" if response.headers.get("server") == STUB_SERVER else self._label
                    if response.status_code != 200 or not request.stream:
                        await self._whole(exchange, response)
                    else:
                        loop = asyncio.get_running_loop()
                        async for _ in self._streamed(exchange, response):
                            phase = "timeout.between"
                            guard.reschedule(loop.time() + exchange.timeout)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ResponseTimeout(phase, seconds=exchange.timeout) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _cut(error) from error

    async def _outgoing(self, request: ChatRequest) -> Outgoing:
        settings = self._settings
        if request.wire == "v2":
            base, path = settings.console_base_url, settings.chat_v2_route
        else:
            base = settings.base_url
            chat = "" if settings.use_custom_endpoint else "/chat"
            path = f"{settings.model_api_prefix}{chat}/{request.endpoint}"
        body = json.dumps(request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        plain = Outgoing("POST", base, path, {}, {"Content-Type": "application/json"}, body.encode())
        return await self._authorizer.authorize(plain, choose(settings, request.wire), request.wire)

    async def _open(self, outgoing: Outgoing) -> httpx.Response:
        http = self._client()
        url = httpx.URL(outgoing.base).copy_with(path=outgoing.full_path, params=dict(outgoing.query))
        request = http.build_request(outgoing.method, url, headers=dict(outgoing.headers), content=outgoing.body)
        try:
            return await http.send(request, stream=True)
        except httpx.ConnectTimeout as error:
            raise ConnectError("connect.timeout", host=outgoing.host, seconds=CONNECT_TIMEOUT) from error
        except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            raise ConnectError("connect.failed", host=outgoing.host, reason=str(error)) from error

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            logger = logging.getLogger("httpx")
            if _REDACTED not in logger.filters:
                logger.addFilter(_REDACTED)
            network: dict[str, Any] = {"transport": self._transport}
            if self._transport is None:
                bases = (self._settings.base_url, self._settings.console_base_url, self._settings.iam_base_url)
                # Certificates are read (80 ms) only where an address needs them; without one nothing is encrypted.
                verify = self._settings.ssl_verification and any(base.startswith("https:") for base in bases)
                network = {"proxy": self._settings.proxy or None, "verify": verify}
            # No read timeout here: silence is measured between texts, and a keep-alive comment is no text.
            timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
            self._http = httpx.AsyncClient(timeout=timeout, trust_env=self._transport is None, **network)
        return self._http

    async def _whole(self, exchange: Exchange, response: httpx.Response) -> None:
        body = await response.aread()
        status = response.status_code
        wire = exchange.request.wire
        try:
            collector = read_body(wire, body)
        except ServiceError as error:
            # Once more with what the body doesn't say: the status decides the class of an unknown code.
            raise make_error(
                wire, error.code, error.detail, status=status, request_id=_request_id(error, response)
            ) from None
        except ProtocolError:
            if status == 200:
                raise
            gateway = gateway_error(status, response.headers)
            raise gateway or make_error(wire, None, _plain(body), status=status) from None
        if status != 200:
            raise make_error(wire, None, _plain(body), status=status)
        exchange.collector = collector
        delta = collector.take()
        if delta and exchange.on_delta:
            exchange.on_delta(delta)

    async def _streamed(self, exchange: Exchange, response: httpx.Response) -> AsyncIterator[None]:
        """Read the stream; yields whenever it brought an event."""
        decoder = SSEDecoder()
        collector, wire, on_delta = exchange.collector, exchange.request.wire, exchange.on_delta
        encoded = "content-encoding" in response.headers
        chunks = response.aiter_bytes() if encoded else response.aiter_raw()
        try:
            async for chunk in chunks:
                events = decoder.feed(chunk)
                if not events:
                    continue
                try:
                    feed_events(wire, collector, events)
                finally:
                    delta = collector.take()
                    if delta is not None and on_delta is not None:
                        on_delta(delta)
                yield
                if collector.done:
                    await _drain(chunks)
                    return
            feed_rest(wire, collector, decoder.close())
        except ServiceError as error:
            raise make_error(wire, error.code, error.detail, request_id=_request_id(error, response)) from None
        delta = collector.take()
        if delta is not None and on_delta is not None:
            on_delta(delta)
        if not collector.pieces and not collector.ended and not collector.id:
            raise ProtocolError("protocol.empty")

    async def _fetch(self, outgoing: Outgoing, timeout: float) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with asyncio.timeout(timeout):
                response = await self._open(outgoing)
                try:
                    return response.status_code, response.headers, await response.aread()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ResponseTimeout("timeout.token", seconds=timeout, host=outgoing.host) from None
        except httpx.TransportError as error:
            raise _cut(error) from error


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    # A response read to its end leaves its connection open for the next request. What comes after the end mark is
    # not ours, and a service that goes on talking is not waited for.
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            async for _ in chunks:
                pass
    except (TimeoutError, httpx.TransportError, httpx.DecodingError):
        return


def _cut(error: Exception) -> QianfanError:
    return TransportError("connect.cut", reason=str(error) or type(error).__name__)


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(_KEPT_HEADERS)}


def _request_id(error: ServiceError, response: httpx.Response) -> str | None:
    return error.request_id or response.headers.get("x-baidu-request-id")


def _plain(body: bytes) -> str:
    text = " ".join(body[:2000].decode("utf-8", "replace").split())
    return text[:120]
