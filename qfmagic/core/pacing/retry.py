"""Whether a request that failed is sent again, and when: a pure decision."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import QianfanError, RateLimitError, ServiceError
from ..i18n import Text
from ..pause import Wait
from ..wire import error_rows
from .clock_skew import http_date

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How requests are repeated, in the official SDK's terms.

    Attributes:
        attempts: Attempts in all: 1 repeats nothing.
        factor: Seconds before the first repeat; doubled before each further one.
        jitter: Up to so many random seconds come on top.
        max_wait: Longest of these pauses, in seconds.
        total: Seconds within which an attempt may still begin, from the first on.
        codes: The service's codes that are repeated, in place of those of ``data/errors.toml``; None for those.
    """

    attempts: int = 3
    factor: float = 1.0
    jitter: float = 1.0
    max_wait: float = 120.0
    total: float = 600.0
    codes: frozenset[str] | None = None


class GiveUp(NamedTuple):
    """No further attempt; ``hint`` is what to add to the error, if anything."""

    hint: Text | None = None


class Attempted(NamedTuple):
    """
    What is known of a request that failed before the first byte of an answer.

    Attributes:
        error: What went wrong.
        headers: Of the response, if there was one; names in lower case.
        attempt: Which attempt it was, from 1.
        elapsed: Seconds since the first began.
        now: Seconds since 1970, by the service's clock where it told it.
    """

    error: QianfanError
    headers: Mapping[str, str]
    attempt: int
    elapsed: float
    now: float


def decide(attempted: Attempted, policy: RetryPolicy, draw: float) -> Wait | GiveUp:
    """
    Decide about a failed attempt.

    A pause the service asks for (``Retry-After``) is kept to; other pauses grow from attempt to attempt, or last to the
    turn of the minute where a limit per minute is what stands in the way. With a new token (``token``) nothing is
    waited for: that is the client's business and not decided here.

    Args:
        attempted: What happened.
        policy: The settings.
        draw: A random number in [0, 1).
    """
    error, attempt = attempted.error, attempted.attempt
    way = retry_way(error, policy)
    attempts = min(policy.attempts, 2) if way == "few" else policy.attempts
    if way in (None, "token"):
        return GiveUp(_tried(attempted))
    if attempt >= attempts:
        return GiveUp(_tried(attempted))
    seconds = _pause(attempted, policy, way, draw)
    asked = retry_after(attempted.headers, attempted.now)
    if asked is not None:
        seconds = asked + policy.jitter * draw
    if attempted.elapsed + seconds > policy.total:
        return GiveUp(Text("retry.too_long", {"seconds": round(seconds, 1), "limit": policy.total}))
    return Wait(seconds, _reason(error), attempt + 1, attempts)


def retry_way(error: QianfanError, policy: RetryPolicy | None = None) -> str | None:
    """How an error may be asked again: ``backoff``, ``few``, ``minute``, ``token``, or None for never."""
    if not isinstance(error, ServiceError):
        return error_rows()["transport"].get(error.key, {}).get("retry")
    if policy is None or policy.codes is None or error.retry == "token" or error.code is None:
        return error.retry
    return (error.retry or "backoff") if str(error.code) in policy.codes else None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The pause the service asks for, in seconds: a number of them, or a date; None without one that can be read."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    at = http_date(value)
    return None if at is None else max(at - now, 0.0)


def to_the_minute(now: float) -> float:
    """Seconds until the clock's minute turns: more than none, at most 60."""
    return MINUTE - math.fmod(now, MINUTE)


def _pause(attempted: Attempted, policy: RetryPolicy, way: str | None, draw: float) -> float:
    jitter = policy.jitter * draw
    if way == "minute" or (isinstance(attempted.error, RateLimitError) and used_up(attempted.headers)):
        return min(to_the_minute(attempted.now) + jitter, policy.max_wait)
    return min(policy.factor * 2.0 ** min(attempted.attempt - 1, 60) + jitter, policy.max_wait)


def used_up(headers: Mapping[str, str]) -> bool:
    """Whether the service says that the minute's requests or tokens are used up."""
    counted = ("requests", "tokens", "input-tokens", "output-tokens")
    return any(headers.get(f"x-ratelimit-remaining-{what}", "").strip() == "0" for what in counted)


def _reason(error: QianfanError) -> Text:
    if isinstance(error, ServiceError):
        code = error.status if error.code is None else error.code
        return Text(error.cause) if error.cause else Text("wait.code", {"code": code})
    return Text("wait.connect" if error.key.startswith("connect.") and error.key != "connect.cut" else "wait.cut")


def _tried(attempted: Attempted) -> Text | None:
    if attempted.attempt < 2:
        return None
    return Text("retry.tried", {"attempts": attempted.attempt, "seconds": round(attempted.elapsed, 1)})
