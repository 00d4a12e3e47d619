"""How many requests and tokens may go out in a time: the arithmetic, without a clock."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple, Self

from ..errors import OptionError
from ..i18n import Text
from .retry import MINUTE, to_the_minute, used_up

SECOND = 1.0
_TOKENS, _INPUT, _OUTPUT = (attrgetter(name) for name in ("tokens", "input", "output"))


class RateLimits(NamedTuple):
    """
    Limits of one's own; None is no limit.

    Attributes:
        qps: Requests per second; may be a fraction.
        rpm: Requests per minute.
        tpm: Tokens per minute, of questions and answers.
        input_tpm: Tokens per minute of questions alone.
        output_tpm: Tokens per minute of answers alone.
    """

    qps: float | None = None
    rpm: float | None = None
    tpm: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None

    @classmethod
    def of(cls, **given: float | None) -> Self:
        """
        Build limits; 0 is no limit, as in the official SDK.

        Raises:
            OptionError: One is no number a limit can be.
        """
        for name, value in given.items():
            fine = value is None or (isinstance(value, (int, float)) and 0 <= value < math.inf)
            if not fine or isinstance(value, bool):
                raise OptionError("option.value", name=name, value=repr(value), allowed="[0, ∞)")
        return cls(**{name: value or None for name, value in given.items()})

    @classmethod
    def told(cls, headers: Mapping[str, str]) -> Self:
        """Read the service's own limits from a response's headers (names in lower case)."""

        def number(name: str) -> float | None:
            value = headers.get(f"x-ratelimit-limit-{name}", "").strip()
            return (float(value) or None) if value.isascii() and value.isdigit() and len(value) < 16 else None

        return cls(
            rpm=number("requests"),
            tpm=number("tokens"),
            input_tpm=number("input-tokens"),
            output_tpm=number("output-tokens"),
        )

    @property
    def counts_tokens(self) -> bool:
        """Whether one of them is about tokens."""
        return not self.tpm == self.input_tpm == self.output_tpm is None


def strictest(several: Iterable[RateLimits]) -> RateLimits:
    """The smallest of each."""
    columns = zip(*several, strict=True)
    found = [min((value for value in column if value is not None), default=None) for column in columns]
    return RateLimits(*found) if found else RateLimits()


class Booking:
    """A request's place: when it goes out, and the tokens it counts for: of the question, and of the answer so far."""

    __slots__ = ("at", "output", "tokens")

    def __init__(self, at: float, tokens: float, output: float = 0.0) -> None:
        self.at = at
        self.tokens = tokens
        self.output = output

    @property
    def input(self) -> float:
        """The tokens of the question."""
        return self.tokens - self.output


class RateSlot(NamedTuple):
    """Where a request found its place: after how long, and what made it wait (None if nothing did)."""

    booking: Booking
    seconds: float
    reason: Text | None


class Window:
    """
    The requests of the last minute and those still to go out, in their order.

    Every request books its place ahead, behind those before it: so the order is kept, and no one has to look again.
    In no span of time, wherever it begins, do more go out than a limit says; the service's own minutes are spans like
    any other.
    """

    def __init__(self) -> None:
        self._booked: deque[Booking] = deque()
        self._closed_until = -math.inf

    def __len__(self) -> int:
        return len(self._booked)

    def book(self, now: float, tokens: float, limits: RateLimits) -> RateSlot:
        """
        Find the first moment the limits allow, and book it.

        Raises:
            OptionError: The tokens alone are more than a minute's.
        """
        for limit in (limits.tpm, limits.input_tpm):
            if limit is not None and tokens > limit:
                raise OptionError("limit.prompt", size=round(tokens), limit=limit)
        while self._booked and self._booked[0].at <= now - _longest(limits):
            self._booked.popleft()
        last = self._booked[-1].at if self._booked else -math.inf
        candidates = [(self._closed_until, Text("wait.used_up"))]
        for name, limit, unit in (("qps", limits.qps, SECOND), ("rpm", limits.rpm, MINUTE)):
            if limit is not None:
                count = math.ceil(limit)
                at = self._room_for_one(count, unit * count / limit)
                candidates.append((at, Text(f"wait.{name}", {"limit": limit})))
        for limit, amount, count_of in (
            (limits.tpm, tokens, _TOKENS),
            (limits.input_tpm, tokens, _INPUT),
            (limits.output_tpm, 1.0, _OUTPUT),  # what the answer will take is not known
        ):
            if limit is not None:
                at = self._room_for_tokens(amount, limit, count_of)
                candidates.append((at, Text("wait.tpm", {"limit": limit})))
        at, reason = max([*candidates, (last, Text("wait.others"))], key=lambda candidate: candidate[0])
        booking = Booking(max(at, now), tokens)
        self._booked.append(booking)
        return RateSlot(booking, booking.at - now, reason if at > now else None)

    def give_back(self, booking: Booking) -> None:
        """The request didn't go out."""
        if booking in self._booked:
            self._booked.remove(booking)

    def close_until_the_minute_turns(self, headers: Mapping[str, str], now: float, service_now: float) -> None:
        """Take the service's word, in a response's headers, that this minute's requests or tokens are used up."""
        if used_up(headers):
            self._closed_until = max(self._closed_until, now + to_the_minute(service_now))

    def _room_for_one(self, limit: int, span: float) -> float:
        """The first moment at which one request more within *span* stays within the limit."""
        return self._booked[-limit].at + span if len(self._booked) >= limit else -math.inf

    def _room_for_tokens(self, amount: float, limit: float, count_of: Callable[[Booking], float]) -> float:
        """The first moment at which *amount* more within a minute stays within the limit."""
        used = amount
        for booking in reversed(self._booked):
            used += count_of(booking)
            if used > limit:
                return booking.at + MINUTE
        return -math.inf


def _longest(limits: RateLimits) -> float:
    """How long a request counts, in seconds."""
    spans = [MINUTE * math.ceil(limits.rpm) / limits.rpm if limits.rpm else MINUTE]
    spans += [math.ceil(limits.qps) / limits.qps] if limits.qps else []
    return max(spans)
