"""One question to several models at the same time: decided, sent, shown while the answers come."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ...core.answer import Answer
from ...core.errors import BudgetError, OptionError, QianfanError, SchemaError
from ...core.i18n import text
from ...core.models import registry
from ..interrupts import Interrupts
from ..output.formats import EXCLUSIVE
from ..output.views import MultiView, View
from ..session.session import Session
from .question import Question, prepare
from .sending import RunningRequest, follow, sent

VIEWS_APPEAR_S = 0.25  # seconds before the views appear: answers that are all there by then need none


class ModelOutcome(NamedTuple):
    """
    What came of a question to one of the models.

    Attributes:
        question: The question.
        n: The round it was asked in, from 1.
        answer: What came, though it may be nothing.
        problem: Why it isn't a whole answer, if an error kept it from that.
    """

    question: Question
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
    session: Session, prompt: str, given: Mapping[str, Any], flags: frozenset[str] = frozenset()
) -> Question:
    """
    Decide everything about a question to the models of ``model=a,b``. Nothing is sent or changed.

    The first model's answer is the turn's; what the others answer to the same context joins nothing.

    Raises:
        InputError: One of them can't be asked like that; then none is.
    """
    return _of_several(given, lambda options: prepare(session, prompt, options, flags))


def prepare_several_structured(
    session: Session, prompt: str, given: Mapping[str, Any], flags: frozenset[str], namespace: Mapping[str, Any]
) -> Question:
    """
    The same where each answer must fit a schema: each model is asked in its own way.

    Raises:
        InputError: As there.
    """
    from .structured import prepare_structured  # noqa: PLC0415 - few questions have a schema

    return _of_several(given, lambda options: prepare_structured(session, prompt, options, flags, namespace)[1])


def _of_several(given: Mapping[str, Any], one: Callable[[Mapping[str, Any]], Question]) -> Question:
    if "endpoint" in given:
        raise OptionError("compare.not_here", name="endpoint=")
    if given.get("format") in EXCLUSIVE:
        raise OptionError("compare.not_here", name=f"format={given['format']}")
    first, *others = (one({**given, "model": name}) for name in names_of(given["model"]))
    return replace(first, others=tuple(replace(other, joins=False) for other in others))


class Several:
    """
    Asks several questions at the same time, and again if that is wished.

    Args:
        session: Whose settings and conversations hold.
        beside: Where answers that take a while are shown while they come.
    """

    def __init__(self, session: Session, beside: MultiView) -> None:
        self._session, self._beside = session, beside

    def run(
        self, questions: Sequence[Question], rounds: int, show: Callable[[list[ModelOutcome]], None]
    ) -> list[ModelOutcome]:
        """
        Ask; *show* is called once, with all there is.

        The rounds follow each other, so that a cassette has a model's answers in the order in which they were asked.

        Raises:
            BudgetError: There is nothing left for them; what came before is shown.
            KeyboardInterrupt: The user stopped them, or one of them; what came is shown.
        """
        outcomes: list[ModelOutcome] = []
        stop: BaseException | None = None
        with Interrupts() as interrupts:
            try:
                self._session.open_journal()
                for n in range(1, rounds + 1):
                    try:
                        stop = self._round(questions, n, interrupts, outcomes)
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
        self, questions: Sequence[Question], n: int, interrupts: Interrupts, outcomes: list[ModelOutcome]
    ) -> KeyboardInterrupt | None:
        """Ask each once; return what stopped one of them."""
        session, views = self._session, _Views(self._beside, self._session.lang)
        with sent(session, questions, lambda question: "ask" if question.joins else "compare") as running:
            stop = follow(running, interrupts, lambda: views.show(running))
        found = [ModelOutcome(one.question, n, one.answer, one.problem) for one in running]
        if stop is None:
            stop = self._fit(running, found, interrupts)
        outcomes += found
        return stop or (KeyboardInterrupt() if any(one.stopped for one in running) else None)

    def _fit(
        self, running: Sequence[RunningRequest], found: list[ModelOutcome], interrupts: Interrupts
    ) -> KeyboardInterrupt | None:
        """Have those answers that must fit a schema fit, each in turn; return what stopped it."""
        for position, (one, outcome) in enumerate(zip(running, found, strict=True)):
            if one.question.expected is None or one.problem is not None or interrupts.came:
                continue
            from .structured import fitted  # noqa: PLC0415 - was loaded to make the question

            view = one.view or View()
            question, answer, problem = fitted(self._session, one.question, one.answer, view, interrupts)
            stop = problem if isinstance(problem, KeyboardInterrupt) else None
            fault = stop.__cause__ if stop is not None else problem
            if isinstance(fault, SchemaError):
                fault = _of_several_answers(fault)
            fault = fault if isinstance(fault, QianfanError) else None
            found[position] = ModelOutcome(question, outcome.n, answer, fault)
            _rest(view, answer, fault, self._session.lang)
            if stop is not None:
                return stop
        return None


class _Views:
    """The views of answers that take a while; they appear together, in the questions' order."""

    def __init__(self, beside: MultiView, lang: str) -> None:
        self._beside, self._lang = beside, lang
        self._due = time.monotonic() + VIEWS_APPEAR_S
        self._resting: set[int] = set()

    def show(self, running: Sequence[RunningRequest]) -> None:
        """Show them if it is time, and of each that has ended that it has."""
        if running[0].view is None:
            if time.monotonic() < self._due:
                return
            for one in running:
                one.appear(self._beside.add(one.question.plan))
            self._rest(running)
            self._beside.show()
        self._rest(running)

    def _rest(self, running: Sequence[RunningRequest]) -> None:
        for position, one in enumerate(running):
            if one.ended and one.view is not None and position not in self._resting:
                self._resting.add(position)
                _rest(one.view, one.answer, one.problem, self._lang)


def _rest(view: View, answer: Answer, problem: QianfanError | None, lang: str) -> None:
    """Show that nothing more comes, and why if there is a reason."""
    said = ""
    if problem is not None:
        said = text("compare.failed", lang, message=problem.message(lang))
    elif answer.withheld or answer.filtered:
        said = text("note.withheld" if answer.withheld else "note.filtered", lang)
    view.end(said)


def _of_several_answers(fault: SchemaError) -> SchemaError:
    """The error without the advice that is for a single question."""
    hints = tuple(hint for hint in fault.values.get("hints", ()) if hint[0] != "schema.kept")
    told = SchemaError(fault.key, **{**fault.values, "hints": hints})
    told.partial = fault.partial
    return told
