"""The commands of ``%qf``: each reads its words, does one thing to the session, and returns what to show."""

from collections.abc import Callable, Mapping

from ...core.errors import OptionError
from ...core.models import did_you_mean, suggest
from ..output.tables import Rendered
from ..parsing.key_guard import check_no_key
from ..parsing.option_table import help_table
from ..parsing.scanner import first_word
from ..session.session import Session
from . import auth, cassette, conversation, usage
from .doctor import doctor
from .help import show_help
from .models import show_models
from .settings import set_settings, show_settings, unset_settings

Command = Callable[[Session, str], Rendered]


def run(session: Session, line: str, commands: Mapping[str, Command]) -> Rendered:
    """
    Run a command line of ``%qf``; *commands* are those there are, by name.

    Raises:
        OptionError: There is no such command, or its words are wrong.
        InputError: As the command says.
    """
    name, rest = first_word(line)
    command = commands.get(name or "help")
    if command is None:
        check_no_key(name)
        if name in help_table().cell_commands:
            raise OptionError("command.cell_only", name=name)
        hint = did_you_mean(suggest(name, commands))
        raise OptionError("command.unknown", name=name, suggestions=hint)
    return command(session, rest)


COMMANDS: Mapping[str, Command] = {
    "models": show_models,
    **conversation.COMMANDS,
    "set": set_settings,
    "unset": unset_settings,
    "settings": show_settings,
    "transport": cassette.transport,
    "cassette": cassette.run,
    "auth": auth.run,
    "usage": usage.usage,
    "doctor": doctor,
    "help": show_help,
}
