"""
A conversation as a value: turns in order, and the history they make.

Nothing here changes in place. Whatever happens to a turn (answered, interrupted, failed), the history is made of whole
question-and-answer pairs only, so every request built on it keeps the service's rule of alternating roles.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from .answer import Answer
from .context import Exchange

State = Literal["answered", "interrupted"]


@dataclass(frozen=True, slots=True)
class Turn:
    """
    A question and its answer.

    Attributes:
        prompt: The question as it was sent.
        answer: The answer, whole or as far as it came.
        state: ``"answered"``; or ``"interrupted"``, and then not part of the history.
        parent: The hash of the turn it was asked after, None for a first one.
        exchange: Question and answer as history.
    """

    prompt: str
    answer: Answer
    state: State = "answered"
    parent: str | None = None
    exchange: Exchange = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "exchange", Exchange.of(self.prompt, self.answer.text))

    @property
    def in_history(self) -> bool:
        """Whether it goes along with later questions."""
        return self.state == "answered" and bool(self.answer.text.strip())

    @property
    def hash(self) -> str:
        """A fingerprint of question, answer and all that went before, 16 hex digits."""
        text = "\0".join((self.parent or "", self.prompt, self.answer.text))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Conversation:
    """
    A named conversation.

    >>> Conversation().add("hi", Answer("Hello!")).add("bye", Answer("Bye!")).history[0].answer
    'Hello!'
    """

    name: str = "main"
    turns: tuple[Turn, ...] = ()

    def add(self, prompt: str, answer: Answer) -> "Conversation":
        """Return the conversation with one more turn."""
        state: State = "answered" if answer.complete else "interrupted"
        return replace(self, turns=(*self.turns, Turn(prompt, answer, state, self.head)))

    @property
    def head(self) -> str | None:
        """The hash of the last turn of the history."""
        return next((turn.hash for turn in reversed(self.turns) if turn.in_history), None)

    @property
    def history(self) -> tuple[Exchange, ...]:
        """What goes along with the next question, before any limit."""
        return tuple(exchanges(self.turns))


def exchanges(turns: Iterable[Turn]) -> Iterable[Exchange]:
    """The history a sequence of turns makes."""
    return (turn.exchange for turn in turns if turn.in_history)
