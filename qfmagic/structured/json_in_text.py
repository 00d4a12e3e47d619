"""The JSON in a model's text: as the whole of it, in fenced code, or in the middle of prose."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from ..core.safe_json import read_json_at

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})([^`]*)")
_BEGUN = re.compile(r'\{\s*"|\[\s*["{\[]')  # what starts so was meant to be JSON
# What a value within prose starts with; an empty pair of brackets is no answer.
_OBJECT = re.compile(r'\{\s*"')
_OBJECT_OR_LIST = re.compile(r'\{\s*"|\[\s*(?:["{\[\d-]|true|false|null)')
_BROKEN = 50  # values in prose that can't be read, before the rest is given up
_DIGITS = 300  # of a number; longer ones don't fit a float
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")


class NoJSON(ValueError):
    """The text holds no JSON that can be read; ``reason`` says what is wrong with what looks like it, "" for none."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class JsonCandidate(NamedTuple):
    """A value, and the JSON it is written in: as in the text, but that no string holds a control character."""

    value: Any
    written: str


class _Fenced(NamedTuple):
    """Fenced code: where it stands in the text, and what it holds."""

    start: int
    end: int
    content: str


def found_json(text: str, *, lists: bool = True) -> list[list[JsonCandidate]]:
    """
    Find the JSON values in a text: what is found at the likeliest place first, then the others. The text as a whole,
    if it is JSON; else fenced code, then objects and lists within prose, and at last what else is in fenced code.

    What no other reader of JSON takes is refused: NaN and infinite numbers, and a name that occurs twice in an object,
    of which readers take one or the other.

    Args:
        text: The text.
        lists: Whether lists are looked for in prose: where an object was asked for, a text may well have a ``[1]`` in
            it.

    Raises:
        NoJSON: There is none.
    """
    whole = text.strip().removeprefix("\ufeff")
    reasons: list[str] = []
    if found := _read(whole, reasons):
        return [[found]]
    read = [(fence, found) for fence in _fences(whole) if (found := _read(fence.content, reasons))]
    fenced = [found for _, found in read if isinstance(found.value, (dict, list))]
    # A number alone in fenced code may be anything: it counts where nothing else does.
    others = [found for _, found in read if not isinstance(found.value, (dict, list))]
    embedded = list(_embedded(whole, [fence for fence, _ in read], _OBJECT_OR_LIST if lists else _OBJECT, reasons))
    places = [place for place in (fenced, embedded, others) if place]
    if not places:
        raise NoJSON(reasons[0] if reasons else "")
    return places


def _fences(text: str) -> list[_Fenced]:
    """The fenced code; line by line, since a pattern over all of it would take minutes for some texts."""
    found: list[_Fenced] = []
    opened, start, inside, position = "", 0, 0, 0
    for line in text.split("\n"):  # not splitlines: strings hold line ends of other kinds
        fence = _FENCE.fullmatch(line.removesuffix("\r"))
        end = position + len(line)
        if opened and fence and fence[1].startswith(opened) and not fence[2].strip():
            found.append(_Fenced(start, end, text[inside:position]))
            opened = ""
        elif fence and not opened:
            opened, start, inside = fence[1], position, end + 1
        position = end + 1
    return [*found, _Fenced(start, len(text), text[inside:])] if opened else found


def _read(candidate: str, reasons: list[str]) -> JsonCandidate | None:
    candidate = candidate.strip()
    try:
        value, end = read_json_at(candidate, 0, _DECODER)
        if end < len(candidate):
            raise json.JSONDecodeError("Extra data", candidate, end)
        return _checked(value, candidate)
    except ValueError as error:
        if _BEGUN.match(candidate):  # else it is prose, or code of another kind
            reasons.append(str(error))
        return None


def _embedded(text: str, read: list[_Fenced], begins: re.Pattern[str], reasons: list[str]) -> Iterator[JsonCandidate]:
    """The values within prose; what stands inside of one, or of one that can't be read, is not the answer."""
    position, broken, fences = 0, 0, iter(read)
    fence = next(fences, None)
    while broken < _BROKEN and (start := begins.search(text, position)):
        while fence is not None and fence.end <= start.start():
            fence = next(fences, None)
        if fence is not None and fence.start <= start.start():
            position = fence.end
            continue
        try:
            value, end = read_json_at(text, start.start(), _DECODER)
            yield _checked(value, text[start.start() : end])
        except ValueError as error:
            if _BEGUN.match(start[0]):
                reasons.append(str(error))
            broken, end = broken + 1, _end(text, start.start())
        position = end


def _end(text: str, start: int) -> int:
    """Where the brackets close that open there; the end of the text if they don't."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    return len(text)


def _checked(value: Any, written: str) -> JsonCandidate:
    """The value; half a character, which no file and no service takes, is refused here."""
    json.dumps(value, ensure_ascii=False).encode()
    if _CONTROL.search(written):  # line ends between values mostly, but in strings too
        written = _STRING.sub(lambda string: _CONTROL.sub(_escaped, string[0]), written)
    return JsonCandidate(value, written)


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} occurs twice in one object")
    return found


def _float(written: str) -> float:
    value = float(written)
    if not math.isfinite(value):
        raise ValueError(f"the number {written[:20]} is too large")
    return value


def _int(written: str) -> int:
    if len(written) > _DIGITS:
        raise ValueError(f"the number {written[:20]}... is too large")
    return int(written)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_refuse, strict=False
)
