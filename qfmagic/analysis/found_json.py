"""The JSON in a model's text: as the whole of it, in fenced code, or in the middle of prose."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})([^`]*)")
_BEGUN = re.compile(r'\{\s*"|\[\s*["{\[]')  # what starts so was meant to be JSON
_STARTS = 50  # places in a text that are tried
_DIGITS = 300  # of a number; longer ones don't fit a float


class NoJSON(ValueError):
    """The text holds no JSON that can be read; ``reason`` says what is wrong with what looks like it, "" for none."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


def found_json(text: str, openings: str = "{[") -> list[Any]:
    """
    Find the JSON values in a text, where it is likeliest first and only there: the whole, fenced code, objects and
    lists within prose.

    What no other reader of JSON takes is refused: NaN and infinite numbers, and a name that occurs twice in an object,
    of which readers take one or the other.

    Args:
        text: The text.
        openings: What a value within prose may start with: a list is not looked for where an object was asked for, a
            text may well have a ``[1]`` in it.

    Raises:
        NoJSON: There is none.
    """
    whole = text.strip().removeprefix("\ufeff")
    reasons: list[str] = []
    if found := list(_read([whole], reasons)):
        return found
    fenced = list(_read(_fenced(whole), reasons))
    # A number alone in fenced code may be anything: it counts where nothing else is found.
    found = [value for value in fenced if isinstance(value, (dict, list))]
    found = found or list(_embedded(whole, openings, reasons)) or fenced
    if not found:
        raise NoJSON(reasons[0] if reasons else "")
    return found


def _fenced(text: str) -> list[str]:
    """The contents of fenced code; line by line, since a pattern over all of it would take minutes for some texts."""
    blocks: list[list[str]] = []
    opened = ""
    for line in text.split("\n"):  # not splitlines: strings hold line ends of other kinds
        fence = _FENCE.fullmatch(line.removesuffix("\r"))
        if opened and fence and fence[1].startswith(opened) and not fence[2].strip():
            opened = ""
        elif opened:
            blocks[-1].append(line)
        elif fence:
            opened = fence[1]
            blocks.append([])
    return ["\n".join(block) for block in blocks]


def _read(candidates: list[str], reasons: list[str]) -> Iterator[Any]:
    for candidate in candidates:
        try:
            yield _checked(_DECODER.decode(candidate.strip()))
        except (ValueError, RecursionError) as error:
            if _BEGUN.match(candidate.strip()):  # else it is prose, or code of another kind
                reasons.append(_why(error))


def _embedded(text: str, openings: str, reasons: list[str]) -> Iterator[Any]:
    position = 0
    for _ in range(_STARTS):
        start = next((i for i in range(position, len(text)) if text[i] in openings), None)
        if start is None:
            return
        try:
            value, position = _DECODER.raw_decode(text, start)
            value = _checked(value)
        except (ValueError, RecursionError) as error:
            if _BEGUN.match(text, start):
                reasons.append(_why(error))
                return  # what stands inside of a broken value is not the answer
            position = start + 1
        else:
            if value:  # an empty pair of brackets in prose is no answer
                yield value


def _why(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _checked(value: Any) -> Any:
    """The value; half a character, which no file and no service takes, is refused here."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
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
