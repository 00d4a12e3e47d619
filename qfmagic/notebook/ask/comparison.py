"""``model=a,b`` on ``%%qianfan``, and ``%%qf compare``: the same question to several models."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...batch.agreement import Agreement, Compared, agreement, records
from ...core.answer import Answer
from ...core.conversation import Turn
from ...core.errors import QianfanError, SchemaError
from ...core.fingerprint import of_text
from ...core.i18n import text
from ..cell import CellContext
from ..output.bundle import Bundle
from ..output.formats import EXCLUSIVE
from ..output.views import MultiView
from .provenance import provenance
from .question import Question
from .sending import came_to_nothing, turn_of
from .several import ModelOutcome, Several
from .side_by_side import side_by_side

if TYPE_CHECKING:
    from .expect import Expectation


def ask_several(
    cell: CellContext,
    question: Question,
    given: Mapping[str, Any],
    expected: "Expectation | None" = None,
    *,
    live: bool,
    quiet: bool,
) -> Answer:
    """
    Ask the models of ``model=a,b``, and show their answers beside each other.

    The conversation goes on with the first model's answer. What another model can't answer is told in its place.

    Args:
        cell: Where they are asked.
        question: The question, with its :attr:`Question.others`.
        given: The options of the line.
        expected: What each answer must meet.
        live: Whether the answers may be shown while they come.
        quiet: Whether nothing is shown.

    Returns:
        The first model's answer; ``into=`` holds them all.

    Raises:
        QianfanError: The first model gave no answer, or not all of it.
        ExpectationError: An answer isn't as expected.
    """
    session = cell.session
    shower = ComparisonView(cell, given, quiet=quiet)

    def show(outcomes: list[ModelOutcome]) -> None:
        turns = [turn_of(session, one.question, one.answer) for one in outcomes]
        told = _recorded(cell, outcomes[0], turns[0])
        shower.show(outcomes, turns, beside, told)

    beside = cell.front.beside(shower.style, live=live)
    first, *_ = outcomes = Several(session, beside).run((question, *question.others), 1, show)
    if isinstance(first.problem, SchemaError):  # a cell that fails has no result to find the answer by
        cell.set_result(first.answer)
        raise first.problem
    if first.problem is not None:
        kept = first.answer.text and question.joins
        raise first.problem.with_hint("partial.kept") if kept else first.problem
    if expected is not None:
        for one in outcomes:
            if one.problem is None:
                expected.check(one.answer, cell.namespace, cell.set_result)
    cell.has_shown(first.answer)
    session.last = first.answer
    return first.answer


def _recorded(cell: CellContext, first: ModelOutcome, turn: Turn) -> list[str]:
    """Let the first model's answer join the conversation; return what is to be said of that."""
    session, question = cell.session, first.question
    if not question.joins:
        return cell.history_notes(question) + cell.conversation_notes(None)
    chats, names = session.chats, {"model": question.plan.target.model}
    if first.problem is not None and not first.answer.text:
        came_to_nothing(session, question)
        return [text("compare.left_alone", session.lang, **names)]
    chats.record(question.slot, turn)
    session.last = first.answer
    goes_on = chats.get(question.slot.chat).turns[question.slot.at].in_history
    said = [text("compare.continues", session.lang, **names)] if goes_on else []
    return [*said, *cell.history_notes(question), *cell.conversation_notes(question.slot.chat, question.sent)]


class ComparisonView:
    """Shows what several models answered, and binds it to ``into=``."""

    def __init__(self, cell: CellContext, given: Mapping[str, Any], *, quiet: bool) -> None:
        self._cell, self.quiet = cell, quiet
        self._into: str | None = given.get("into")
        setting = cell.session.preferences.setting("format", given)
        style = "json" if "schema" in given and setting.source == "default" else str(setting.value)
        self.style = "markdown" if style in EXCLUSIVE else style
        self.lang = cell.session.lang

    def show(
        self, outcomes: Sequence[ModelOutcome], turns: Sequence[Turn], beside: MultiView, told: Sequence[str]
    ) -> None:
        """Leave the final form; *turns* are those the outcomes make, in the same order."""
        session = self._cell.session
        models = list(dict.fromkeys(one.question.plan.target.model for one in outcomes))
        pairs = sorted(
            zip(outcomes, turns, strict=True), key=lambda pair: models.index(pair[0].question.plan.target.model)
        )
        outcomes = [outcome for outcome, _ in pairs]
        compared = [
            Compared(
                model=one.question.plan.target.model,
                n=one.n,
                answer=one.answer,
                problem=one.problem,
                columns=_columns(one),
                joins=one.question.joins,
            )
            for one in outcomes
        ]
        agreed = agreement(compared)
        self.bind(compared, agreed)
        if self.quiet:
            return
        below = [*_unsent(outcomes, self.lang), *told]
        below += session.take_notes()
        bundle = side_by_side(compared, agreed, below, style=self.style, lang=self.lang)
        beside.finish(bundle, self._metadata(pairs, bundle))

    def bind(self, compared: Sequence[Compared], agreed: Agreement) -> None:
        """Give the answers to ``into=``, as a frame where pandas is installed, else as a list."""
        if self._into is None:
            return
        rows = records(compared, agreed.each, self.lang)
        found = rows if find_spec("pandas") is None else import_module("pandas").DataFrame(rows)
        self._cell.bind(self._into, found)

    def _metadata(self, pairs: Sequence[tuple[ModelOutcome, Turn]], bundle: Bundle) -> dict[str, Any]:
        """The first answer's origin, as every output has it, and with it the others'."""
        source = self._cell.session.source
        found = [
            {
                **provenance(one.answer, one.question, turn, bundle, source),
                # The bundle shows several, so which of a cassette's answers this is can't be read there.
                "answer": of_text(one.answer.text),
            }
            for one, turn in pairs
            if one.answer.text or one.problem is None
        ]
        return {"qfmagic": {**found[0], "others": found[1:]}} if found else {}


def _columns(one: ModelOutcome) -> dict[str, Any]:
    """What an answer holds that had to fit a schema; nothing of one that doesn't."""
    if one.question.expected is None:
        return {}
    schema = one.question.expected.schema
    try:
        return schema.columns(one.answer.value)
    except SchemaError:  # of the user's own class
        return schema.columns(None)


def _unsent(outcomes: Sequence[ModelOutcome], lang: str) -> list[str]:
    """What of the context or the settings didn't go along, by model."""
    found = []
    for one in outcomes:
        context = one.question.plan.context
        said = [text("note.context", lang, sent=context.sent, available=context.available)] if context.cut else []
        model = one.question.plan.target.model
        said += [text("note.unsent", lang, names=list(one.question.unsent), model=model)] if one.question.unsent else []
        found += [f"{model}: {note}" for note in said]
    return list(dict.fromkeys(found))


def raise_if_none(outcomes: Sequence[ModelOutcome]) -> None:
    """
    Raise what the first model failed with, if all of them failed.

    Raises:
        QianfanError: As the first model's question.
    """
    problems: list[QianfanError] = [one.problem for one in outcomes if one.problem is not None]
    if len(problems) == len(outcomes):
        raise problems[0]
