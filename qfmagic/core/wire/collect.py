"""One answer growing: what every event adds, and what stands at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..answer import Delta
from ..usage import Usage, read_usage


class Outcome(NamedTuple):
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
class Collector:
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

    def take(self) -> Delta | None:
        """What came since the last call; None if nothing."""
        if len(self.pieces) == self.taken and len(self.thoughts) == self.taken_thoughts:
            return None
        new = Delta("".join(self.pieces[self.taken :]), "".join(self.thoughts[self.taken_thoughts :]))
        self.taken, self.taken_thoughts = len(self.pieces), len(self.thoughts)
        return new

    def outcome(self, *, interrupted: bool = False) -> Outcome:
        """What stands now. Without an end mark the answer is marked as not complete, whatever else it says."""
        if interrupted:
            finish = "interrupted"
        elif not self.ended:
            finish = "incomplete"
        else:
            finish = self.finish_reason or ("length" if self.truncated else "stop")
        return Outcome(
            text="".join(self.pieces),
            reasoning="".join(self.thoughts),
            usage=read_usage(self.usage, streamed=self.streamed, complete=self.ended and not interrupted),
            id=self.id,
            created=self.created,
            finish_reason=finish,
            need_clear_history=self.need_clear_history,
            ban_round=self.ban_round,
            extra=self.extra,
        )
