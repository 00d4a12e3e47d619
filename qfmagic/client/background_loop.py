"""One event loop in one background thread, started when it is first needed."""

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
Closer = Callable[[], Coroutine[Any, Any, None]]
_all: "weakref.WeakSet[BackgroundLoop]" = weakref.WeakSet()
# In a forked child: the parent's loops. Kept, so that nothing there is closed or warned of.
_inherited: list[object] = []


class BackgroundLoop:
    """
    Runs coroutines away from the caller's thread and loop.

    A notebook's kernel runs a loop of its own in the main thread; re-entering it loses queued cells (nest_asyncio
    with ipykernel 7.3 and later), blocking it without a thread stops everything. The thread is a daemon, so a
    forgotten stream can't keep the interpreter alive; at exit what runs is cancelled and the thread joined. In the
    child of a fork there is no such thread: a new one is started when it is needed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._closers: list[Closer] = []
        _all.add(self)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start *coroutine* in the loop; the future can be cancelled, which cancels it there."""
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._running())
        except BaseException:  # no thread can be started any more: the interpreter is ending
            coroutine.close()
            raise

    def at_end(self, closer: "Closer") -> None:
        """Have *closer* awaited in the loop before it ends, in whatever way it ends."""
        self._closers.append(closer)

    def close(self) -> None:
        """Cancel what runs, end the thread. Another :meth:`submit` starts a new one."""
        with self._lock:
            finalizer, self._finalizer, self._loop = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    def forget_parent(self) -> None:
        """Have nothing to do with the parent's thread; called in the child of a fork."""
        _inherited.append(self._loop)
        if self._finalizer is not None:
            self._finalizer.detach()
        self._lock, self._loop, self._finalizer, self._closers = threading.Lock(), None, None, []

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = _new_loop()
                thread = threading.Thread(target=_run, args=(loop, self._closers), name="qfmagic", daemon=True)
                thread.start()
                self._finalizer = weakref.finalize(self, _stop, loop, thread)
                self._loop = loop
            return self._loop


def _new_loop() -> asyncio.AbstractEventLoop:
    """A loop of asyncio itself: the policy's may be another library's, which lacks arguments (uvloop) or nests."""
    kind = getattr(asyncio, "ProactorEventLoop", asyncio.SelectorEventLoop)
    loop: asyncio.AbstractEventLoop = kind()
    return loop


def _run(loop: asyncio.AbstractEventLoop, closers: "list[Closer]") -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        while closers:
            loop.run_until_complete(closers.pop()())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(timeout=5)


def _after_fork() -> None:
    for loop in list(_all):
        loop.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
