"""Completion on our lines and inside ``{{ }}``: what could stand at the cursor, from the tables and the session."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher, has_open_quotes
from IPython.core.guarded_eval import EvaluationContext, guarded_eval
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.dir2 import dir2

from ..core.errors import ModelError, OptionError
from ..core.models import registry
from ..core.models.params import EXTRA, Parameter
from .cell import CellContext
from .parsing.option_table import OptionRow, help_table
from .parsing.scanner import _KEY, _WORD, _skip_blanks, _value
from .session.session import Session

_MAGIC = re.compile(r"\s*(?:(?P<cell>%%qianfan|%%qf)|(?:[^=%#]+=\s*)?(?P<line>%qianfan|%qf))(?:\s(?P<rest>.*))?")
_DOTTED = re.compile(r"(?<![\w.)\]}'\"])((?:[^\W\d]\w*\.)*)([^\W\d]\w*)?$")
_PLAIN = re.compile(r"[^\s'\"\\{\[][^\s'\"\\]*")
# In a command's syntax: the words that may stand there as they are.
_CHOICE = re.compile(r"(?<=[ |\[])[a-z]+(?=[ |\]]|$)")


class CursorPlace(NamedTuple):
    """
    Where the cursor stands: in the first line of ``%%qianfan`` or ``%%qf``, its ``body``, ``%qianfan`` or ``%qf``; the
    text from the magic's name or the body's start to the cursor, the rest of the line, for a body the options above.
    """

    where: str
    before: str
    after: str
    head: str = ""


class Offer(NamedTuple):
    """What may take the place of *fragment*, the text just before the cursor."""

    fragment: str
    texts: list[str]
    kind: str = "param"


NOTHING = Offer("", [])


class _Line(NamedTuple):
    """A line read without complaint: its whole options and flags, the word it ends in, whether a text has begun."""

    options: Mapping[str, str]
    flags: Collection[str]
    word: str = ""
    prose: bool = False


def matcher(shell: InteractiveShell, get_cell: Callable[[], CellContext]) -> Any:
    """
    Make what ``shell.Completer.custom_matchers`` takes.

    Args:
        shell: The shell whose names stand in ``{{ }}``.
        get_cell: Gives what a cell's command needs; called only with the cursor in something of ours.
    """

    def complete(context: CompletionContext) -> Any:
        try:
            here = place(context.full_text, context.cursor_line, context.cursor_position)
            cell = get_cell() if here else None
            offer = candidates(here, cell.session, cell.namespace) if here and cell else NOTHING
        except Exception:  # noqa: BLE001 - a completer that raises fills the user's screen
            offer = NOTHING
        # Without Jedi IPython's own attributes begin with the dot, and the same ones are to be listed once.
        dot = "." if offer.kind == "property" and not shell.Completer.use_jedi else ""
        found = [SimpleCompletion(dot + text, type=offer.kind) for text in offer.texts]
        return {"completions": found, "matched_fragment": dot + offer.fragment, "suppress": False, "ordered": True}

    marked: Any = context_matcher(identifier="qfmagic")
    return marked(complete)


def place(code: str, row: int, column: int) -> CursorPlace | None:
    """Where a cursor stands; None if that is nothing of ours, or the prose of a question."""
    lines = code.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    head, here = _MAGIC.fullmatch(lines[first]), lines[row]
    if head and head["cell"] and row > first:
        before = "\n".join((*lines[first + 1 : row], here[:column]))
        return CursorPlace("body", before, "", head["rest"] or "") if _opening(before) >= 0 else None
    found = _MAGIC.fullmatch(here)
    if found is None or found["rest"] is None or column < found.start("rest") or (found["cell"] and row != first):
        return None
    return CursorPlace(found["cell"] or found["line"], here[found.start("rest") : column], here[column:])


def candidates(here: CursorPlace, session: Session, namespace: Mapping[str, Any]) -> Offer:
    """Say what could stand at the cursor."""
    if here.where == "%qf":
        return _command(here, session)
    if here.where == "%%qf" and _opening(here.before) < 0:
        return _cell_command(here, session, namespace)
    opening = _opening(here.before)
    if opening >= 0:
        options = here.head if here.where == "body" else here.before[:opening]
        return NOTHING if "raw" in _read(options + " ").flags else _expression(here.before[opening + 2 :], namespace)
    return _pairs(here, help_table().on_line, session)


def _opening(before: str) -> int:
    """Where the ``{{`` stands whose end is still to come, or -1."""
    opening = before.rfind("{{")
    return opening if "}}" not in before[opening:] else -1


# ---- options and their values


def _read(line: str) -> _Line:
    rows = help_table().on_line
    options: dict[str, str] = {}
    flags: set[str] = set()
    position = _skip_blanks(line, 0)
    while position < len(line):
        start, key, word = position, _KEY.match(line, position), _WORD.match(line, position)
        value = ""
        try:
            if key:
                value, position = _value(key[1], line, key.end())
            elif word:
                position = word.end()
        except OptionError:  # a quote is open
            position = len(line)
        if position == len(line):
            return _Line(options, flags, line[start:])
        if key:
            options[key[1]] = value
        elif line[start:position] in rows and rows[line[start:position]].kind == "flag":
            flags.add(line[start:position])
        else:
            return _Line(options, flags, prose=True)
        position = _skip_blanks(line, position)
    return _Line(options, flags)


def _pairs(here: CursorPlace, rows: Mapping[str, OptionRow], session: Session) -> Offer:
    """An option's name or a flag, or behind ``=`` its value."""
    before = _read(here.before)
    if before.prose:
        return NOTHING
    name, equals, value = before.word.partition("=")
    after = _read(re.sub(r"^\S+", "", here.after) + " ")
    given = {**after.options, **before.options}
    if equals:
        return _quoted(_values(rows[name], session, given), value, here.after) if name in rows else NOTHING
    rows = {name: row for name, row in _fitting(rows, session, given).items() if name not in given}
    texts = [name if row.kind == "flag" else f"{name}=" for name, row in rows.items()]
    used = {*before.flags, *after.flags}
    return Offer(before.word, [text for text in _starting(texts, before.word) if text not in used])


def _fitting(rows: Mapping[str, OptionRow], session: Session, given: Mapping[str, str]) -> dict[str, OptionRow]:
    """Those *rows* that are no parameters, or parameters of the model a question would go to."""
    taken = _taken(session, given)
    names = {*(help_table().described if taken is None else taken), EXTRA.name}
    return {name: row for name, row in rows.items() if row.group != "parameter" or name in names}


def _taken(session: Session, given: Mapping[str, str]) -> Mapping[str, Parameter] | None:
    """The parameters of the model a question would go to; None where the line names none yet."""
    model, endpoint, api = session.preferences.where(given)
    try:
        return registry().target(model, endpoint, api).parameters
    except ModelError:  # the line isn't whole yet: a model that still needs its endpoint=
        known = registry().find(model or "")
        return next(iter(known.apis.values())).parameters if known else None


def _values(row: OptionRow, session: Session, given: Mapping[str, str]) -> Iterable[str]:
    if row.name == "model":
        return _models(session)
    if row.name == "chat":
        return session.chats.conversations
    if row.name in ("context", "expect"):
        return _CHOICE.findall(row.syntax.replace("=", " "))
    parameter = (_taken(session, given) or {}).get(row.name) if row.group == "parameter" else None
    if parameter is not None:
        return parameter.words
    return ("true", "false") if row.kind == "bool" else row.choices


def _models(session: Session) -> list[str]:
    """Those of the table that are not retired, then those the service listed for the key."""
    rows = registry().offered()
    names = [*(row.name for row in rows), *(one.name for one in session.listed() if one.chats)]
    return list(dict.fromkeys([*names, *(alias for row in rows for alias in row.aliases)]))


def _starting(names: Iterable[str], start: str) -> list[str]:
    return [name for name in names if name.lower().startswith(start.lower())]


def _quoted(names: Iterable[str], fragment: str, after: str = "") -> Offer:
    """Names behind what is typed of them, in the quotes that are open or that they need."""
    opened = fragment[:1] if fragment[:1] in ("'", '"') else ""
    texts = []
    for name in _starting(names, fragment[len(opened) :]):
        quote = opened or ("" if _PLAIN.fullmatch(name) else '"')
        closing = "" if opened and after.startswith(opened) else quote
        if not quote or not {quote, "\\"} & {*name}:
            texts.append(f"{quote}{name}{closing}")
    return Offer(fragment, texts)


# ---- %qf


def _command(here: CursorPlace, session: Session) -> Offer:
    table = help_table()
    name, blank, rest = here.before.lstrip().partition(" ")
    if not blank:
        return Offer(name, _starting(table.commands, name))
    rest = rest.lstrip()
    if name == "set":
        return _pairs(here._replace(before=rest), table.settable, session)
    if name == "unset":
        *others, word = rest.split(" ")
        rows = [*_fitting(table.settable, session, {}), *session.preferences.changed]
        return Offer(word, [row for row in _starting(dict.fromkeys(rows), word) if row not in others])
    if name == "models":  # the one place where a name with blanks stands without quotes
        return Offer(rest, _starting([*_models(session), "live", "retired"], rest))
    if name == "help":
        return Offer(rest, _starting(table.commands | table.on_line | table.settings, rest))
    return _by_syntax(table.commands[name], rest, here, session) if name in table.commands else NOTHING


def _cell_command(here: CursorPlace, session: Session, namespace: Mapping[str, Any]) -> Offer:
    """Behind ``%%qf``: a command; behind ``map``, DATA; then options."""
    name, blank, rest = here.before.lstrip().partition(" ")
    if not blank:
        return Offer(name, _starting(help_table().cell_commands, name))
    if name == "compare":
        from .compare.cell import _rows  # noqa: PLC0415 - few complete there

        return _pairs(here._replace(before=rest.lstrip()), _rows(), session)
    if name != "map":
        return NOTHING
    word, blank, rest = rest.lstrip().partition(" ")
    if not blank:
        return _expression(word, namespace)
    from .map.cell import map_rows  # noqa: PLC0415 - as above

    return _pairs(here._replace(before=rest.lstrip()), map_rows(), session)


def _by_syntax(command: OptionRow, rest: str, here: CursorPlace, session: Session) -> Offer:
    """The first word behind a command, as its syntax in the help table has it."""
    options = {name: row for name, row in help_table().on_line.items() if f"{name}=" in command.syntax}
    if options:
        return _pairs(here._replace(before=rest), options, session)
    names = [*_CHOICE.findall(command.syntax), *(session.chats.conversations if "NAME" in command.syntax else ())]
    return _quoted(names, rest, here.after)


# ---- expressions


def _expression(code: str, namespace: Mapping[str, Any]) -> Offer:
    """Names of the user's, and attributes of what dotted names stand for; nothing is called to find them."""
    found = _DOTTED.search(code)
    if found is None or has_open_quotes(code):
        return NOTHING
    path, start = found[1], found[2] or ""
    names: Iterable[str] = namespace
    if path:
        limited = EvaluationContext(locals=dict(namespace), globals={}, evaluation="limited")
        names = dir2(guarded_eval(path[:-1], limited))
    shown = [name for name in names if name.startswith(start) and (start or not name.startswith("_"))]
    return Offer(start, sorted(shown), "property" if path else "variable")
