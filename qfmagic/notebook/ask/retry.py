"""``%qf retry`` and ``%qf continue``: a turn asked again, or asked to go on."""

from collections.abc import Callable, Mapping
from typing import Any

from ...core.conversation import Turn
from ...core.errors import OptionError
from ...core.i18n import text
from ..conversation.conversations import TurnSlot
from ..conversation.export import options_of
from ..parsing.line import parse_pairs
from ..parsing.option_table import help_table
from ..session.session import Session
from .question import Question, prepare, prepare_to_go_on

# What concerns the line alone, or the turn's place.
_NOT_HERE = ("chat", "into", "expect", "schema", "repairs")


def retry(session: Session, words: str) -> tuple[Question, Mapping[str, Any]]:
    """
    Ask a turn again as it was asked, but for the options on the line; its answer is replaced.

    Raises:
        OptionError: There is no such turn.
        InputError: It can't be asked like that.
    """
    number, options = _read(words, "retry")
    slot, turn = _slot(session, number, _asked, "command.nothing_asked")
    given = {**_options(turn), **options}
    return prepare(session, turn.prompt, given, frozenset({"new"}) if turn.fresh else frozenset(), slot), given


def go_on(session: Session, words: str) -> tuple[Question, Mapping[str, Any]]:
    """
    Ask for the rest of an answer that was cut or interrupted; the turn then holds the whole.

    Raises:
        OptionError: There is no such turn, or nothing to go on with.
        InputError: As for :func:`retry`.
    """
    number, options = _read(words, "continue")
    slot, turn = _slot(session, number, _unfinished, "command.nothing_unfinished")
    if not _unfinished(turn):
        raise OptionError("command.nothing_to_go_on", number=slot.at + 1)
    given = {**_options(turn), **options}
    return prepare_to_go_on(session, slot, given, text("ask.go_on", session.lang)), given


COMMANDS: Mapping[str, Callable[[Session, str], tuple[Question, Mapping[str, Any]]]] = {
    "retry": retry,
    "continue": go_on,
}


def _read(words: str, command: str) -> tuple[int | None, dict[str, Any]]:
    first, _, rest = words.strip().partition(" ")
    number = int(first) if first.isascii() and first.isdigit() else None
    rows = {name: row for name, row in help_table().on_line.items() if name not in _NOT_HERE and row.kind != "flag"}
    usage = f"%qf {command} [TURN] [key=value ...]"
    options = parse_pairs(words if number is None else rest, rows, usage)
    if "," in options.get("model", ""):
        raise OptionError("option.several_models", value=options["model"])
    return number, options


def _slot(session: Session, number: int | None, fits: Callable[[Turn], bool], none: str) -> tuple[TurnSlot, Turn]:
    """The turn of that number; without one, the last that fits; *none* is what is said where none does."""
    conversation = session.chats.get(session.chat)
    turns = conversation.turns
    if number is None:
        number = next((n for n in range(len(turns), 0, -1) if fits(turns[n - 1])), None)
    if number is None:
        raise OptionError(none, name=conversation.name)
    if not 1 <= number <= len(turns):
        raise OptionError("command.no_turn", word=number, name=conversation.name, count=len(turns))
    turn = turns[number - 1]
    return TurnSlot(conversation.name, turn.cell, turn.place, number - 1, over=True), turn


def _asked(turn: Turn) -> bool:
    return turn.removed is None and bool(turn.prompt)


def _unfinished(turn: Turn) -> bool:
    cut = turn.state == "interrupted" or turn.answer.truncated
    return turn.removed is None and cut and bool(turn.answer.text.strip())


def _options(turn: Turn) -> dict[str, Any]:
    return options_of(turn) if turn.answer.model else {}
