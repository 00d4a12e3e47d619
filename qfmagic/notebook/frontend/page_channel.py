"""
What the page reports: the order of its cells, by our extension of JupyterLab (js/src/lab_plugin.js).

With each cell of ours that is queued, the page opens a comm whose data is that cell and the page's cells. It arrives
before the cell's own request where the page sends that too (one socket, one channel), and close to it where the server
executes; Run All may send all reports before the second cell runs. So a report is matched by cell and text, never by
being the last one. Between runs the page reports changes of its cells in the same way, without a cell.

``%load_ext`` imports this module: it imports nothing that is slow.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from IPython.core.interactiveshell import InteractiveShell

if TYPE_CHECKING:
    from ...core.page_order import PageOrder

TARGET = "qfmagic"
MAX_REPORTS = 2000  # reports of cells that have not run yet; more than a page queues


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
    page: "PageOrder"


class PageChannel:
    """Receives the reports of a kernel's pages."""

    def __init__(self) -> None:
        self.newest: PageOrder | None = None
        self._waiting: dict[str, CellReport] = {}
        self._comm: Any = None

    def receive(self, comm: Any, message: Mapping[str, Any]) -> None:
        """Take a report; ipykernel calls this for each comm the page opens."""
        # The newest comm stays registered: so a page that is loaded again can see that qfmagic is loaded here.
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
        """Remove and return the report about the running cell: the oldest with its text, and its ID if it has one."""
        for name, report in self._waiting.items():
            if cell in (None, report.cell) and text is not None and report.page.texts.get(name) == text:
                return self._waiting.pop(name)
        return None

    def forget_queued(self) -> None:
        """Forget the reports of queued cells: after a cell that failed, they don't run."""
        self._waiting.clear()


def _page_of(data: Any) -> "PageOrder | None":
    """The order in a report; None for a malformed report or an empty list, which says nothing about a notebook."""
    if not isinstance(data, Mapping):
        return None
    cells, texts = data.get("cells"), data.get("texts")
    if not (isinstance(cells, list) and isinstance(texts, list) and cells and len(cells) == len(texts)):
        return None
    if not (_strings(cells) and _strings([text for text in texts if text is not None])):
        return None
    from ...core.page_order import PageOrder  # noqa: PLC0415 - the first report comes with the first cell of ours

    return PageOrder.of(zip(cells, texts, strict=True))


def _strings(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


_CHANNELS: WeakKeyDictionary[InteractiveShell, PageChannel] = WeakKeyDictionary()


def channel_of(shell: InteractiveShell) -> PageChannel:
    """The channel of a shell; a reload of the extension keeps it."""
    return _CHANNELS.setdefault(shell, PageChannel())


def listen(shell: InteractiveShell) -> None:
    """Receive the reports of this kernel's pages; a shell without a kernel has no pages."""
    manager = _manager(shell)
    if manager is not None:
        manager.register_target(TARGET, channel_of(shell).receive)


def stop_listening(shell: InteractiveShell) -> None:
    """Receive no more reports."""
    manager = _manager(shell)
    if manager is not None and TARGET in manager.targets:
        manager.unregister_target(TARGET, channel_of(shell).receive)


def _manager(shell: InteractiveShell) -> Any:
    return getattr(getattr(shell, "kernel", None), "comm_manager", None)
