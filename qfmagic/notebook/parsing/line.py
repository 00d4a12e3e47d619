"""A magic's line, read once: options by name, flags, and the text behind them."""

import re
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, NamedTuple

from ...core.errors import OptionError
from ...core.keys.names import key_variable
from ...core.models import did_you_mean, suggest
from ...core.models.params import EXTRA
from .key_guard import check_no_key
from .loose import check_form, ends_of, flag_at, option_at, separators_at, typed
from .option_table import OptionRow, help_table
from .scanner import _WORD, _skip_blanks, _value

# Options that are Python expressions: what evaluates them takes the {{ }} in them in its own way.
EXPRESSIONS = ("expect", "over")

# English that goes on from the word before it: two words, the first without a capital.
_CONTINUES = re.compile(r"[a-z][a-z'-]*[ \t]+[A-Za-z]")


class Arguments(NamedTuple):
    """
    What stood on a line.

    Attributes:
        options: Options and parameters by name, with values of their kind; a text with ``{{ }}`` still as text.
        flags: The flags.
        text: What stands behind them, as it was written.
        unsure: The flag before the text, where it may as well be the text's first word (``once upon a time``).
    """

    options: Mapping[str, Any]
    flags: frozenset[str] = frozenset()
    text: str = ""
    unsure: str = ""


def parse_line(line: str, rows: Mapping[str, OptionRow] | None = None) -> Arguments:
    """
    Read the line of ``%qianfan`` or ``%%qianfan``: options and flags, then text; ``--`` ends the options.

    A parameter's value that can't be read stays text: only the model it is for knows what would be allowed.

    Args:
        line: The line.
        rows: What may stand there, where it isn't the line of a question.

    Raises:
        OptionError: An option is unknown, given twice, misspelled, of the wrong kind, or a secret.
    """
    rows = help_table().on_line if rows is None else rows
    written: dict[str, str] = {}
    flags: set[str] = set()
    position = _skip_blanks(line, 0)
    text = before = unsure = ""
    while position < len(line):
        position = separators_at(line, position, rows)
        key, flag = option_at(line, position, rows), flag_at(line, position, rows)
        if key:
            name = known(key.name, rows).name
            if name in written:
                raise OptionError("option.twice", name=name)
            value, position = _value(name, line, key.end, ends_of(name, rows))
            written[name] = typed(value, rows[name], line[:position])
            before = ""
        elif flag:
            flags.add(flag.name)
            before, position = flag.name, flag.end
        else:
            word = _WORD.match(line, position)
            ended = word is not None and word[0] == "--"
            if not ended:
                check_form(line, position, rows)
            text = line[position + 2 :].lstrip(" ") if ended else line[position:]
            unsure = before if not ended and _CONTINUES.match(text) else ""
            break
        position = _skip_blanks(line, position)
    later = "raw" not in flags
    options = {
        name: value if later and "{{" in value else rows[name].parse(value, lenient=True)
        for name, value in written.items()
    }
    return Arguments(options, frozenset(flags), text, unsure)


def parse_pairs(line: str, rows: Mapping[str, OptionRow], usage: str) -> dict[str, Any]:
    """
    Read ``key=value...``, as ``%qf set`` takes them; *usage* is what an error shows.

    Raises:
        OptionError: As :func:`parse_line`; also for anything that is no pair.
    """
    values: dict[str, Any] = {}
    position = _skip_blanks(line, 0)
    while position < len(line):
        position = separators_at(line, position, rows)
        key = option_at(line, position, rows)
        if not key:
            check_form(line, position, rows)
            raise OptionError("command.usage", usage=usage)
        row = known(key.name, rows, missing="settings.unknown")
        written, position = _value(row.name, line, key.end, ends_of(row.name, rows))
        values[row.name] = row.parse(typed(written, row, line[:position]))
        position = _skip_blanks(line, position)
    return values


def checked_into(given: Mapping[str, Any]) -> str | None:
    """
    Return the name the result is bound to, if one is given.

    Raises:
        OptionError: It is no name.
    """
    into = given.get("into")
    if into is not None and (not str(into).isidentifier() or iskeyword(str(into))):
        raise OptionError("option.into", value=into)
    return None if into is None else str(into)


def known(name: str, rows: Mapping[str, OptionRow], *, missing: str = "option.unknown") -> OptionRow:
    """
    Return the row of that name.

    Raises:
        OptionError: There is none; the error has the near misses.
    """
    row = rows.get(name)
    variable = key_variable(name) if row is None else None
    if variable is not None:
        raise OptionError("option.secret", name=name, variable=variable)
    check_no_key(name if row is None else "")
    if row is None and missing == "option.unknown" and name in help_table().settings:
        raise OptionError("option.setting", name=name)
    if row is None or row.kind == "flag":
        close = suggest(name, rows)
        error = OptionError(missing, name=name, suggestions=did_you_mean(close))
        raise error.with_hint("option.extra", name=name) if EXTRA.name in rows else error
    return row
