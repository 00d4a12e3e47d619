"""Rows of an iterator in their order, whatever order they are done in."""

from collections.abc import Iterator
from typing import Any

from ..core.errors import OptionError
from .job import Job
from .row import Done
from .table import DataRow, with_results

MAX_WAITING_ROWS = 1_000  # rows that may wait for one before them


class InOrder:
    """
    Rows in their order, whatever order they are done in.

    Args:
        job: The job; its table's rows are read through :meth:`rows`.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._items: dict[int, Any] = {}
        self._done: dict[int, Done] = {}
        self._next = 0

    def rows(self) -> Iterator[DataRow]:
        """The rows; each is remembered until it leaves."""
        for number, row in enumerate(self._job.rows()):
            taken = next((name for name in self._job.names if name in row.columns), None)
            if taken is not None:  # of the first row that was known before
                raise OptionError("map.column_taken", column=taken)
            self._items[number] = row.item
            yield row

    def room(self) -> bool:
        """Whether another row may begin, though one before it isn't done."""
        return len(self._done) < MAX_WAITING_ROWS

    def take(self, done: Done) -> None:
        """Take a row in."""
        self._done[done.number] = done

    def ready(self) -> Iterator[dict[str, Any]]:
        """Yield the rows whose turn it is now."""
        while self._next in self._done:
            yield self._leave()

    def rest(self) -> Iterator[dict[str, Any]]:
        """What is left when it ended before its time: every row that was read, as far as it came."""
        while self._next in self._items:
            yield self._leave()

    def _leave(self) -> dict[str, Any]:
        number = self._next
        self._next += 1
        return with_results(self._items.pop(number), self._job.cells(self._done.pop(number, None)))
