"""The async client: a request, as many attempts as it takes, one answer growing as it comes."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import httpx

from ..core.answer import Answer
from ..core.context import measure
from ..core.errors import QianfanError, RequestError, ServiceError
from ..core.messages import text_of
from ..core.models import Wire
from ..core.pacing.clock_skew import service_time
from ..core.pacing.limits import RateLimits
from ..core.pacing.retry import Attempted, GiveUp, decide
from ..core.pause import Wait
from ..core.transport_modes import SECONDS
from ..core.wire import ChatRequest
from ..core.wire.json_format import json_forms, may_take
from ..core.wire.model_list import ListedModel
from .attempt import STREAM_OPTIONS, attempt
from .auth.authorizer import Authorizer
from .auth.credentials import Credential, choose
from .auth.redact import forget_values, redact
from .auth.single_flight import SingleFlight
from .exchange import HttpExchange
from .http.network import MAX_CONNECTIONS, Network
from .http.request import Clock, Outgoing
from .settings import Settings, fingerprint
from .tape import Tape
from .throttle import Throttle, shared_throttle

if TYPE_CHECKING:
    from tenacity import RetryCallState

Sleep = Callable[[float], Awaitable[object]]
log = logging.getLogger("qfmagic")
CONNECT_TIMEOUT = 10.0  # seconds, or the request's own timeout if that is shorter
PLAYED = "replay"  # what answers, of a recording
LIST_TIMEOUT_S = 10.0  # seconds for the list of models
HINT_LASTS_S = 60.0  # seconds
HINT_TIMEOUT_S = 3.0  # seconds for that list where it is only advice


_Listed = tuple[float, tuple[ListedModel, ...] | None]  # when it was asked for, and what came


class Service:
    """
    The service, asynchronously. All of it lives in one event loop.

    Args:
        settings: Keys, addresses, how often to ask.
        transport: Stands in for the network; None is the network.
        tape: Answers from what was recorded, or records what the service answers; None for neither.
        limits: Limits of requests and tokens; the settings' when not given.
        label: What answers, for :attr:`Answer.transport`.
        clock: Seconds since 1970, for signatures and tokens.
        timer: Seconds of a clock that never jumps, for durations.
        sleep: Waits so many seconds.
        draw: A random number in [0, 1).
    """

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        tape: Tape | None = None,
        limits: RateLimits | None = None,
        label: str = "live",
        clock: Clock = time.time,
        timer: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        draw: Clock = random.random,
    ) -> None:
        self._settings = settings
        self._limits = settings.limits if limits is None else limits
        self._label = label
        self._tape = tape
        self._clock, self._timer, self._sleep, self._draw = clock, timer, sleep, draw
        self._policy = settings.retry_policy
        self._shares = transport is None
        self._credentials: dict[Wire, Credential] = {}
        self._json_forms: dict[str, str] = {}  # by model, the form in which it was last asked for JSON
        self._throttles: dict[tuple[Wire, Credential], Throttle] = {}
        self._without_stream_options: set[str] = set()  # addresses whose service rejects them
        self.network = Network(settings, transport)
        self.authorizer = Authorizer(settings, self.network.fetch, clock)
        # Whoever has no connection yet waits here: that is no silence of the service's.
        self._connections = asyncio.Semaphore(MAX_CONNECTIONS)
        self._under_way: set[asyncio.Task[object]] = set()
        self._listing: SingleFlight[_Listed] = SingleFlight()
        self._listed: _Listed | None = None

    async def aclose(self) -> None:
        """End what is under way, as interrupted, and close the connections; a later request opens new ones."""
        tasks = self._under_way - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for throttle in self._throttles.values():
            throttle.leave(self)
        self._throttles.clear()
        await self.network.aclose()

    async def run(self, exchange: HttpExchange) -> Answer:
        """
        Send a request, again where that makes sense, and read its answer.

        Raises:
            CredentialError: No key for this API.
            TransportError: Not reached, silent for too long, or no answer of the service's.
            ServiceError: The service answered with an error.
        """
        exchange.started = self._timer()
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            await self._with_retries(exchange)
        except QianfanError as error:
            forget_values(error)
            told = await self._explained(error, exchange)
            self.redact(told)
            raise told from told.__cause__
        except Exception as error:  # a fault of ours, or of a library: that too may show no key
            forget_values(error)
            raise
        finally:
            self._under_way.discard(task)
            exchange.ended = self._timer()
            exchange.finished.set()
        return exchange.answer()

    def redact(self, error: QianfanError) -> None:
        """Take every key and token of this client out of an error: a service may repeat the request in it."""
        redact(error, {*self._settings.secrets, *self.authorizer.handed_out})

    async def _with_retries(self, exchange: HttpExchange) -> None:
        try:
            await self._attempt(exchange)
        except QianfanError as error:
            decided = self._decide(error, exchange)
            if isinstance(decided, GiveUp):
                raise
            await self._retry(exchange, error, decided)

    async def _retry(self, exchange: HttpExchange, first: QianfanError, wait: Wait) -> None:
        """Go on after a first attempt that failed, as long as :func:`decide` says so."""
        # Imported here: it takes longer than all of a first question, and most need it never.
        from tenacity import AsyncRetrying, stop_never  # noqa: PLC0415

        failed: list[QianfanError] = [first]

        async def once_more() -> None:
            if failed:
                raise failed.pop()  # the attempt there has been
            await self._attempt(exchange)

        def again(state: "RetryCallState") -> bool:
            nonlocal wait
            error = state.outcome.exception() if state.outcome else None
            if error is first:
                return True
            decided = self._decide(error, exchange) if isinstance(error, QianfanError) else GiveUp()
            wait = wait if isinstance(decided, GiveUp) else decided
            return isinstance(decided, Wait)

        async def pause(_: float) -> None:
            exchange.tell(wait)
            log.info("%s", wait.describe("en"))
            await self._sleep(wait.seconds)

        await AsyncRetrying(sleep=pause, retry=again, stop=stop_never)(once_more)

    def _decide(self, error: QianfanError, exchange: HttpExchange) -> Wait | GiveUp:
        if exchange.played or exchange.begun_before(error):
            return GiveUp()
        now = self._clock()
        elapsed = self._timer() - exchange.started - exchange.queued
        service_now = service_time(exchange.heard, now)
        attempted = Attempted(error, exchange.heard, exchange.attempts, elapsed, service_now)
        decided = decide(attempted, exchange.call.policy(self._policy), self._draw())
        exchange.given_up = decided.hint if isinstance(decided, GiveUp) else None
        return decided

    async def _attempt(self, exchange: HttpExchange) -> None:
        """One attempt; at once again, with a new token, if the service no longer takes the one that was ours."""
        exchange.attempts += 1
        if self._tape is not None and (played := self._tape.play(exchange.request, exchange.slot)) is not None:
            exchange.begin()
            exchange.played = True
            exchange.measured = played.extensions.get(SECONDS, exchange.measured)
            await attempt(exchange, _ready(played), PLAYED)
            return
        self.network.check_allowed()  # before any advice about keys
        credential = self._credential(exchange.request.wire)
        try:
            await self._send_in_form(exchange, credential)
        except ServiceError as error:
            if exchange.begun_before(error) or not self._may_differ(error, exchange, credential):
                raise
            await self._send_in_form(exchange, credential)

    def _may_differ(self, error: ServiceError, exchange: HttpExchange, credential: Credential) -> bool:
        """Whether the same request may be accepted at once: with a new token, or without ``stream_options``."""
        if error.retry == "token":
            return self.authorizer.renew(credential, exchange.token)
        base = self._place_of(exchange.request)[0]
        named = exchange.refused or STREAM_OPTIONS in error.detail
        if not named or STREAM_OPTIONS not in exchange.request.body or base in self._without_stream_options:
            return False
        self._without_stream_options.add(base)
        return True

    async def _send_in_form(self, exchange: HttpExchange, credential: Credential) -> None:
        """
        Send; where the service rejects how the request asks for JSON, in the next form.

        Which one a model's service takes is kept: Baidu's page leaves it open. The request stays the same, as do its
        hash and its recording.
        """
        request, forms = exchange.request, json_forms(exchange.request.body)
        accepted = self._json_forms.get(request.model)
        rejected: RequestError | None = None
        for form in sorted(forms, key=lambda form: form != accepted):
            if rejected is not None and not may_take(form, rejected):
                continue
            try:
                await self._send_throttled(exchange, credential, forms[form])
            except RequestError as error:
                rejected = rejected or error
                if exchange.begun_before(error):
                    break
            else:
                if len(forms) > 1:
                    self._json_forms[request.model] = form
                return
        assert rejected is not None  # the first form was sent
        raise rejected

    async def _send_throttled(self, exchange: HttpExchange, credential: Credential, body: Mapping[str, object]) -> None:
        """Send when the limits allow, and tell them what came of it."""
        request = exchange.request
        exchange.begin()
        throttle = self._throttle(credential, request.wire)
        place = throttle.book(request.model, lambda: _tokens(request))
        try:
            if place.reason is not None:
                attempts = exchange.call.policy(self._policy).attempts
                exchange.tell(Wait(place.seconds, place.reason, exchange.attempts, attempts))
                exchange.queued += place.seconds
                await self._sleep(place.seconds)
            await self._connections.acquire()
        except BaseException:
            throttle.give_back(place)
            raise
        try:
            outgoing = await self._outgoing(request, body, credential)
            exchange.token = self.authorizer.token(credential)
            await attempt(exchange, lambda: self._open(exchange, outgoing), self._label)
            used = exchange.collector.counts()
            if used.total_tokens is not None:
                throttle.settle(place, used.total_tokens, used.completion_tokens or 0)
        finally:
            self._connections.release()
            throttle.heed(request.model, exchange.heard, service_time(exchange.heard, self._clock()))

    async def _open(self, exchange: HttpExchange, outgoing: Outgoing) -> httpx.Response:
        response = await self.network.open(outgoing, min(CONNECT_TIMEOUT, exchange.timeout))
        if self._tape is None:
            return response
        keys = sorted({*self._settings.secrets, *self.authorizer.handed_out})
        recorded = self._tape.record(exchange.request, exchange.slot, response, keys)
        exchange.measured = recorded.extensions.get(SECONDS, exchange.measured)
        return recorded

    def _credential(self, wire: Wire) -> Credential:
        if wire not in self._credentials:
            self._credentials[wire] = choose(self._settings, wire)
        return self._credentials[wire]

    def _throttle(self, credential: Credential, wire: Wire) -> Throttle:
        """The limits for these keys: shared by all in the process that use the network with them."""
        if (wire, credential) not in self._throttles:
            base = self._settings.base_url if wire == "v1" else "".join(self._settings.place_of(wire, None))
            key = f"{base} {credential.kind} {fingerprint(credential.key + credential.secret)}"
            throttle = shared_throttle(key, self._timer) if self._shares else Throttle(self._timer)
            throttle.join(self, self._limits)
            self._throttles[wire, credential] = throttle
        return self._throttles[wire, credential]

    def _place_of(self, request: ChatRequest) -> tuple[str, str]:
        return self._settings.place_of(request.wire, request.endpoint, custom=self._settings.use_custom_endpoint)

    async def _outgoing(self, request: ChatRequest, fields: Mapping[str, object], credential: Credential) -> Outgoing:
        base, path = self._place_of(request)
        sent = fields
        if base in self._without_stream_options:  # the answer then has the usage that the service gives by itself
            sent = {name: value for name, value in sent.items() if name != STREAM_OPTIONS}
        body = json.dumps(sent, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        plain = Outgoing("POST", base, path, {}, {"Content-Type": "application/json"}, body.encode("utf-8", "replace"))
        return await self.authorizer.authorize(plain, credential, request.wire)

    async def list_models(self, timeout: float = LIST_TIMEOUT_S) -> tuple[ListedModel, ...]:
        """
        Ask which models the key for V2 may use.

        Raises:
            CredentialError: No key for V2.
            ServiceError: The service refuses the key, or has no list.
            TransportError: Not reached, or something else answered.
        """
        from .model_directory import fetch_model_list  # noqa: PLC0415 - few ask for it

        self.network.check_allowed()
        try:
            return await fetch_model_list(
                self._settings, self.network, self.authorizer, self._credential("v2"), timeout
            )
        except QianfanError as error:
            self.redact(error)
            raise

    async def _list_for_hint(self) -> tuple[ListedModel, ...] | None:
        """The list; of many requests refused at the same time one asks for it, and soon after none does."""
        if self._listed is None or self._timer() - self._listed[0] > HINT_LASTS_S:
            self._listed = await self._listing.get("v2", self._try_list)
        return self._listed[1]

    async def _try_list(self) -> _Listed:
        try:
            return self._timer(), await self.list_models(HINT_TIMEOUT_S)
        except Exception:  # noqa: BLE001 - advice that can't be had is no second failure
            return self._timer(), None

    async def _explained(self, error: QianfanError, exchange: HttpExchange) -> QianfanError:
        """Add the advice for the error, and why nothing more was tried."""
        from .advice import hints_for, not_found  # noqa: PLC0415 - only errors need it

        error = not_found(error, exchange, self._settings)
        for hint in await hints_for(error, exchange, self._settings, self._clock(), self._list_for_hint):
            error = error.with_hint(hint.key, **hint.values)
        if exchange.given_up is not None:
            error = error.with_hint(exchange.given_up.key, **exchange.given_up.values)
        return error


def _ready(response: httpx.Response) -> Callable[[], Awaitable[httpx.Response]]:
    async def opened() -> httpx.Response:
        return response

    return opened


def _tokens(request: ChatRequest) -> float:
    """An estimate of what the question counts for; the answer's tokens are added when they are known."""
    texts = [text_of(message.get("content")) for message in request.body["messages"]]
    return float(sum(measure(text).tokens for text in [*texts, str(request.body.get("system", ""))]))
