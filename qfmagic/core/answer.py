"""What comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .pause import Wait
from .usage import Usage

STUB_SERVER = "qfmagic-stub"  # what a stub calls itself in the header Server, so that its answers are known as such


class Delta(NamedTuple):
    """
    What is new of a streaming answer.

    Attributes:
        text: Text of the answer itself.
        reasoning: Text of the model's reasoning.
        wait: A pause that has begun before the answer has: then there is no text. It is over with the next delta.
    """

    text: str = ""
    reasoning: str = ""
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer of a model, whole or as far as it came.

    Attributes:
        text: The answer exactly as the service sent it, leading blanks included.
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
        headers: Rate-limit and request-id headers of the response.
        extra: Fields of the response this version does not know, kept as they came.
        value: The object that was asked for with a schema; None without one, where the answer didn't fit it, and of an
            answer that comes from a file.
        rejected: The texts of the answers before this one that didn't fit the schema.
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

    @property
    def complete(self) -> bool:
        """Whether the service finished the answer itself (it may still have cut it at its output limit)."""
        return self.finish_reason not in ("interrupted", "incomplete")

    @property
    def truncated(self) -> bool:
        """Whether the model's output limit cut the answer."""
        return self.finish_reason == "length"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        # Stable on purpose: a time or an address here would end up in text/plain, which nbval compares.
        text = self.text if len(self.text) <= 60 else f"{self.text[:57]}..."
        return f"Answer({text!r}, model={self.model!r}, finish_reason={self.finish_reason!r})"
