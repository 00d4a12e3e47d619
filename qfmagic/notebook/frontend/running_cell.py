"""The running cell, from the metadata of its request and the report of its page."""

from collections.abc import Mapping
from typing import Any

from ...core.page_order import PageOrder
from ..conversation.cell_order import RunningCell, text_of
from .metadata import CellMetadata
from .page_channel import PageChannel


class CellReader:
    """
    Combines the metadata of a request with the report of the page.

    Args:
        channel: The reports of the page.
    """

    def __init__(self, channel: PageChannel) -> None:
        self._channel = channel
        self._request: object = None
        self._cell: str | None = None
        self._page: PageOrder | None = None

    def read(self, request: Mapping[str, Any], source: str | None) -> RunningCell:
        """
        Return the cell that an execute request runs; a cell may run others within the same request.

        Args:
            request: The request, with its header and metadata.
            source: The cell's text.
        """
        metadata = request.get("metadata")
        named = CellMetadata.of(metadata if isinstance(metadata, Mapping) else {})
        text = None if source is None else text_of(source)
        name = request.get("header", {}).get("msg_id")
        if name is None or name != self._request:
            self._request = name
            self._cell, self._page = self._matched(named, text)
        return RunningCell(self._cell, text, named.deleted, self._page, named.outside, named.lab)

    def _matched(self, named: CellMetadata, text: str | None) -> tuple[str | None, PageOrder | None]:
        report = None if named.outside else self._channel.take(named.id, text)
        newest = self._channel.newest
        if report is not None:
            return report.name, report.page
        if newest is None or named.outside:
            return named.id, None
        if named.id is None:
            return _only(newest, text), newest
        # A cell of ours is reported before it runs: without a report, the page no longer reports.
        return named.id, newest if text is None else None


def _only(page: PageOrder, text: str | None) -> str | None:
    """The one cell of a page with that text."""
    cells = [cell for cell, one in page.texts.items() if one == text]
    return cells[0] if len(cells) == 1 else None
