"""Commands and their rows in the help belong together."""

from qfmagic.audit.cell_calls import editing_commands
from qfmagic.notebook.ask import retry
from qfmagic.notebook.engine import CELL_COMMANDS, line_commands
from qfmagic.notebook.parsing.option_table import help_table


def test_each_command_has_a_row_and_each_row_a_function():
    assert sorted(help_table().commands) == sorted([*line_commands(), *retry.COMMANDS])


def test_each_cell_command_has_a_row_and_each_row_a_function():
    assert sorted(help_table().cell_commands) == sorted(CELL_COMMANDS)


def test_editing_commands_are_commands():
    assert {"drop", "restore"} < editing_commands() < set(line_commands())
