"""The async client: one request, one answer, growing as it comes."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

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
from ..version import __version__
from .auth import Authorizer, Clock, Outgoing, gateway_error
from .credentials import available, choose
from .reading import read_portions
from .settings import Settings

CONNECT_TIMEOUT = 10.0  # seconds, or the request's own timeout if that is shorter
DRAIN_TIMEOUT = 0.2  # seconds
STUB_SERVER = "qfmagic-stub"  # what a stub calls itself in the header Server
_KEPT_HEADERS = ("x-ratelimit-", "x-baidu-request-id", "x-request-id")
_KEY_ADVICE = {f"remedy.{name}" for name in ("keys", "app_keys", "token", "iam", "bearer")}


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

    def answer(self, *, interrupted: bool = False, broken: bool = False) -> Answer:
        """The answer as far as it came; *interrupted* by the user, or *broken* off by an error."""
        outcome = self.collector.outcome(interrupted=interrupted, broken=broken)
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
        self._network: dict[str | None, httpx.AsyncBaseTransport] = {}
        self._authorizer = Authorizer(settings, self._fetch, clock)

    async def aclose(self) -> None:
        """Close the connections; a later request opens new ones."""
        network, self._network = self._network, {}
        for transport in network.values():
            await transport.aclose()

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
            await self._with_renewal(exchange)
        except ServiceError as error:
            raise self._explained(error, exchange.request) from None
        finally:
            exchange.ended = self._timer()
            exchange.finished.set()
        return exchange.answer()

    async def _with_renewal(self, exchange: Exchange) -> None:
        """A token the service no longer takes is fetched once more, and the request repeated once."""
        wire = exchange.request.wire
        credential = choose(self._settings, wire)
        for last in (False, True):
            outgoing = await self._outgoing(exchange.request)
            token = self._authorizer.token(credential)
            try:
                return await self._attempt(exchange, outgoing)
            except ServiceError as error:
                # Nothing of an answer has come: V1 and V2 judge the token first.
                begun = exchange.collector.pieces or exchange.collector.thoughts
                again = not last and wants_renewal(wire, error) and not begun
                if not (again and self._authorizer.renew(credential, token)):
                    raise
                exchange.collector = Collector(streamed=True)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _explained(self, error: ServiceError, request: ChatRequest) -> ServiceError:
        """Add the advice that needs to know the keys in use, or the model."""
        if isinstance(error, GoneError):
            row = registry().find(request.model)
            moved = row is not None and "v2" in row.apis
            return error.with_hint("gone.v2" if moved else "gone.other", model=request.model)
        if error.remedy == "remedy.model":
            names = registry().suggest(request.model)
            return error.with_hint("model.did_you_mean", suggestions=names) if names else error
        if error.remedy not in _KEY_ADVICE:
            return error
        kinds = available(self._settings, request.wire)
        if len(kinds) < 2:
            return error.with_hint("keys.used", used=kinds[0].variables)
        return error.with_hint("keys.both", used=kinds[0].variables, others=[kind.variables for kind in kinds[1:]])

    async def _attempt(self, exchange: Exchange, outgoing: Outgoing) -> None:
        request = exchange.request
        silence = exchange.timeout
        loop = asyncio.get_running_loop()
        heard = False
        try:
            # A moment more than the connection has, so that the more exact error comes first.
            async with asyncio.timeout(silence + 0.05) as guard:
                response = await self._open(outgoing, min(CONNECT_TIMEOUT, silence))
                try:
                    exchange.headers = _kept(response.headers)
                    stub = response.headers.get("server") == STUB_SERVER
                    exchange.transport = "stub" if stub else self._label
                    if response.status_code != 200 or not request.stream:
                        await self._whole(exchange, response)
                    else:

                        def hear() -> None:
                            nonlocal heard
                            heard = True
                            wait = DRAIN_TIMEOUT if exchange.collector.done else silence
                            guard.reschedule(loop.time() + wait)

                        await self._streamed(exchange, response, hear)
                finally:
                    await response.aclose()
        except TimeoutError:
            if not exchange.collector.done:
                key = "timeout.between" if heard else "timeout.first"
                raise ResponseTimeout(key, seconds=silence) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            if not exchange.collector.done:
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
        plain = Outgoing("POST", base, path, {}, {"Content-Type": "application/json"}, body.encode("utf-8", "replace"))
        return await self._authorizer.authorize(plain, choose(settings, request.wire), request.wire)

    async def _open(self, outgoing: Outgoing, connect: float) -> httpx.Response:
        query = f"?{urlencode(outgoing.query)}" if outgoing.query else ""
        try:
            url = httpx.URL(f"{outgoing.base.rstrip('/')}{outgoing.path}{query}")
            # Straight to the transport: of what httpx's client adds (redirects, cookies, a log of whole addresses
            # with the token in them) nothing is wanted here. Silence is measured between texts, not between bytes.
            request = httpx.Request(
                outgoing.method,
                url,
                headers={"User-Agent": f"qfmagic/{__version__}", "Accept": "*/*", **outgoing.headers},
                content=outgoing.body,
                extensions={"timeout": {"connect": connect}},
            )
            response = await self._transport_for(url).handle_async_request(request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConnectError("connect.address", address=outgoing.base) from None
        except httpx.ConnectTimeout as error:
            raise ConnectError("connect.timeout", host=outgoing.host, seconds=connect) from error
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise ConnectError("connect.failed", host=outgoing.host, reason=str(error)) from error
        response.request = request
        return response

    def _transport_for(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        """The transport that was handed in; else the network, through the proxy that is set for the address."""
        if self._transport is not None:
            return self._transport
        proxy = self._settings.proxy or (None if proxy_bypass(url.host) else getproxies().get(url.scheme))
        key = f"{url.scheme} {proxy or ''}"
        if key not in self._network:
            # Certificates are read (80 ms) only for addresses that need them.
            verify = self._settings.ssl_verification and (url.scheme == "https" or proxy is not None)
            limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
            self._network[key] = httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, limits=limits, trust_env=True)
        return self._network[key]

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

    async def _streamed(self, exchange: Exchange, response: httpx.Response, hear: Callable[[], None]) -> None:
        """Read the stream; *hear* is called whenever it brought an event."""
        decoder = SSEDecoder()
        collector, wire, on_delta = exchange.collector, exchange.request.wire, exchange.on_delta

        def hand_on() -> None:
            delta = collector.take()
            if delta is not None and on_delta is not None:
                on_delta(delta)

        def take_in(portion: bytes) -> None:
            events = [] if collector.done else decoder.feed(portion)
            if not events:
                return
            try:
                feed_events(wire, collector, events)
            finally:
                hand_on()
            hear()

        encoded = "content-encoding" in response.headers
        try:
            # To the very end, also behind the end mark: only then is the connection free for the next request.
            await read_portions(response.aiter_bytes() if encoded else response.aiter_raw(), take_in)
            if not collector.done:
                feed_rest(wire, collector, decoder.close())
        except ServiceError as error:
            raise make_error(wire, error.code, error.detail, request_id=_request_id(error, response)) from None
        finally:
            hand_on()
        if not (collector.pieces or collector.thoughts or collector.ended or collector.id):
            raise ProtocolError("protocol.empty")

    async def _fetch(self, outgoing: Outgoing, timeout: float) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with asyncio.timeout(timeout + 0.05):
                response = await self._open(outgoing, timeout)
                try:
                    return response.status_code, response.headers, await response.aread()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ResponseTimeout("timeout.token", seconds=timeout, host=outgoing.host) from None
        except httpx.TransportError as error:
            raise _cut(error) from error


def _cut(error: Exception) -> QianfanError:
    if isinstance(error, (httpx.LocalProtocolError, httpx.DecodingError)):
        return TransportError("connect.protocol", kind=type(error).__name__)  # its text may repeat a header
    return TransportError("connect.cut", reason=str(error) or type(error).__name__)


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(_KEPT_HEADERS)}


def _request_id(error: ServiceError, response: httpx.Response) -> str | None:
    return error.request_id or response.headers.get("x-baidu-request-id")


def _plain(body: bytes) -> str:
    text = " ".join(body[:2000].decode("utf-8", "replace").split())
    return text[:120]
