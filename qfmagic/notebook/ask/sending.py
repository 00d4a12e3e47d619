"""
Questions on their way: paid for, sent, followed, shown while they come, and kept.

There is one loop (:func:`follow`). One model is several of which there is one, and a repair is one more request.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from ...accounting.meter import Reservation, need_of
from ...accounting.totals import Kind
from ...client.streams import Stream
from ...core.answer import Answer, Delta
from ...core.callbacks import ignore
from ...core.conversation import Turn, TurnState
from ...core.errors import BudgetError, QianfanError
from ..conversation.conversations import TurnSlot
from ..interrupts import Interrupts
from ..output.views import TICK, View
from ..session.session import Session
from .partial import joined, so_far
from .question import Question

KEEP_EVERY_S = 1.0  # seconds between two savings of an answer under way


class RunningRequest:
    """
    A question on its way.

    Args:
        session: Whose keys, meter and journal hold.
        question: The question.
        stream: What comes.
        kind: What asks, for the meter.
        repaired: The view of the answer it repairs: nothing of what comes is shown there, but it may be stopped.

    Attributes:
        view: Where what comes is shown; None as long as nothing is.
        ended: Whether nothing more comes.
        answer: What came; empty before it has ended.
        problem: Why it isn't a whole answer, if an error kept it from that.
        stopped: Whether the reader stopped it.
    """

    def __init__(
        self, session: Session, question: Question, stream: Stream, kind: Kind, *, repaired: View | None = None
    ) -> None:
        self.question = question
        self.view = repaired
        self.ended = self.stopped = False
        self.answer = Answer("")
        self.problem: QianfanError | None = None
        self._session, self._stream, self._kind = session, stream, kind
        self._repairs = repaired is not None
        self._unseen: list[Delta] = []

    def appear(self, view: View) -> None:
        """Show from now on what comes."""
        self.view = view
        if self.question.begun is not None:
            view.add(Delta(self.question.begun.text))
        for delta in self._unseen:
            view.add(self._behind_begun(delta))
        self._unseen.clear()

    def step(self, patience: float) -> float:
        """Take what has come, waiting up to *patience* seconds for something; return how long to wait next."""
        try:
            deltas = self._stream.drain(patience)
            if deltas is None:
                self._end(self._stream.answer)
                return TICK
        except QianfanError as error:
            self._end(so_far(self._stream, error), self._session.keys.explained(error))
            return TICK
        if self.view is None:
            self._unseen += deltas
            return TICK
        for delta in () if self._repairs else deltas:
            self.view.add(self._behind_begun(delta))
        patience = self.view.tick()
        if self.view.stopped and not self.stopped:
            self.stopped = True
            self.stop()
        return patience

    def _behind_begun(self, delta: Delta) -> Delta:
        """The delta as it is shown: text that is taken back is never the one of the answer it continues."""
        begun = self.question.begun
        if begun is None or delta.takes_back != "text":
            return delta
        return delta._replace(text=begun.text + delta.text)

    def stop(self) -> None:
        """Ask for its end; from a signal handler, too."""
        self._stream.stop()

    def cut(self) -> None:
        """Wait for it no longer."""
        self._end(so_far(self._stream, KeyboardInterrupt()))

    def _end(self, answer: Answer, problem: QianfanError | None = None) -> None:
        self.ended, self.answer, self.problem = True, answer, problem
        # Counted before what was set aside for it is given back: else another might take that.
        chat = self.question.slot.chat if self.question.joins else None
        self._session.meter.after(answer, kind=self._kind, chat=chat)

    def keep(self) -> None:
        """Keep what there is; of a repair only what is whole stands in for the answer before."""
        if not self._repairs:
            answer = self.answer if self.ended else so_far(self._stream, KeyboardInterrupt())
            keep_so_far(self._session, self.question, joined(self.question.begun, answer))


@contextmanager
def sent(
    session: Session, questions: Sequence[Question], kind: Callable[[Question], Kind], *, repaired: View | None = None
) -> Iterator[tuple[RunningRequest, ...]]:
    """
    Send questions at the same time, if the budget allows all of them; at the end none is on its way.

    Raises:
        BudgetError: It doesn't. Nothing was sent; the turns of those that join keep their places.
    """
    client = session.client()
    askers = [session.asker() or object() for _ in questions]
    with ExitStack() as stack:
        try:
            for question, asker in zip(questions, askers, strict=True):
                stack.enter_context(_held(session, question, asker))
        except BudgetError:
            for question in questions:
                keep_place(session, question)
            raise
        yield tuple(
            RunningRequest(
                session,
                question,
                stack.enter_context(client.send(question.plan, question.call, slot=asker)),
                kind(question),
                repaired=repaired,
            )
            for question, asker in zip(questions, askers, strict=True)
        )


def _held(session: Session, question: Question, asker: Hashable) -> Reservation:
    """
    Set aside what a question will take; *asker* is who asks, for a tape.

    Raises:
        BudgetError: It would break the budget.
    """
    plan = question.plan
    return session.meter.before(plan.request.model, *need_of(plan), free=lambda: session.recorded(plan, asker))


def follow(
    running: Sequence[RunningRequest], interrupts: Interrupts, look: Callable[[], object] = ignore
) -> KeyboardInterrupt | None:
    """
    Hand on what comes until nothing more does; and keep it, so that a killed kernel loses a second at most.

    Args:
        running: What is on its way.
        interrupts: A wish to stop is passed on to them.
        look: Called at the beginning and after each step.

    Returns:
        The interrupt that couldn't wait, if there was one; then what has come by now is their answers.
    """
    stop: KeyboardInterrupt | None = None
    interrupts.tell(partial(_stop, running))
    try:
        _follow(running, look)
    except KeyboardInterrupt as error:
        stop = error
    for one in running:
        if not one.ended:
            one.cut()
    return stop


def _follow(running: Sequence[RunningRequest], look: Callable[[], object]) -> None:
    due, patience = time.monotonic() + KEEP_EVERY_S, TICK
    look()
    while going := [one for one in running if not one.ended]:
        patience = min(one.step(patience / len(going)) for one in going)
        for one in going:
            if one.ended and one.answer.text and len(running) > 1:  # however long the others take
                one.keep()
        if time.monotonic() >= due:
            for one in going:
                if not one.ended:
                    one.keep()
            due = time.monotonic() + KEEP_EVERY_S
        look()


def _stop(running: Sequence[RunningRequest]) -> None:
    for one in running:
        one.stop()


def keep_place(session: Session, question: Question) -> None:
    """Keep the place of a question that has no answer; one that was asked again has its own."""
    if question.joins and not question.again:
        failed(session, question.slot, question.prompt)


def failed(session: Session, slot: TurnSlot | None = None, prompt: str = "", *, chat: str | None = None) -> None:
    """
    Keep the place of a question that has no answer, where its cell is known.

    What its cell answered before is not on the screen any more, so it is no history; when the cell is run again, it
    finds its place among the cells that ran meanwhile.
    """
    chats = session.chats
    slot = slot or chats.slot(chat or session.chat)
    if slot.cell is not None:
        chats.record(slot, chats.turn(slot, prompt, Answer(""), "failed", 0, fresh=False))


def came_to_nothing(session: Session, question: Question) -> None:
    """There is no answer: the turn keeps its place, and what was kept of it goes."""
    keep_place(session, question)
    if question.joins and session.journal is not None:
        session.journal.drop_partial(question.slot.chat)


def keep_so_far(session: Session, question: Question, answer: Answer) -> None:
    """Keep the turn as it is now in the journal, in case that the kernel dies before it ends."""
    if session.journal is not None and question.joins:
        session.journal.save_partial(question.slot.chat, question.slot.at, turn_of(session, question, answer))


def turn_of(session: Session, question: Question, answer: Answer) -> Turn:
    """The turn that a question and its answer make."""
    state: TurnState = "answered" if answer.complete else "interrupted"
    # One that starts afresh does so with a whole answer: else what was there before stays.
    fresh = question.fresh and state == "answered"
    return session.chats.turn(question.slot, question.prompt, answer, state, question.sent, fresh=fresh)
