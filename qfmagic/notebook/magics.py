"""
The magics: what IPython sees. The work is done by the engine, which is imported with the first call.

``%load_ext`` is in the first cell of every notebook; this module imports only what IPython has loaded anyway.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Bool, Float, HasTraits, Int, TraitType, Unicode

from ..core.catalogue import read_table

if TYPE_CHECKING:
    from ..core.answer import Answer
    from .engine import Engine

_TRAITS: dict[str, Callable[..., TraitType[Any, Any]]] = {"bool": Bool, "float": Float, "int": Int, "string": Unicode}


def _traits() -> dict[str, TraitType[Any, Any]]:
    """The settings as traits, for ``%config`` and ``ipython_config.py``."""
    table = read_table("help.toml")
    rows = [row for row in table["option"] if row.get("set")] + table["parameter"] + table["setting"]
    return {
        row["name"]: _TRAITS[row["kind"]](None, allow_none=True, help=row["en"]).tag(config=True)
        for row in rows
        if row["kind"] in _TRAITS
    }


# Made from the table, so that a setting can't be missing here or differ in its help.
_metaclass: Any = type(HasTraits)
_Traits: Any = _metaclass("QianfanTraits", (HasTraits,), _traits())


@magics_class
class QianfanMagics(Magics, _Traits):  # type: ignore[misc]  # the base is made above
    """``%qianfan``, ``%%qianfan`` and ``%qf``."""

    def __init__(self, shell: InteractiveShell, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(shell)
        self._shell = shell
        self._environ = os.environ if environ is None else environ
        self._engine: Engine | None = None

    @property
    def engine(self) -> "Engine":
        """What does the work."""
        if self._engine is None:
            from .engine import Engine  # noqa: PLC0415 - see above

            self._engine = Engine(self._shell, self._environ, self._configured)
        return self._engine

    def _configured(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.trait_names(config=True)}

    @no_var_expand
    @line_cell_magic
    def qianfan(self, line: str, cell: str | None = None) -> "Answer | None":
        """Ask a Qianfan model. ``%qf help`` shows the options."""
        return self.engine.ask(line, cell)

    @no_var_expand
    @line_magic
    def qf(self, line: str) -> None:
        """Steer qfmagic: ``%qf COMMAND``. ``%qf help`` shows the commands."""
        self.engine.steer(line)

    def close(self) -> None:
        """Close what is open."""
        if self._engine is not None:
            self._engine.close()


def _with_body(lines: list[str]) -> list[str]:
    """
    Give a ``%%qianfan`` cell without a body an empty one.

    IPython refuses it otherwise, with a UsageError that nbval, papermill and Run All pass over; ours they don't.
    """
    if lines and lines[0].startswith("%%qianfan") and not "".join(lines[1:]).strip():
        return [lines[0] if lines[0].endswith("\n") else f"{lines[0]}\n", "\n"]
    return lines


_LOADED: WeakKeyDictionary[InteractiveShell, QianfanMagics] = WeakKeyDictionary()


def load(shell: InteractiveShell) -> None:
    """Register the magics."""
    magics = QianfanMagics(shell)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.append(_with_body)
    _LOADED[shell] = magics


def unload(shell: InteractiveShell) -> None:
    """Take out what :func:`load` put in, and close what is open."""
    magics = _LOADED.pop(shell, None)
    if magics is None:
        return
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.input_transformers_cleanup.remove(_with_body)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    magics.close()
