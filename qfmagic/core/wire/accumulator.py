"""One answer growing: what each event adds, and the answer so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..answer import Delta
from ..messages import whole_text
from ..safety import WITHHELD
from ..usage import Usage, read_usage
from .think_tags import ThinkTags


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOutcome:
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
    flag: int = 0
    served_model: str = ""
    raw_json: str = ""


@dataclass(slots=True)
class Accumulator:
    """
    Adds events up. The wire's ``feed`` fills it; ``take`` hands out what is new since the last time.

    Growing by lists of pieces keeps the cost of an event independent of the length of the answer.
    """

    streamed: bool
    pieces: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    tags: ThinkTags = field(default_factory=ThinkTags)
    calls: list[dict[str, Any]] = field(default_factory=list)
    usage: object = None
    id: str = ""
    created: int | None = None
    served_model: str = ""
    finish_reason: str | None = None
    truncated: bool = False
    began: bool = False  # something of an answer's shape came
    has_deltas: bool = False  # so a whole message repeats them
    ended: bool = False  # the answer is whole
    done: bool = False  # and nothing more is to be read
    need_clear_history: bool = False
    ban_round: int | None = None
    flag: int = 0
    extra: dict[str, Any] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)  # the events as JSON
    skipped: str = ""  # the first event that is not the service's
    taken: int = 0
    taken_thoughts: int = 0
    half: str = ""
    status: str = ""  # what the service says it is doing
    takes_back: bool = False
    cleared: bool = False

    @property
    def answered(self) -> bool:
        """Whether there is an answer, be it an empty one; unknown events alone are none, with an end mark neither."""
        return self.began or (self.ended and (self.usage is not None or not self.skipped))

    def add_content(self, content: str) -> None:
        """Add content, which may hold reasoning between tags."""
        if self.tags.passes(content):
            self.pieces.append(content)
        else:
            self._add(self.tags.feed(content))

    def add_thought(self, thought: str) -> None:
        """Add reasoning that came apart from the content; then a lone closing tag in the content ends nothing."""
        self.thoughts.append(thought)
        self.tags.lone = False

    def finish(self) -> None:
        """The answer is whole: add what was held back."""
        self.ended = True
        self._add(self.tags.close())

    def _add(self, portion: tuple[str, str, bool]) -> None:
        text, thought, moves = portion
        if moves:
            thought = ("".join(self.pieces) + thought).strip()
            self.takes_back = self.takes_back or self.taken > 0
            self.pieces.clear()
            self.taken, self.half = 0, ""
        if thought:
            self.thoughts.append(thought)
        if text:
            self.pieces.append(text)

    def skip(self, data: str) -> None:
        """Leave out an event that is not part of an answer."""
        self.skipped = self.skipped or data[:1000]

    def take(self) -> Delta | None:
        """What came since the last call; None if nothing."""
        if self.flag >= WITHHELD:
            return self._withdraw()
        nothing_new = len(self.pieces) == self.taken and len(self.thoughts) == self.taken_thoughts
        if nothing_new and not self.takes_back:
            status, self.status = whole_text(self.status), ""
            return Delta(status=status) if status else None
        self.status = ""
        text = self.half + "".join(self.pieces[self.taken :])
        self.half = ""
        if text and not self.done and "\ud800" <= text[-1] <= "\udbff":
            text, self.half = text[:-1], text[-1]  # half a character; the rest comes with the next event
        thought = "".join(self.thoughts[self.taken_thoughts :])
        self.taken, self.taken_thoughts = len(self.pieces), len(self.thoughts)
        delta = Delta(whole_text(text), whole_text(thought), takes_back="text" if self.takes_back else None)
        self.takes_back = False
        return delta

    def _withdraw(self) -> Delta | None:
        """Take back what was handed out of an answer that may not be shown, once."""
        if self.cleared:
            return None
        self.cleared = True
        return Delta(takes_back="all")

    def counts(self, *, whole: bool = True) -> Usage:
        """The tokens as far as they are known; *whole*: neither interrupted nor broken off."""
        return read_usage(self.usage, streamed=self.streamed, complete=self.ended and whole)

    def outcome(self, *, interrupted: bool = False, broken: bool = False) -> StreamOutcome:
        """
        The answer so far. Without an end mark it is marked as not complete, whatever else it says.

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
        banned = self.need_clear_history or self.flag
        return StreamOutcome(
            text=whole_text("".join(self.pieces)),
            reasoning=whole_text("".join(self.thoughts)),
            usage=self.counts(whole=not interrupted and not broken),
            id=self.id,
            created=self.created,
            finish_reason=finish,
            need_clear_history=self.need_clear_history,
            ban_round=self.ban_round if banned else None,
            extra={**self.extra, "tool_calls": self.calls} if self.calls else self.extra,
            flag=self.flag,
            served_model=self.served_model,
            raw_json=self._raw(),
        )

    def _raw(self) -> str:
        if self.streamed:
            return f"[{','.join(self.received)}]" if self.received else ""
        return self.received[0] if self.received else ""
