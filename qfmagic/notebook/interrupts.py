"""Interrupts (Ctrl-C, the Stop square) that wait for a good moment."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

from ..core.callbacks import ignore

T = TypeVar("T")


class Interrupts:
    """
    Takes interrupts as a wish to stop, in place of an exception at whatever line is running.

    So what was asked is kept and shown, whole or marked, whenever and however often the wish is made. At the end of the
    ``with`` it becomes a KeyboardInterrupt. One that is repeated after ``PATIENCE`` seconds gets through at once, in
    case something hangs. Interrupts reach the main thread alone: in others there is nothing to take.

    Attributes:
        came: Whether there was one.
    """

    PATIENCE = 3.0

    def __init__(self) -> None:
        self.came = False
        self._first = 0.0
        self._stop: Callable[[], object] = ignore
        self._before: Any = None
        self._through = False

    def passing(self, items: Iterable[T]) -> Iterator[T]:
        """
        The items; while the next is waited for, an interrupt comes through.

        What makes them is the user's, and may wait for something that never comes.
        """
        waiting = iter(items)
        while True:
            self._through = True
            try:
                if self.came:  # between two items: nobody would interrupt the wait for the next
                    raise KeyboardInterrupt
                item = next(waiting)
            except StopIteration:
                return
            finally:
                self._through = False
            yield item

    def tell(self, stop: Callable[[], object]) -> None:
        """Have *stop* called when one comes; at once if one has come."""
        self._stop = stop
        if self.came:
            stop()

    def _take(self, *_: object) -> None:
        now = time.monotonic()
        if self.came and now - self._first > self.PATIENCE:
            raise KeyboardInterrupt
        if not self.came:
            self.came, self._first = True, now
        self._stop()
        if self._through:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._before is not None:  # None too where a handler was installed by other means than Python's
            signal.signal(signal.SIGINT, self._before)
        if self.came and not (kind and issubclass(kind, KeyboardInterrupt)):
            raise KeyboardInterrupt


class Interrupted(KeyboardInterrupt):
    """The user stopped a question; told without our stack."""

    def _render_traceback_(self) -> list[str]:
        return ["KeyboardInterrupt"]


Interrupted.__name__ = "KeyboardInterrupt"  # what front ends and nbclient know an interrupt by
