"""What a turn costs outside the network: behind a thousand turns as behind ten."""

import time
from typing import Self

from qfmagic.core.answer import Answer
from qfmagic.notebook.ask.question import prepare
from qfmagic.notebook.ask.single import run
from qfmagic.notebook.conversation.cell_order import RunningCell
from qfmagic.notebook.output.views import View
from qfmagic.notebook.session.session import Session

from .common import Row, medians

SENT = 8
REPETITIONS = 60


class _Instant:
    """A client whose answers are there at once, in place of the network."""

    def send(self, plan: object, call: object = None, *, slot: object = None) -> "_Instant":
        self._left = [[], None]
        return self

    answer = Answer("an answer of the usual length, more or less " * 8)

    def drain(self, _: float) -> list[object] | None:
        return self._left.pop(0)

    def stop(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _session(turns: int, home: str) -> Session:
    session = Session({"QFMAGIC_HOME": f"{home}/{turns}"})
    session.client = _Instant  # type: ignore[method-assign,assignment]
    for number in range(turns):
        _turn(session, number)
    return session


def _turn(session: Session, number: int) -> None:
    session.chats.begin_cell(RunningCell(f"cell-{number}"))
    ask = prepare(session, f"question {number}", {"model": "ernie-5.1", "context": SENT})
    run(session, ask, lambda _: View(), lambda *_: None)
    session.chats.end_cell()


def cost_per_turn(home: str) -> list[Row]:
    """A whole turn of a session with its journal, the same number of turns sent: turn 1,000 against turn 10."""
    short, long = _session(10, home), _session(1000, home)
    count = iter(range(10**6, 10**7))

    def one(session: Session) -> float:
        start = time.perf_counter()
        _turn(session, next(count))
        return time.perf_counter() - start

    spent = medians({"10 turns": lambda: one(short), "1,000 turns": lambda: one(long)}, REPETITIONS, warm_up=5)
    figures = ", ".join(f"{name} {seconds * 1e3:.2f}" for name, seconds in spent.items()) + " ms"
    ratio = spent["1,000 turns"] / spent["10 turns"]
    return [Row(f"A turn outside the network, {SENT} turns sent: behind 1,000 / 10", f"{ratio:.2f}×", "≤ 1.5", figures)]
