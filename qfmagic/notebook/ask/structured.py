"""``schema=``: a question whose answer is to be an object. Loaded with the first cell that has it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.answer import Answer, Delta
from ...core.errors import QianfanError
from ...core.i18n import Text
from ...core.models import registry
from ...core.pause import Wait
from ...core.plan import plan_request
from ...structured.repair import NextRequest, Structured, advance, exchanges, question_of, room_in
from ...structured.schema import Schema
from ..interrupts import Interrupts
from ..output.views import View
from ..session.session import Session
from .partial import joined
from .question import ExpectedSchema, Question, prepare
from .sending import follow, keep_so_far, sent

Problem = KeyboardInterrupt | QianfanError | None


def structured_question(
    session: Session, prompt: str, given: Mapping[str, Any], namespace: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any], ExpectedSchema]:
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
    asked = question_of(prompt, schema, way=target.json_way)
    own = session.preferences.parameters({}, target.parameters)
    ours = {name: value for name, value in asked.parameters.items() if name not in own}
    repairs = int(session.preferences.setting("repairs", given).value)
    options = {**ours, "format": "json", **_own_format(session), **given}
    return asked.messages[-1].text, options, ExpectedSchema(schema, repairs)


def prepare_structured(
    session: Session,
    prompt: str,
    given: Mapping[str, Any],
    flags: frozenset[str],
    namespace: Mapping[str, Any],
) -> tuple[Mapping[str, Any], Question]:
    """
    Decide everything about a question whose answer must fit a schema; return the options it is sent with, and it.

    Raises:
        InputError: As :func:`structured_question` and :func:`prepare` state.
    """
    prompt, given, expected = structured_question(session, prompt, given, namespace)
    return given, replace(prepare(session, prompt, given, flags), expected=expected)


def _own_format(session: Session) -> dict[str, Any]:
    """The format that is set; JSON is what fits if none is."""
    setting = session.preferences.setting("format")
    return {} if setting.source == "default" else {"format": setting.value}


def fitted(
    session: Session, question: Question, answer: Answer, view: View, interrupts: Interrupts
) -> tuple[Question, Answer, Problem]:
    """
    Look whether an answer fits, and ask again where it doesn't, outside of the conversation.

    Returns:
        The question as it was asked last, its answer with what all of them used, and what stands in the way of it.
    """
    repairing = _Repairing(session, question, answer, view, interrupts)
    came = repairing.run()
    whole = came.answer
    for other in came.answers[:-1]:
        whole = joined(replace(other, text="", reasoning=""), whole)
    told = came.error.with_hint("schema.kept") if came.error and whole.shown else came.error
    if told is not None:
        told.partial = whole
    if repairing.stopped is not None:
        repairing.stopped.__cause__ = told
    return repairing.as_asked(came), whole, repairing.stopped or told


class _Repairing:
    """An answer that is looked at, and asked for again as long as it doesn't fit."""

    def __init__(
        self, session: Session, question: Question, answer: Answer, view: View, interrupts: Interrupts
    ) -> None:
        self._session, self._view, self._interrupts = session, view, interrupts
        self._questions, self._answers = [question], [answer]
        self.stopped: KeyboardInterrupt | None = None

    def run(self) -> Structured:
        """Do it, until one fits, none is to be asked for any more, or it is stopped."""
        (question,), (answer,) = self._questions, self._answers
        expected, plan = question.expected, question.plan
        assert expected is not None
        parameters = plan.request.parameters
        room = room_in(plan.target, parameters)
        steps = exchanges(
            NextRequest(plan.context.messages, parameters), expected.schema, repairs=expected.repairs, room=room
        )
        next(steps)
        try:
            keep_so_far(self._session, question, answer)
            came = advance(steps, answer)
            while isinstance(came, NextRequest):
                number, most = len(self._questions) + 1, expected.repairs + 1
                self._view.add(Delta(wait=Wait(0, Text("schema.wait"), number, most)))
                came = advance(steps, self._again(_repair(question, came)))
        except KeyboardInterrupt as error:  # while one was looked at: whether it fits, nobody knows
            self.stopped = error
            return _unknown(self._answers)
        return came

    def _again(self, repair: Question) -> Answer | QianfanError:
        """Ask, and return the answer or what stands in its way."""
        self._questions.append(repair)
        came = self._asked(repair)
        if isinstance(came, KeyboardInterrupt):
            self.stopped = came
            return QianfanError("schema.wait")
        if isinstance(came, Answer):
            self._answers.append(came)
            keep_so_far(self._session, repair, came)
        return came

    def _asked(self, repair: Question) -> Answer | QianfanError | KeyboardInterrupt:
        session, interrupts = self._session, self._interrupts
        if interrupts.came:
            return KeyboardInterrupt()
        try:
            with sent(session, [repair], lambda _: "repair", repaired=self._view) as (one,):
                self._view.tick()
                stop = follow([one], interrupts)
        except QianfanError as error:
            return session.keys.explained(error)
        except KeyboardInterrupt as error:
            return error
        if stop is None and (one.stopped or interrupts.came):
            stop = KeyboardInterrupt()
        return one.problem or stop or one.answer

    def as_asked(self, came: Structured) -> Question:
        """The question as it was asked last: there may have been room for fewer of the turns above it."""
        question, last = self._questions[0], self._questions[came.place]
        assert question.expected is not None
        others = self._questions[: len(came.answers)]
        refused = tuple(one.plan.request.hash for n, one in enumerate(others) if n != came.place)
        context = question.plan.context
        dropped = last.plan.context.available - last.plan.context.sent if last is not question else 0
        plan = question.plan._replace(request=last.plan.request, context=context._replace(sent=context.sent - dropped))
        expected = question.expected._replace(refused=refused)
        return replace(question, plan=plan, parents=question.parents[dropped:], expected=expected)


def _unknown(answers: Sequence[Answer]) -> Structured:
    """What there is when the last answer couldn't be looked at."""
    others = answers[:-1]
    stands = replace(answers[-1], rejected=tuple(other.text for other in others))
    return Structured(None, stands, len(others), None, (*others, stands), len(others))


def _repair(question: Question, asked: NextRequest) -> Question:
    """The question that asks again."""
    request = question.plan.request
    plan = plan_request(question.plan.target, asked.messages, parameters=request.parameters, stream=request.stream)
    return replace(question, plan=plan, again=True)
