"""``schema=``: a question whose answer is to be an object. Loaded with the first cell that has it."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..analysis.schema import Schema
from ..analysis.structured import Asked, Structured, exchanges, language_of, question_of
from ..core.answer import Answer, Delta
from ..core.catalogue import Text
from ..core.context import Exchange
from ..core.errors import OptionError, QianfanError
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
        lang: Language of what is said to the model.
        refused: The hashes of the requests whose answers didn't fit.
    """

    schema: Schema
    repairs: int
    lang: str
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
    if "," in str(given.get("model", "")):
        raise OptionError("compare.not_here", name="schema=")
    target = registry().target(*session.preferences.where(given))
    lang = language_of(prompt)
    asked = question_of(prompt, schema, native=target.takes_json, lang=lang)
    repairs = int(session.preferences.setting("repairs", given).value)
    options = {**asked.parameters, "format": "json", **_own_format(session), **given}
    return asked.messages[-1].content, options, Wanted(schema, repairs, lang)


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
    first = Asked(plan.context.messages, plan.request.parameters)
    steps = exchanges(first, wanted.schema, repairs=wanted.repairs, lang=wanted.lang)
    next(steps)
    asks, stopped = [ask], None
    came = _sent(steps, answer)
    while isinstance(came, Asked):
        keep_so_far(session, ask, answer)
        again = Wait(0, Text("schema.wait"), len(asks) + 1, wanted.repairs + 1)
        view.add(Delta(wait=again))
        try:
            asks.append(_repair(ask, came))
            came = _sent(steps, _asked(session, asks[-1], view, interrupts))
        except QianfanError as error:
            came = _sent(steps, session.keys.explained(error))
        except KeyboardInterrupt as error:
            stopped = error
            came = _sent(steps, QianfanError("schema.wait"))
    last = asks[len(came.answers) - 1]
    refused = tuple(one.plan.request.hash for one in asks[: len(came.answers) - 1])
    told = came.error.with_hint("schema.kept") if came.error else None
    whole = came.answer
    for earlier in came.answers[:-1]:
        whole = joined(replace(earlier, text="", reasoning=""), whole)
    changed = ask._replace(plan=plan._replace(request=last.plan.request), wanted=wanted._replace(refused=refused))
    return changed, whole, stopped or told


def _sent(steps: Generator[Asked, Answer, Structured], what: Answer | QianfanError) -> Asked | Structured:
    """What is to be asked next, or what came of it all."""
    try:
        return steps.throw(what) if isinstance(what, QianfanError) else steps.send(what)
    except StopIteration as ended:
        came: Structured = ended.value
        return came


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
    if history and not plan.context.sent:
        raise OptionError("schema.no_room")
    return ask._replace(plan=plan, again=True)


def _asked(session: "Session", ask: "Ask", view: View, interrupts: Interrupts) -> Answer:
    """Ask; nothing of the answer is shown while it comes."""
    from .asking import send  # noqa: PLC0415 - it loads this module

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
