"""``schema=``: a question whose answer is to be an object. Loaded with the first cell that has it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..analysis.schema import Schema
from ..analysis.structured import Asked, Structured, advance, exchanges, question_of, room_in
from ..core.answer import Answer, Delta
from ..core.catalogue import Text
from ..core.context import Exchange
from ..core.errors import QianfanError
from ..core.models import registry
from ..core.plan import plan_request
from ..core.waits import Wait
from .display import View
from .interrupts import Interrupts
from .partial import joined, so_far

if TYPE_CHECKING:
    from .asking import Ask
    from .session import Session

Problem = KeyboardInterrupt | QianfanError | None


class Wanted(NamedTuple):
    """
    What an answer must be.

    Attributes:
        schema: What it must fit.
        repairs: How often it is asked for again at most.
        refused: The hashes of the requests whose answers didn't fit.
    """

    schema: Schema
    repairs: int
    refused: tuple[str, ...] = ()


def structured_question(
    session: "Session", prompt: str, given: Mapping[str, Any], namespace: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any], Wanted]:
    """
    Return the question as it is sent, the options it is sent with, and what its answer must be.

    The schema is part of the question, as it is sent and as the conversation keeps it. A ``response_format`` of the
    user's stands in place of ours.

    Raises:
        OptionError: The schema can't be read or checked.
        ModelError: There is no such model.
    """
    schema = Schema.of(given["schema"], namespace)
    target = registry().target(*session.preferences.where(given))
    asked = question_of(prompt, schema, native=target.takes_json)
    own = session.preferences.parameters({}, target.parameters)
    ours = {name: value for name, value in asked.parameters.items() if name not in own}
    repairs = int(session.preferences.setting("repairs", given).value)
    options = {**ours, "format": "json", **_own_format(session), **given}
    return asked.messages[-1].content, options, Wanted(schema, repairs)


def prepare_structured(
    session: "Session",
    prompt: str,
    given: Mapping[str, Any],
    flags: frozenset[str],
    namespace: Mapping[str, Any],
) -> tuple[Mapping[str, Any], "Ask"]:
    """
    Decide everything about a question whose answer must fit a schema; return the options it is sent with, and it.

    Raises:
        InputError: As :func:`structured_question` and :func:`prepare` state.
    """
    from .asking import prepare  # noqa: PLC0415 - it loads this module

    prompt, given, wanted = structured_question(session, prompt, given, namespace)
    return given, prepare(session, prompt, given, flags)._replace(wanted=wanted)


def _own_format(session: "Session") -> dict[str, Any]:
    """The format that is set; JSON is what fits if none is."""
    setting = session.preferences.setting("format")
    return {} if setting.source == "default" else {"format": setting.value}


def fitted(
    session: "Session", ask: "Ask", answer: Answer, view: View, interrupts: Interrupts
) -> tuple["Ask", Answer, Problem]:
    """
    Look whether an answer fits, and ask again where it doesn't, outside of the conversation.

    Returns:
        The question as it was asked last, its answer with what all of them used, and what stands in the way of it.
    """
    from .asking import keep_so_far  # noqa: PLC0415 - it loads this module

    wanted, plan = ask.wanted, ask.plan
    assert wanted is not None
    parameters = plan.request.parameters
    first = Asked(plan.context.messages, parameters)
    steps = exchanges(first, wanted.schema, repairs=wanted.repairs, room=room_in(plan.target, parameters))
    next(steps)
    asks, answers = [ask], [answer]
    stopped: KeyboardInterrupt | None = None
    try:
        keep_so_far(session, ask, answer)
        came = advance(steps, answer)
        while isinstance(came, Asked):
            view.add(Delta(wait=Wait(0, Text("schema.wait"), len(asks) + 1, wanted.repairs + 1)))
            asks.append(_repair(ask, came))
            what = _answered(session, asks[-1], view, interrupts)
            if isinstance(what, Answer):
                answers.append(what)
                keep_so_far(session, ask, what)
            elif isinstance(what, KeyboardInterrupt):
                stopped = what
            came = advance(steps, QianfanError("schema.wait") if isinstance(what, KeyboardInterrupt) else what)
    except KeyboardInterrupt as error:  # while one was looked at: whether it fits, nobody knows
        came, stopped = _unknown(answers), error
    refused = [one.plan.request.hash for n, one in enumerate(asks[: len(came.answers)]) if n != came.place]
    whole = came.answer
    for other in came.answers[:-1]:
        whole = joined(replace(other, text="", reasoning=""), whole)
    told = came.error.with_hint("schema.kept") if came.error and whole.text else came.error
    if told is not None:
        told.partial = whole
    if stopped is not None:
        stopped.__cause__ = told
    changed = _as_asked(ask, asks[came.place])._replace(wanted=wanted._replace(refused=tuple(refused)))
    return changed, whole, stopped or told


def _unknown(answers: Sequence[Answer]) -> Structured:
    """What there is when the last answer couldn't be looked at."""
    others = answers[:-1]
    stands = replace(answers[-1], rejected=tuple(other.text for other in others))
    return Structured(None, stands, len(others), None, (*others, stands), len(others))


def _as_asked(ask: "Ask", last: "Ask") -> "Ask":
    """The question as it was asked last: there may have been room for fewer of the turns above it."""
    context = ask.plan.context
    dropped = last.plan.context.available - last.plan.context.sent if last is not ask else 0
    plan = ask.plan._replace(request=last.plan.request, context=context._replace(sent=context.sent - dropped))
    return ask._replace(plan=plan, parents=ask.parents[dropped:])


def _repair(ask: "Ask", asked: Asked) -> "Ask":
    """The question that asks again."""
    request = ask.plan.request
    along = zip(asked.messages[:-1:2], asked.messages[1:-1:2], strict=True)
    history = [Exchange.of(question.content, answer.content) for question, answer in along]
    plan = plan_request(
        ask.plan.target,
        asked.messages[-1].content,
        history=history,
        parameters=request.parameters,
        stream=request.stream,
    )
    return ask._replace(plan=plan, again=True)


def _answered(
    session: "Session", ask: "Ask", view: View, interrupts: Interrupts
) -> Answer | QianfanError | KeyboardInterrupt:
    """Ask, and return the answer or what stands in its way."""
    try:
        return _asked(session, ask, view, interrupts)
    except QianfanError as error:
        return session.keys.explained(error)
    except KeyboardInterrupt as error:
        return error


def _asked(session: "Session", ask: "Ask", view: View, interrupts: Interrupts) -> Answer:
    """Ask; nothing of the answer is shown while it comes."""
    from .asking import send  # noqa: PLC0415 - it loads this module

    if interrupts.came:
        raise KeyboardInterrupt
    stream, held = send(session, ask)
    stopped = False
    try:
        with held, stream:
            interrupts.tell(stream.stop)
            patience = view.tick()
            while not stopped and stream.drain(patience) is not None:
                patience = view.tick()
                stopped = view.stopped
        answer = stream.answer
    except (KeyboardInterrupt, QianfanError) as error:
        _count(session, ask, so_far(stream, error))
        raise
    _count(session, ask, answer)
    if stopped or interrupts.came:
        raise KeyboardInterrupt
    return answer


def _count(session: "Session", ask: "Ask", answer: Answer) -> None:
    session.meter.after(answer, kind="repair", chat=ask.slot.chat if ask.joins else None)
