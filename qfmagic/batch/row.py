"""A row on its way: what is to be asked about it, and what has become of it."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..accounting.meter import Reservation
from ..core.answer import Answer
from ..core.errors import QianfanError
from ..core.plan import Plan
from ..core.usage import added
from .answer_cache import RowKey


class Task(NamedTuple):
    """A row that is to be asked."""

    number: int
    asked: RowKey
    plan: Plan
    held: Reservation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    A row that needs nothing more.

    Attributes:
        number: Which row, from 0.
        answer: Its answer; None if there is none.
        error: What went wrong.
        value: What the answer is, where it had to fit a schema.
        kept: Whether the answer was there before.
        paid: Every answer that came for it now, those that didn't fit included.
        held: What was set aside for it.
    """

    number: int
    answer: Answer | None = None
    error: QianfanError | None = None
    value: Any = None
    kept: bool = False
    paid: tuple[Answer, ...] = ()
    held: Reservation | None = None


def together(answers: tuple[Answer, ...]) -> Answer:
    """The last of several answers, with the tokens and the time of all."""
    if len(answers) == 1:
        return answers[0]
    usage = added([answer.usage for answer in answers])
    return replace(answers[-1], usage=usage, seconds=round(sum(answer.seconds for answer in answers), 3))
