"""The words and values of a magic's line, with quotes, JSON and ``{{ }}``."""

import re

from ...core.errors import OptionError
from ...core.safe_json import read_json_at

_KEY = re.compile(r"([A-Za-z_][\w.-]*)=")
_PATTERN = re.compile(r"/(?:\{\{.*?\}\}|\\.|(?!\{\{)[^/\\])+/[a-z]*(?!\S)")
_WORD = re.compile(r"\S+")


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
