r"""
Backslashes in strings of JSON that models write: LaTeX and paths are often not escaped.

``"\frac"`` is valid JSON for a form feed and ``rac``, which nobody means. ``"\nu"`` may be a line end and ``u``.
"""

import re
from bisect import bisect_left
from functools import cache
from typing import NamedTuple

from ...core.i18n import read_table

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)|([\x00-\x1f\"])", re.DOTALL)
_LETTERS = re.compile(r"[A-Za-z]*")
_SUSPICIOUS = re.compile(r"\\(?:b|[fnrt][A-Za-z])")
_ROWS = re.compile(r"&|\\begin\b")
_MATH_BEFORE = " $({[=+-*/^_|<>&~,"
_PATH = re.compile(r"(?<!\S)(?:[A-Za-z]:|[\w.\-]*)(?:\\[\w.\-]{2,})+\\?(?!\S)")

_SUFFIX = re.compile(r"\w\.\w{1,5}$")


class _Backslash(NamedTuple):
    """An escape sequence: where it is, its sign, and what is around it."""

    at: int
    sign: str
    before: str
    after: str


@cache
def _commands(kind: str) -> frozenset[str]:
    """The commands of a list in ``data/latex.toml``."""
    return frozenset(read_table("latex.toml")[kind].split())


def is_suspicious(written: str) -> bool:
    """Whether JSON has escape sequences that may be LaTeX."""
    return _SUSPICIOUS.search(written) is not None


def literal_backslashes(body: str, *, quoted: str) -> tuple[str, bool]:
    """
    Write the inside of a string again as that of a JSON string.

    Args:
        body: The inside, as it was written.
        quoted: ``'`` where the string is quoted as Python does, else ``"``.

    Returns:
        The inside, and whether it had to be changed: by an escaped backslash, or one that was removed.

    Raises:
        ValueError: A backslash has two meanings.
    """
    if "\\" not in body and not _ESCAPE.search(body):
        return body, False
    escapes = [
        _Backslash(found.start(), found[1], body[max(found.start() - 1, 0) : found.start()], body[found.end() :][:24])
        for found in _ESCAPE.finditer(body)
        if found[1]
    ]
    escaped = any(one.sign == "\\" and one.after[:1].isalpha() for one in escapes)
    literal = {one.at for one in escapes if _is_literal(one, quoted)}
    if not escaped:
        literal |= {one.at for one in escapes if _may_be_literal(one, others=bool(literal))}
    literal |= _in_paths(body, escapes, literal)
    rows = False
    if any(one.at in literal and one.sign.isalpha() for one in escapes) and any(one.sign == "\\" for one in escapes):
        rows = not escaped and _ROWS.search(body) is not None
        if not rows:
            raise ValueError("a backslash has two meanings")

    def again(found: re.Match[str]) -> str:
        sign = found[1]
        if sign is None:
            return '\\"' if found[2] == '"' else f"\\u{ord(found[2]):04x}"
        if found.start() in literal:
            return rf"\\{sign}"
        if sign == "\\":
            return r"\\\\" if rows else r"\\"
        if quoted == "'" and sign[0] == "x":
            return rf"\u00{sign[1:]}"
        return "'" if sign == "'" else found[0]

    return _ESCAPE.sub(again, body), bool(literal) or (quoted == '"' and any(one.sign == "'" for one in escapes))


def _is_literal(one: _Backslash, quoted: str) -> bool:
    """Whether a backslash is literal, whatever is around it."""
    sign = one.sign
    word = sign + (_LETTERS.match(one.after) or [""])[0]
    if sign[0] == "x" and len(sign) > 1:
        if quoted == '"':
            raise ValueError(r"\x is not JSON")
        return False
    if sign == "u" and (one.after[:1] in ("", "{") or re.match("[0-9a-fA-F]", one.after)):
        raise ValueError(r"\u is not complete")
    if sign == "\n":
        raise ValueError("a backslash at the end of a line")
    if sign == "b" or (sign == "f" and one.after[:1].isascii() and one.after[:1].isalpha()):
        return True
    if sign in ("n", "r", "t"):
        return word in _commands("sure")
    return sign not in ('"', "\\", "/", "'", "f") and not (sign[0] == "u" and len(sign) > 1)


def _may_be_literal(one: _Backslash, *, others: bool) -> bool:
    """Whether one that may be a line end or a tab is LaTeX rather, by what is around it."""
    if one.sign not in ("n", "r", "t"):
        return False
    word = one.sign + (_LETTERS.match(one.after) or [""])[0]
    if word in _commands("words"):
        return others or (one.before in _MATH_BEFORE and one.before != " ")
    doubtful = word in _commands("doubtful")
    if doubtful and not others and one.before not in _MATH_BEFORE:
        raise ValueError("a backslash has two meanings")
    return doubtful


def _in_paths(body: str, escapes: list[_Backslash], literal: set[int]) -> set[int]:
    """The backslashes of paths: where one of a path is not escaped, none is."""
    found: set[int] = set()
    places = [one.at for one in escapes]
    for path in _PATH.finditer(body):
        inside = escapes[bisect_left(places, path.start()) : bisect_left(places, path.end())]
        inside = [one for one in inside if one.sign != "\\"]
        others = {one.at for one in inside if one.at not in literal and one.sign in ("n", "r", "t", "f")}
        drive = path[0][1:2] == ":"
        known = len(others) < len(inside)
        alone = drive and path[0] == body and (len(inside) > 1 or _SUFFIX.search(body))
        if others and (known or alone):
            if not (known and drive):
                raise ValueError("a backslash has two meanings")
            found |= others
    return found
