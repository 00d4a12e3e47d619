"""A magic's line, read once: options by name, flags, and the text behind them."""

import json
import re
import shlex
from collections.abc import Mapping
from io import StringIO
from typing import Any, NamedTuple

from ..core.catalogue import Text
from ..core.errors import OptionError
from ..core.models import suggest
from .helptable import Row, help_table

_KEY = re.compile(r"([A-Za-z_][\w.-]*)=")
_WORD = re.compile(r"\S+")

# Never on a line: it is saved with the notebook and in IPython's history. The value is not looked at or repeated.
SECRETS = {
    "ak": "QIANFAN_AK",
    "sk": "QIANFAN_SK",
    "access_key": "QIANFAN_ACCESS_KEY",
    "secret_key": "QIANFAN_SECRET_KEY",
    "access_token": "QIANFAN_ACCESS_TOKEN",
    "bearer_token": "QIANFAN_BEARER_TOKEN",
    "api_key": "QIANFAN_BEARER_TOKEN",
    "token": "QIANFAN_BEARER_TOKEN",
    "password": "QIANFAN_SECRET_KEY",
}


class Arguments(NamedTuple):
    """
    What stood on a line.

    Attributes:
        options: Options and parameters by name, with values of their kind; a text with ``{{ }}`` still as text.
        flags: The flags.
        text: What stands behind them, as it was written.
    """

    options: Mapping[str, Any]
    flags: frozenset[str] = frozenset()
    text: str = ""


def parse_line(line: str) -> Arguments:
    """
    Read the line of ``%qianfan`` or ``%%qianfan``: options and flags, then text; ``--`` ends the options.

    Raises:
        OptionError: An option is unknown, given twice, misspelled, of the wrong kind, or a secret.
    """
    rows = help_table().on_line
    options: dict[str, Any] = {}
    flags: set[str] = set()
    position = _skip_blanks(line, 0)
    while position < len(line):
        key = _KEY.match(line, position)
        word = _WORD.match(line, position)
        if key:
            name, (written, position) = key[1], _value(line, key.end())
            row = known(name, rows)
            if name in options:
                raise OptionError("option.twice", name=name)
            options[name] = written if "{{" in written else row.parse(written)
        elif word and word[0] in rows and rows[word[0]].kind == "flag":
            flags.add(word[0])
            position = word.end()
        elif word and word[0] == "--":
            return Arguments(options, frozenset(flags), line[word.end() :].lstrip(" "))
        else:
            return Arguments(options, frozenset(flags), line[position:])
        position = _skip_blanks(line, position)
    return Arguments(options, frozenset(flags))


def parse_pairs(line: str, rows: Mapping[str, Row]) -> dict[str, Any]:
    """
    Read ``key=value...``, as ``%qf set`` takes them.

    Raises:
        OptionError: As :func:`parse_line`; also for anything that is no pair.
    """
    values: dict[str, Any] = {}
    position = _skip_blanks(line, 0)
    while position < len(line):
        key = _KEY.match(line, position)
        if not key:
            raise OptionError("command.usage", usage="%qf set key=value ...")
        written, position = _value(line, key.end())
        values[key[1]] = known(key[1], rows, missing="settings.unknown").parse(written)
        position = _skip_blanks(line, position)
    return values


def known(name: str, rows: Mapping[str, Row], *, missing: str = "option.unknown") -> Row:
    """
    Return the row of that name.

    Raises:
        OptionError: There is none; the error has the near misses.
    """
    if name.lower() in SECRETS:
        raise OptionError("option.secret", name=name, variable=SECRETS[name.lower()])
    row = rows.get(name)
    if row is None or row.kind == "flag":
        close = suggest(name, rows)
        raise OptionError(
            missing, name=name, suggestions=Text("option.did_you_mean", {"names": close}) if close else ""
        )
    return row


def _skip_blanks(line: str, position: int) -> int:
    while position < len(line) and line[position].isspace():
        position += 1
    return position


def _value(line: str, start: int) -> tuple[str, int]:
    """The value that starts there, without its quotes, and the position behind it."""
    if line[start : start + 1] in ("[", "{") and line[start : start + 2] != "{{":
        try:  # JSON may stand without quotes around it; a shell would eat the quotes inside
            _, end = json.JSONDecoder().raw_decode(line, start)
        except ValueError:
            pass
        else:
            if end == len(line) or line[end].isspace():
                return line[start:end], end
    if line[start : start + 2] == "{{" and "}}" in line[start:]:
        end = line.index("}}", start) + 2
        return line[start:end], end
    if start >= len(line) or line[start].isspace():
        return "", start
    source = StringIO(line[start:])
    lexer = shlex.shlex(source, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        value = lexer.get_token()
    except ValueError:
        raise OptionError("option.quote", line=line) from None
    # the lexer has also read the blank that ended the value, if one did
    end = start + source.tell()
    return value or "", end
