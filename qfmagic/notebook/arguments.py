"""A magic's line, read once: options by name, flags, and the text behind them."""

import re
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, NamedTuple

from ..core.errors import OptionError
from ..core.models import did_you_mean, suggest
from ..core.safe_json import read_json_at
from .helptable import Row, help_table

_KEY = re.compile(r"([A-Za-z_][\w.-]*)=")
_PATTERN = re.compile(r"/(?:\{\{.*?\}\}|\\.|(?!\{\{)[^/\\])+/[a-z]*(?!\S)")
_WORD = re.compile(r"\S+")
# Options that are Python expressions: what evaluates them takes the {{ }} in them in its own way.
EXPRESSIONS = ("expect", "over")

# The errors that refuse a cell with a key in it: IPython's memory of the cell goes with them.
REFUSALS = ("option.secret", "option.looks_secret", "auth.on_line", "prompt.holds_key")
# A word that is no option: letters and digits, longer than a name would be; or an API key.
_LIKE_A_KEY = re.compile(r"bce-v3/.*|(?=.*[0-9])(?=.*[A-Za-z])[\w./+=-]{20,}")
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


def parse_line(line: str, rows: Mapping[str, Row] | None = None) -> Arguments:
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
    text = ""
    while position < len(line):
        key = _KEY.match(line, position)
        word = _WORD.match(line, position)
        if key:
            name = known(key[1], rows).name
            if name in written:
                raise OptionError("option.twice", name=name)
            written[name], position = _value(name, line, key.end())
        elif word and word[0] in rows and rows[word[0]].kind == "flag":
            flags.add(word[0])
            position = word.end()
        else:
            ended = word is not None and word[0] == "--"
            text = line[position + 2 :].lstrip(" ") if ended else line[position:]
            break
        position = _skip_blanks(line, position)
    later = "raw" not in flags
    options = {
        name: value if later and "{{" in value else rows[name].parse(value, lenient=True)
        for name, value in written.items()
    }
    return Arguments(options, frozenset(flags), text)


def parse_pairs(line: str, rows: Mapping[str, Row], usage: str) -> dict[str, Any]:
    """
    Read ``key=value...``, as ``%qf set`` takes them; *usage* is what an error shows.

    Raises:
        OptionError: As :func:`parse_line`; also for anything that is no pair.
    """
    values: dict[str, Any] = {}
    position = _skip_blanks(line, 0)
    while position < len(line):
        key = _KEY.match(line, position)
        if not key:
            raise OptionError("command.usage", usage=usage)
        row = known(key[1], rows, missing="settings.unknown")
        written, position = _value(row.name, line, key.end())
        values[row.name] = row.parse(written)
        position = _skip_blanks(line, position)
    return values


def split_words(line: str) -> list[str]:
    """
    Split a command's words as a shell does.

    Raises:
        OptionError: A quote doesn't close.
    """
    words: list[str] = []
    position = _skip_blanks(line, 0)
    while position < len(line):
        word, position = _value("", line, position)
        words.append(word)
        position = _skip_blanks(line, position)
    return words


def split_word(line: str) -> int:
    """
    Say where the first word of a line ends, its quotes and ``{{ }}`` included.

    Raises:
        OptionError: A quote doesn't close.
    """
    return _value("", line, 0)[1]


def check_no_key(word: str) -> None:
    """
    Check a word before an error repeats it.

    Raises:
        OptionError: It looks like a key.
    """
    if _LIKE_A_KEY.fullmatch(word):
        raise OptionError("option.looks_secret")


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


def known(name: str, rows: Mapping[str, Row], *, missing: str = "option.unknown") -> Row:
    """
    Return the row of that name.

    Raises:
        OptionError: There is none; the error has the near misses.
    """
    if name.lower() in SECRETS:
        raise OptionError("option.secret", name=name, variable=SECRETS[name.lower()])
    row = rows.get(name)
    check_no_key(name if row is None else "")
    if row is None or row.kind == "flag":
        close = suggest(name, rows)
        raise OptionError(missing, name=name, suggestions=did_you_mean(close))
    return row


def _skip_blanks(line: str, position: int) -> int:
    while position < len(line) and line[position].isspace():
        position += 1
    return position


def _value(name: str, line: str, start: int) -> tuple[str, int]:
    """The value that starts there, its quotes taken off as a shell does, and the position behind it."""
    if line[start : start + 1] in ("[", "{") and line[start : start + 2] != "{{":
        try:  # JSON may stand without quotes around it; a shell would eat the quotes inside
            _, end = read_json_at(line, start)
        except ValueError:
            pass
        else:
            if end == len(line) or line[end].isspace():
                return line[start:end], end
    pattern = _PATTERN.match(line, start) if name == "expect" else None
    if pattern:  # as it is written: a pattern's blanks, bars and backslashes are its own
        return pattern[0], pattern.end()
    parts: list[str] = []
    position, quote = start, ""
    while position < len(line) and (quote or not line[position].isspace()):
        part, position, quote = _piece(line, position, quote)
        parts.append(part)
    if quote:
        raise OptionError("option.quote", name=name)
    if name == "over" and line[start : start + 1] not in ("'", '"'):  # as it is written: df['a'] keeps its quotes
        return line[start:position], position
    return "".join(parts), position


def _piece(line: str, position: int, quote: str) -> tuple[str, int, str]:
    """The next piece of a value, the position behind it, and the quote that is open there."""
    character = line[position]
    closing = line.find("}}", position + 2) if line.startswith("{{", position) else -1
    if closing >= 0:  # an expression stays as it is, whatever it holds
        return line[position : closing + 2], closing + 2, quote
    if character == quote:
        return "", position + 1, ""
    if not quote and character in "'\"":
        return "", position + 1, character
    if character == "\\" and quote != "'" and position + 1 < len(line):
        escaped = line[position + 1]
        kept = escaped if not quote or escaped in '"\\' else f"\\{escaped}"
        return kept, position + 2, quote
    return character, position + 1, quote
