"""Workers in the client's loop: as many requests at a time as there are workers."""

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import NamedTuple

from ..client.client import Qianfan
from ..core.answer import Answer
from ..core.errors import QianfanError, TransportError
from ..core.plan import Plan
from .kept import Kept
from .questions import Questions
from .steps import Done, Task, together
from .structured import Structured


class Work(NamedTuple):
    """
    How a row is asked.

    Attributes:
        client: Sends the requests.
        questions: What is asked.
        kept: Where the answer goes at once; None for nowhere.
        job: What the job is known by, for a tape.
        timeout: Longest silence in seconds; None for the client's.
        repairs: How often an answer that doesn't fit is asked for again.
    """

    client: Qianfan
    questions: Questions
    kept: Kept | None = None
    job: str = ""
    timeout: float | None = None
    repairs: int = 1

    async def do(self, task: Task) -> Done:
        """Ask for one row, in the client's loop; what goes wrong is the row's own."""
        paid: list[Answer] = []
        try:
            came = await self._ask(task, paid)
        except QianfanError as error:
            broken = () if error.partial is None else (error.partial,)
            return Done(task.number, error=error, paid=(*paid, *broken), held=task.held)
        answer, problem = together(came.answers), came.error
        if problem is None and not answer.complete:
            return Done(task.number, answer, TransportError("map.incomplete"), paid=came.answers, held=task.held)
        if problem is None and self.kept is not None:
            self.kept.put(task.asked, answer)
        return Done(task.number, answer, problem, came.value, paid=came.answers, held=task.held)

    async def _ask(self, task: Task, paid: list[Answer]) -> Structured:
        if self.questions.schema is None:
            answer = await self._send(task, task.plan, paid)
            return Structured(None, answer, 0, None, (answer,))
        steps = self.questions.following(task.plan, self.repairs)
        next(steps)
        plan = task.plan
        try:
            while True:
                try:
                    asked = steps.send(await self._send(task, plan, paid))
                    plan = self.questions.plan(*asked)
                except QianfanError as problem:
                    steps.throw(problem)  # ends them: with what there is, or the problem
        except StopIteration as ended:
            came: Structured = ended.value
            return came

    def slot(self, task: Task, number: int = 0) -> Hashable:
        """Who asks, for a tape; each question that follows on an answer is another asker."""
        return "map", self.job, *task.asked, number

    async def _send(self, task: Task, plan: Plan, paid: list[Answer]) -> Answer:
        paid.append(await self.client.run(plan, timeout=self.timeout, slot=self.slot(task, len(paid))))
        return paid[-1]


class Crew:
    """
    Does tasks, in the client's loop, so that a request costs no change of threads.

    Args:
        work: How.
        workers: How many at a time.
        deliver: Is handed what has become of each, in the client's thread; and None, or what broke it, at the end.
    """

    def __init__(self, work: Work, workers: int, deliver: Callable[[Done | BaseException | None], object]) -> None:
        self._work, self._workers, self._deliver = work, workers, deliver
        self._ready = threading.Event()
        self._future: Future[None] = work.client.submit(self._run())
        self._ready.wait()

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
            self._deliver(problem)

    async def _lend(self) -> None:
        while (task := await self._queue.get()) is not None:
            self._deliver(await self._work.do(task))

    def put(self, task: Task) -> None:
        """Have a task done when its turn comes."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, task)

    def end(self, grace: float = 0.0) -> None:
        """Begin nothing more; those under way have *grace* seconds. Then the end is delivered."""
        if not self._future.done():
            self._loop.call_soon_threadsafe(self._finish, grace)

    def _finish(self, grace: float) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        for hand in self._hands:
            self._queue.put_nowait(None)
            self._loop.call_later(grace, hand.cancel)
