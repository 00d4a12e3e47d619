"""The running cell, and the order of the notebook's cells as saved in its file, where that is known."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...core.page_order import PageOrder, fingerprint
from ...core.safe_json import read_json

NOTEBOOK = "JPY_SESSION_NAME"
MAX_NOTEBOOK_BYTES = 32 * 1024 * 1024  # bytes; a larger file takes longer to read than its order is worth
# A text with a magic of ours in one of its lines. The page's script has the same rule (js/src/lab_order.js).
_OURS = re.compile(r"(?:^|\n)(?:[\w., \t]+=)?[ \t]*%%?(?:qianfan|qf)(?![\w.])", re.ASCII)


def text_of(source: str) -> str | None:
    """The fingerprint of a cell's text; None for a cell without a magic of ours."""
    return fingerprint(source) if _OURS.search(source) else None


def notebook_path(environ: Mapping[str, str]) -> Path | None:
    """The notebook's file, as JupyterLab names it to its kernel; None elsewhere."""
    name = environ.get(NOTEBOOK, "")
    return Path(name) if name.endswith(".ipynb") else None


class RunningCell(NamedTuple):
    """
    What the front end says about the cell that runs.

    Attributes:
        id: Its ID; None where the front end names none.
        text: The fingerprint of its text.
        deleted: The IDs of the cells deleted since the last run.
        page: The page's order, as the page reported it for this run; None without a report.
        outside: Whether it is not a cell of the page, but of a console on the same kernel.
        lab: Whether the page is JupyterLab or Notebook 7, which can report its order.
    """

    id: str | None = None
    text: str | None = None
    deleted: Collection[str] = ()
    page: PageOrder | None = None
    outside: bool = False
    lab: bool = False


class SavedPage(NamedTuple):
    """
    The page as it was saved.

    Attributes:
        cells: The code cells' IDs and the fingerprints of their texts, in order.
        at: When it was saved, in seconds since 1970.
    """

    cells: tuple[tuple[str, str | None], ...]
    at: float

    def has_ids(self, texts: Mapping[str, str | None]) -> bool:
        """Whether the front end names cells by the IDs in the file; *texts* are by its names."""
        return not texts or any(cell in texts for cell, _ in self.cells)

    def order(self, texts: Mapping[str, str | None]) -> PageOrder:
        """
        The order of these cells, by the names a kernel has for them.

        Args:
            texts: The cells the kernel knows, with the fingerprint of what each last ran. Where the front end doesn't
                name cells by the IDs in the file (VS Code), a cell is found by its text, if that occurs once.
        """
        if self.has_ids(texts):
            return PageOrder.of(self.cells)
        names = _by_value((text, name) for name, text in texts.items())
        once = _by_value((text, text) for _, text in self.cells)
        return PageOrder.of(
            (name, text) for cell, text in self.cells if (name := names.get(text or "")) is not None and text in once
        )


def _by_value(pairs: Any) -> dict[str, str]:
    """The second of each pair by the first, where the first occurs once."""
    found: dict[str | None, str | None] = {None: None}
    for key, value in pairs:
        found[key] = None if key in found else value
    return {key: value for key, value in found.items() if key is not None and value is not None}


class CellOrder:
    """
    Reads the saved page when it is asked for and the file has changed.

    The file may be older than what the user sees; it says where a cell belongs that the conversation doesn't know
    yet, and a cell that isn't in it goes to the end.

    Args:
        path: Where the notebook is saved, asked at each use; None for a notebook without a known file.
    """

    def __init__(self, path: Callable[[], Path | None]) -> None:
        self._path = path
        self._read: tuple[Path, int] | None = None
        self._saved: SavedPage | None = None

    def __call__(self) -> SavedPage | None:
        """The saved page; None where the file is unknown, unreadable or too large."""
        path = self._path()
        if path is None:
            return None
        try:
            state = path.stat()
            if state.st_size <= MAX_NOTEBOOK_BYTES and (path, state.st_mtime_ns) != self._read:
                cells = read_json(path.read_bytes())["cells"]
                self._saved = SavedPage(tuple(_code_cells(cells)), state.st_mtime)
                self._read = path, state.st_mtime_ns
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return self._saved


def _code_cells(cells: Any) -> Any:
    """The ID and the text of each code cell; before nbformat 4.5 cells have none, and front ends make up their own."""
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            source = cell.get("source", "")
            yield str(cell.get("id", f"cell {number}")), text_of(source if isinstance(source, str) else "".join(source))
