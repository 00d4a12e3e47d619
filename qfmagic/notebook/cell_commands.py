"""The commands of ``%qf`` that take a cell: ``%%qf COMMAND ...`` with a template below."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.catalogue import Text
from ..core.errors import OptionError
from ..core.models import suggest
from .arguments import check_no_key
from .helptable import help_table

if TYPE_CHECKING:
    from .engine import Engine

CellCommand = Callable[["Engine", str, str], Any]


def _map(engine: "Engine", line: str, body: str) -> Any:
    from .mapping import map_cell  # noqa: PLC0415 - only who maps

    return map_cell(engine, line, body)


def _compare(engine: "Engine", line: str, body: str) -> Any:
    from .compare_cell import compare_cell  # noqa: PLC0415 - only who compares

    return compare_cell(engine, line, body)


# Each is given the engine, the rest of its line, and the cell's body as it stands.
CELL_COMMANDS: Mapping[str, CellCommand] = {"map": _map, "compare": _compare}


def run_cell(engine: "Engine", line: str, body: str) -> Any:
    """
    Run ``%%qf COMMAND ...``.

    Raises:
        OptionError: There is no such command, or it takes no cell.
        QianfanError: As the command says.
    """
    name, _, rest = line.strip().partition(" ")
    command = CELL_COMMANDS.get(name)
    if command is not None:
        return command(engine, rest.strip(), body)
    check_no_key(name)
    if name in help_table().commands:
        raise OptionError("command.no_cell", name=name, allowed=[f"%%qf {known}" for known in CELL_COMMANDS])
    close = suggest(name, CELL_COMMANDS)
    hint = Text("option.did_you_mean", {"names": close}) if close else ""
    raise OptionError("command.unknown_cell", suggestions=hint, allowed=[f"%%qf {known}" for known in CELL_COMMANDS])
