"""
Escapes undone: what a text says when the escapes of JSON, HTML, addresses and terminals are read.

Layers are undone one by one, since a text may be escaped several times; each character can be traced back to the
characters that spell it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import accumulate
from operator import itemgetter

LAYERS = 4  # escapes of escapes that are undone
_HEX = "[0-9A-Fa-f]"
_PERCENT = f"%{_HEX}{{2}}"
_UNICODE = rf"\\++u{_HEX}{{4}}"  # as many backslashes as JSON in JSON has
_NUMBER = rf"&\#(?:[0-9]{{1,9}}|[xX]{_HEX}{{1,8}});"
_WIDE = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"  # letters and digits
_CHARACTER = rf"""(?:u\{{{_HEX}{{1,6}}\}}|U{_HEX}{{8}}|x{_HEX}{{2}}|[0-7]{{3}}|[nrtbfv/"'])"""
_BARE = rf"\#(?:[0-9]{{1,9}}(?![0-9])|[xX]{_HEX}{{1,8}}(?!{_HEX}))"  # without its semicolon
_NAME = "[A-Za-z][A-Za-z0-9]{1,31};"
_COLOR = r"\[[0-9;]{0,32}[A-Za-z]"
_TAG = r"/?[A-Za-z][A-Za-z0-9]{0,15}\s?/?>"
# By its first character, so that what is no escape is passed over fast. Runs of the same kind are read at once: a page
# or a Chinese text in JSON may be nothing but escapes.
_RUNS = re.compile(
    rf"""[%\\&<\x1b{_WIDE}](?:
        (?<=%)(?P<percent>{_HEX}{{2}}(?:{_PERCENT})*+)
        |(?<=\\)(?<!\\\\)\\*+(?:(?P<unicode>u{_HEX}{{4}}(?:{_UNICODE})*+)|{_CHARACTER})
        |(?<=&)(?:(?P<number>{_NUMBER.removeprefix("&")}(?:{_NUMBER})*+)|{_BARE}|{_NAME})
        |(?<=<){_TAG}
        |(?<=\x1b){_COLOR}
        |(?<=[{_WIDE}])(?P<wide>[{_WIDE}]*+)
    )""",
    re.VERBOSE,
)
_ONE = re.compile(
    rf"{_PERCENT}|{_UNICODE}|\\++{_CHARACTER}|{_NUMBER}|&{_BARE}|&{_NAME}|<{_TAG}|\x1b{_COLOR}|[{_WIDE}]", re.VERBOSE
)
_CODES = re.compile("u([0-9A-Fa-f]{4})")
_NUMBERS = re.compile("#([^;]+)")
_TO_WIDE = 0xFEE0  # from a character of ASCII to its wide form
_SAID = {code: chr(code) for code in range(256)} | {code + _TO_WIDE: chr(code) for code in range(0x21, 0x7F)}
_LOW = {f"{code:04x}": said for code, said in _SAID.items()}
_UNKNOWN = "\ufffd"  # a character beyond those that keys are made of
_CONTROL = frozenset("nrtbfv")


class Layer:
    """
    A text with one layer of its escapes undone.

    Args:
        spelled: The text as it was written.

    ``text`` is the text without that layer.
    """

    def __init__(self, spelled: str) -> None:
        self._spelled = spelled
        self._read: dict[int, tuple[list[int], list[tuple[int, int]]]] = {}
        self.text = _RUNS.sub(_said, spelled)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters from *start* to *end* are spelled."""
        return self._of_one(start)[0], self._of_one(end - 1)[1]

    @cached_property
    def _runs(self) -> list[tuple[int, int, int, int]]:
        """Where the text says what runs of escapes spell, and where these are: begin and end of both."""
        runs: list[tuple[int, int, int, int]] = []
        written = size = 0
        for found in _RUNS.finditer(self._spelled):
            start, end = found.span()
            begin = size + start - written
            written, size = end, begin + len(_said(found))
            runs.append((begin, size, start, end))
        return runs

    def _of_one(self, at: int) -> tuple[int, int]:
        number = bisect_right(self._runs, at, key=itemgetter(0)) - 1
        if number < 0:
            return at, at + 1
        begin, end, spelled_from, spelled_to = self._runs[number]
        if at >= end:
            place = spelled_to + at - end
            return place, place + 1
        if number not in self._read:
            escapes = [*_ONE.finditer(self._spelled, spelled_from, spelled_to)]
            ends = [*accumulate((len(_meant(escape[0])) for escape in escapes), initial=begin)]
            self._read[number] = ends[1:], [escape.span() for escape in escapes]
        ends, spans = self._read[number]
        return spans[bisect_right(ends, at)]


def undone(text: str) -> Iterator[Layer]:
    """The text with one layer of escapes undone, with two, and so on while there are any."""
    for _ in range(LAYERS):
        if not _RUNS.search(text):
            return
        layer = Layer(text)
        yield layer
        text = layer.text


def _said(found: re.Match[str]) -> str:
    return _READERS[found.lastgroup](found[0]) if found.lastgroup else _meant(found[0])


def _percents(run: str) -> str:
    return bytes.fromhex(run.replace("%", "")).decode("latin-1")


def _unicodes(run: str) -> str:
    return "".join([_LOW.get(code, _UNKNOWN) for code in _CODES.findall(run.lower())])


def _numbers(run: str) -> str:
    return "".join([_character(number) for number in _NUMBERS.findall(run)])


def _wide(run: str) -> str:
    return "".join([chr(ord(one) - _TO_WIDE) for one in run])


_READERS = {"percent": _percents, "unicode": _unicodes, "number": _numbers, "wide": _wide}


@cache
def _named() -> dict[str, str]:
    from html.entities import html5  # noqa: PLC0415 - few texts have any

    return {name: value for name, value in html5.items() if value.isascii()}


def _character(number: str) -> str:
    code = int(number[1:], 16) if number[0] in "xX" else int(number)
    return _SAID.get(code, _UNKNOWN)


def _meant(escape: str) -> str:
    """What one escape stands for; nothing for what only formats the text around it."""
    first = escape[0]
    if first == "%":
        return _percents(escape)
    if first == "\\":
        return _backslashed(escape.lstrip("\\"))
    if first in "<\x1b":
        return ""
    if first == "&":
        return _character(escape.strip("&#;")) if escape[1] == "#" else _named().get(escape[1:], _UNKNOWN)
    return _wide(escape)


def _backslashed(escape: str) -> str:
    kind, rest = escape[0], escape[1:].strip("{}")
    if kind in "uUx" and rest:
        code = int(rest, 16)
        return _SAID.get(code, _UNKNOWN)
    if kind in _CONTROL:
        return "\n"
    return chr(int(escape, 8) & 255) if kind.isdigit() else kind
