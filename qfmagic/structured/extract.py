"""Answers as objects, from Python: the twins of ``schema=``."""

from typing import Any

from ..client.auth.arguments import check_options
from ..client.call_options import CallOptions
from ..client.client import Prompt, Qianfan
from ..core.answer import Answer
from ..core.errors import OptionError, QianfanError
from ..core.messages import as_messages
from ..core.plan import Plan
from .repair import NextRequest, Structured, advance, ask_structured, check_repairs, exchanges, question_of, room_in
from .schema import Schema


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
        OptionError: The schema or the number of repairs can't be used. Nothing was sent.
        SchemaError: No answer fitted; ``partial`` is the last that is whole.
        QianfanError: As :meth:`Qianfan.ask`.
    """
    check_options(options)
    wanted, most, messages = Schema.of(schema), check_repairs(repairs), as_messages(prompt)
    own = None if client else Qianfan()
    asker = client or own
    assert asker is not None
    try:
        plan = _plan(asker, messages, options)
        asked = question_of(messages, wanted, way=plan.target.json_way)
        steps = exchanges(asked, wanted, repairs=most, room=room_in(plan.target, plan.request.parameters))
        step: NextRequest | Structured = next(steps)
        while isinstance(step, NextRequest):
            came: Answer | QianfanError
            try:
                came = asker.ask(step.messages, **{**step.parameters, **options})
            except QianfanError as problem:
                came = problem
            step = advance(steps, came)
        return _outcome(step)
    finally:
        if own is not None:
            own.close()


async def aextract(
    prompt: Prompt, schema: Any, *, client: Qianfan | None = None, repairs: int = 1, **options: Any
) -> Answer:
    """Twin of :func:`extract` for ``await``."""
    check_options(options)
    wanted, most, messages = Schema.of(schema), check_repairs(repairs), as_messages(prompt)
    own = None if client else Qianfan()
    asker = client or own
    assert asker is not None
    try:
        plan = _plan(asker, messages, options)
        return _outcome(
            await ask_structured(
                lambda messages, parameters: asker.aask(messages, **{**parameters, **options}),
                messages,
                wanted,
                repairs=most,
                way=plan.target.json_way,
                room=room_in(plan.target, plan.request.parameters),
            )
        )
    finally:
        if own is not None:
            own.close()


def _plan(client: Qianfan, prompt: Prompt, options: dict[str, Any]) -> Plan:
    """
    The question as it would be without a schema.

    Raises:
        OptionError: A stream is asked for: whether an answer fits is known at its end.
    """
    if options.get("stream"):
        raise OptionError("option.value", name="stream", value=options["stream"], allowed=False)
    own = ("stream", *CallOptions._fields)
    return client.plan(prompt, **{name: value for name, value in options.items() if name not in own})


def _outcome(came: Structured) -> Answer:
    if came.error is not None:
        came.error.partial = came.answer
        raise came.error
    return came.answer
