"""One question on its way: decided, sent, shown while its answer comes, and kept."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from keyword import iskeyword
from typing import Any, NamedTuple

from ..client.streams import Stream
from ..core.answer import Answer, Delta
from ..core.context import Exchange, Policy, parse_policy
from ..core.errors import OptionError, QianfanError
from ..core.models import registry
from ..core.plan import Plan, plan_request
from ..core.turns import State, Turn
from ..core.usage import Usage
from .chats import Slot
from .display import TICK, View
from .interrupts import Interrupts
from .session import Session

KEEP_EVERY = 1.0  # seconds between two savings of an answer under way
Show = Callable[[Answer, "Ask", View], None]


class Ask(NamedTuple):
    """
    One question, with every option decided.

    Attributes:
        plan: The checked request and its context.
        prompt: The question the turn keeps.
        slot: Its place in its conversation.
        joins: Whether the turn joins the conversation.
        fresh: Whether it starts the conversation afresh.
        timeout: Longest silence in seconds, or None for the settings' own.
        unsent: Parameters that are set for the notebook, and that this model doesn't take.
        parents: The hashes of the turns that go along.
        again: Whether it is asked from elsewhere than its own cell: where the turn's answer was shown, it still is.
        begun: What there was of the answer, where it is to go on; then the request ends with it and a word to go on.
    """

    plan: Plan
    prompt: str
    slot: Slot
    joins: bool
    fresh: bool
    timeout: float | None
    unsent: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    again: bool = False
    begun: Answer | None = None

    @property
    def sent(self) -> int:
        """How many of the turns above it go along."""
        return self.plan.context.sent - (self.begun is not None)


def prepare(
    session: Session,
    prompt: str,
    given: Mapping[str, Any],
    flags: frozenset[str] = frozenset(),
    slot: Slot | None = None,
) -> Ask:
    """
    Decide everything about a question. Nothing is sent or changed.

    Args:
        session: Whose settings and conversations hold.
        prompt: The question.
        given: The options of the line.
        flags: Its flags.
        slot: A turn that is asked again; else the place is the running cell's.

    Raises:
        InputError: It can't be asked like that.
    """
    if "," in str(given.get("model", "")):
        raise OptionError("option.several_models", value=given["model"])
    into = given.get("into")
    if into is not None and (not str(into).isidentifier() or iskeyword(str(into))):
        raise OptionError("option.into", value=into)
    place = slot or session.chats.slot(str(session.preferences.setting("chat", given).value))
    alone = bool({"once", "new"} & flags)
    history = () if alone else session.chats.history(place)
    policy = parse_policy(session.preferences.setting("context", given).value)
    plan = _plan(session, prompt, given, history, policy)
    return Ask(
        plan,
        plan.context.messages[-1].content,
        place,
        "once" not in flags,
        "new" in flags,
        session.preferences.setting("timeout", given).value,
        session.preferences.unsent(plan.target),
        _parents(session, place, plan.context.sent),
        again=slot is not None,
    )


def prepare_to_go_on(session: Session, slot: Slot, given: Mapping[str, Any], word: str) -> Ask:
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
    return Ask(
        plan,
        turn.prompt,
        slot,
        joins=True,
        fresh=turn.fresh,
        timeout=session.preferences.setting("timeout", given).value,
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
    session.keys.check_not_in(plan.request.body)
    return plan


def _parents(session: Session, slot: Slot, sent: int) -> tuple[str, ...]:
    along: list[str] = []
    for turn in reversed(session.chats.get(slot.chat).turns[: slot.at]):
        if len(along) == sent:
            break
        if turn.in_history:
            along.append(turn.hash)
    return tuple(reversed(along))


def run(session: Session, ask: Ask, view_of: Callable[[Ask], View], show: Show) -> Answer:
    """
    Ask, show the answer while it comes, and let the turn join its conversation.

    The view is made when the question is on its way. *show* leaves the final form; it is called once, also for what
    came before an error or an interrupt, if anything came.

    Raises:
        QianfanError: No answer, or not all of it; what came is kept, and is no history.
        KeyboardInterrupt: The user stopped it; as with an error.
    """
    with Interrupts() as interrupts:
        session.open_journal()
        stream = session.client().send(ask.plan, timeout=ask.timeout)
        view, problem = View(), None
        try:
            try:
                with stream:
                    interrupts.tell(stream.stop)
                    view = view_of(ask)
                    if ask.begun is not None:
                        view.add(Delta(ask.begun.text))
                    _follow(session, ask, stream, view)
                answer = stream.answer
            except (KeyboardInterrupt, QianfanError) as error:
                answer = _so_far(stream, error)
                problem = session.keys.explained(error) if isinstance(error, QianfanError) else error
            return _settled(session, ask, answer, problem, lambda whole: show(whole, ask, view))
        finally:
            view.close()


def _settled(
    session: Session,
    ask: Ask,
    answer: Answer,
    problem: KeyboardInterrupt | QianfanError | None,
    show: Callable[[Answer], None],
) -> Answer:
    """Keep and show what there is; raise what stood in the way."""
    if isinstance(problem, QianfanError) and not answer.text:
        if not ask.again:
            failed(session, ask.slot, ask.prompt)
        raise problem
    answer = joined(ask.begun, answer)
    session.last = answer
    if ask.joins:
        session.chats.record(ask.slot, _turn(session, ask, answer))
    show(answer)
    if isinstance(problem, QianfanError) and ask.joins:
        problem = problem.with_hint("partial.kept").with_traceback(problem.__traceback__)
    if problem is not None:
        raise problem
    return answer


def failed(session: Session, slot: Slot | None = None, prompt: str = "", *, chat: str | None = None) -> None:
    """
    Keep the place of a question that has no answer, where its cell is known.

    What its cell answered before is not on the screen any more, so it is no history; when the cell is run again, it
    finds its place among the cells that ran meanwhile.
    """
    chats = session.chats
    slot = slot or chats.slot(chat or session.chat)
    if slot.cell is not None:
        chats.record(slot, chats.turn(slot, prompt, Answer(""), "failed", 0, fresh=False))


def joined(begun: Answer | None, answer: Answer) -> Answer:
    """The whole of an answer that was continued; each count is the sum of both requests'."""
    if begun is None:
        return answer
    first, second = begun.usage, answer.usage
    counts = {
        name: None if None in (pair := (getattr(first, name), getattr(second, name))) else sum(pair)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    return replace(
        answer,
        text=begun.text + answer.text,
        reasoning=begun.reasoning + answer.reasoning,
        usage=Usage(**counts),
        seconds=begun.seconds + answer.seconds,
    )


def _so_far(stream: Stream, error: KeyboardInterrupt | QianfanError) -> Answer:
    """What had come; the whole answer, if the interrupt came when it was just there."""
    if isinstance(error, QianfanError):
        return error.partial or Answer("", finish_reason="interrupted")
    try:
        return stream.answer
    except QianfanError as late:  # it failed just when it was interrupted
        return late.partial or Answer("", finish_reason="interrupted")


def _follow(session: Session, ask: Ask, stream: Stream, view: View) -> None:
    """Hand on what comes; and keep it, so that a killed kernel loses a second at most."""
    journal = session.journal if ask.joins else None
    due = time.monotonic() + KEEP_EVERY
    patience = TICK
    while (deltas := stream.drain(patience)) is not None:
        for delta in deltas:
            view.add(delta)
        patience = view.tick()
        if view.stopped:
            raise KeyboardInterrupt
        if journal is not None and time.monotonic() >= due:
            journal.save_partial(ask.slot.chat, ask.slot.at, _turn(session, ask, joined(ask.begun, stream.answer)))
            due = time.monotonic() + KEEP_EVERY


def _turn(session: Session, ask: Ask, answer: Answer) -> Turn:
    state: State = "answered" if answer.complete else "interrupted"
    # One that starts afresh does so with a whole answer: else what was there before stays.
    fresh = ask.fresh and state == "answered"
    return session.chats.turn(ask.slot, ask.prompt, answer, state, ask.sent, fresh=fresh)
