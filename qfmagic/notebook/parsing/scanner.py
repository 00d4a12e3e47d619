"""The words and values of a magic's line, with quotes, JSON and ``{{ }}``."""

import re
from collections.abc import Callable

from ...core.errors import OptionError
from ...core.safe_json import read_json_at

_KEY = re.compile(r"([A-Za-z_][\w.-]*)=")
_PATTERN = re.compile(r"/(?:\{\{.*?\}\}|\\.|(?!\{\{)[^/\\])+/[a-z]*(?!\S)")
_WORD = re.compile(r"\S+")
INVISIBLE = "\u200b\u2060\ufeff"  # characters without width, copied with a text
# Quotation marks of other keyboards, with what closes them.
_CLOSING = {"“": "”“", "”": "”", "„": "“”", "‘": "’‘", "’": "’", "＂": "＂", "＇": "＇", "「": "」", "『": "』"}
Ends = Callable[[str, int], bool]


def _never(line: str, position: int) -> bool:  # noqa: ARG001 - a value ends at a blank only
    return False


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


def first_word(line: str) -> tuple[str, str]:
    """The first word of a command's line, and the rest; the blank of a Chinese keyboard is a blank too."""
    name, *rest = line.split(None, 1) or [""]
    return name, "".join(rest).strip()


def split_word(line: str) -> int:
    """
    Say where the first word of a line ends, its quotes and ``{{ }}`` included.

    Raises:
        OptionError: A quote doesn't close.
    """
    return _value("", line, 0)[1]


def _skip_blanks(line: str, position: int) -> int:
    while position < len(line) and (line[position].isspace() or line[position] in INVISIBLE):
        position += 1
    return position


def _value(name: str, line: str, start: int, ends: Ends = _never) -> tuple[str, int]:
    """
    The value that starts there, its quotes taken off as a shell does, and the position behind it.

    It ends at a blank, or where *ends* says so.
    """
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
    quoted = _typographic(name, line, start, ends) if name else None
    if quoted:
        return quoted
    parts: list[str] = []
    position, quote = start, ""
    while position < len(line) and (quote or not (line[position].isspace() or ends(line, position))):
        part, position, quote = _piece(line, position, quote)
        parts.append(part)
    if quote:
        raise OptionError("option.quote", name=name)
    if name == "over" and line[start : start + 1] not in ("'", '"'):  # as it is written: df['a'] keeps its quotes
        return line[start:position], position
    return "".join(parts), position


def _typographic(name: str, line: str, start: int, ends: Ends) -> tuple[str, int] | None:
    """A value in quotation marks of a Chinese keyboard; None if the first character is part of the value."""
    closing = _CLOSING.get(line[start : start + 1])
    if closing is None or name in ("expect", "over"):
        return None
    for position in range(start + 1, len(line)):
        after = position + 1
        if line[position] in closing and (after == len(line) or line[after].isspace() or ends(line, after)):
            return line[start + 1 : position], after
    word = _WORD.match(line, start)
    assert word is not None
    if not any(character in closing for character in word[0][1:]):
        raise OptionError("option.quote", name=name)
    return None


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
