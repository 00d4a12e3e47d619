"""Which rows are asked, which are there already, and when it ends: decided without sending anything."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..accounting.meter import Reservation
from ..core.answer import Answer
from ..core.errors import (
    AccessError,
    AuthenticationError,
    BudgetError,
    CredentialError,
    GoneError,
    InputError,
    QuotaError,
    SchemaError,
    TransportError,
)
from ..structured.schema import Schema
from .answer_cache import RowKey
from .row import Done, Task
from .row_prompts import Questions
from .table import DataRow

# What the next row would meet too.
FATAL_ERRORS = (AccessError, AuthenticationError, BudgetError, CredentialError, GoneError, QuotaError)
MAX_CONSECUTIVE_FAILURES = (
    10  # connections that fail after each other, with nothing between, before the rest is given up
)
MAX_REMEMBERED_REQUESTS = 10_000  # requests among which equal ones are told apart


def steps(
    rows: Iterable[DataRow], questions: Questions, there: Callable[[RowKey], Answer | None]
) -> Iterator[Task | Done]:
    """
    Decide about each row, in order, when its turn comes: it is asked, or it is done.

    Args:
        rows: The rows.
        questions: What is asked of them.
        there: Gives the answer that needn't be asked for.
    """
    seen: OrderedDict[str, int] = OrderedDict()
    for number, row in enumerate(rows):
        try:
            plan = questions.first(row)
        except InputError as error:
            yield Done(number=number, error=error)
            continue
        request = plan.request.hash
        asked = RowKey(request, seen.get(request, 0))
        seen[request] = asked.n + 1
        seen.move_to_end(request)
        if len(seen) > MAX_REMEMBERED_REQUESTS:
            seen.popitem(last=False)
        yield _kept(number, there(asked), questions.schema) or Task(number, asked, plan)


def _kept(number: int, answer: Answer | None, schema: Schema | None) -> Done | None:
    if answer is None:
        return None
    if schema is None:
        return Done(number=number, answer=answer, kept=True)
    try:
        found = schema.read(answer.text)
    except SchemaError:  # it was kept for another schema that is told to the model in the same words
        return None
    return Done(number=number, answer=replace(answer, despite=found.despite), value=found.value, kept=True)


class Pipeline:
    """
    What is to be done next, and whether it goes on.

    Args:
        steps: The rows' steps.
        ahead: How many may be under way or wait for it.
        hold: Sets aside what a row will take; raises BudgetError where that is too much.
        room: Whether another row may begin while some are under way.

    ``more`` is whether rows may still begin, ``out`` how many are under way, ``problem`` what ended it before its
    time; also what the rows' source raised.
    """

    def __init__(
        self,
        steps: Iterator[Task | Done],
        ahead: int,
        hold: Callable[[Task], Reservation | None],
        room: Callable[[], bool],
    ) -> None:
        self._steps, self._ahead, self._hold, self._room = steps, ahead, hold, room
        self._waiting: Task | None = None
        self._in_vain = 0
        self.more = True
        self.out = 0
        self.problem: BaseException | None = None

    def next(self) -> Task | Done | None:
        """Say what comes next; None if nothing does before one of those under way has ended."""
        while self.more and self.out < self._ahead and (self._room() or not self.out):
            step = self._waiting or self._next_step()
            self._waiting = None
            if step is None:
                self.more = False
                return None
            if isinstance(step, Done):
                return step
            try:
                held = self._hold(step)
            except BudgetError as error:
                if self.out:  # what the others leave over may be enough
                    self._waiting = step
                    return None
                self.end(error)
                return None
            self.out += 1
            return step._replace(held=held)
        return None

    def _next_step(self) -> Task | Done | None:
        try:
            return next(self._steps, None)
        except BaseException as error:  # noqa: BLE001 - the user's own source: what is under way is paid for
            self.end(error)
            return None

    def came(self, done: Done) -> Done:
        """Take in what became of one that was under way."""
        self.out -= 1
        if done.held is not None:
            done.held.release()
        if isinstance(done.error, FATAL_ERRORS):
            self.end(done.error)
        self._in_vain = self._in_vain + 1 if isinstance(done.error, TransportError) else 0
        if self._in_vain >= MAX_CONSECUTIVE_FAILURES and done.error is not None:
            self.end(done.error)
        return done

    def end(self, problem: BaseException | None = None) -> None:
        """Begin no more."""
        self.more, self._waiting = False, None
        self.problem = self.problem or problem
