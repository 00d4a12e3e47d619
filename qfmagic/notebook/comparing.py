"""``model=a,b`` on ``%%qianfan``, and ``%%qf compare``: the same question to several models."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..analysis.compare import Agreement, Compared, agreement, records
from ..core.answer import Answer
from ..core.catalogue import text
from ..core.errors import QianfanError, SchemaError
from ..core.fingerprint import of_text
from .asking import Ask, failed, turn_of
from .display import Beside, Bundle
from .provenance import provenance
from .several import FRAMED, Outcome, Several
from .side_by_side import side_by_side

if TYPE_CHECKING:
    from .engine import Engine
    from .expect import Expectation


def ask_several(
    engine: "Engine",
    ask: Ask,
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
        engine: The shell's.
        ask: The question, with its :attr:`Ask.others`.
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
    session = engine.session
    shower = Shower(engine, given, quiet=quiet)

    def show(outcomes: list[Outcome]) -> None:
        first = outcomes[0]
        told = _recorded(engine, first)
        shower.show(outcomes, beside, told)

    beside = engine.front.beside(shower.style, live=live)
    first, *_ = outcomes = Several(session, beside).run((ask, *ask.others), 1, show)
    if isinstance(first.problem, SchemaError):  # a cell that fails has no result to find the answer by
        engine.shell.displayhook.update_user_ns(first.answer)
        raise first.problem
    if first.problem is not None:
        kept = first.answer.text and ask.joins
        raise first.problem.with_hint("partial.kept") if kept else first.problem
    if expected is not None:
        for one in outcomes:
            if one.problem is None:
                expected.check(one.answer, engine.namespace, engine.shell.displayhook.update_user_ns)
    engine.has_shown(first.answer)
    session.last = first.answer
    return first.answer


def _recorded(engine: "Engine", first: Outcome) -> list[str]:
    """Let the first model's answer join the conversation; return what is to be said of that."""
    session, ask = engine.session, first.ask
    if not ask.joins:
        return engine.conversation_notes(ask)
    chats, names = session.chats, {"model": first.ask.plan.target.model}
    if first.problem is not None and not first.answer.text:
        failed(session, ask.slot, ask.prompt)
        if session.journal is not None:
            session.journal.drop_partial(ask.slot.chat)
        return [text("compare.left_alone", session.lang, **names)]
    chats.record(ask.slot, turn_of(session, ask, first.answer))
    session.last = first.answer
    goes_on = chats.get(ask.slot.chat).turns[ask.slot.at].in_history
    said = [text("compare.continues", session.lang, **names)] if goes_on else []
    return [*said, *engine.conversation_notes(ask)]


class Shower:
    """Shows what several models answered, and binds it to ``into=``."""

    def __init__(self, engine: "Engine", given: Mapping[str, Any], *, quiet: bool) -> None:
        self._engine, self.quiet = engine, quiet
        self._into: str | None = given.get("into")
        setting = engine.session.preferences.setting("format", given)
        style = "json" if "schema" in given and setting.source == "default" else str(setting.value)
        self.style = "markdown" if style in FRAMED else style
        self.lang = engine.session.lang

    def show(self, outcomes: Sequence[Outcome], beside: Beside, told: Sequence[str]) -> None:
        """Leave the final form."""
        session = self._engine.session
        models = list(dict.fromkeys(one.ask.plan.target.model for one in outcomes))
        outcomes = sorted(outcomes, key=lambda one: models.index(one.ask.plan.target.model))
        compared = [
            Compared(
                one.ask.plan.target.model,
                one.n,
                one.answer,
                one.problem,
                columns=_columns(one),
                joins=one.ask.joins,
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
        beside.finish(bundle, self._metadata(outcomes, bundle))

    def bind(self, compared: Sequence[Compared], agreed: Agreement) -> None:
        """Give the answers to ``into=``, as a frame where pandas is installed, else as a list."""
        if self._into is None:
            return
        rows = records(compared, agreed.each, self.lang)
        if find_spec("pandas") is None:
            self._engine.shell.user_ns[self._into] = rows
            return
        self._engine.shell.user_ns[self._into] = import_module("pandas").DataFrame(rows)

    def _metadata(self, outcomes: Sequence[Outcome], bundle: Bundle) -> dict[str, Any]:
        """The first answer's origin, as every output has it, and with it the others'."""
        session = self._engine.session
        found = [
            {
                **provenance(one.answer, one.ask, turn_of(session, one.ask, one.answer), bundle, session.source),
                # The bundle shows several, so which of a cassette's answers this is can't be read there.
                "answer": of_text(one.answer.text),
            }
            for one in outcomes
            if one.answer.text or one.problem is None
        ]
        return {"qfmagic": {**found[0], "others": found[1:]}} if found else {}


def _columns(one: Outcome) -> dict[str, Any]:
    """What an answer holds that had to fit a schema; nothing of one that doesn't."""
    if one.ask.wanted is None:
        return {}
    schema = one.ask.wanted.schema
    try:
        return schema.columns(one.answer.value)
    except SchemaError:  # of the user's own class
        return schema.columns(None)


def _unsent(outcomes: Sequence[Outcome], lang: str) -> list[str]:
    """What of the context or the settings didn't go along, by model."""
    found = []
    for one in outcomes:
        context = one.ask.plan.context
        said = [text("note.context", lang, sent=context.sent, available=context.available)] if context.cut else []
        model = one.ask.plan.target.model
        said += [text("note.unsent", lang, names=list(one.ask.unsent), model=model)] if one.ask.unsent else []
        found += [f"{model}: {note}" for note in said]
    return list(dict.fromkeys(found))


def raise_if_none(outcomes: Sequence[Outcome]) -> None:
    """
    Raise what the first model failed with, if all of them failed.

    Raises:
        QianfanError: As the first model's question.
    """
    problems: list[QianfanError] = [one.problem for one in outcomes if one.problem is not None]
    if len(problems) == len(outcomes):
        raise problems[0]
