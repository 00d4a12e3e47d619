"""One question on its way: decided, sent, shown while its answer comes, and kept."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

from ..analysis.meter import Held, need_of
from ..client.streams import Stream
from ..core.answer import Answer, Delta
from ..core.context import Exchange, Policy, parse_policy
from ..core.errors import BudgetError, OptionError, QianfanError, SchemaError
from ..core.models import registry
from ..core.plan import Plan, plan_request
from ..core.turns import State, Turn
from .chats import Slot
from .display import TICK, View
from .interrupts import Interrupts
from .partial import joined, so_far
from .session import Session

if TYPE_CHECKING:
    from .structuring import Wanted

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
        wanted: What its answer must be, where it must fit a schema.
        others: The same question to further models, where several are asked: what they answer joins nothing.
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
    wanted: "Wanted | None" = None
    others: "tuple[Ask, ...]" = ()

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
        from .several import prepare_several  # noqa: PLC0415 - most questions are for one model

        return prepare_several(session, prompt, given, flags, slot)
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
    session.keys.check_not_in({"body": plan.request.body, "endpoint": plan.request.endpoint})
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
        stream, held = send(session, ask)
        view, problem = View(), None
        try:
            try:
                with held, stream:
                    interrupts.tell(stream.stop)
                    view = view_of(ask)
                    if ask.begun is not None:
                        view.add(Delta(ask.begun.text))
                    _follow(session, ask, stream, view)
                answer = stream.answer
            except (KeyboardInterrupt, QianfanError) as error:
                answer = so_far(stream, error)
                problem = session.keys.explained(error) if isinstance(error, QianfanError) else error
            session.meter.after(answer, kind="ask", chat=ask.slot.chat if ask.joins else None)
            if ask.wanted is not None and problem is None and not interrupts.came:
                from .structuring import fitted  # noqa: PLC0415 - was loaded to make the question

                ask, answer, problem = fitted(session, ask, answer, view, interrupts)
            return _settled(session, ask, answer, problem, lambda whole: show(whole, ask, view))
        finally:
            view.close()


def send(session: Session, ask: Ask) -> tuple[Stream, Held]:
    """
    Send a question, if the budget allows; what is set aside for it is to be held while it is under way.

    Raises:
        BudgetError: It doesn't. Nothing was sent.
    """
    client, slot = session.client(), session.asker() or object()
    held = hold(session, ask, slot)
    return client.send(ask.plan, timeout=ask.timeout, slot=slot), held


def hold(session: Session, ask: Ask, asker: Hashable) -> Held:
    """
    Set aside what a question will take; *asker* is who asks, for a tape.

    Raises:
        BudgetError: It would break the budget; the question's place is kept.
    """
    plan = ask.plan
    try:
        return session.meter.before(plan.request.model, *need_of(plan), free=lambda: session.recorded(plan, asker))
    except BudgetError:
        if ask.joins and not ask.again:
            failed(session, ask.slot, ask.prompt)
        raise


def _settled(
    session: Session,
    ask: Ask,
    answer: Answer,
    problem: KeyboardInterrupt | QianfanError | None,
    show: Callable[[Answer], None],
) -> Answer:
    """Keep and show what there is; raise what stood in the way."""
    if isinstance(problem, QianfanError) and not answer.text:
        if ask.joins and not ask.again:
            failed(session, ask.slot, ask.prompt)
        if ask.joins and session.journal is not None:
            session.journal.drop_partial(ask.slot.chat)
        raise problem
    answer = joined(ask.begun, answer)
    session.last = answer
    if ask.joins:
        session.chats.record(ask.slot, turn_of(session, ask, answer))
    show(answer)
    if isinstance(problem, QianfanError) and not isinstance(problem, SchemaError) and ask.joins:
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


def _follow(session: Session, ask: Ask, stream: Stream, view: View) -> None:
    """Hand on what comes; and keep it, so that a killed kernel loses a second at most."""
    due = time.monotonic() + KEEP_EVERY
    patience = TICK
    while (deltas := stream.drain(patience)) is not None:
        for delta in deltas:
            view.add(delta)
        patience = view.tick()
        if view.stopped:
            raise KeyboardInterrupt
        if time.monotonic() >= due:
            keep_so_far(session, ask, joined(ask.begun, stream.answer))
            due = time.monotonic() + KEEP_EVERY


def keep_so_far(session: Session, ask: Ask, answer: Answer) -> None:
    """Keep the turn as it is now in the journal, in case that the kernel dies before it ends."""
    if session.journal is not None and ask.joins:
        session.journal.save_partial(ask.slot.chat, ask.slot.at, turn_of(session, ask, answer))


def turn_of(session: Session, ask: Ask, answer: Answer) -> Turn:
    """The turn that a question and its answer make."""
    state: State = "answered" if answer.complete else "interrupted"
    # One that starts afresh does so with a whole answer: else what was there before stays.
    fresh = ask.fresh and state == "answered"
    return session.chats.turn(ask.slot, ask.prompt, answer, state, ask.sent, fresh=fresh)
