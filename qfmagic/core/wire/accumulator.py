"""One answer growing: what every event adds, and what stands at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..answer import Delta
from ..messages import whole_text
from ..usage import Usage, read_usage


class StreamOutcome(NamedTuple):
    """What the events of one response add up to."""

    text: str
    reasoning: str
    usage: Usage
    id: str
    created: int | None
    finish_reason: str
    need_clear_history: bool
    ban_round: int | None
    extra: Mapping[str, Any]


@dataclass(slots=True)
class Accumulator:
    """
    Adds events up. The wire's ``feed`` fills it; ``take`` hands out what is new since the last time.

    Growing by lists of pieces keeps the cost of an event independent of the length of the answer.
    """

    streamed: bool
    pieces: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    usage: object = None
    id: str = ""
    created: int | None = None
    finish_reason: str | None = None
    truncated: bool = False
    ended: bool = False  # the answer is whole
    done: bool = False  # and nothing more is to be read
    need_clear_history: bool = False
    ban_round: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    taken: int = 0
    taken_thoughts: int = 0
    half: str = ""

    def take(self) -> Delta | None:
        """What came since the last call; None if nothing."""
        if len(self.pieces) == self.taken and len(self.thoughts) == self.taken_thoughts:
            return None
        text = self.half + "".join(self.pieces[self.taken :])
        self.half = ""
        if text and not self.done and "\ud800" <= text[-1] <= "\udbff":
            text, self.half = text[:-1], text[-1]  # half a character; the rest comes with the next event
        thought = "".join(self.thoughts[self.taken_thoughts :])
        self.taken, self.taken_thoughts = len(self.pieces), len(self.thoughts)
        return Delta(whole_text(text), whole_text(thought))

    def counts(self, *, whole: bool = True) -> Usage:
        """The tokens as far as they are known; *whole*: neither interrupted nor broken off."""
        return read_usage(self.usage, streamed=self.streamed, complete=self.ended and whole)

    def outcome(self, *, interrupted: bool = False, broken: bool = False) -> StreamOutcome:
        """
        What stands now. Without an end mark the answer is marked as not complete, whatever else it says.

        Args:
            interrupted: The user stopped it.
            broken: An error ended it.
        """
        if interrupted:
            finish = "interrupted"
        elif broken or not self.ended:
            finish = "incomplete"
        else:
            finish = "length" if self.truncated else self.finish_reason or "stop"
        return StreamOutcome(
            text=whole_text("".join(self.pieces)),
            reasoning=whole_text("".join(self.thoughts)),
            usage=self.counts(whole=not interrupted and not broken),
            id=self.id,
            created=self.created,
            finish_reason=finish,
            need_clear_history=self.need_clear_history,
            ban_round=self.ban_round,
            extra=self.extra,
        )
