"""Reading a network stream in the portions the network brings it in."""

import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any


async def read_portions(chunks: AsyncIterator[bytes], take_in: Callable[[bytes], None]) -> None:
    """
    Read *chunks* to their end, and hand on what has come whenever nothing more is there to read.

    An HTTP stack hands on each piece of a chunked body by itself, also when the network brought hundreds in one
    packet; taking them in one by one costs more than all the rest of the work on them. Nothing waits: what has come is
    handed on before the reader does. What *take_in* raises ends the reading and is raised here.
    """
    pending: list[bytes] = []

    async def read() -> None:
        async for chunk in chunks:
            pending.append(chunk)  # noqa: PERF401 - flushed in between

    def flush() -> None:
        if pending:
            portion = b"".join(pending)
            pending.clear()
            take_in(portion)

    try:
        await _before_waiting(read(), flush)
    except Exception:
        flush()  # what came before a connection broke came all the same, be it in the same packet
        raise
    flush()


@types.coroutine
def _before_waiting(work: Coroutine[Any, Any, None], flush: Callable[[], None]) -> Generator[Any, Any, None]:
    """Await *work*, and call *flush* each time it is about to wait; what that raises is thrown into the work."""
    step: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        try:
            waiting = step(value)
        except StopIteration:
            return
        try:
            flush()
            value = yield waiting
            step = work.send
        except BaseException as error:  # noqa: BLE001 - cancellation too belongs to the work
            step, value = work.throw, error
