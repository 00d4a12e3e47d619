"""The cells a kernel knows: those of each page, as last reported or saved, and those of consoles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...core.page_order import PageOrder
from .cell_order import RunningCell, SavedPage


@dataclass(frozen=True, slots=True)
class Documents:
    """
    The cells of all pages of a kernel.

    Attributes:
        pages: The cells of each page, as last shown; pages that share a cell are one.
        loose: Cells of this notebook whose page isn't known yet.
        consoles: Cells of consoles.
        elsewhere: The cells of the pages other than the one that was shown last.
        texts: The fingerprint of the text a cell last ran.
        ran: When a cell last ran.
        deleted: When a cell was reported as deleted.
    """

    pages: tuple[frozenset[str], ...] = ()
    loose: frozenset[str] = frozenset()
    consoles: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    texts: Mapping[str, str | None] = field(default_factory=dict)
    ran: Mapping[str, float] = field(default_factory=dict)
    deleted: Mapping[str, float] = field(default_factory=dict)

    @property
    def outside(self) -> frozenset[str]:
        """The cells that are not on the page."""
        return self.consoles | self.elsewhere

    def begin(self, running: RunningCell, now: float) -> "Documents":
        """Return the documents with a cell that is about to run."""
        cell = running.id
        if cell is None:
            return self
        if running.outside:
            return replace(self, consoles=self.consoles | {cell})
        known = any(cell in page for page in self.pages)
        deleted = {**self.deleted, **dict.fromkeys(running.deleted, now)}
        deleted.pop(cell, None)
        return replace(
            self,
            loose=self.loose if known else self.loose | {cell},
            texts={**self.texts, cell: running.text},
            ran={**self.ran, cell: now},
            deleted=deleted,
        )

    def with_loose(self, cells: Iterable[str | None]) -> "Documents":
        """Return the documents with cells of this notebook that ran in an earlier kernel."""
        return replace(self, loose=self.loose | {cell for cell in cells if cell is not None})

    def saved(self, page: SavedPage | None, running: str) -> PageOrder | None:
        """The order of a saved page, without cells deleted since; None where it lacks the running cell."""
        if page is None:
            return None
        order = page.order(self.texts)
        later = {cell for cell, at in self.deleted.items() if at > page.at}
        if running not in order or not later:
            return order if running in order else None
        return PageOrder(tuple(cell for cell in order.cells if cell not in later), order.texts)

    def saved_since(self, page: SavedPage) -> float:
        """The time after which a run cell may be missing from a saved page; without IDs, any cell may be."""
        return page.at if page.has_ids(self.texts) else float("-inf")

    def show(self, page: PageOrder, saved_at: float | None = None) -> tuple["Documents", frozenset[str]]:
        """
        Return the documents with the cells a page has now, and the cells that are no longer on it.

        Args:
            page: The page.
            saved_at: Of a saved page, when it was saved: a cell that ran since may not have been saved yet.
        """
        cells = frozenset(page.cells)
        same = [one for one in self.pages if one & cells]
        others = [one for one in self.pages if not one & cells]
        before = self.loose.union(*same)
        unsaved = {cell for cell in before - cells if saved_at is not None and self.ran.get(cell, 0) > saved_at}
        found = replace(
            self,
            pages=(*others, cells),
            loose=frozenset(unsaved),
            elsewhere=frozenset[str]().union(*others),
        )
        return found, before - cells - unsaved
