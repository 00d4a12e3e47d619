"""The order of the notebook's cells, from its file, where the front end names the file."""

from collections.abc import Mapping
from pathlib import Path

from ...core.safe_json import read_json

MAX_NOTEBOOK_BYTES = 32 * 1024 * 1024  # bytes; a larger file takes longer to read than its order is worth


def notebook_path(environ: Mapping[str, str]) -> Path | None:
    """The notebook's file, as JupyterLab names it to its kernel; None elsewhere."""
    name = environ.get("JPY_SESSION_NAME", "")
    return Path(name) if name.endswith(".ipynb") else None


class CellOrder:
    """
    Reads the cells' order when it is asked for and the file has changed.

    The file may be older than what the user sees; it says where a cell belongs that the conversation doesn't know
    yet, and a cell that isn't in it goes to the end.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read_at: int | None = None
        self._order: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        """The cells' ids in order; nothing where it can't be told."""
        if self._path is None:
            return ()
        try:
            state = self._path.stat()
            if state.st_size <= MAX_NOTEBOOK_BYTES and state.st_mtime_ns != self._read_at:
                cells = read_json(self._path.read_bytes())["cells"]
                self._order = tuple(cell["id"] for cell in cells if "id" in cell)
                self._read_at = state.st_mtime_ns
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        return self._order
