"""How one row is asked, in the client's loop: sent, looked at, asked again, kept and counted."""

import asyncio
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field, replace

from ..accounting.meter import Meter, Reservation, need_of, used_of
from ..accounting.totals import Kind
from ..client.call_options import AS_CLIENT, CallOptions
from ..client.client import Qianfan
from ..core.answer import Answer
from ..core.callbacks import always
from ..core.errors import QianfanError, TransportError
from ..core.follow_up import FollowUp
from ..core.plan import Plan
from ..structured.repair import NextRequest, Structured, advance
from .answer_cache import AnswerCache, RowKey
from .results import fault
from .row import Done, Task, together
from .row_prompts import Questions


def slot_of(job: str, asked: RowKey, number: int = 0) -> Hashable:
    """Who asks, for a tape: a row of a job; each question that follows on an answer is another asker."""
    first = ("map", job, *asked, 0)
    return FollowUp(asked.request, first, number) if number else first


@dataclass(slots=True)
class _RunningRow:
    """A row under way: what was paid for it so far, and what is set aside."""

    task: Task
    held: Reservation | None
    paid: list[Answer] = field(default_factory=list)

    def done(
        self, answer: Answer | None = None, error: QianfanError | None = None, value: object = None, *more: Answer
    ) -> Done:
        """What has become of it."""
        return Done(
            number=self.task.number, answer=answer, error=error, value=value, paid=(*self.paid, *more), held=self.held
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """
    How a row is asked.

    Attributes:
        client: Sends the requests.
        questions: What is asked.
        kept: Where the answer goes at once; None for nowhere.
        usable: Whether an answer that is kept may stand in for asking.
        job: What the job is known by, for a tape.
        call: How each request waits and is retried.
        repairs: How often an answer that doesn't fit is asked for again.
        meter: Counts what is used, and holds the budget.
        kind: What asks, for the meter.
    """

    client: Qianfan
    questions: Questions
    kept: AnswerCache | None = None
    usable: Callable[[RowKey], bool] = always
    job: str = ""
    call: CallOptions = AS_CLIENT
    repairs: int = 1
    meter: Meter | None = None
    kind: Kind = "map"

    def there(self, asked: RowKey) -> Answer | None:
        """The answer that needn't be asked for."""
        return self.kept.get(asked) if self.kept is not None and self.usable(asked) else None

    def slot(self, asked: RowKey, number: int = 0) -> Hashable:
        """Who asks, for a tape."""
        return slot_of(self.job, asked, number)

    def hold(self, task: Task, expected: int) -> Reservation | None:
        """
        Set aside what a row will take; *expected* tokens of an answer whose length nothing limits.

        Raises:
            BudgetError: It would break the budget.
        """
        if self.meter is None:
            return None
        need, plan = need_of(task.plan), task.plan
        completion = need.completion or expected
        free = lambda: self.client.recorded(plan, self.slot(task.asked))  # noqa: E731 - one expression, asked once
        return self.meter.before(plan.request.model, need.prompt, completion, free=free)

    def count_paid(self, done: Done) -> None:
        """Have the meter count what was paid for a row."""
        if self.meter is not None:
            again: Kind = "python" if self.kind == "python" else "repair"
            for position, answer in enumerate(done.paid):
                self.meter.after(answer, kind=again if position else self.kind)

    async def do(self, task: Task) -> Done:
        """Ask for one row, in the client's loop; what goes wrong is the row's own."""
        asking = _RunningRow(task, task.held)
        try:
            return await self._done(asking)
        except QianfanError as error:
            broken = () if error.partial is None else (error.partial,)
            return asking.done(None, error, None, *broken)
        except asyncio.CancelledError as error:
            begun: Answer | None = getattr(error, "partial", None)
            answer = together(tuple(asking.paid)) if asking.paid else None
            raise RowInterrupted(
                asking.done(answer, QianfanError("map.interrupted"), None, *([begun] if begun is not None else []))
            ) from None
        except Exception as error:  # noqa: BLE001 - a fault of one row, be it ours, must not hold up the others
            answer = together(tuple(asking.paid)) if asking.paid else None
            return asking.done(answer, fault(error))

    async def _done(self, asking: _RunningRow) -> Done:
        if self.questions.schema is None:
            answer = await self._send(asking, asking.task.plan)
            came = Structured(None, answer, 0, None, (answer,))
        else:
            came = await self._structured(asking)
        answer, problem = together(came.answers), came.error
        if self.questions.schema is None and not answer.complete:
            return asking.done(answer, TransportError("map.incomplete"))
        if problem is None and self.kept is not None:
            self.kept.put(asking.task.asked, answer)
        return asking.done(answer, problem, came.value)

    async def _structured(self, asking: _RunningRow) -> Structured:
        """Ask until the answer fits; looked at in a thread, as what looks may be the user's, and slow."""
        steps = self.questions.following(asking.task.plan, self.repairs)
        next(steps)
        came: Answer | QianfanError = await self._send(asking, asking.task.plan)
        while not isinstance(step := await asyncio.to_thread(_step, steps, came), Structured):
            try:
                plan = self.questions.plan(*step)
                self._hold_more(asking, plan)
                came = await self._send(asking, plan)
            except QianfanError as problem:
                came = problem
        return step

    def _hold_more(self, asking: _RunningRow, plan: Plan) -> None:
        """Set aside what asking again will take, beside what the row has taken, which is counted when it is done."""
        if self.meter is None:
            return
        used, need = [used_of(answer) for answer in asking.paid], need_of(plan)
        prompt = sum(asked for asked, _ in used) + need.prompt
        completion = sum(said for _, said in used) + (need.completion or used[-1][1])
        slot = self.slot(asking.task.asked, len(used))
        free = lambda: self.client.recorded(plan, slot)  # noqa: E731 - as above
        asking.held = self.meter.before(plan.request.model, prompt, completion, free=free, instead=asking.held)

    async def _send(self, asking: _RunningRow, plan: Plan) -> Answer:
        slot = self.slot(asking.task.asked, len(asking.paid))
        answer = await self.client.run(plan, self.call, slot=slot)
        asking.paid.append(replace(answer, raw_json=""))  # of many rows it would fill the memory
        return asking.paid[-1]


class RowInterrupted(asyncio.CancelledError):
    """A row was broken off; ``done`` is what had come of it."""

    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


def _step(steps: Generator[NextRequest, Answer, Structured], came: Answer | QianfanError) -> NextRequest | Structured:
    """What is to be asked next, or what came of it all."""
    try:
        return advance(steps, came)
    except QianfanError:
        raise
    except BaseException as error:  # a SystemExit would end the client's loop
        raise fault(error) from error
