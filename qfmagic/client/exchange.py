"""One request under way, and the answer that grows from it."""

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from ..core.answer import Answer, Delta
from ..core.errors import QianfanError, ServiceError
from ..core.i18n import Text
from ..core.pause import Wait
from ..core.wire import Accumulator, ChatRequest
from .call_options import AS_CLIENT, CallOptions


def _unmeasured() -> float | None:
    return None


@dataclass(slots=True)
class HttpExchange:
    """
    One request under way.

    Filled by :meth:`Service.run`; readable from another thread once that has ended, however it ended.

    Attributes:
        request: What is asked.
        timeout: Longest silence, in seconds.
        on_delta: Called with what comes, in the service's loop.
        collector: The answer as it grows.
        received: Whether the last attempt brought any byte of a body that could be an answer.
        headers: Rate-limit and request-id headers of the response.
        heard: All headers of the last response, names in lower case.
        transport: What answered.
        refused: Whether the last attempt was rejected with the request's ``stream_options`` named.
        played: Whether it is answered from a recording.
        attempts: How often it was sent.
        queued: Seconds of waiting for the limits of requests and tokens.
        token: The token the last attempt was sent with, where it was fetched for it.
        given_up: Why nothing more was tried, where that needs telling.
        slot: Who asks, for a tape: the same asker gets the same recording.
        call: What the call decides about retrying.
        measured: Tells how many seconds an answer of a tape took when it was recorded; None where there is none.
    """

    request: ChatRequest
    timeout: float
    on_delta: Callable[[Delta], None] | None = None
    collector: Accumulator = field(default_factory=lambda: Accumulator(streamed=True))
    received: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    heard: Mapping[str, str] = field(default_factory=dict, repr=False)
    transport: str = "live"
    refused: bool = False
    played: bool = False
    attempts: int = 0
    queued: float = 0.0
    token: str | None = field(default=None, repr=False)
    given_up: Text | None = None
    started: float = 0.0
    ended: float = 0.0
    finished: threading.Event = field(default_factory=threading.Event)
    slot: Hashable = field(default_factory=object)
    call: CallOptions = AS_CLIENT
    measured: Callable[[], float | None] = _unmeasured

    def begin(self) -> None:
        """Start an attempt, without anything of the one before."""
        self.collector = Accumulator(streamed=True)
        self.headers, self.heard = {}, {}
        self.received, self.refused, self.token = False, False, None

    def begun_before(self, error: QianfanError) -> bool:
        """
        Whether anything of an answer came before *error*; from then on nothing is asked again.

        The service may send an error itself in a body or event of its own: that is no byte of an answer.
        """
        if isinstance(error, ServiceError):
            return bool(self.collector.id or self.collector.began)
        return self.received

    def hand_on(self) -> bool:
        """Hand on what is new; return whether there was anything."""
        delta = self.collector.take()
        if delta is not None and self.on_delta is not None:
            self.on_delta(delta)
        return delta is not None

    def tell(self, wait: Wait) -> None:
        """Hand on that a pause begins."""
        if self.on_delta is not None:
            self.on_delta(Delta(wait=wait))

    def answer(self, *, interrupted: bool = False, broken: bool = False) -> Answer:
        """The answer as far as it came; *interrupted* by the user, or *broken* off by an error."""
        outcome = self.collector.outcome(interrupted=interrupted, broken=broken)
        measured = self.measured()
        seconds = max(self.ended - self.started, 0.0) if measured is None else measured
        return Answer(
            text=outcome.text,
            usage=outcome.usage,
            model=self.request.model,
            id=outcome.id,
            finish_reason=outcome.finish_reason,
            request=self.request.body,
            seconds=round(seconds, 3),
            reasoning=outcome.reasoning,
            wire=self.request.wire,
            endpoint=self.request.endpoint,
            created=outcome.created,
            transport=self.transport,
            need_clear_history=outcome.need_clear_history,
            ban_round=outcome.ban_round,
            headers=self.headers,
            extra=outcome.extra,
            flag=outcome.flag,
            served_model=outcome.served_model,
            raw_json=outcome.raw_json,
        )
