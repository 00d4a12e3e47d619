"""One call for many who want the same."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from copy import copy
from typing import Any, Generic, TypeVar

from ...core.errors import QianfanError

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """
    Whoever asks for what is being fetched waits for that, and gets its result or its error.

    The fetch is nobody's own: it goes on when who asked first is cancelled, and ends when the last one is.
    """

    def __init__(self) -> None:
        self._flying: dict[Hashable, tuple[asyncio.Task[T], list[object]]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Fetch, or wait for the fetch of *key* that is under way."""
        if key not in self._flying:
            self._flying[key] = asyncio.ensure_future(fetch()), []
        task, waiting = self._flying[key]
        me = object()
        waiting.append(me)
        try:
            # Waited for without owning it.
            return await asyncio.shield(task)
        except QianfanError as error:
            raise copy(error) from error.__cause__  # each asker puts what it knows on its own
        finally:
            waiting.remove(me)
            if task.done() or not waiting:
                if self._flying.get(key, (None,))[0] is task:
                    del self._flying[key]
                task.cancel()
