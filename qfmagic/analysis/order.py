"""Rows of an iterator in their order, whatever order they are done in."""

from collections.abc import Iterator
from typing import Any

from .batch import Job
from .steps import Done
from .table import Row, with_results

WINDOW = 1_000  # rows that may wait for one before them


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

    def rows(self) -> Iterator[Row]:
        """The rows; each is remembered until it leaves."""
        for number, row in enumerate(self._job.rows()):
            self._items[number] = row.item
            yield row

    def room(self) -> bool:
        """Whether another row may begin, though one before it isn't done."""
        return len(self._done) < WINDOW

    def put(self, done: Done) -> Iterator[dict[str, Any]]:
        """Take a row in; yield those whose turn it is now."""
        self._done[done.number] = done
        while (first := self._done.pop(self._next, None)) is not None:
            yield with_results(self._items.pop(self._next), self._job.cells(first))
            self._next += 1
