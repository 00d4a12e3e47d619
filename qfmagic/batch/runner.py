"""
A template over many rows, under way.

Rows are read, filled in and checked in the caller's thread, asked in the client's loop, and put in their order.
"""

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial

from ..accounting.meter import used_of
from ..core.callbacks import always, ignore
from ..core.errors import QianfanError
from ..core.models.params import answer_limit
from .job import Job
from .row import Done
from .scheduler import Pipeline, steps
from .table import DataRow
from .workers import Arrival, Ended, WorkerPool

INTERRUPT_GRACE_S = 2.0  # seconds an interrupt leaves to what is under way, as it is paid for
MAX_TRAY_ROWS = 100  # rows that were done before, in the tray at once
RECENT_ANSWERS = 50  # answers whose size says what the next will take


class Flow:
    """
    A job under way.

    Args:
        job: The job.
        rows: Its rows, or some of them.
        wake: Is called when something has arrived, in the client's thread.
        room: Whether another row may begin.

    What is done lies in ``tray``.
    """

    def __init__(
        self, job: Job, rows: Iterator[DataRow], wake: Callable[[None], object], room: Callable[[], bool]
    ) -> None:
        self.job = job
        self._room = room
        self._said: list[int] = []  # tokens of the answers so far: what the next is expected to take
        work = job.work
        self._limited = work.meter is not None and work.meter.limited
        # As many again wait their turn, so that no worker does; but where a budget holds, none is set going early.
        ahead = job.workers if self._limited else 2 * job.workers
        found = steps(rows, job.questions, work.there)
        self.pipeline = Pipeline(found, ahead, lambda task: work.hold(task, self._expected), self._may_begin)
        # Not in the queue of whoever waits: what an interrupt meets on its way out of a queue is gone.
        self._arrived: deque[Done | Ended] = deque()
        self.tray: deque[Done] = deque()
        self.stopped = self._ended = False

        def deliver(arrival: Arrival) -> None:
            self._arrived.extend(arrival if isinstance(arrival, list) else [arrival])
            wake(None)

        self._crew = WorkerPool(work, job.workers, deliver)

    @property
    def _expected(self) -> int:
        return sum(self._said) // len(self._said) if self._said else 0

    def _may_begin(self) -> bool:
        """Where a budget holds, the first answer tells what the others will take."""
        known = self._said or not self._limited or answer_limit(self.job.questions.parameters) > 0
        return bool(known) and self._room()

    @property
    def waits(self) -> bool:
        """Whether nothing can be done before something arrives."""
        return not (self._arrived or self.tray or self.over)

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self._ended or not (self.pipeline.more or self.pipeline.out or self._arrived)

    def turn(self) -> None:
        """Take in what has arrived; if nothing has, begin what can be begun until something does."""
        while self._arrived:  # an interrupt in the middle leaves the rest for the next turn
            done = self._arrived.popleft()
            if isinstance(done, Ended):  # stopped, or broken; or the client was closed
                closed = None if self.stopped else QianfanError("map.closed")
                self.pipeline.end(done.problem or closed)
                self._ended = True
                return
            # Counted before what was set aside for it is given back: else another might take that.
            self.job.work.count_paid(done)
            self.tray.append(self.pipeline.came(done))
            said = [used_of(answer)[1] for answer in done.paid if answer.complete]
            self._said = [*self._said, *said][-RECENT_ANSWERS:]
        if self.tray:  # it is handed on first, as the rows' source may be slow
            return
        while len(self.tray) < MAX_TRAY_ROWS and not self._arrived and (step := self.pipeline.next()) is not None:
            if isinstance(step, Done):
                self.tray.append(step)
            else:
                self._crew.put(step)

    def stop(self, problem: BaseException | None = None) -> None:
        """Begin no more rows; those under way have a moment."""
        self.stopped = True
        self.pipeline.end(problem)
        self._crew.end(INTERRUPT_GRACE_S)

    def close(self) -> None:
        """End the workers, at once."""
        self._crew.end()

    def check(self) -> None:
        """Raise what ended it before its time."""
        if self.pipeline.problem is not None:
            raise self.pipeline.problem


def completed(
    job: Job,
    rows: Iterator[DataRow],
    room: Callable[[], bool] = always,
    started: Callable[[Callable[[], None]], object] = ignore,
) -> Iterator[Done]:
    """
    Do a job; yield each row when it is done.

    Args:
        job: The job.
        rows: Its rows, or some of them.
        room: Whether another row may begin.
        started: Is handed what stops it: from a signal handler, too.

    Raises:
        BaseException: What ends it before its time, be it the service's, the rows' own or an interrupt, when the rows
            that were under way have been yielded.
    """
    arrivals: queue.SimpleQueue[None] = queue.SimpleQueue()
    flow = Flow(job, rows, arrivals.put, room)
    started(flow.stop)
    try:
        while flow.tray or not flow.over:
            try:
                while flow.tray:
                    yield flow.tray.popleft()
                flow.turn()
                if flow.waits:
                    _wait(arrivals)
            except KeyboardInterrupt as interrupt:
                if flow.stopped:  # the second one
                    raise
                flow.stop(interrupt)
    finally:
        flow.close()
    flow.check()


def _wait(arrivals: "queue.SimpleQueue[None]") -> None:
    with suppress(queue.Empty):
        arrivals.get(timeout=0.5)  # without one, a signal has to wait on some systems


async def acompleted(
    job: Job,
    rows: Iterator[DataRow],
    room: Callable[[], bool] = always,
    started: Callable[[Callable[[], None]], object] = ignore,
) -> AsyncIterator[Done]:
    """Twin of :func:`completed`, in whatever loop the caller runs; one that is left ends the work."""
    here = asyncio.get_running_loop()
    arrivals: asyncio.Queue[None] = asyncio.Queue()
    flow = Flow(job, rows, partial(_call_soon, here, arrivals.put_nowait), room)
    started(flow.stop)
    try:
        while flow.tray or not flow.over:
            while flow.tray:
                yield flow.tray.popleft()
                await asyncio.sleep(0)  # thousands may be there already
            flow.turn()
            if flow.waits:
                await arrivals.get()
    finally:
        flow.close()
    flow.check()


def _call_soon(loop: asyncio.AbstractEventLoop, put: Callable[[None], None], arrival: None) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(put, arrival)
