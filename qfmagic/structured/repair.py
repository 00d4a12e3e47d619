"""
Questions whose answers must fit a schema: asked, looked at, and asked again where they don't.

What is asked and when is decided in one place (:func:`exchanges`), which sends nothing; the notebook, the threads and
the event loops that do the sending drive it.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..core.answer import Answer
from ..core.callbacks import always
from ..core.context import measure, size_of
from ..core.errors import OptionError, QianfanError, SchemaError
from ..core.i18n import text
from ..core.messages import Message, Prompt, as_messages
from ..core.models import JsonWay, Target
from .schema import Schema

__all__ = [
    "ErrorText",
    "NextRequest",
    "Schema",
    "Structured",
    "advance",
    "ask_structured",
    "check_repairs",
    "exchanges",
    "language_of",
    "question_of",
    "room_in",
]  # fmt: skip

MAX_REPAIRS = 10
Ask = Callable[[Sequence[Message], Mapping[str, Any]], Awaitable[Answer]]
Room = Callable[[Sequence[Message]], bool]


class Structured(NamedTuple):
    """
    What came of a question whose answer must fit a schema.

    Attributes:
        value: The object; None if no answer fitted.
        answer: The answer that stands: the one that fitted, else the last that is whole and not blank. Its ``value`` is
            the object too, and ``rejected`` the texts of the others.
        repairs: How often it was asked again.
        error: What is wrong with the answer; None if nothing is.
        answers: Every answer that was paid for, in order, but that the one that stands is the last.
        place: Which request it answers, from 0.
    """

    value: Any | None
    answer: Answer
    repairs: int
    error: SchemaError | None
    answers: tuple[Answer, ...]
    place: int = 0


class NextRequest(NamedTuple):
    """What is to be asked next: the messages, and parameters beside the caller's own."""

    messages: tuple[Message, ...]
    parameters: Mapping[str, Any]


def question_of(messages: Prompt, schema: Schema, *, way: JsonWay | None, lang: str | None = None) -> NextRequest:
    """
    Return a question as it is sent: with the schema behind it.

    Args:
        messages: The question, and what goes before it.
        schema: What the answer must fit.
        way: How a parameter asks the model for JSON (:attr:`Target.json_way`); None for none.
        lang: Language of what is added, ``"en"`` or ``"zh"``; the question's own when not given, so that the same
            question is the same request for every reader.
    """
    *before, question = as_messages(messages)
    told = schema.instruction(lang or language_of(question.text))
    return NextRequest((*before, question.with_paragraph(told)), schema.parameters(way))


def check_repairs(repairs: object) -> int:
    """
    Check how often an answer may be asked for again.

    Raises:
        OptionError: It is no whole number, or too many.
    """
    if isinstance(repairs, int) and not isinstance(repairs, bool) and 0 <= repairs <= MAX_REPAIRS:
        return repairs
    raise OptionError("option.value", name="repairs", value=repr(repairs), allowed=f"0, 1, ..., {MAX_REPAIRS}")


def room_in(target: Target, parameters: Mapping[str, Any]) -> Room:
    """Say whether messages fit a model's limit, all of them, with the parameters that count."""
    limits = target.limits
    system = measure(parameters.get("system") or "" if limits.system_counts else "")

    def room(messages: Sequence[Message]) -> bool:
        return (size_of(messages) + system).fits(limits)

    return room


def exchanges(
    asked: NextRequest, schema: Schema, *, repairs: int = 1, room: Room = always
) -> Generator[NextRequest, Answer, Structured]:
    """
    Decide what is asked: yields each request, takes its answer, and returns what came of them.

    An answer that doesn't fit goes back with what is wrong with it, in place of the one before it: what the model sees
    is its question, its last answer and the fault, in the language it was asked in. Where there is no room for that, it
    isn't asked again: without the question, it would make something up. One that was cut at its output limit is not
    asked for again either: it would be cut again; nor is one that broke off, nor one about which the safety check
    allows no further talk. An error thrown in, where there is an answer already, ends it with
    that answer.

    Args:
        asked: The question (:func:`question_of`).
        schema: What the answer must fit.
        repairs: How often to ask again at most.
        room: Whether messages fit the model's limit (:func:`room_in`).
    """
    messages, parameters = asked
    lang = _told_in(messages[-1].text, schema)
    judged: list[_Judged] = []
    following = messages
    while True:
        try:
            answer = yield NextRequest(following, parameters)
        except QianfanError as problem:
            if not judged:
                raise
            return _failed(judged, problem)
        try:
            found = schema.read(answer.text)
        except SchemaError as error:
            judged.append(_Judged(answer, SchemaError("schema.withheld") if answer.withheld else error))
        else:
            fitting = replace(answer, despite=found.despite)
            return _came([one.answer for one in judged], fitting, found.value, None, len(judged))
        if answer.truncated or not answer.complete or answer.banned or len(judged) > repairs:
            return _failed(judged)
        needed = _again(messages[-1], *judged[-1], lang)
        if not room(needed):
            return _failed(judged, OptionError("schema.no_room"))
        following = (*messages[:-1], *needed)


class _Judged(NamedTuple):
    """An answer, and what is wrong with it."""

    answer: Answer
    fault: SchemaError

    @property
    def hint(self) -> str | None:
        """What else there is to say: it isn't whole, or nothing more may be said about it."""
        found = (
            ("schema.cut", self.answer.truncated),
            ("schema.broke_off", not self.answer.complete),
            ("schema.banned", self.answer.banned),
        )
        return next((key for key, applies in found if applies), None)


def _failed(judged: Sequence[_Judged], problem: QianfanError | None = None) -> Structured:
    """No answer fits: the last that can be read stands, and one that came behind it is why it wasn't repaired."""
    blank = [not one.answer.text.strip() for one in judged]
    ranks = [
        (not empty and one.answer.complete, not empty, n)
        for n, (one, empty) in enumerate(zip(judged, blank, strict=True))
    ]
    place = max(ranks)[2]
    stands, last = judged[place], judged[-1]
    error = stands.fault.with_hint(stands.hint) if stands.hint else stands.fault
    if problem is None and stands is not last:
        problem = SchemaError(last.hint or "schema.blank")
    if problem is not None:
        error = error.with_hint("schema.not_repaired", problem=ErrorText(problem))
    if stands.answer.transport == "stub" and error.key == "schema.unfit":
        error = error.with_hint("schema.stub")
    others = [one.answer for n, one in enumerate(judged) if n != place]
    return _came(others, stands.answer, None, error, place)


def _came(others: Sequence[Answer], answer: Answer, value: Any, error: SchemaError | None, place: int) -> Structured:
    stands = replace(answer, value=value, rejected=tuple(other.text for other in others))
    return Structured(value, stands, len(others), error, (*others, stands), place)


class ErrorText(NamedTuple):
    """An error as part of a text."""

    problem: QianfanError

    def describe(self, lang: str) -> str:
        """The error's text."""
        return self.problem.message(lang)


async def ask_structured(
    ask: Ask,
    messages: Sequence[Message],
    schema: Schema,
    *,
    repairs: int = 1,
    way: JsonWay | None,
    lang: str | None = None,
    room: Room = always,
) -> Structured:
    """
    Ask until an answer fits, at most ``1 + repairs`` times.

    Args:
        ask: Sends messages with these parameters beside its own, and returns the answer.
        messages: The question, and what goes before it.
        schema: What the answer must fit.
        repairs: How often to ask again at most.
        way: As for :func:`question_of`.
        lang: As there.
        room: As for :func:`exchanges`.

    Raises:
        QianfanError: There was no first answer. Where there was one and asking again failed, it is returned, and its
            ``error`` says so.
    """
    question = question_of(messages, schema, way=way, lang=lang)
    steps = exchanges(question, schema, repairs=repairs, room=room)
    step: NextRequest | Structured = next(steps)
    while isinstance(step, NextRequest):
        came: Answer | QianfanError
        try:
            came = await ask(step.messages, step.parameters)
        except QianfanError as problem:
            came = problem
        step = advance(steps, came)
    return step


def advance(steps: Generator[NextRequest, Answer, Structured], came: Answer | QianfanError) -> NextRequest | Structured:
    """
    Hand what came to :func:`exchanges`; return what is to be asked next, or what came of it all.

    Raises:
        QianfanError: It was an error, and there is no answer before it.
    """
    try:
        return steps.throw(came) if isinstance(came, QianfanError) else steps.send(came)
    except StopIteration as ended:
        found: Structured = ended.value
        return found


def language_of(question: str) -> str:
    """``"zh"`` where there are Chinese characters, else ``"en"``."""
    return "zh" if any("\u4e00" <= character <= "\u9fff" for character in question) else "en"


def _told_in(question: str, schema: Schema) -> str:
    """The language in which a question asks for its schema: the names in that say nothing about the question's own."""
    return next((lang for lang in ("en", "zh") if question.endswith(schema.instruction(lang))), language_of(question))


def _again(question: Message, answer: Answer, fault: SchemaError, lang: str) -> tuple[Message, ...]:
    """What is sent to be given another answer."""
    word = text("schema.repair", lang, fault=fault.message(lang))
    if not answer.text.strip():  # the service takes no message without text
        return (question.with_paragraph(word),)
    return (question, Message("assistant", answer.text), Message("user", word))
