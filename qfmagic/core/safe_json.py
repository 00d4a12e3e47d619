"""
JSON that others wrote, read and written so that nothing but a ValueError comes of it.

The parser of Python 3.11 raises a RecursionError for what is nested deeper than its stack; other versions return such
values, and what then fails is the code that writes, copies or compares them. So there is one limit, which depends
neither on the version nor on how deep the caller is.
"""

import json
import re
import sys
from typing import Any

DEEPEST = 200  # levels; what services, notebooks and people write has a dozen
_HALF = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()


class TooDeep(ValueError):
    """JSON that is nested too deeply."""

    def __init__(self) -> None:
        super().__init__("nested too deeply")


def read_json(written: str | bytes, *, bounded: bool = True, **options: Any) -> Any:
    """
    Read JSON as :func:`json.loads` does.

    Args:
        written: The JSON.
        bounded: Whether :data:`DEEPEST` holds; else it may be as deep as the parser goes.
        options: Those of :func:`json.loads`.

    Raises:
        ValueError: It is none, or nested too deeply.
    """
    text = written if isinstance(written, str) else written.decode(json.detect_encoding(written), "surrogatepass")
    try:
        value = json.loads(text, **options)
    except RecursionError:
        raise TooDeep from None
    if bounded and may_be_deep(text):
        check_depth(value)
    return value


def read_object(written: str | bytes) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is none."""
    try:
        value = read_json(written)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_json_at(text: str, start: int = 0, decoder: json.JSONDecoder = _DECODER) -> tuple[Any, int]:
    """
    Read the JSON that begins at *start*; return it and the place behind it, as a decoder's ``raw_decode`` does.

    Raises:
        ValueError: There is none, or it is nested too deeply.
    """
    try:
        value, end = decoder.raw_decode(text, start)
    except RecursionError:
        raise TooDeep from None
    if may_be_deep(text, start, end):
        check_depth(value)
    return value, end


def write_json(value: Any, **options: Any) -> str:
    """
    Write JSON as :func:`json.dumps` does; *options* are that function's.

    Raises:
        ValueError: It is nested too deeply, holds itself, or a number that can't be written.
        TypeError: Something in it is no JSON.
    """
    try:
        return json.dumps(value, **options)
    except RecursionError:
        raise TooDeep from None


def escaped_halves(written: str) -> str:
    """JSON with its characters as they are, but for halves of characters, which no file and no message can hold."""
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", written)


def check_depth(value: Any) -> None:
    """
    Check how deep a value of JSON is nested, level by level, so that it may be as deep as it likes.

    Raises:
        TooDeep: Deeper than :data:`DEEPEST`.
    """
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        if not level:
            return
        inside = (one.values() if isinstance(one, dict) else one for one in level)
        level = [inner for many in inside for inner in many if isinstance(inner, (dict, list))]
    if level:
        raise TooDeep


def may_be_deep(text: str, start: int = 0, end: int = sys.maxsize) -> bool:
    """Whether there are enough brackets in a text: of most JSON this is all that has to be looked at."""
    return text.count("[", start, end) + text.count("{", start, end) > DEEPEST
