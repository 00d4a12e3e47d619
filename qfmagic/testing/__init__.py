"""
What tests and demonstrations use: a notebook in a test, the stub over HTTP, scripted transports, a player of notebooks.

:class:`NotebookHarness` runs cells in a test's own process. The modules are imported when they are first asked for: the
pytest plugin is loaded with every test run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .harness import CellResult, NotebookHarness, Output

_HOMES = {"CellResult": "harness", "NotebookHarness": "harness", "Output": "harness"}

__all__ = ["CellResult", "NotebookHarness", "Output"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
