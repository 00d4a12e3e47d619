"""Answers as objects, from Python: the twins of ``schema=``."""

from typing import Any

from ..client.client import Prompt, Qianfan
from ..core.answer import Answer
from ..core.errors import QianfanError
from ..core.messages import as_messages
from .schema import Schema
from .structured import Structured, ask_structured, exchanges, language_of, question_of


def extract(prompt: Prompt, schema: Any, *, client: Qianfan | None = None, repairs: int = 1, **options: Any) -> Answer:
    """
    Ask for an object; it is the answer's ``value``.

    >>> from qfmagic import extract
    >>> answer = extract("这家店的面很好吃！", "sentiment positive|negative, score float")  # doctest: +SKIP
    >>> answer.value  # doctest: +SKIP
    {'sentiment': 'positive', 'score': 0.9}

    Args:
        prompt: A question, or messages that end with one.
        schema: What the answer must fit: a pydantic model, a dataclass, a TypedDict, ``list[...]`` of one, a JSON
            Schema, or a short form.
        client: Who asks; one made from the environment when not given.
        repairs: How often to ask again at most, with what is wrong with the answer.
        options: As for :meth:`Qianfan.ask`.

    Returns:
        The answer that fits; ``rejected`` has the texts of those that didn't.

    Raises:
        OptionError: The schema can't be used. Nothing was sent.
        SchemaError: No answer fitted; ``partial`` is the last.
        QianfanError: As :meth:`Qianfan.ask`.
    """
    wanted, messages = Schema.of(schema), as_messages(prompt)
    own = None if client else Qianfan()
    asker = client or own
    assert asker is not None
    lang = language_of(messages[-1].content)
    asked = question_of(messages, wanted, native=_native(asker, prompt, options), lang=lang)
    steps = exchanges(asked, wanted, repairs=repairs, lang=lang)
    next(steps)
    try:
        while True:
            try:
                answer = asker.ask(asked.messages, **{**asked.parameters, **options})
            except QianfanError as problem:
                asked = steps.throw(problem)
            else:
                asked = steps.send(answer)
    except StopIteration as ended:
        return _outcome(ended.value)
    finally:
        if own is not None:
            own.close()


async def aextract(
    prompt: Prompt, schema: Any, *, client: Qianfan | None = None, repairs: int = 1, **options: Any
) -> Answer:
    """Twin of :func:`extract` for ``await``."""
    wanted = Schema.of(schema)
    own = None if client else Qianfan()
    asker = client or own
    assert asker is not None
    try:
        return _outcome(
            await ask_structured(
                lambda messages, parameters: asker.aask(messages, **{**parameters, **options}),
                as_messages(prompt),
                wanted,
                repairs=repairs,
                native=_native(asker, prompt, options),
            )
        )
    finally:
        if own is not None:
            own.close()


def _native(client: Qianfan, prompt: Prompt, options: dict[str, Any]) -> bool:
    given = {name: value for name, value in options.items() if name not in ("timeout", "stream")}
    return client.plan(prompt, **given).target.takes_json


def _outcome(came: Structured) -> Answer:
    if came.error is not None:
        came.error.partial = came.answer
        raise came.error
    return came.answer
