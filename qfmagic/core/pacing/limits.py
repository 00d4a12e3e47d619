"""How many requests and tokens may go out in a time: the arithmetic, without a clock."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from ..errors import OptionError
from ..i18n import Text
from .retry import MINUTE, to_the_minute, used_up

SECOND = 1.0


class RateLimits(NamedTuple):
    """
    Limits of one's own; None is no limit.

    Attributes:
        qps: Requests per second; may be a fraction.
        rpm: Requests per minute.
        tpm: Tokens per minute, of questions and answers.
    """

    qps: float | None = None
    rpm: float | None = None
    tpm: float | None = None

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

        return cls(rpm=number("requests"), tpm=number("tokens"))


def strictest(several: Iterable[RateLimits]) -> RateLimits:
    """The smallest of each."""
    columns = zip(*several, strict=True)
    found = [min((value for value in column if value is not None), default=None) for column in columns]
    return RateLimits(*found) if found else RateLimits()


class Booking:
    """A request's place: when it goes out, and the tokens it counts for."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: float) -> None:
        self.at = at
        self.tokens = tokens


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
        if limits.tpm is not None and tokens > limits.tpm:
            raise OptionError("limit.prompt", size=round(tokens), limit=limits.tpm)
        while self._booked and self._booked[0].at <= now - _longest(limits):
            self._booked.popleft()
        last = self._booked[-1].at if self._booked else -math.inf
        candidates = [(self._closed_until, Text("wait.used_up"))]
        if limits.qps is not None:
            count = math.ceil(limits.qps)
            at = self._room_for_one(count, count / limits.qps)
            candidates.append((at, Text("wait.qps", {"limit": limits.qps})))
        if limits.rpm is not None:
            count = math.ceil(limits.rpm)
            at = self._room_for_one(count, MINUTE * count / limits.rpm)
            candidates.append((at, Text("wait.rpm", {"limit": limits.rpm})))
        if limits.tpm is not None:
            at = self._room_for_tokens(tokens, limits.tpm)
            candidates.append((at, Text("wait.tpm", {"limit": limits.tpm})))
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

    def _room_for_tokens(self, tokens: float, limit: float) -> float:
        """The first moment at which *tokens* more within a minute stay within the limit."""
        used = tokens
        for booking in reversed(self._booked):
            used += booking.tokens
            if used > limit:
                return booking.at + MINUTE
        return -math.inf


def _longest(limits: RateLimits) -> float:
    """How long a request counts, in seconds."""
    spans = [MINUTE * math.ceil(limits.rpm) / limits.rpm if limits.rpm else MINUTE]
    spans += [math.ceil(limits.qps) / limits.qps] if limits.qps else []
    return max(spans)
