"""Workers in the client's loop: as many requests at a time as there are workers."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from .row import Done, Task
from .row_runner import RowInterrupted, Work


class Ended(NamedTuple):
    """No more comes; *problem* is what broke it, if anything did."""

    problem: BaseException | None = None


Arrival = list[Done] | Ended


class WorkerPool:
    """
    Does tasks, in the client's loop, so that a request costs no change of threads.

    What is done is handed over together with what is done in the same moment: each change of threads costs about as
    much as a request.

    Args:
        work: How.
        workers: How many at a time.
        deliver: Is handed what has become of them, in the client's thread; and :class:`Ended` at the end.
    """

    def __init__(self, work: Work, workers: int, deliver: Callable[[Arrival], object]) -> None:
        self._work, self._workers, self._deliver = work, workers, deliver
        self._done: list[Done] = []
        self._coming: deque[Task] = deque()
        self._called = False
        self._ready = threading.Event()
        self._future: Future[None] = work.client.submit(self._run())
        try:
            self._ready.wait()
        except BaseException:
            self._future.cancel()
            raise

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Task | None] = asyncio.Queue()
        self._hands = [asyncio.ensure_future(self._lend()) for _ in range(self._workers)]
        self._ready.set()
        problem: BaseException | None = None
        try:
            for ended in await asyncio.gather(*self._hands, return_exceptions=True):
                problem = ended if isinstance(ended, Exception) else problem
        finally:
            self.flush()
            self._deliver(Ended(problem))

    async def _lend(self) -> None:
        while (task := await self._queue.get()) is not None:
            try:
                done = await self._work.do(task)
            except RowInterrupted as error:
                self._finished(error.done)
                raise
            self._finished(done)

    def _finished(self, done: Done) -> None:
        if not self._done:
            self._loop.call_soon(self.flush)
        self._done.append(done)

    def flush(self) -> None:
        """Deliver the rows that are done; in the client's thread."""
        done, self._done = self._done, []
        if done:
            self._deliver(done)

    def put(self, task: Task) -> None:
        """Have a task done when its turn comes."""
        self._coming.append(task)
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._take_in)

    def _take_in(self) -> None:
        self._called = False  # before looking: what is put from now on calls again
        while self._coming:
            self._queue.put_nowait(self._coming.popleft())

    def end(self, grace: float = 0.0) -> None:
        """Begin nothing more; those under way have *grace* seconds. Then the end is delivered."""
        if not self._future.done():
            self._loop.call_soon_threadsafe(self._finish, grace)

    def _finish(self, grace: float) -> None:
        self._coming.clear()
        while not self._queue.empty():
            self._queue.get_nowait()
        for hand in self._hands:
            self._queue.put_nowait(None)
            self._loop.call_later(grace, hand.cancel)
