"""An answer under way, for ``for`` and for ``async for``."""

import asyncio
import os
import queue
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Self

from ..core.answer import Answer, Delta
from ..core.errors import QianfanError
from .background_loop import BackgroundLoop

if TYPE_CHECKING:
    from .exchange import HttpExchange
    from .kernel_session import CountedService
    from .service import Service


class Stream(Iterator[Delta]):
    """
    An answer under way: iterate over its deltas, then read :attr:`answer`.

    Leaving early (``close``, the end of a ``with``, Ctrl-C) closes the connection; what came is kept as a partial
    answer. Deltas come as the network delivers them: one may hold the text of several events. One without text but
    with a ``wait`` says that a pause has begun: before the service is asked again, or for a limit's sake.
    """

    def __init__(self, loop: BackgroundLoop, service: "Service | CountedService", exchange: "HttpExchange") -> None:
        self._exchange = exchange
        arrived: queue.SimpleQueue[Delta | None] = queue.SimpleQueue()
        exchange.on_delta = arrived.put
        self._queue = arrived
        self._future: Future[Answer] = loop.submit(service.run(exchange))
        self._future.add_done_callback(lambda _: arrived.put(None))
        self._process = os.getpid()
        self._stopped = False
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

    @property
    def _interrupted(self) -> bool:
        # In the child of a fork nothing more comes: the thread that reads is the parent's.
        return self._stopped or self._process != os.getpid()

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
        if self._interrupted:
            return None
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

    def stop(self) -> None:
        """Ask for the end, from anywhere, a signal handler too: whoever waits for more goes on at once."""
        self._future.cancel()

    def close(self) -> None:
        """End the request if it still runs, and wait until its connection is closed."""
        if not self._interrupted and (not self._future.done() or self._future.cancelled()):
            self._stopped = True
            self._future.cancel()
            if self._exchange.started:  # else it never will
                self._exchange.finished.wait(timeout=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncStream(AsyncIterator[Delta]):
    """The same for ``async for``, in whatever loop the caller runs."""

    def __init__(self, loop: BackgroundLoop, service: "Service | CountedService", exchange: "HttpExchange") -> None:
        self._exchange = exchange
        arrived: asyncio.Queue[Delta | None] = asyncio.Queue()
        here = asyncio.get_running_loop()
        exchange.on_delta = lambda delta: _call_soon(here, arrived.put_nowait, delta)
        self._queue = arrived
        self._future: Future[Answer] = loop.submit(service.run(exchange))
        self._future.add_done_callback(lambda _: _call_soon(here, arrived.put_nowait, None))
        self._process = os.getpid()
        self._stopped = False
        weakref.finalize(self, self._future.cancel)

    @property
    def answer(self) -> Answer:
        """As :attr:`Stream.answer`."""
        if self._interrupted or not self._future.done():
            return self._exchange.answer(interrupted=True)
        return _result(self._future, self._exchange)

    @property
    def _interrupted(self) -> bool:
        # In the child of a fork nothing more comes: the thread that reads is the parent's.
        return self._stopped or self._process != os.getpid()

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
        if not self._interrupted and not self._future.done():
            self._stopped = True
            self._future.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _call_soon(loop: asyncio.AbstractEventLoop, put: Callable[[Any], None], item: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(put, item)


def _result(future: "Future[Answer]", exchange: "HttpExchange") -> Answer:
    try:
        return future.result()
    except CancelledError:
        return exchange.answer(interrupted=True)
    except QianfanError as error:
        error.partial = exchange.answer(broken=True)
        raise
