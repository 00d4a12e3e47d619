"""The JSON in a model's text: as the whole of it, in fenced code, or in the middle of prose."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from ...core.safe_json import read_json_at
from .latex import is_suspicious
from .lenient_json import transcribe
from .reasoning import without_reasoning

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})([^`]*)")
# How a value within prose begins; an empty pair of brackets is not an answer.
_BLANKS = r"(?:\s|//[^\n]{0,200}\n|#[^\n]{0,200}\n|/\*[^*]{0,200}\*/)*"
_OBJECT = rf"[{{｛]{_BLANKS}(?:[\"'“‘＂]|\w+\s*[:：])"
_LISTED = rf"[\[［]{_BLANKS}{_OBJECT}"
_ITEM = rf"[\[［]{_BLANKS}(?:[\"'“‘＂\[［\d-]|[tT]rue|[fF]alse|null|None)"
_OBJECTS = re.compile(f"{_LISTED}|{_OBJECT}")
_OBJECTS_OR_LISTS = re.compile(f"{_LISTED}|{_OBJECT}|{_ITEM}")
_CONTAINER = re.compile(r"\s*[{｛\[［]")
_BEGUN = re.compile(r'\{\s*"|\[\s*["{\[]')  # a text that begins like this was meant to be JSON
_ESCAPED = re.compile(r'[{\[\s]*[{\[]\s*\\"')
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
    """
    A value, and the JSON it is written in.

    Attributes:
        value: The value.
        written: Its JSON as in the text, but that no string holds a control character, and without defects.
        defects: What had to be mended.
    """

    value: Any
    written: str
    defects: frozenset[str] = frozenset()


class BrokenJson(NamedTuple):
    """What looks like JSON and can't be read."""

    reason: str


class _Fenced(NamedTuple):
    """Fenced code: its place in the text, and its content."""

    start: int
    inside: int
    end: int
    content: str


def found_json(text: str, *, lists: bool = True) -> list[JsonCandidate | BrokenJson]:
    """
    Find the JSON values in a text, in its order, and what looks like one and can't be read.

    The text as a whole, if it is JSON; else what is in fenced code, and objects and lists within prose. Reasoning
    between tags is left out. Values with defects that leave one meaning are read (:func:`transcribe`).

    What no other reader of JSON takes is refused: NaN and infinite numbers, and a name that occurs twice in an object,
    of which readers take one or the other.

    Args:
        text: The text.
        lists: Whether lists of anything but objects are looked for in prose: where an object was asked for, a text may
            well have a ``[1]`` in it.

    Raises:
        NoJSON: There is none that can be read.
    """
    whole = text.strip().removeprefix("\ufeff")
    if found := read_whole(whole):
        return [found]
    begins = _OBJECTS_OR_LISTS if lists else _OBJECTS
    candidates = [found for part in without_reasoning(whole) for found in _candidates(part, begins)]
    if not any(isinstance(found, JsonCandidate) for found in candidates):
        raise NoJSON(next((found.reason for found in candidates if isinstance(found, BrokenJson)), _reason(whole)))
    return candidates


def _reason(whole: str) -> str:
    """What is wrong with a text that begins as JSON does; nothing of others."""
    if _BEGUN.match(whole):
        try:
            read_json_at(whole, 0, _DECODER)
        except ValueError as error:
            return str(error)
    return ""


def _fences(text: str) -> list[_Fenced]:
    """The fenced code; line by line, since a pattern over all of it would take minutes for some texts."""
    found: list[_Fenced] = []
    opened, start, inside, position = "", 0, 0, 0
    for line in text.split("\n"):  # not splitlines: strings hold line ends of other kinds
        fence = _FENCE.fullmatch(line.removesuffix("\r"))
        end = position + len(line)
        if opened and fence and fence[1].startswith(opened) and not fence[2].strip():
            found.append(_Fenced(start, inside, end, text[inside:position]))
            opened = ""
        elif fence and not opened:
            opened, start, inside = fence[1], position, end + 1
        position = end + 1
    return [*found, _Fenced(start, inside, len(text), text[inside:])] if opened else found


def read_whole(written: str) -> JsonCandidate | None:
    """Read a text that is one JSON value, in spite of defects where it is an object or a list."""
    written = written.strip()
    if _ESCAPED.match(written):
        return _unescaped(written)
    try:
        found, end = _read_at(written, 0, lenient=_CONTAINER.match(written) is not None)
    except ValueError:
        return None
    return found if end == len(written) else None


def _unescaped(written: str) -> JsonCandidate | None:
    """JSON that is escaped as inside of a string, without the quotation marks of one."""
    try:
        inside = json.loads(f'"{written}"', strict=False)
    except ValueError:
        return None
    found = None if _ESCAPED.match(inside) else read_whole(inside)
    return found and found._replace(defects=found.defects | {"string"})


def _read_at(text: str, start: int, *, lenient: bool = True) -> tuple[JsonCandidate, int]:
    """
    Read the value that begins at a place.

    Raises:
        ValueError: There is none; of one that is no JSON, what a strict reader says.
    """
    fault: ValueError | None = None
    try:
        value, end = read_json_at(text, start, _DECODER)
        written = text[start:end]
        if not is_suspicious(written):
            return _checked(value, written), end
    except ValueError as error:
        fault = error
    if fault is not None and not lenient:
        raise fault
    try:
        transcript = transcribe(text, start)
        value, _ = read_json_at(transcript.written, 0, _DECODER)
    except ValueError as error:
        raise fault or error from None
    return _checked(value, transcript.written, transcript.defects), transcript.end


def _candidates(text: str, begins: re.Pattern[str]) -> Iterator[JsonCandidate | BrokenJson]:
    """The values of one part of a text; what is inside of one, or of one that can't be read, is not the answer."""
    position, broken, fences = 0, 0, iter(_fences(text))
    fence = next(fences, None)
    start = begins.search(text)
    while broken < _BROKEN:
        if start is not None and start.start() < position:
            start = begins.search(text, position)
        while fence is not None and fence.start < position:
            fence = next(fences, None)
        if fence is not None and (start is None or fence.start <= start.start()):
            if found := read_whole(fence.content):
                yield found
            position = fence.end if found else fence.inside
            continue
        if start is None:
            return
        try:
            found, position = _read_at(text, start.start())
            yield found
        except ValueError as error:
            broken, position = broken + 1, max(_end(text, start.start()), start.end())
            yield BrokenJson(str(error))


def _end(text: str, start: int) -> int:
    """Where the brackets close that open there; the end of the text if they don't."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    return len(text)


def _checked(value: Any, written: str, defects: frozenset[str] = frozenset()) -> JsonCandidate:
    """The value; half a character, which no file and no service takes, is refused here."""
    json.dumps(value, ensure_ascii=False).encode()
    if _CONTROL.search(written):  # line ends between values mostly, but in strings too
        written = _STRING.sub(lambda string: _CONTROL.sub(_escaped, string[0]), written)
    return JsonCandidate(value, written, defects)


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
