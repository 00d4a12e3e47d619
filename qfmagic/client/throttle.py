"""The limits of requests and tokens, shared by everything in the process that uses the same keys."""

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..core.i18n import Text
from ..core.pacing.limits import RateLimits, RateSlot, Window, strictest
from .http.request import Clock


class QueuePlace(NamedTuple):
    """A request's place in the queue: how long it waits there, and why."""

    seconds: float
    reason: Text | None
    slots: tuple[tuple[Window, RateSlot], ...]


class Throttle:
    """
    Books places for requests; from any thread, for any loop.

    The limits of one's own hold for all models together, those the service tells for the model it told them of. Of
    several clients' own limits the strictest hold, as long as those clients live.

    Args:
        timer: Seconds of a clock that never jumps.
    """

    def __init__(self, timer: Clock) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._own = Window()
        self._members: weakref.WeakKeyDictionary[object, RateLimits] = weakref.WeakKeyDictionary()
        self._models: dict[str, tuple[Window, RateLimits]] = {}

    def join(self, member: object, limits: RateLimits) -> None:
        """Have *limits* hold as long as *member* lives or until it leaves."""
        with self._lock:
            self._members[member] = limits

    def leave(self, member: object) -> None:
        """Take the member's limits away."""
        with self._lock:
            self._members.pop(member, None)

    def book(self, model: str, tokens: Callable[[], float]) -> QueuePlace:
        """
        Book a place for a request of as many *tokens*, which are counted only where a limit asks for them.

        Raises:
            OptionError: It alone is over a limit.
        """
        with self._lock:
            now = self._timer()
            windows = [(self._own, strictest(self._members.values())), *filter(None, [self._models.get(model)])]
            found: list[tuple[Window, RateSlot]] = []
            try:
                for window, limits in windows:
                    if window is not self._own or any(limits):
                        size = tokens() if limits.counts_tokens else 0.0
                        found.append((window, window.book(now, size, limits)))
            except BaseException:
                for window, slot in found:
                    window.give_back(slot.booking)
                raise
            longest = max((slot for _, slot in found), key=lambda slot: slot.seconds, default=None)
            return QueuePlace(*(longest[1:] if longest else (0.0, None)), tuple(found))

    def give_back(self, place: QueuePlace) -> None:
        """The request was stopped before it went out."""
        with self._lock:
            for window, slot in place.slots:
                window.give_back(slot.booking)

    def settle(self, place: QueuePlace, tokens: float, output: float = 0.0) -> None:
        """Count the tokens the service counted in place of the estimate; *output* of them are the answer's."""
        with self._lock:
            for _, slot in place.slots:
                slot.booking.tokens, slot.booking.output = tokens, output

    def heed(self, model: str, headers: Mapping[str, str], service_now: float) -> None:
        """Take in what a response's headers (names in lower case) say about the service's limits."""
        if not any(name.startswith("x-ratelimit-") for name in headers):
            return
        with self._lock:
            window = self._models[model][0] if model in self._models else Window()
            window.close_until_the_minute_turns(headers, self._timer(), service_now)
            self._models[model] = window, RateLimits.told(headers)


_SHARED: dict[str, Throttle] = {}
_GUARD = threading.Lock()


def shared_throttle(key: str, timer: Clock) -> Throttle:
    """The process's throttle for *key*, which names a service and the keys used there without holding them."""
    with _GUARD:
        return _SHARED.setdefault(key, Throttle(timer))


def _after_fork() -> None:
    # Another thread may have held a lock when the process was copied; nothing in the child would ever release it.
    global _GUARD  # noqa: PLW0603 - a lock can't be reset
    _GUARD = threading.Lock()
    _SHARED.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
