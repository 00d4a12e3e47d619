"""The commands of ``%qf``: each reads its words, does one thing to the session, and returns what to show."""

from collections.abc import Callable, Mapping

from ..core.errors import OptionError
from ..core.models import did_you_mean, suggest
from . import auth_commands, cassette_commands, chat_commands, usage_commands
from .arguments import check_no_key
from .doctor import doctor
from .help_commands import show_help
from .helptable import help_table
from .model_commands import show_models
from .session import Session
from .settings_commands import set_settings, show_settings, unset_settings
from .tables import Said

Command = Callable[[Session, str], Said]


def run(session: Session, line: str, commands: Mapping[str, Command]) -> Said:
    """
    Run a command line of ``%qf``; *commands* are those there are, by name.

    Raises:
        OptionError: There is no such command, or its words are wrong.
        InputError: As the command says.
    """
    name, _, rest = line.strip().partition(" ")
    command = commands.get(name or "help")
    if command is None:
        check_no_key(name)
        if name in help_table().cell_commands:
            raise OptionError("command.cell_only", name=name)
        hint = did_you_mean(suggest(name, commands))
        raise OptionError("command.unknown", name=name, suggestions=hint)
    return command(session, rest.strip())


COMMANDS: Mapping[str, Command] = {
    "models": show_models,
    **chat_commands.COMMANDS,
    "set": set_settings,
    "unset": unset_settings,
    "settings": show_settings,
    "transport": cassette_commands.transport,
    "cassette": cassette_commands.run,
    "auth": auth_commands.run,
    "usage": usage_commands.usage,
    "doctor": doctor,
    "help": show_help,
}
