"""What comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from .pause import Wait
from .safe_json import read_json
from .safety import BANNED, WITHHELD
from .sources import sources_of
from .usage import Usage

STUB_SERVER = "qfmagic-stub"  # what a stub calls itself in the header Server, so that its answers are known as such


class Delta(NamedTuple):
    """
    What is new of a streaming answer.

    Attributes:
        text: Text of the answer itself.
        reasoning: Text of the model's reasoning.
        wait: A pause that has begun before the answer has: then there is no text. It is over with the next delta.
        takes_back: What of the deltas before this one no longer counts: ``"text"`` where it was reasoning, which comes
            again as such; ``"all"`` where the service withdraws the answer.
        status: What the service says it is doing, as "searching": no part of the answer, and out of date with the
            next delta.
    """

    text: str = ""
    reasoning: str = ""
    wait: Wait | None = None
    takes_back: Literal["text", "all"] | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer of a model, whole or as far as it came.

    Attributes:
        text: The answer exactly as the service sent it, leading blanks included; without reasoning between
            ``<think>`` and ``</think>`` in front of it.
        usage: Token counts; a field is None where the service did not say.
        model: The model that was asked; for a service named by ``endpoint`` alone, the endpoint.
        id: The service's id of the answer.
        finish_reason: The service's own word where it gave one, else ``"stop"``, ``"length"`` (the output limit was
            hit), ``"interrupted"`` or ``"incomplete"`` (the stream ended without its end mark).
        request: The request body as it was sent; it holds no secret.
        seconds: From sending the request to the end of the answer.
        reasoning: What a reasoning model thought aloud; never sent back.
        wire: ``"v1"`` or ``"v2"``.
        endpoint: The V1 endpoint, or None.
        created: The service's time stamp, in seconds since 1970.
        transport: What answered: ``"live"``, ``"stub"``, ...
        need_clear_history: The service asks to drop the conversation, for safety.
        ban_round: Which round it means (-1: this question), where it said so.
        flag: V2's verdict of the safety check: 0 safe, 1 low risk, 2 no further talk, 3 not to be shown, 4 withdrawn.
        served_model: The model that answered, by the service's word: an undated name moves from version to version.
        headers: Rate-limit and request-id headers of the response.
        extra: Fields of the response this version does not know, kept as they came.
        value: The object that was asked for with a schema; None without one, where the answer didn't fit it, and of an
            answer that comes from a file.
        rejected: The texts of the answers before this one that didn't fit the schema.
        raw_json: The response as JSON, for :attr:`raw`; not kept with a conversation.
        despite: The defects of the text that leave one meaning, where ``value`` was read in spite of some.
    """

    text: str
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    id: str = ""
    finish_reason: str = "stop"
    request: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    reasoning: str = ""
    wire: str = ""
    endpoint: str | None = None
    created: int | None = None
    transport: str = "live"
    need_clear_history: bool = False
    ban_round: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    value: Any = field(default=None, repr=False, compare=False)
    rejected: tuple[str, ...] = ()
    flag: int = 0
    served_model: str = ""
    raw_json: str = field(default="", repr=False, compare=False)
    despite: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """Whether the service finished the answer itself (it may still have cut it at its output limit)."""
        return self.finish_reason not in ("interrupted", "incomplete")

    @property
    def truncated(self) -> bool:
        """Whether the model's output limit cut the answer."""
        return self.finish_reason == "length"

    @property
    def filtered(self) -> bool:
        """Whether the safety check cut or replaced the text."""
        return self.finish_reason == "content_filter"

    @property
    def banned(self) -> bool:
        """Whether the safety check allows no further talk about it."""
        return self.flag >= BANNED or self.need_clear_history

    @property
    def withheld(self) -> bool:
        """Whether the text may not be shown."""
        return self.flag >= WITHHELD

    @property
    def shown(self) -> str:
        """The text, unless it may not be shown."""
        return "" if self.withheld else self.text

    @property
    def sources(self) -> tuple[Mapping[str, Any], ...]:
        """The pages of the web search, each with its ``url``, and ``index`` and ``title`` where the service said so."""
        return sources_of(self.extra)

    @property
    def tool_calls(self) -> tuple[Mapping[str, Any], ...]:
        """The calls of tools the model asks for."""
        calls = self.extra.get("tool_calls")
        return tuple(calls) if isinstance(calls, list) else ()

    @property
    def raw(self) -> Any:
        """All the service sent: the body, or a stream's events in a list; None where that isn't known any more."""
        return read_json(self.raw_json) if self.raw_json else None

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        # Stable on purpose: a time or an address here would end up in text/plain, which nbval compares.
        text = self.shown if len(self.shown) <= 60 else f"{self.shown[:57]}..."
        return f"Answer({text!r}, model={self.model!r}, finish_reason={self.finish_reason!r})"
