"""The Python API: ask and stream, from any thread and from any loop."""

import asyncio
import os
import threading
from collections.abc import Coroutine, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from ..core.answer import Answer
from ..core.context import Exchange, Policy
from ..core.conversation import Conversation
from ..core.errors import QianfanError
from ..core.messages import Prompt
from ..core.models import DEFAULT_MODEL, Target, registry
from ..core.pacing.limits import RateLimits
from ..core.plan import Plan, plan_request
from .auth.arguments import check_options, key_among, positional_error
from .background_loop import BackgroundLoop
from .call_options import AS_CLIENT, CallOptions
from .caller_warnings import warn_caller
from .kernel_session import CountedService, KernelSession, kernel_session
from .settings import Settings
from .streams import AsyncStream, Stream

if TYPE_CHECKING:
    import httpx

    from ..core.wire.model_list import ListedModel
    from .checks.diagnosis import DiagnosisFinding
    from .checks.key_check import KeyVerdict
    from .exchange import HttpExchange
    from .service import Service
    from .tape import Tape

__all__ = ["DEFAULT_MODEL", "AsyncStream", "Prompt", "Qianfan", "Stream"]

T = TypeVar("T")
# In a forked child: what belongs to the parent. Kept, so that nothing there is closed or warned of.
_inherited: list[object] = []


class Qianfan:
    """
    A client for Baidu Qianfan's chat models.

    >>> from qfmagic import Qianfan
    >>> client = Qianfan(model="yi_34b_chat")          # doctest: +SKIP
    >>> print(client.ask("介绍下长城", temperature=0.3))  # doctest: +SKIP

    All requests run on one background loop; the methods may be called from any thread, the ``a`` twins from any loop.

    In a notebook with the extension loaded, a client without settings, transport or tape of its own follows the
    notebook's session: what answers (``%qf transport``), cassette, budget, limits, usage and settings. So it does
    elsewhere where ``QFMAGIC_TRANSPORT`` is set.

    Args:
        model: The model asked when a call names none.
        endpoint: A self-deployed V1 service, as it stands behind ``/chat/`` in its address.
        api: ``"v1"`` or ``"v2"`` in place of the model's own.
        settings: Keys and addresses; from the environment when not given.
        transport: Stands in for the network, as any httpx transport does.
        tape: Answers from recordings, or records (:class:`qfmagic.transport.cassette.tape.CassetteTape`).
        timeout: Longest silence in seconds, before and within an answer; the settings' when not given.
        limits: Limits of requests and tokens, together with every other client of this process that uses the same
            keys; the settings' when not given.
        label: What answers, for :attr:`Answer.transport`.
        loop: A background loop to share; an own one when not given.
        parameters: Parameters for every call.

    Raises:
        CredentialError: A key among the arguments; they come from the settings. The error doesn't repeat it.
    """

    def __init__(
        self,
        *positional: object,
        model: str | None = None,
        endpoint: str | None = None,
        api: str | None = None,
        settings: Settings | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        tape: "Tape | None" = None,
        timeout: float | None = None,
        limits: RateLimits | None = None,
        label: str = "live",
        loop: BackgroundLoop | None = None,
        **parameters: Any,
    ) -> None:
        self._follows = settings is None and transport is None and tape is None and loop is None
        self.label = label
        error = key_among(parameters, model=model, endpoint=endpoint, api=api)
        error = positional_error() if positional else error
        if error is not None:
            parameters, positional, model, endpoint, api = {}, (), None, None, None  # a traceback may show variables
            raise error
        self._defaults = {"model": model, "endpoint": endpoint, "api": api}
        self._settings = settings
        self._parameters = parameters
        given = CallOptions(timeout).checked().timeout
        self._own_timeout = None if given is None else float(given)
        self._own_limits = None if limits is None else RateLimits.of(**limits._asdict())
        self._limited: tuple[Qianfan, Qianfan] | None = None
        self._transport = transport
        self._tape = tape
        self._own_loop = loop is None
        self._loop = loop or BackgroundLoop()
        self._service: Service | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()
        if self.session is None:
            self._read_settings()

    @property
    def session(self) -> KernelSession | None:
        """The session of the kernel that this client follows; None where it stands apart."""
        return kernel_session() if self._follows else None

    @property
    def settings(self) -> Settings:
        """
        Keys and addresses.

        Raises:
            CredentialError: The environment's can't be read.
        """
        sender = self.sender()
        return self._read_settings() if sender is self else sender.settings

    def _read_settings(self) -> Settings:
        if self._settings is None:
            self._settings = Settings.from_env()
        return self._settings

    @property
    def _timeout(self) -> float:
        return self.settings.timeout if self._own_timeout is None else self._own_timeout

    def sender(self) -> "Qianfan":
        """The client that sends what this one is asked: the session's where this one follows one."""
        session = self.session
        if session is None:
            return self
        client = session.client()
        if self._own_limits is None:
            return client
        if self._limited is None or self._limited[0] is not client:
            own = {**client.arguments(), "limits": self._own_limits}
            self._limited = client, Qianfan(**own, loop=self._loop)
        return self._limited[1]

    def __repr__(self) -> str:
        return f"<Qianfan, {'follows the session' if self.session else f'apart from any session, {self.label}'}>"

    def arguments(self) -> dict[str, Any]:
        """What :class:`Qianfan` takes to make a client that does the same: all but the background loop."""
        sender = self.sender()
        if sender is not self:
            return {**sender.arguments(), **self._defaults, "timeout": self._timeout, **self._parameters}
        return {
            **self._defaults,
            "settings": self.settings,
            "transport": self._transport,
            "tape": self._tape,
            "timeout": self._timeout,
            "limits": self._limits,
            "label": self.label,
            **self._parameters,
        }

    @property
    def _limits(self) -> RateLimits:
        return self.settings.limits if self._own_limits is None else self._own_limits

    def plan(
        self,
        prompt: Prompt,
        *,
        history: Conversation | Sequence[Exchange] = (),
        context: Policy = "all",
        stream: bool = False,
        model: str | None = None,
        endpoint: str | None = None,
        api: str | None = None,
        **parameters: Any,
    ) -> Plan:
        """
        Check a call and return what would be sent, without sending it.

        Raises:
            InputError: As :func:`qfmagic.core.plan.plan_request` and :meth:`Registry.target` state.
        """
        error = key_among(parameters, model=model, endpoint=endpoint, api=api)
        if error is not None:
            parameters, model, endpoint, api = {}, None, None, None
            raise error
        target, defaults = self.target(model, endpoint, api)
        if target.retirement is not None:
            warn_caller(target.retirement.said(target.model), FutureWarning)
        earlier = history.history if isinstance(history, Conversation) else tuple(history)
        return plan_request(
            target,
            prompt,
            history=earlier,
            parameters={**defaults, **parameters},
            policy=context,
            stream=stream,
        )

    def target(
        self, model: str | None = None, endpoint: str | None = None, api: str | None = None
    ) -> tuple[Target, Mapping[str, Any]]:
        """
        Say where a call goes, and this client's parameters for it.

        Raises:
            ModelError: As :meth:`Registry.target` states.
        """
        defaults, session = self._defaults, self.session
        api = api or defaults["api"]
        if model is None and endpoint is None:
            model, endpoint = defaults["model"], defaults["endpoint"]
        if model is None and endpoint is None and session is not None:
            model, endpoint, set_api = session.where()
            api = api or set_api
        if model is None and endpoint is None:
            model = DEFAULT_MODEL
        target = registry().target(model, endpoint, api)
        return target, self._parameters if session is None else {**session.parameters(target), **self._parameters}

    @overload
    def ask(self, prompt: Prompt, *, stream: Literal[False] = False, **options: Any) -> Answer: ...
    @overload
    def ask(self, prompt: Prompt, *, stream: Literal[True], **options: Any) -> Stream: ...
    @overload
    def ask(self, prompt: Prompt, *, stream: bool, **options: Any) -> Answer | Stream: ...
    def ask(self, prompt: Prompt, *, stream: bool = False, **options: Any) -> Answer | Stream:
        """
        Ask and wait for the whole answer.

        Args:
            prompt: A question, or messages that end with one: texts, :class:`Message` or dicts with ``role`` and
                ``content``.
            stream: Whether to return the answer as it comes, as :meth:`stream` does.
            options: ``history``, ``context``, ``model``, ``endpoint``, ``api`` as :meth:`plan` takes them; the model's
                parameters, and ``extra`` with further fields of the request; for this call alone ``timeout`` (longest
                silence in seconds), ``retry_count`` and ``backoff_factor``.

        Raises:
            QianfanError: See :mod:`qfmagic.core.errors` for the kinds.
        """
        check_options(options)
        if stream:
            return self.stream(prompt, **options)
        with self.stream(prompt, stream=False, **options) as answering:
            for _ in answering:
                pass
            return answering.answer

    def stream(
        self,
        prompt: Prompt,
        *,
        stream: bool = True,
        timeout: float | None = None,
        retry_count: int | None = None,
        backoff_factor: float | None = None,
        **options: Any,
    ) -> Stream:
        """Ask and return the answer as it comes. Takes the same arguments as :meth:`ask`, and raises the same."""
        check_options(options)
        call = CallOptions(timeout, retry_count, backoff_factor)
        return self.send(self.plan(prompt, stream=stream, **options), call)

    @overload
    async def aask(self, prompt: Prompt, *, stream: Literal[False] = False, **options: Any) -> Answer: ...
    @overload
    async def aask(self, prompt: Prompt, *, stream: Literal[True], **options: Any) -> AsyncStream: ...
    @overload
    async def aask(self, prompt: Prompt, *, stream: bool, **options: Any) -> Answer | AsyncStream: ...
    async def aask(self, prompt: Prompt, *, stream: bool = False, **options: Any) -> Answer | AsyncStream:
        """Twin of :meth:`ask` for ``await``; with ``stream=True``: ``async for delta in await client.aask(...)``."""
        check_options(options)
        if stream:
            return self.astream(prompt, **options)
        async with self.astream(prompt, stream=False, **options) as answering:
            async for _ in answering:
                pass
            return answering.answer

    def astream(
        self,
        prompt: Prompt,
        *,
        stream: bool = True,
        timeout: float | None = None,
        retry_count: int | None = None,
        backoff_factor: float | None = None,
        **options: Any,
    ) -> AsyncStream:
        """Twin of :meth:`stream` for ``async for``; call it inside a running loop."""
        check_options(options)
        plan = self.plan(prompt, stream=stream, **options)
        return AsyncStream(*self.begin(plan, CallOptions(timeout, retry_count, backoff_factor)))

    def send(self, plan: Plan, call: CallOptions = AS_CLIENT, *, slot: Hashable = None) -> Stream:
        """Send what :meth:`plan` made; *slot* is who asks, for a tape: the same asker gets the same recording."""
        return Stream(*self.begin(plan, call, slot))

    async def run(self, plan: Plan, call: CallOptions = AS_CLIENT, *, slot: Hashable = None) -> Answer:
        """
        Send what :meth:`plan` made and wait for the whole answer, inside this client's loop (:meth:`submit`).

        For many requests: between them and whoever sends them there is no change of threads.

        Raises:
            QianfanError: As :meth:`ask`; the error's ``partial`` is what had come.
            asyncio.CancelledError: With ``partial`` too.
        """
        _, service, exchange = self.begin(plan, call, slot)
        try:
            return await service.run(exchange)
        except QianfanError as error:
            error.partial = exchange.answer(broken=True)
            raise
        except asyncio.CancelledError as error:
            error.partial = exchange.answer(interrupted=True)  # type: ignore[attr-defined]  # it is asyncio's
            raise

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have *work* run in this client's loop."""
        sender = self.sender()
        return self._loop.submit(work) if sender is self else sender.submit(work)

    def recorded(self, plan: Plan, slot: Hashable) -> bool:
        """Whether a tape answers this in any case, so that it costs nothing; *slot* is who asks."""
        sender = self.sender()
        if sender is not self:
            return sender.recorded(plan, slot)
        return self._tape is not None and self._tape.has(plan.request, slot)

    def check(self) -> "list[DiagnosisFinding]":
        """Look at keys, addresses, proxies, certificates and clocks; see :mod:`qfmagic.client.checks.diagnosis`."""
        from .checks.diagnosis import check  # noqa: PLC0415 - only who asks for it

        sender = self.sender()
        return sender.check() if sender is not self else self._wait(check(self.settings, transport=self._transport))

    def verify(self) -> "list[KeyVerdict]":
        """Try every credential of the settings; see :mod:`qfmagic.client.checks.key_check`, also for what it costs."""
        from .checks.key_check import verify  # noqa: PLC0415 - only who asks for it

        sender = self.sender()
        return sender.verify() if sender is not self else self._wait(verify(self.settings, transport=self._transport))

    def models(self) -> "tuple[ListedModel, ...]":
        """
        Ask the service which models the key for V2 may use: free, and no model is asked.

        Raises:
            QianfanError: No key, no list, or the service was not reached.
        """
        sender = self.sender()
        return sender.models() if sender is not self else self._wait(self._running().list_models())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:  # KeyboardInterrupt first of all
            future.cancel()
            raise

    def close(self) -> None:
        """Close the connections, and the background thread if it is this client's own. A later call reopens."""
        service, self._service = self._service, None
        if service is not None and self._process == os.getpid():
            self._loop.submit(service.aclose()).result(timeout=5)
        if self._own_loop:
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self, plan: Plan, call: CallOptions = AS_CLIENT, slot: Hashable = None
    ) -> "tuple[BackgroundLoop, Service | CountedService, HttpExchange]":
        """
        Begin what :meth:`plan` made: the loop it runs in, what sends it, and the request under way.

        Raises:
            BudgetError: It would break the budget of the session this client follows.
        """
        from .exchange import HttpExchange  # noqa: PLC0415 - the answers' decoders; not at import

        given = call.checked().timeout
        timeout = self._timeout if given is None else float(given)
        session = self.session
        if session is None:
            slot = object() if slot is None else slot
            return self._loop, self._running(), HttpExchange(plan.request, timeout, slot=slot, call=call)
        counted = session.begin(plan, slot)
        loop, service, exchange = self.sender().begin(plan, call._replace(timeout=timeout), counted.slot)
        return loop, CountedService(service, counted), exchange

    def _running(self) -> "Service":
        if self._process != os.getpid():
            # This is the child of a fork: the connections are the parent's, and another thread of its may have held
            # the lock.
            _inherited.append(self._service)
            self._process, self._service, self._lock = os.getpid(), None, threading.Lock()
        with self._lock:
            if self._service is None:
                from .service import Service  # noqa: PLC0415 - as above

                self._service = Service(
                    self._read_settings(), self._transport, tape=self._tape, limits=self._limits, label=self.label
                )
                self._loop.at_end(self._service.aclose)
            return self._service
