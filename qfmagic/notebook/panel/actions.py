"""What a click does: the command line a user would have written, run as that."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...core.errors import OptionError, QianfanError
from ..commands import auth, registry
from ..session.keys import FIELDS, read_kind
from ..session.session import Session
from . import command_lines

Message = Mapping[str, Any]


class ActionOutcome(NamedTuple):
    """
    What an action did.

    Attributes:
        line: The cell that does the same.
        said: What the command said.
        error: What went wrong, in the user's language.
        fields: The settings it was about, to be marked if they are wrong.
    """

    line: str = ""
    said: str = ""
    error: str = ""
    fields: tuple[str, ...] = ()


def act(session: Session, message: Message) -> ActionOutcome:
    """Do what a page asks for. Never raises: what goes wrong is in the outcome, and repeats no key."""
    command = ""
    fields: tuple[str, ...] = ()
    try:
        if message.get("do") == "key":
            return _take_key(session, message)
        fields = tuple(map(str, message.get("values") or message.get("names") or ()))
        command = command_of(message)
        said = registry.run(session, command, registry.COMMANDS).plain
    except QianfanError as error:
        return ActionOutcome(command_lines.magic(command) if command else "", "", error.message(session.lang), fields)
    except OSError as error:
        return ActionOutcome(
            command_lines.magic(command), "", f"{error.strerror or type(error).__name__}: {error.filename}", fields
        )
    except Exception as error:  # noqa: BLE001 - the panel shows its own errors, and a page's message may hold a key
        return ActionOutcome("", "", type(error).__name__, fields)
    return ActionOutcome(command_lines.magic(command), said)


def _take_key(session: Session, message: Message) -> ActionOutcome:
    kind = read_kind(str(message.get("kind")))
    line = command_lines.magic(f"auth {kind}")
    fields = FIELDS[kind]
    try:
        values = message.get("values")
        said = auth.give(session, kind, dict(values) if isinstance(values, Mapping) else {}, "panel")
    except QianfanError as error:
        return ActionOutcome(line, "", error.message(session.lang), fields)
    return ActionOutcome(line, said.plain)


def command_of(message: Message) -> str:
    """
    The command of ``%qf`` that does what a page asks for.

    Raises:
        OptionError: It asks for nothing that is known.
    """
    make = _COMMANDS.get(str(message.get("do")))
    if make is None:
        raise OptionError("command.panel", name=str(message.get("do")))
    return make(message)


def _set(message: Message) -> str:
    return " ".join(["set", *(command_lines.pair(str(name), str(value)) for name, value in message["values"].items())])


def _unset(message: Message) -> str:
    return " ".join(["unset", *(command_lines.word(str(name)) for name in message["names"])])


def _words(*names: str) -> Callable[[Message], str]:
    """A command and, of the message, those of its words that are there."""

    def make(message: Message) -> str:
        given = [str(message[name]) for name in names if message.get(name) is not None]
        return " ".join([str(message["do"]), *map(command_lines.word, given)])

    return make


def _auth(action: str) -> Callable[[Message], str]:
    return lambda message: f"auth {action} {command_lines.word(str(message['kind']))}"


_COMMANDS: dict[str, Callable[[Message], str]] = {
    "set": _set,
    "unset": _unset,
    "transport": _words("mode"),
    "undo": _words(),
    "drop": _words("turn"),
    "restore": _words("turn"),
    "fork": _words("name", "turn"),
    "switch": _words("name"),
    "reset": _words(),
    "export": _words("path"),
    "forget": _auth("forget"),
    "check": _auth("check"),
}
