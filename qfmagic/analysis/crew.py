"""Workers in the client's loop: as many requests at a time as there are workers."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from ..client.client import Qianfan
from ..core.answer import Answer
from ..core.callbacks import always
from ..core.errors import QianfanError, TransportError
from ..core.plan import Plan
from .kept import Asked as KeptAs
from .kept import Kept
from .meter import Held, Meter, need_of, used_of
from .questions import Questions
from .results import fault
from .steps import Done, Task, together
from .structured import Asked, Structured, advance
from .usage import Kind


class Ended(NamedTuple):
    """No more comes; *problem* is what broke it, if anything did."""

    problem: BaseException | None = None


Arrival = list[Done] | Ended


def slot_of(job: str, asked: KeptAs, number: int = 0) -> Hashable:
    """Who asks, for a tape: a row of a job; each question that follows on an answer is another asker."""
    return "map", job, *asked, number


@dataclass(slots=True)
class _Asking:
    """A row under way: what was paid for it so far, and what is set aside."""

    task: Task
    held: Held | None
    paid: list[Answer] = field(default_factory=list)

    def done(
        self, answer: Answer | None = None, error: QianfanError | None = None, value: object = None, *more: Answer
    ) -> Done:
        """What has become of it."""
        return Done(self.task.number, answer, error, value, paid=(*self.paid, *more), held=self.held)


class Work(NamedTuple):
    """
    How a row is asked.

    Attributes:
        client: Sends the requests.
        questions: What is asked.
        kept: Where the answer goes at once; None for nowhere.
        usable: Whether an answer that is kept may stand in for asking.
        job: What the job is known by, for a tape.
        timeout: Longest silence in seconds; None for the client's.
        repairs: How often an answer that doesn't fit is asked for again.
        meter: Counts what is used, and holds the budget.
        kind: What asks, for the meter.
    """

    client: Qianfan
    questions: Questions
    kept: Kept | None = None
    usable: Callable[[KeptAs], bool] = always
    job: str = ""
    timeout: float | None = None
    repairs: int = 1
    meter: Meter | None = None
    kind: Kind = "map"

    def there(self, asked: KeptAs) -> Answer | None:
        """The answer that needn't be asked for."""
        return self.kept.get(asked) if self.kept is not None and self.usable(asked) else None

    def slot(self, asked: KeptAs, number: int = 0) -> Hashable:
        """Who asks, for a tape."""
        return slot_of(self.job, asked, number)

    def hold(self, task: Task, expected: int) -> Held | None:
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
            for position, answer in enumerate(done.paid):
                self.meter.after(answer, kind="repair" if position else self.kind)

    async def do(self, task: Task) -> Done:
        """Ask for one row, in the client's loop; what goes wrong is the row's own."""
        asking = _Asking(task, task.held)
        try:
            return await self._done(asking)
        except QianfanError as error:
            broken = () if error.partial is None else (error.partial,)
            return asking.done(None, error, None, *broken)
        except asyncio.CancelledError as error:
            begun: Answer | None = getattr(error, "partial", None)
            answer = together(tuple(asking.paid)) if asking.paid else None
            raise Interrupted(
                asking.done(answer, QianfanError("map.interrupted"), None, *([begun] if begun is not None else []))
            ) from None
        except Exception as error:  # noqa: BLE001 - a fault of one row, be it ours, must not hold up the others
            answer = together(tuple(asking.paid)) if asking.paid else None
            return asking.done(answer, fault(error))

    async def _done(self, asking: _Asking) -> Done:
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

    async def _structured(self, asking: _Asking) -> Structured:
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

    def _hold_more(self, asking: _Asking, plan: Plan) -> None:
        """Set aside what asking again will take, beside what the row has taken, which is counted when it is done."""
        if self.meter is None:
            return
        used, need = [used_of(answer) for answer in asking.paid], need_of(plan)
        prompt = sum(asked for asked, _ in used) + need.prompt
        completion = sum(said for _, said in used) + (need.completion or used[-1][1])
        slot = self.slot(asking.task.asked, len(used))
        free = lambda: self.client.recorded(plan, slot)  # noqa: E731 - as above
        asking.held = self.meter.before(plan.request.model, prompt, completion, free=free, instead=asking.held)

    async def _send(self, asking: _Asking, plan: Plan) -> Answer:
        slot = self.slot(asking.task.asked, len(asking.paid))
        asking.paid.append(await self.client.run(plan, timeout=self.timeout, slot=slot))
        return asking.paid[-1]


class Interrupted(asyncio.CancelledError):
    """A row was broken off; ``done`` is what had come of it."""

    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


def _step(steps: Generator[Asked, Answer, Structured], came: Answer | QianfanError) -> Asked | Structured:
    """What is to be asked next, or what came of it all."""
    try:
        return advance(steps, came)
    except QianfanError:
        raise
    except BaseException as error:  # a SystemExit would end the client's loop
        raise fault(error) from error


class Crew:
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
            self._hand_over()
            self._deliver(Ended(problem))

    async def _lend(self) -> None:
        while (task := await self._queue.get()) is not None:
            try:
                done = await self._work.do(task)
            except Interrupted as error:
                self._finished(error.done)
                raise
            self._finished(done)

    def _finished(self, done: Done) -> None:
        if not self._done:
            self._loop.call_soon(self._hand_over)
        self._done.append(done)

    def _hand_over(self) -> None:
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
