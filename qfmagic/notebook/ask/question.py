"""One question, with every option decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ...client.call_options import CallOptions
from ...core.answer import Answer
from ...core.context import Exchange, Policy, parse_policy
from ...core.errors import OptionError
from ...core.models import registry
from ...core.plan import Plan, plan_request
from ..conversation.conversations import TurnSlot
from ..parsing.line import checked_into
from ..session.session import Session

if TYPE_CHECKING:
    from ...structured.schema import Schema


class ExpectedSchema(NamedTuple):
    """
    What an answer must be.

    Attributes:
        schema: What it must fit.
        repairs: How often it is asked for again at most.
        refused: The hashes of the requests whose answers didn't fit.
    """

    schema: "Schema"
    repairs: int
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One question, with every option decided.

    Attributes:
        plan: The checked request and its context.
        prompt: The question the turn keeps.
        slot: Its place in its conversation.
        joins: Whether the turn joins the conversation.
        fresh: Whether it starts the conversation afresh.
        call: How it waits and is retried.
        unsent: Parameters that are set for the notebook, and that this model doesn't take.
        parents: The hashes of the turns that go along.
        again: Whether it is asked from elsewhere than its own cell: where the turn's answer was shown, it still is.
        begun: What there was of the answer, where it is to go on; then the request ends with it and a word to go on.
        expected: What its answer must be, where it must fit a schema.
        others: The same question to further models, where several are asked: what they answer joins nothing.
    """

    plan: Plan
    prompt: str
    slot: TurnSlot
    joins: bool
    fresh: bool
    call: CallOptions
    unsent: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    again: bool = False
    begun: Answer | None = None
    expected: ExpectedSchema | None = None
    others: "tuple[Question, ...]" = ()

    @property
    def sent(self) -> int:
        """How many of the turns above it go along."""
        return self.plan.context.sent - (self.begun is not None)


def prepare(
    session: Session,
    prompt: str,
    given: Mapping[str, Any],
    flags: frozenset[str] = frozenset(),
    slot: TurnSlot | None = None,
) -> Question:
    """
    Decide everything about a question to one model. Nothing is sent or changed.

    Args:
        session: Whose settings and conversations hold.
        prompt: The question.
        given: The options of the line.
        flags: Its flags.
        slot: A turn that is asked again; else the place is the running cell's.

    Raises:
        InputError: It can't be asked like that.
    """
    checked_into(given)
    place = slot or session.chats.slot(str(session.preferences.setting("chat", given).value))
    alone = bool({"once", "new"} & flags)
    history = () if alone else session.chats.history(place)
    policy = parse_policy(session.preferences.setting("context", given).value)
    plan = _plan(session, prompt, given, history, policy)
    return Question(
        plan=plan,
        prompt=plan.context.messages[-1].text,
        slot=place,
        joins="once" not in flags,
        fresh="new" in flags,
        call=session.preferences.call(given),
        unsent=session.preferences.unsent(plan.target),
        parents=_parents(session, place, plan.context.sent),
        again=slot is not None,
    )


def prepare_to_go_on(session: Session, slot: TurnSlot, given: Mapping[str, Any], word: str) -> Question:
    """
    Decide about a question whose answer is to go on: it is sent with what there was of the answer, and *word*.

    Raises:
        InputError: It can't be asked like that; or what there was is too long to go along.
    """
    turn = session.chats.get(slot.chat).turns[slot.at]
    history = (*session.chats.history(slot), turn.exchange)
    policy = parse_policy(session.preferences.setting("context", given).value)
    own: Policy = policy + 1 if isinstance(policy, int) else 1 if policy == "none" else policy
    plan = _plan(session, word, given, history, own)
    if not plan.context.sent:
        raise OptionError("command.no_room_to_go_on", number=slot.at + 1)
    return Question(
        plan=plan,
        prompt=turn.prompt,
        slot=slot,
        joins=True,
        fresh=turn.fresh,
        call=session.preferences.call(given),
        unsent=session.preferences.unsent(plan.target),
        parents=_parents(session, slot, plan.context.sent - 1),
        again=True,
        begun=turn.answer,
    )


def _plan(session: Session, prompt: str, given: Mapping[str, Any], history: Sequence[Exchange], policy: Policy) -> Plan:
    preferences = session.preferences
    target = registry().target(*preferences.where(given))
    plan = plan_request(
        target,
        prompt,
        history=history,
        parameters=preferences.parameters(given, target.parameters),
        policy=policy,
        stream=bool(preferences.setting("stream", given).value),
    )
    session.keys.check_not_in({"body": plan.request.body, "endpoint": plan.request.endpoint})
    return plan


def _parents(session: Session, slot: TurnSlot, sent: int) -> tuple[str, ...]:
    along: list[str] = []
    for turn in reversed(session.chats.get(slot.chat).turns[: slot.at]):
        if len(along) == sent:
            break
        if turn.in_history:
            along.append(turn.hash)
    return tuple(reversed(along))
