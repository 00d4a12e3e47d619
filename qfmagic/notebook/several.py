"""One question to several models at the same time: decided, sent, shown while the answers come."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from ..client.streams import Stream
from ..core.answer import Answer, Delta
from ..core.errors import BudgetError, OptionError, QianfanError, SchemaError
from ..core.models import registry
from .asking import KEEP_EVERY, Ask, failed, hold, keep_so_far, prepare
from .chats import Slot
from .display import TICK, Bundle, View
from .interrupts import Interrupts
from .partial import so_far
from .session import Session

PATIENCE = 0.25  # seconds before the views appear: answers that are all there by then need none
FRAMED = ("code", "html")  # forms of which one output can't hold several


class Outcome(NamedTuple):
    """
    What came of one of the questions.

    Attributes:
        ask: The question.
        n: The round it was asked in, from 1.
        answer: What came, though it may be nothing.
        problem: Why it isn't a whole answer, if an error kept it from that.
    """

    ask: Ask
    n: int
    answer: Answer
    problem: QianfanError | None


def names_of(written: str, option: str = "model") -> tuple[str, ...]:
    """
    Read names with commas between them.

    Raises:
        OptionError: One is empty, or two are the same model's.
    """
    names = tuple(name.strip() for name in written.split(","))
    if not all(names):
        raise OptionError("compare.names", name=option, value=written)
    models: dict[str, str] = {}
    for name in names:
        model = registry().name_of(name)
        if model in models:
            values = {"model": model, "first": models[model], "again": name}
            raise OptionError("compare.twice", name=option, value=written, **values)
        models[model] = name
    return names


def prepare_several(
    session: Session, prompt: str, given: Mapping[str, Any], flags: frozenset[str], slot: Slot | None = None
) -> Ask:
    """
    Decide everything about a question to the models of ``model=a,b``. Nothing is sent or changed.

    The first model's answer is the turn's; what the others answer to the same context joins nothing.

    Raises:
        InputError: One of them can't be asked like that; then none is.
    """
    if "endpoint" in given:
        raise OptionError("compare.not_here", name="endpoint=")
    if given.get("format") in FRAMED:
        raise OptionError("compare.not_here", name=f"format={given['format']}")
    first, *others = (
        prepare(session, prompt, {**given, "model": name}, flags, slot) for name in names_of(given["model"])
    )
    return first._replace(others=tuple(other._replace(joins=False) for other in others))


@dataclass
class _UnderWay:
    """A question on its way."""

    ask: Ask
    n: int
    stream: Stream
    view: View | None = None
    outcome: Outcome | None = None
    unseen: list[Delta] = field(default_factory=list)
    stopped: bool = False

    def step(self, session: Session, patience: float) -> None:
        """Take what has come, waiting up to *patience* seconds for something."""
        try:
            deltas = self.stream.drain(patience)
            if deltas is None:
                self.end(self.stream.answer)
                return
        except QianfanError as error:
            self.end(so_far(self.stream, error), session.keys.explained(error))
            return
        if self.view is None:
            self.unseen += deltas
            return
        for delta in deltas:
            self.view.add(delta)
        self.view.tick()
        if self.view.stopped and not self.stopped:
            self.stopped = True
            self.stream.stop()

    def end(self, answer: Answer, problem: QianfanError | None = None) -> None:
        """Nothing more comes."""
        self.outcome = Outcome(self.ask, self.n, answer, problem)

    def appear(self, view: View) -> None:
        """Show from now on what comes."""
        self.view = view
        if self.outcome is None:
            view.show()
            for delta in self.unseen:
                view.add(delta)
        self.unseen.clear()


class Several:
    """
    Asks several questions at the same time, and again if that is wished.

    Args:
        session: Whose settings and conversations hold.
        view_of: What shows an answer while it comes; asked for those that take a while.
        settled: The form a view is left in when its answer is there.
    """

    def __init__(
        self,
        session: Session,
        view_of: Callable[[Ask], View],
        settled: Callable[[Outcome], Bundle],
    ) -> None:
        self._session = session
        self._view_of, self._settled = view_of, settled
        self.appeared = False

    def run(self, asks: Sequence[Ask], rounds: int, show: Callable[[list[Outcome]], None]) -> list[Outcome]:
        """
        Ask; *show* is called once, with all there is.

        The rounds follow each other, so that a cassette has a model's answers in the order in which they were asked.

        Raises:
            BudgetError: There is nothing left for them; what came before is shown.
            KeyboardInterrupt: The user stopped them, or one of them; what came is shown.
        """
        outcomes: list[Outcome] = []
        stop: BaseException | None = None
        with Interrupts() as interrupts:
            self._session.open_journal()
            for n in range(1, rounds + 1):
                try:
                    stop = self._round(asks, n, interrupts, outcomes)
                except BudgetError as error:
                    stop = error
                if stop is not None or interrupts.came:
                    break
            if outcomes:
                show(outcomes)
            if stop is not None:
                raise stop
        return outcomes

    def _round(
        self, asks: Sequence[Ask], n: int, interrupts: Interrupts, outcomes: list[Outcome]
    ) -> KeyboardInterrupt | None:
        """Ask each once; return what stopped one of them."""
        session, client = self._session, self._session.client()
        askers = [session.asker() or object() for _ in asks]
        stop: KeyboardInterrupt | None = None
        with ExitStack() as stack:
            self._hold(stack, asks, askers)
            under_way = [
                _UnderWay(ask, n, stack.enter_context(client.send(ask.plan, timeout=ask.timeout, slot=asker)))
                for ask, asker in zip(asks, askers, strict=True)
            ]
            stack.callback(_leave, under_way)
            interrupts.tell(partial(_stop, under_way))
            try:
                self._follow(under_way)
            except KeyboardInterrupt as error:  # one that couldn't wait
                stop = error
            for one in under_way:
                if one.outcome is None:
                    one.end(so_far(one.stream, KeyboardInterrupt()))
                    self._ended(one)
                assert one.outcome is not None
                outcomes.append(one.outcome)
        if stop is None:
            stop = self._fit(outcomes, len(outcomes) - len(asks), interrupts)
        return stop or (KeyboardInterrupt() if any(one.stopped for one in under_way) else None)

    def _hold(self, stack: ExitStack, asks: Sequence[Ask], askers: Sequence[Hashable]) -> None:
        """Set aside what they take, before the first is sent; the turn of one that joins keeps its place."""
        try:
            for ask, asker in zip(asks, askers, strict=True):
                stack.enter_context(hold(self._session, ask._replace(joins=False), asker))
        except BudgetError:
            for ask in asks:
                if ask.joins:
                    failed(self._session, ask.slot, ask.prompt)
            raise

    def _fit(self, outcomes: list[Outcome], start: int, interrupts: Interrupts) -> KeyboardInterrupt | None:
        """Have those answers that must fit a schema fit, each in turn; return what stopped it."""
        for position, one in enumerate(outcomes[start:], start):
            if one.ask.wanted is None or one.problem is not None or not one.answer.complete or interrupts.came:
                continue
            from .structuring import fitted  # noqa: PLC0415 - was loaded to make the question

            ask, answer, problem = fitted(self._session, one.ask, one.answer, View(), interrupts)
            if isinstance(problem, KeyboardInterrupt):
                outcomes[position] = one._replace(answer=answer)
                return problem
            if isinstance(problem, SchemaError):  # without advice that is for a single question
                problem = SchemaError(problem.key, **{**problem.values, "hints": ()})
            outcomes[position] = one._replace(ask=ask, answer=answer, problem=problem)
        return None

    def _follow(self, under_way: Sequence[_UnderWay]) -> None:
        """Hand on what comes until nothing more does; and keep it, so that a killed kernel loses a second at most."""
        due, keep = time.monotonic() + PATIENCE, time.monotonic() + KEEP_EVERY
        shown = False
        while going := [one for one in under_way if one.outcome is None]:
            for one in going:
                one.step(self._session, TICK / len(going))
                if one.outcome is not None:
                    self._ended(one)
            if time.monotonic() >= keep:
                for one in under_way:
                    if one.outcome is None:
                        keep_so_far(self._session, one.ask, so_far(one.stream, KeyboardInterrupt()))
                keep = time.monotonic() + KEEP_EVERY
            if not shown and time.monotonic() >= due:
                shown = self.appeared = True
                for one in under_way:  # in this order, whoever writes first
                    one.appear(self._view_of(one.ask))
                    if one.outcome is not None and one.view is not None:
                        one.view.finish(self._settled(one.outcome), {})

    def _ended(self, one: _UnderWay) -> None:
        """Count an answer and keep it, however long the others take."""
        assert one.outcome is not None
        answer, joins = one.outcome.answer, one.ask.joins
        chat = one.ask.slot.chat if joins else None
        self._session.meter.after(answer, kind="ask" if joins else "compare", chat=chat)
        if answer.text:
            keep_so_far(self._session, one.ask, answer)
        if one.view is not None:
            one.view.finish(self._settled(one.outcome), {})


def _stop(under_way: Sequence[_UnderWay]) -> None:
    for one in under_way:
        one.stream.stop()


def _leave(under_way: Sequence[_UnderWay]) -> None:
    for one in under_way:
        if one.view is not None:
            one.view.close()
