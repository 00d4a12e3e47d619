"""
A template over many rows, under way.

Rows are read, filled in and checked in the caller's thread, asked in the client's loop, and put in their order.
"""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any

from ..core.errors import OptionError
from ..core.params import check_parameters
from .crew import Crew, Work
from .meter import Held, Meter, need_of
from .prompt import Template
from .questions import Questions, check_columns, check_template
from .results import cells_of, result_kinds, result_names
from .schema import Schema
from .steps import Done, Pipeline, Task, steps
from .table import Row, Table, read_table
from .usage import Kind

WORKERS = 8
MOST = 100  # workers: the client's connections
GRACE = 2.0  # seconds an interrupt leaves to what is under way, as it is paid for
LATELY = 50  # answers whose size says what the next will take
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _always() -> bool:
    return True


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
        meter: Counts what is used, and holds the budget.
        lang: Language of the errors in the results.
        kind: What asks, for the meter.
    """

    table: Table
    work: Work
    workers: int = WORKERS
    prefix: str = ""
    sample: int | None = None
    meter: Meter | None = None
    lang: str = "en"
    kind: Kind = "map"

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

    def count(self, done: Done) -> None:
        """Have the meter count what was paid for a row."""
        if self.meter is not None:
            for position, answer in enumerate(done.paid):
                self.meter.after(answer, kind="repair" if position else self.kind)

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
    if isinstance(workers, int) and not isinstance(workers, bool) and 1 <= workers <= MOST:
        return workers
    raise OptionError("option.value", name="workers", value=repr(workers), allowed=f"1, 2, ..., {MOST}")


def decide(
    data: Any,
    template: str,
    work: Callable[[Template, Schema | None], Work],
    *,
    name: str = "DATA",
    namespace: Mapping[str, Any] = _NOTHING,
    schema: Any = None,
    workers: int = WORKERS,
    **others: Any,
) -> Job:
    """
    Check everything that can be checked before the first row is asked.

    Raises:
        InputError: It can't be asked like that.
    """
    check_workers(workers)
    table = read_table(data, name)
    parsed = Template.parse(template)
    check_template(parsed, table.names, namespace)
    wanted = None if schema is None else Schema.of(schema, namespace)
    made = work(parsed, wanted)
    target = made.questions.target
    check_parameters(made.questions.parameters, target.parameters, model=target.title, source=target.source.title)
    job = Job(table, made, workers, **others)
    check_columns(table.names, job.names)
    return job


class Flow:
    """
    A job under way.

    Args:
        job: The job.
        rows: Its rows, or some of them.
        deliver: Is handed what has become of a row, in the client's thread; it goes to :meth:`came`.
        room: Whether another row may begin.
    """

    def __init__(
        self, job: Job, rows: Iterator[Row], deliver: Callable[[Any], object], room: Callable[[], bool]
    ) -> None:
        self.job = job
        self._said: list[int] = []  # tokens of the answers so far: what the next is expected to take
        limited = job.meter is not None and job.meter.limited
        # As many again wait their turn, so that no worker does; but where a budget holds, none is set going early.
        ahead = job.workers if limited else 2 * job.workers
        self.pipeline = Pipeline(steps(rows, job.questions, job.work.kept), ahead, self._hold, room)
        self._crew = Crew(job.work, job.workers, deliver)

    def begin(self) -> Iterator[Done]:
        """Begin what can be begun; yield what is done without it."""
        while (step := self.pipeline.next()) is not None:
            if isinstance(step, Done):
                yield step
            else:
                self._crew.put(step)

    def _hold(self, task: Task) -> Held | None:
        if self.job.meter is None:
            return None
        need = need_of(task.plan)
        expected = need.completion or (sum(self._said) // len(self._said) if self._said else 0)
        work = self.job.work
        return self.job.meter.before(
            task.plan.request.model,
            need.prompt,
            expected,
            free=lambda: work.client.recorded(task.plan, work.slot(task)),
        )

    def came(self, done: Done) -> Done:
        """Take in what has come."""
        self.job.count(done)
        self._said = [*self._said, *(answer.usage.completion_tokens or 0 for answer in done.paid)][-LATELY:]
        return self.pipeline.came(done)

    def stop(self) -> None:
        """Begin no more rows; those under way have a moment."""
        self.pipeline.end()
        self._crew.end(GRACE)

    def close(self) -> None:
        """End the workers, at once."""
        self._crew.end()


def completed(
    job: Job,
    rows: Iterator[Row],
    room: Callable[[], bool] = _always,
    started: Callable[[Callable[[], None]], object] = bool,
) -> Iterator[Done]:
    """
    Do a job; yield each row when it is done.

    Args:
        job: The job.
        rows: Its rows, or some of them.
        room: Whether another row may begin.
        started: Is handed what stops it: from a signal handler, too.

    Raises:
        QianfanError: What ends it before its time, when the rows that were under way have been yielded.
    """
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
    flow = Flow(job, rows, arrived.put, room)
    started(flow.stop)
    try:
        while True:
            yield from flow.begin()
            if not flow.pipeline.out:
                break
            done = _next(arrived)
            if not isinstance(done, Done):  # stopped, or broken
                _raise(done)
                return
            yield flow.came(done)
    finally:
        flow.close()
    _raise(flow.pipeline.problem)


def _raise(problem: BaseException | None) -> None:
    if problem is not None:
        raise problem


def _next(arrived: "queue.SimpleQueue[Any]") -> Any:
    while True:
        try:
            return arrived.get(timeout=0.5)  # without one, a signal has to wait on some systems
        except queue.Empty:
            continue


async def acompleted(job: Job, rows: Iterator[Row], room: Callable[[], bool] = _always) -> AsyncIterator[Done]:
    """Twin of :func:`completed`, in whatever loop the caller runs; one that is left ends the work."""
    here = asyncio.get_running_loop()
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    flow = Flow(job, rows, partial(_call_soon, here, arrived.put_nowait), room)
    try:
        while True:
            for done in flow.begin():
                yield done
                await asyncio.sleep(0)  # thousands may be there already
            if not flow.pipeline.out:
                break
            arrival = await arrived.get()
            if not isinstance(arrival, Done):
                _raise(arrival)
                return
            yield flow.came(arrival)
    finally:
        flow.close()
    _raise(flow.pipeline.problem)


def _call_soon(loop: asyncio.AbstractEventLoop, put: Callable[[Any], None], arrival: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(put, arrival)
