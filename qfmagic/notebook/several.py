"""One question to several models at the same time: decided, sent, shown while the answers come."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from ..analysis.compare import check_fields
from ..analysis.schema import Schema
from ..client.streams import Stream
from ..core.answer import Answer, Delta
from ..core.catalogue import text
from ..core.errors import BudgetError, OptionError, QianfanError, SchemaError
from ..core.models import registry
from .asking import KEEP_EVERY, Ask, failed, hold, keep_so_far, prepare
from .chats import Slot
from .display import TICK, Beside, View
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
    return _of_several(given, lambda options: prepare(session, prompt, options, flags, slot))


def prepare_several_structured(
    session: Session, prompt: str, given: Mapping[str, Any], flags: frozenset[str], namespace: Mapping[str, Any]
) -> Ask:
    """
    The same where each answer must fit a schema: each model is asked in its own way.

    Raises:
        InputError: As there; or a field has the name of a column of ``into=``.
    """
    from .structuring import prepare_structured  # noqa: PLC0415 - few questions have a schema

    check_fields(Schema.of(given["schema"], namespace).names)
    return _of_several(given, lambda options: prepare_structured(session, prompt, options, flags, namespace)[1])


def _of_several(given: Mapping[str, Any], one: Callable[[Mapping[str, Any]], Ask]) -> Ask:
    if "endpoint" in given:
        raise OptionError("compare.not_here", name="endpoint=")
    if given.get("format") in FRAMED:
        raise OptionError("compare.not_here", name=f"format={given['format']}")
    first, *others = (one({**given, "model": name}) for name in names_of(given["model"]))
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
        for delta in self.unseen:
            view.add(delta)
        self.unseen.clear()

    def rest(self, lang: str) -> None:
        """Show that nothing more comes, and why if there is a reason."""
        if self.view is not None and self.outcome is not None:
            problem = self.outcome.problem
            self.view.end("" if problem is None else text("compare.failed", lang, message=problem.message(lang)))


class Several:
    """
    Asks several questions at the same time, and again if that is wished.

    Args:
        session: Whose settings and conversations hold.
        beside: Where answers that take a while are shown while they come.
    """

    def __init__(self, session: Session, beside: Beside) -> None:
        self._session, self._beside = session, beside

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
            try:
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
            finally:
                self._beside.close()
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
            interrupts.tell(partial(_stop, under_way))
            try:
                self._follow(under_way)
            except KeyboardInterrupt as error:  # one that couldn't wait
                stop = error
            for one in under_way:
                if one.outcome is None:
                    one.end(so_far(one.stream, KeyboardInterrupt()))
                    self._ended(one)
        if stop is None:
            stop = self._fit(under_way, interrupts)
        outcomes += [one.outcome for one in under_way if one.outcome is not None]
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

    def _fit(self, under_way: Sequence[_UnderWay], interrupts: Interrupts) -> KeyboardInterrupt | None:
        """Have those answers that must fit a schema fit, each in turn; return what stopped it."""
        for one in under_way:
            outcome = one.outcome
            if outcome is None or outcome.ask.wanted is None or outcome.problem is not None or interrupts.came:
                continue
            from .structuring import fitted  # noqa: PLC0415 - was loaded to make the question

            ask, answer, problem = fitted(self._session, outcome.ask, outcome.answer, one.view or View(), interrupts)
            stop = problem if isinstance(problem, KeyboardInterrupt) else None
            fault = stop.__cause__ if stop is not None else problem
            if isinstance(fault, SchemaError):
                fault = _of_several_answers(fault)
            one.outcome = Outcome(ask, one.n, answer, fault if isinstance(fault, QianfanError) else None)
            one.rest(self._session.lang)
            if stop is not None:
                return stop
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
                shown = True
                for one in under_way:  # in this order, whoever writes first
                    one.appear(self._beside.add(one.ask))
                    one.rest(self._session.lang)
                self._beside.show()

    def _ended(self, one: _UnderWay) -> None:
        """Count an answer and keep it, however long the others take."""
        assert one.outcome is not None
        answer, joins = one.outcome.answer, one.ask.joins
        chat = one.ask.slot.chat if joins else None
        self._session.meter.after(answer, kind="ask" if joins else "compare", chat=chat)
        if answer.text:
            keep_so_far(self._session, one.ask, answer)
        one.rest(self._session.lang)


def _of_several_answers(fault: SchemaError) -> SchemaError:
    """The error without the advice that is for a single question."""
    hints = tuple(hint for hint in fault.values.get("hints", ()) if hint[0] != "schema.kept")
    told = SchemaError(fault.key, **{**fault.values, "hints": hints})
    told.partial = fault.partial
    return told


def _stop(under_way: Sequence[_UnderWay]) -> None:
    for one in under_way:
        one.stream.stop()
