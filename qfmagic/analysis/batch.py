"""
A template over many rows, under way.

Rows are read, filled in and checked in the caller's thread, asked in the client's loop, and put in their order.
"""

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any

from ..core.callbacks import always, ignore
from ..core.errors import OptionError, QianfanError
from ..core.params import check_parameters
from .crew import Arrival, Crew, Ended, Work
from .meter import Meter, used_of
from .prompt import Template
from .questions import Questions, check_columns, check_template
from .results import cells_of, result_kinds, result_names
from .schema import Schema
from .steps import Done, Pipeline, steps
from .structured import check_repairs
from .table import Row, Table, read_table
from .usage import Kind

WORKERS = 8
MOST = 100  # workers: the client's connections
GRACE = 2.0  # seconds an interrupt leaves to what is under way, as it is paid for
FULL = 100  # rows that were done before, in the tray at once
LATELY = 50  # answers whose size says what the next will take
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Job:
    """
    A template over a table, decided.

    Attributes:
        table: The rows.
        work: How they are asked.
        workers: How many at a time.
        prefix: Stands before the names of the results.
        sample: Only so many rows, from the first; None for all.
        lang: Language of the errors in the results.
    """

    table: Table
    work: Work
    workers: int = WORKERS
    prefix: str = ""
    sample: int | None = None
    lang: str = "en"

    @property
    def questions(self) -> Questions:
        """What is asked."""
        return self.work.questions

    @property
    def names(self) -> tuple[str, ...]:
        """The results' columns."""
        return result_names(self.questions.schema, self.prefix)

    @property
    def length(self) -> int | None:
        """How many rows are asked for; None where nobody knows."""
        if self.sample is None or self.table.length is None:
            return self.table.length
        return min(self.sample, self.table.length)

    def rows(self) -> Iterator[Row]:
        """The rows that are asked for."""
        return islice(self.table.rows(), self.sample)

    def gather(self, done: Mapping[int, Done]) -> Any:
        """The data with the results of those rows that are done."""
        cells = [self.cells(done.get(number)) for number in range(self.length or 0)]
        columns = {name: [row[name] for row in cells] for name in self.names}
        return self.table.with_columns(columns, result_kinds(self.questions.schema, self.prefix))

    def cells(self, done: Done | None) -> dict[str, Any]:
        """A row's results, by column."""
        return dict(zip(self.names, cells_of(done, self.questions.schema, self.lang), strict=True))


def check_workers(workers: object) -> int:
    """
    Check a number of workers.

    Raises:
        OptionError: It is none.
    """
    return check_whole("workers", workers, 1, MOST)


def check_whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """
    Check a whole number.

    Raises:
        OptionError: It is none, or out of its range.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value and (most is None or value <= most):
        return value
    end = "" if most is None else f", {most}"
    raise OptionError("option.value", name=name, value=repr(value), allowed=f"{least}, {least + 1}, ...{end}")


def decide(
    data: Any,
    template: str,
    work: Callable[[Template, Schema | None], Work],
    *,
    name: str = "DATA",
    namespace: Mapping[str, Any] = _NOTHING,
    schema: Any = None,
    workers: int = WORKERS,
    sample: int | None = None,
    meter: Meter | None = None,
    kind: Kind = "map",
    **others: Any,
) -> Job:
    """
    Check everything that can be checked before the first row is asked.

    Args:
        data: The data.
        template: The question.
        work: Says how the rows are asked, of the template and the schema as they were read.
        name: What an error calls the data.
        namespace: Further names for the template.
        schema: What each answer must fit.
        workers: How many at a time.
        sample: Only so many rows.
        meter: Counts what is used, and holds the budget.
        kind: What asks, for the meter.
        others: What :class:`Job` takes beside.

    Raises:
        InputError: It can't be asked like that.
    """
    check_workers(workers)
    if sample is not None:
        check_whole("sample", sample, 1)
    table = read_table(data, name)
    parsed = Template.parse(template)
    check_template(parsed, table.names, namespace)
    wanted = None if schema is None else Schema.of(schema, namespace)
    made = work(parsed, wanted)._replace(meter=meter, kind=kind)
    check_repairs(made.repairs)
    target = made.questions.target
    check_parameters(made.questions.parameters, target.parameters, model=target.title, source=target.source.title)
    job = Job(table, made, workers, sample=sample, **others)
    check_columns(table.names, job.names)
    return job


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

    def __init__(self, job: Job, rows: Iterator[Row], wake: Callable[[None], object], room: Callable[[], bool]) -> None:
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

        self._crew = Crew(work, job.workers, deliver)

    @property
    def _expected(self) -> int:
        return sum(self._said) // len(self._said) if self._said else 0

    def _may_begin(self) -> bool:
        """Where a budget holds, the first answer tells what the others will take."""
        known = self._said or not self._limited or "max_output_tokens" in self.job.questions.parameters
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
            self._said = [*self._said, *said][-LATELY:]
        if self.tray:  # it is handed on first, as the rows' source may be slow
            return
        while len(self.tray) < FULL and not self._arrived and (step := self.pipeline.next()) is not None:
            if isinstance(step, Done):
                self.tray.append(step)
            else:
                self._crew.put(step)

    def stop(self, problem: BaseException | None = None) -> None:
        """Begin no more rows; those under way have a moment."""
        self.stopped = True
        self.pipeline.end(problem)
        self._crew.end(GRACE)

    def close(self) -> None:
        """End the workers, at once."""
        self._crew.end()

    def check(self) -> None:
        """Raise what ended it before its time."""
        if self.pipeline.problem is not None:
            raise self.pipeline.problem


def completed(
    job: Job,
    rows: Iterator[Row],
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
    rows: Iterator[Row],
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
