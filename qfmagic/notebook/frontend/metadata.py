"""The metadata of execute requests: each front end's names for the running cell and its notebook."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

# VS Code names a cell by the notebook's address: vscode-notebook-cell:/home/me/talk.ipynb#W1sZmlsZQ
_VSCODE = "vscode-notebook-cell"
_VSCODE_NOTEBOOK = "__vsc_ipynb_file__"  # its variable in a local kernel


class CellMetadata(NamedTuple):
    """
    The running cell, as a front end names it.

    Attributes:
        id: Its ID; None where there is none: headless runs, consoles in a terminal, server-side execution.
        deleted: The IDs of the cells deleted since the last run (JupyterLab, Notebook 7).
        outside: Whether it is a cell of JupyterLab's console, which sends an ID and nothing else, not of a page.
        lab: Whether the page is JupyterLab or Notebook 7, which can report its order.
    """

    id: str | None = None
    deleted: tuple[str, ...] = ()
    outside: bool = False
    lab: bool = False

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "CellMetadata":
        """Read the metadata of an execute request."""
        colab = metadata.get("colab")
        if isinstance(colab, Mapping) and isinstance(colab.get("cell_id"), str):
            return cls(colab["cell_id"])
        cell, deleted = metadata.get("cellId"), metadata.get("deletedCells")
        if not isinstance(cell, str):
            return cls()
        if not isinstance(deleted, list):
            return cls(cell, outside=not urlsplit(cell).scheme)
        return cls(cell, tuple(one for one in deleted if isinstance(one, str)), lab=True)


def notebook_of(namespace: Mapping[str, Any], metadata: Mapping[str, Any]) -> Path | None:
    """The notebook's file, as VS Code names it: in a variable, or in the cell's address; None elsewhere."""
    named = namespace.get(_VSCODE_NOTEBOOK)
    if isinstance(named, str) and named.endswith(".ipynb"):
        return Path(named)
    cell = CellMetadata.of(metadata).id or ""
    if not cell.startswith(f"{_VSCODE}:"):
        return None
    path = unquote(urlsplit(cell).path)
    if path[2:3] == ":":  # /c:/Users
        path = path[1:]
    # The address may be that of another machine than the kernel's.
    return Path(path) if path.endswith(".ipynb") and Path(path).is_file() else None
