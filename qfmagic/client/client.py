"""The Python API: ask and stream, from any thread and from any loop."""

import asyncio
import math
import queue
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Self

from ..core.answer import Answer, Delta
from ..core.context import Exchange as HistoryExchange
from ..core.context import Policy
from ..core.errors import OptionError, PromptError, QianfanError
from ..core.messages import Message, as_messages, check_messages
from ..core.models import registry
from ..core.plan import Plan, plan_request
from ..core.turns import Conversation
from .loop import BackgroundLoop
from .settings import Settings

if TYPE_CHECKING:
    import httpx

    from .service import Exchange, Service

Prompt = str | Message | Sequence[Message]
DEFAULT_MODEL = "ernie-lite-8k"  # the official SDK's default on V2


class Stream(Iterator[Delta]):
    """
    An answer under way: iterate over its deltas, then read :attr:`answer`.

    Leaving early (``close``, the end of a ``with``, Ctrl-C) closes the connection; what came is kept as a partial
    answer. Deltas come as the network delivers them: one may hold the text of several events.
    """

    def __init__(self, loop: BackgroundLoop, service: "Service", exchange: "Exchange") -> None:
        self._exchange = exchange
        arrived: queue.SimpleQueue[Delta | None] = queue.SimpleQueue()
        exchange.on_delta = arrived.put
        self._queue = arrived
        self._future: Future[Answer] = loop.submit(service.run(exchange))
        self._future.add_done_callback(lambda _: arrived.put(None))
        self._interrupted = False
        # Nothing under way refers to the stream: one that is dropped ends its request.
        weakref.finalize(self, self._future.cancel)

    @property
    def answer(self) -> Answer:
        """
        The answer: whole after the last delta, before that as far as it has come.

        Raises:
            QianfanError: The request failed; the error's ``partial`` is what had come.
        """
        if self._interrupted or not self._future.done():
            return self._exchange.answer(interrupted=True)
        return _result(self._future, self._exchange)

    def __next__(self) -> Delta:
        if self._interrupted:
            raise StopIteration
        try:
            delta = self._queue.get()
        except BaseException:  # KeyboardInterrupt first of all: the request must not run on
            self.close()
            raise
        if delta is None:
            self._queue.put(None)
            _result(self._future, self._exchange)
            raise StopIteration
        return delta

    def drain(self, timeout: float) -> list[Delta] | None:
        """
        Return what has come, waiting up to *timeout* seconds for something; None at the end.

        Raises:
            QianfanError: As :attr:`answer`.
        """
        try:
            first = self._queue.get(timeout=timeout)
        except queue.Empty:
            return []
        except BaseException:
            self.close()
            raise
        found = [first]
        while not self._queue.empty():
            found.append(self._queue.get())
        deltas = [delta for delta in found if delta is not None]
        if len(deltas) < len(found):
            self._queue.put(None)
            if not deltas:
                _result(self._future, self._exchange)
                return None
        return deltas

    def close(self) -> None:
        """End the request if it still runs, and wait until its connection is closed."""
        if not self._future.done():
            self._interrupted = True
            self._future.cancel()
            self._exchange.finished.wait(timeout=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream(AsyncIterator[Delta]):
    """The same for ``async for``, in whatever loop the caller runs."""

    def __init__(self, loop: BackgroundLoop, service: "Service", exchange: "Exchange") -> None:
        self._exchange = exchange
        arrived: asyncio.Queue[Delta | None] = asyncio.Queue()
        here = asyncio.get_running_loop()
        exchange.on_delta = lambda delta: _call_soon(here, arrived.put_nowait, delta)
        self._queue = arrived
        self._future: Future[Answer] = loop.submit(service.run(exchange))
        self._future.add_done_callback(lambda _: _call_soon(here, arrived.put_nowait, None))
        self._interrupted = False
        weakref.finalize(self, self._future.cancel)

    @property
    def answer(self) -> Answer:
        """As :attr:`Stream.answer`."""
        if self._interrupted or not self._future.done():
            return self._exchange.answer(interrupted=True)
        return _result(self._future, self._exchange)

    async def __anext__(self) -> Delta:
        if self._interrupted:
            raise StopAsyncIteration
        try:
            delta = await self._queue.get()
        except BaseException:
            await self.aclose()
            raise
        if delta is None:
            self._queue.put_nowait(None)
            _result(self._future, self._exchange)
            raise StopAsyncIteration
        return delta

    async def aclose(self) -> None:
        """End the request if it still runs."""
        if not self._future.done():
            self._interrupted = True
            self._future.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _call_soon(loop: asyncio.AbstractEventLoop, put: Callable[[Any], None], item: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(put, item)


def _result(future: "Future[Answer]", exchange: "Exchange") -> Answer:
    try:
        return future.result()
    except CancelledError:
        return exchange.answer(interrupted=True)
    except QianfanError as error:
        error.partial = exchange.answer(broken=True)
        raise


class Qianfan:
    """
    A client for Baidu Qianfan's chat models.

    >>> from qfmagic import Qianfan
    >>> client = Qianfan(model="yi_34b_chat")          # doctest: +SKIP
    >>> print(client.ask("介绍下长城", temperature=0.3))  # doctest: +SKIP

    All requests run on one background loop; the methods may be called from any thread, the ``a`` twins from any loop.

    Args:
        model: The model asked when a call names none.
        endpoint: A self-deployed V1 service, as it stands behind ``/chat/`` in its address.
        api: ``"v1"`` or ``"v2"`` in place of the model's own.
        settings: Keys and addresses; from the environment when not given.
        transport: Stands in for the network, as any httpx transport does.
        timeout: Longest silence in seconds, before and within an answer; the settings' when not given.
        label: What answers, for :attr:`Answer.transport`.
        loop: A background loop to share; an own one when not given.
        parameters: Parameters for every call.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        endpoint: str | None = None,
        api: str | None = None,
        settings: Settings | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        timeout: float | None = None,
        label: str = "live",
        loop: BackgroundLoop | None = None,
        **parameters: Any,
    ) -> None:
        self.settings = settings if settings is not None else Settings.from_env()
        self._defaults = {"model": model, "endpoint": endpoint, "api": api}
        self._parameters = parameters
        self._timeout = self.settings.timeout if timeout is None else _seconds(timeout)
        self._transport = transport
        self.label = label
        self._own_loop = loop is None
        self._loop = loop or BackgroundLoop()
        self._service: Service | None = None
        self._lock = threading.Lock()

    def plan(
        self,
        prompt: Prompt,
        *,
        history: Conversation | Sequence[HistoryExchange] = (),
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
        defaults = self._defaults
        if model is None and endpoint is None:
            model, endpoint = defaults["model"], defaults["endpoint"]
            if model is None and endpoint is None:
                model = DEFAULT_MODEL
        target = registry().target(model, endpoint, api or defaults["api"])
        messages = as_messages(prompt)
        if not messages:
            raise PromptError("prompt.empty")
        earlier = history.history if isinstance(history, Conversation) else tuple(history)
        return plan_request(
            target,
            messages[-1].content,
            history=(*earlier, *_pairs(messages)),
            parameters={**self._parameters, **parameters},
            policy=context,
            stream=stream,
        )

    def ask(self, prompt: Prompt, *, timeout: float | None = None, **options: Any) -> Answer:
        """
        Ask and wait for the whole answer.

        Args:
            prompt: A question, or messages that end with one.
            timeout: Longest wait in seconds, for this call.
            options: ``history``, ``context``, ``model``, ``endpoint``, ``api`` as :meth:`plan` takes them, and the
                model's parameters.

        Raises:
            QianfanError: See :mod:`qfmagic.core.errors` for the kinds.
        """
        with self.stream(prompt, timeout=timeout, stream=False, **options) as stream:
            for _ in stream:
                pass
            return stream.answer

    def stream(self, prompt: Prompt, *, timeout: float | None = None, stream: bool = True, **options: Any) -> Stream:
        """Ask and return the answer as it comes. Takes the same arguments as :meth:`ask`, and raises the same."""
        return self.send(self.plan(prompt, stream=stream, **options), timeout=timeout)

    async def aask(self, prompt: Prompt, *, timeout: float | None = None, **options: Any) -> Answer:
        """Twin of :meth:`ask` for ``await``."""
        async with self.astream(prompt, timeout=timeout, stream=False, **options) as stream:
            async for _ in stream:
                pass
            return stream.answer

    def astream(
        self, prompt: Prompt, *, timeout: float | None = None, stream: bool = True, **options: Any
    ) -> AsyncStream:
        """Twin of :meth:`stream` for ``async for``; call it inside a running loop."""
        plan = self.plan(prompt, stream=stream, **options)
        return AsyncStream(self._loop, self._running(), self._exchange(plan, timeout))

    def send(self, plan: Plan, *, timeout: float | None = None) -> Stream:
        """Send what :meth:`plan` made."""
        return Stream(self._loop, self._running(), self._exchange(plan, timeout))

    def close(self) -> None:
        """Close the connections, and the background thread if it is this client's own. A later call reopens."""
        if self._service is not None:
            self._loop.submit(self._service.aclose()).result(timeout=5)
            self._service = None
        if self._own_loop:
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, plan: Plan, timeout: float | None) -> "Exchange":
        from .service import Exchange  # noqa: PLC0415 - httpx costs more than all of qfmagic; not at import

        return Exchange(plan.request, self._timeout if timeout is None else _seconds(timeout))

    def _running(self) -> "Service":
        with self._lock:
            if self._service is None:
                from .service import Service  # noqa: PLC0415 - as above

                self._service = Service(self.settings, self._transport, label=self.label)
                self._loop.at_end(self._service.aclose)
            return self._service


def _seconds(timeout: object) -> float:
    if isinstance(timeout, (int, float)) and 0 < timeout < math.inf:
        return float(timeout)
    raise OptionError("option.value", name="timeout", value=repr(timeout), allowed="(0, )")


def _pairs(messages: tuple[Message, ...]) -> list[HistoryExchange]:
    check_messages(messages)
    pairs = zip(messages[:-1:2], messages[1:-1:2], strict=True)
    return [HistoryExchange.of(question.content, answer.content) for question, answer in pairs]
