"""Which rows are asked, which are there already, and when it ends: decided without sending anything."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ..core.answer import Answer
from ..core.errors import (
    AccessError,
    AuthenticationError,
    BudgetError,
    CredentialError,
    GoneError,
    InputError,
    QianfanError,
    QuotaError,
    SchemaError,
    TransportError,
)
from ..core.plan import Plan
from ..core.usage import Usage
from .kept import Asked
from .meter import Held
from .questions import Questions
from .schema import Schema
from .table import Row

# What the next row would meet too.
FOR_ALL = (AccessError, AuthenticationError, BudgetError, CredentialError, GoneError, QuotaError)
IN_VAIN = 10  # connections that fail after each other, with nothing between, before the rest is given up
REMEMBERED = 10_000  # requests among which equal ones are told apart


class Task(NamedTuple):
    """A row that is to be asked."""

    number: int
    asked: Asked
    plan: Plan
    held: Held | None = None


class Done(NamedTuple):
    """
    A row that needs nothing more.

    Attributes:
        number: Which row, from 0.
        answer: Its answer; None if there is none.
        error: What went wrong.
        value: What the answer is, where it had to fit a schema.
        kept: Whether the answer was there before.
        paid: Every answer that came for it now, those that didn't fit included.
        held: What was set aside for it.
    """

    number: int
    answer: Answer | None = None
    error: QianfanError | None = None
    value: Any = None
    kept: bool = False
    paid: tuple[Answer, ...] = ()
    held: Held | None = None


def steps(rows: Iterable[Row], questions: Questions, there: Callable[[Asked], Answer | None]) -> Iterator[Task | Done]:
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
            yield Done(number, error=error)
            continue
        request = plan.request.hash
        asked = Asked(request, seen.get(request, 0))
        seen[request] = asked.n + 1
        seen.move_to_end(request)
        if len(seen) > REMEMBERED:
            seen.popitem(last=False)
        yield _kept(number, there(asked), questions.schema) or Task(number, asked, plan)


def _kept(number: int, answer: Answer | None, schema: Schema | None) -> Done | None:
    if answer is None:
        return None
    if schema is None:
        return Done(number, answer, kept=True)
    try:
        return Done(number, answer, value=schema.parse(answer.text), kept=True)
    except SchemaError:  # it was kept for another schema that is told to the model in the same words
        return None


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
        hold: Callable[[Task], Held | None],
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
        if isinstance(done.error, FOR_ALL):
            self.end(done.error)
        self._in_vain = self._in_vain + 1 if isinstance(done.error, TransportError) else 0
        if self._in_vain >= IN_VAIN and done.error is not None:
            self.end(done.error)
        return done

    def end(self, problem: BaseException | None = None) -> None:
        """Begin no more."""
        self.more, self._waiting = False, None
        self.problem = self.problem or problem


def together(answers: tuple[Answer, ...]) -> Answer:
    """The last of several answers, with the tokens and the time of all."""
    if len(answers) == 1:
        return answers[0]
    counts = {
        name: None if None in (found := [getattr(answer.usage, name) for answer in answers]) else sum(found)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    return replace(answers[-1], usage=Usage(**counts), seconds=round(sum(answer.seconds for answer in answers), 3))
