"""
Questions whose answers must fit a schema: asked, looked at, and asked again where they don't.

What is asked and when is decided in one place (:func:`exchanges`), which sends nothing; the notebook, the threads and
the event loops that do the sending drive it.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..core.answer import Answer
from ..core.catalogue import text
from ..core.errors import QianfanError, SchemaError
from ..core.messages import Message, as_messages
from .schema import Schema

__all__ = ["Asked", "Schema", "Structured", "ask_structured", "exchanges", "language_of", "question_of"]

Ask = Callable[[Sequence[Message], Mapping[str, Any]], Awaitable[Answer]]


class Structured(NamedTuple):
    """
    What came of a question whose answer must fit a schema.

    Attributes:
        value: The object; None if no answer fitted.
        answer: The last answer; its ``value`` is the object too, and ``rejected`` the texts that came before it.
        repairs: How often it was asked again.
        error: What is wrong with the last answer; None if nothing is.
        answers: Every answer that was paid for, in order, the last included.
    """

    value: Any | None
    answer: Answer
    repairs: int
    error: SchemaError | None
    answers: tuple[Answer, ...]


class Asked(NamedTuple):
    """What is to be asked next: the messages, and parameters beside the caller's own."""

    messages: tuple[Message, ...]
    parameters: Mapping[str, Any]


def question_of(messages: str | Sequence[Message], schema: Schema, *, native: bool, lang: str | None = None) -> Asked:
    """
    Return a question as it is sent: with the schema behind it.

    Args:
        messages: The question, and what goes before it.
        schema: What the answer must fit.
        native: Whether the model takes a parameter that asks for JSON (:attr:`Target.takes_json`).
        lang: Language of what is added, ``"en"`` or ``"zh"``; the question's own when not given, so that the same
            question is the same request for every reader.
    """
    *before, question = as_messages(messages)
    told = schema.instruction(lang or language_of(question.content))
    parameters = {"response_format": schema.response_format()} if native and schema.is_object else {}
    return Asked((*before, Message("user", f"{question.content.rstrip()}\n\n{told}")), parameters)


def exchanges(
    asked: Asked, schema: Schema, *, repairs: int = 1, lang: str | None = None
) -> Generator[Asked, Answer, Structured]:
    """
    Decide what is asked: yields each request, takes its answer, and returns what came of them.

    An answer that doesn't fit goes back with what is wrong with it, in place of the one before it: what the model sees
    is its question, its last answer and the fault. One that was cut at its output limit is not asked for again: it
    would be cut again. An error thrown in, where there is an answer already, ends it with that answer.

    Args:
        asked: The question (:func:`question_of`).
        schema: What the answer must fit.
        repairs: How often to ask again at most.
        lang: Language of what the model is told, as there.
    """
    messages, parameters = asked
    lang = lang or language_of(messages[-1].content)
    answers: list[Answer] = []
    following, fault = messages, SchemaError("schema.no_json")
    while True:
        try:
            answers.append((yield Asked(following, parameters)))
        except QianfanError as problem:
            if not answers:
                raise
            return _came(answers, None, fault.with_hint("schema.not_repaired", problem=_Told(problem)))
        answer = answers[-1]
        try:
            return _came(answers, schema.parse(answer.text), None)
        except SchemaError as error:
            fault = error
        if answer.truncated:
            return _came(answers, None, fault.with_hint("schema.cut"))
        if len(answers) > repairs or not answer.complete:
            return _came(answers, None, fault)
        following = _again(messages, answer, fault, lang)


def _came(answers: Sequence[Answer], value: Any, error: SchemaError | None) -> Structured:
    rejected = tuple(answer.text for answer in answers[:-1])
    last = replace(answers[-1], value=value, rejected=rejected)
    return Structured(value, last, len(answers) - 1, error, tuple(answers))


class _Told(NamedTuple):
    """An error as part of a text."""

    problem: QianfanError

    def describe(self, lang: str) -> str:
        return self.problem.message(lang)


async def ask_structured(
    ask: Ask, messages: Sequence[Message], schema: Schema, *, repairs: int = 1, native: bool, lang: str | None = None
) -> Structured:
    """
    Ask until an answer fits, at most ``1 + repairs`` times.

    Args:
        ask: Sends messages with these parameters beside its own, and returns the answer.
        messages: The question, and what goes before it.
        schema: What the answer must fit.
        repairs: How often to ask again at most.
        native: As for :func:`question_of`.
        lang: As there.

    Raises:
        QianfanError: There was no first answer. Where there was one and asking again failed, it is returned, and its
            ``error`` says so.
    """
    lang = lang or language_of(messages[-1].content)
    steps = exchanges(question_of(messages, schema, native=native, lang=lang), schema, repairs=repairs, lang=lang)
    asked = next(steps)
    try:
        while True:
            try:
                answer = await ask(asked.messages, asked.parameters)
            except QianfanError as problem:
                asked = steps.throw(problem)
            else:
                asked = steps.send(answer)
    except StopIteration as ended:
        came: Structured = ended.value
        return came


def language_of(question: str) -> str:
    """``"zh"`` where there are Chinese characters, else ``"en"``."""
    return "zh" if any("\u4e00" <= character <= "\u9fff" for character in question) else "en"


def _again(asked: tuple[Message, ...], answer: Answer, error: SchemaError, lang: str) -> tuple[Message, ...]:
    word = text("schema.repair", lang, fault=error.message(lang))
    if not answer.text.strip():  # the service takes no message without text
        return (*asked[:-1], Message("user", f"{asked[-1].content}\n\n{word}"))
    return (*asked, Message("assistant", answer.text), Message("user", word))
