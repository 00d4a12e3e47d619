"""
What the page reports: the order of its cells, by our extension of JupyterLab (js/src/lab.js).

With each cell of ours that is queued, the page opens a comm whose data is that cell and the page's cells. It comes
before the cell's own request where the page sends that too (one socket, one channel), and close to it where the server
executes; Run All may send all reports before the second cell runs. So a report is matched by cell and text, never by
being the last one. Between runs the page reports changes of its cells in the same way, without a cell.

``%load_ext`` imports this module: it imports nothing that is slow.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from IPython.core.interactiveshell import InteractiveShell

from ...core.page_order import PageOrder

TARGET = "qfmagic"
MAX_REPORTS = 2000  # that wait for their cells; more than a page queues


class CellReport(NamedTuple):
    """
    What the page reported about a cell that was queued.

    Attributes:
        cell: Its ID in the file.
        name: Its name here: another one where two cells have the same ID.
        page: The page's order at that moment.
    """

    cell: str
    name: str
    page: PageOrder


class PageChannel:
    """Receives the reports of a kernel's pages."""

    def __init__(self) -> None:
        self.newest: PageOrder | None = None
        self._waiting: dict[str, CellReport] = {}
        self._comm: Any = None

    def receive(self, comm: Any, message: Mapping[str, Any]) -> None:
        """Take a report; ipykernel calls this for each comm the page opens."""
        # The newest comm stays registered: so a page that is loaded again can see that somebody listens here.
        manager, self._comm, old = getattr(comm, "comm_manager", None), comm, self._comm
        if old is not None and manager is not None:
            manager.unregister_comm(old)
        data = message.get("content", {}).get("data", {})
        page = _page_of(data)
        if page is None:
            return
        self.newest = page
        at = data.get("at")
        if type(at) is int and 0 <= at < len(page.cells):
            name = page.cells[at]
            self._waiting.pop(name, None)
            self._waiting[name] = CellReport(data["cells"][at], name, page)
            if len(self._waiting) > MAX_REPORTS:
                del self._waiting[next(iter(self._waiting))]

    def take(self, cell: str | None, text: str | None) -> CellReport | None:
        """The report about the cell that runs: the oldest with its text, and its ID where it has one."""
        for name, report in self._waiting.items():
            if cell in (None, report.cell) and text is not None and report.page.texts.get(name) == text:
                return self._waiting.pop(name)
        return None

    def forget_queued(self) -> None:
        """A cell has failed: what was queued behind it doesn't run."""
        self._waiting.clear()


def _page_of(data: Any) -> PageOrder | None:
    """The order in a report; None where it has none: an empty list says nothing about a notebook."""
    if not isinstance(data, Mapping):
        return None
    cells, texts = data.get("cells"), data.get("texts")
    if not (isinstance(cells, list) and isinstance(texts, list) and cells and len(cells) == len(texts)):
        return None
    if not (_strings(cells) and _strings([text for text in texts if text is not None])):
        return None
    return PageOrder.of(zip(cells, texts, strict=True))


def _strings(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


_CHANNELS: WeakKeyDictionary[InteractiveShell, PageChannel] = WeakKeyDictionary()


def channel_of(shell: InteractiveShell) -> PageChannel:
    """The channel of a shell: the same through a reload of the extension."""
    return _CHANNELS.setdefault(shell, PageChannel())


def listen(shell: InteractiveShell) -> None:
    """Let the pages of this kernel report; a shell without a kernel has none."""
    manager = _manager(shell)
    if manager is not None:
        manager.register_target(TARGET, channel_of(shell).receive)


def stop_listening(shell: InteractiveShell) -> None:
    """The opposite."""
    manager = _manager(shell)
    if manager is not None and TARGET in manager.targets:
        manager.unregister_target(TARGET, channel_of(shell).receive)


def _manager(shell: InteractiveShell) -> Any:
    return getattr(getattr(shell, "kernel", None), "comm_manager", None)
