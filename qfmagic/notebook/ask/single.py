"""A question to one model: asked, shown while its answer comes, and joined to its conversation."""

from collections.abc import Callable
from contextlib import ExitStack

from ...core.answer import Answer
from ...core.conversation import Turn
from ...core.errors import QianfanError, SchemaError
from ..interrupts import Interrupts
from ..output.views import View
from ..session.session import Session
from .partial import joined
from .question import Question
from .sending import came_to_nothing, follow, sent, turn_of

Show = Callable[[Answer, Question, Turn, View], None]
Problem = KeyboardInterrupt | QianfanError | None


def run(session: Session, question: Question, view_of: Callable[[Question], View], show: Show) -> Answer:
    """
    Ask, show the answer while it comes, and let the turn join its conversation.

    The view is made when the question is on its way. *show* leaves the final form; it is called once, also for what
    came before an error or an interrupt, if anything came.

    Raises:
        QianfanError: No answer, or not all of it; what came is kept, and is no history.
        KeyboardInterrupt: The user stopped it; as with an error.
    """
    with Interrupts() as interrupts, ExitStack() as views:
        session.open_journal()

        def appear() -> None:
            if one.view is None:
                view = view_of(question)
                views.callback(view.close)
                one.appear(view)

        with sent(session, [question], lambda _: "ask") as (one,):
            stop = follow([one], interrupts, appear)
        view = one.view or View()
        problem: Problem = stop or one.problem or (KeyboardInterrupt() if one.stopped else None)
        asked, answer = question, one.answer
        if question.expected is not None and problem is None and not interrupts.came:
            from .structured import fitted  # noqa: PLC0415 - was loaded to make the question

            asked, answer, problem = fitted(session, question, answer, view, interrupts)
        return _settled(session, asked, answer, problem, lambda answer, asked, turn: show(answer, asked, turn, view))


def _settled(
    session: Session,
    question: Question,
    answer: Answer,
    problem: Problem,
    show: Callable[[Answer, Question, Turn], None],
) -> Answer:
    """Keep and show what there is; raise what stood in the way."""
    if isinstance(problem, QianfanError) and not answer.text:
        came_to_nothing(session, question)
        raise problem
    answer = joined(question.begun, answer)
    turn = turn_of(session, question, answer)
    session.last = answer
    if question.joins:
        session.chats.record(question.slot, turn)
    show(answer, question, turn)
    if isinstance(problem, QianfanError) and not isinstance(problem, SchemaError) and question.joins:
        problem = problem.with_hint("partial.kept").with_traceback(problem.__traceback__)
    if problem is not None:
        raise problem
    return answer
