"""
Values that are right but not spelled as the schema wants them: ``"Good."`` for ``good``, ``"3"`` for a number.

This module proposes values; the schema's checker decides whether one fits.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from unicodedata import normalize

from ..json_schemas import branches, choices_of, takes
from .json_in_text import read_whole

_NULLS = frozenset(("", "null", "none", "nil", "n/a"))
_END = ".。．｡!！,，;；:：、…"
_QUOTED = re.compile(r"[\"'“”‘’「」『』`*]+")
_BLANKS = re.compile(r"[\s_\-]+")
_PLAIN = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_DEEPEST = 3  # wrappings around a value
# A text with one of these is more than a text, or less than any.
_NARROW = ("format", "pattern", "contentEncoding", "contentMediaType")
_NOTHING = object()


class SpelledFloat(float):
    """A number that is written again as it was."""

    def __new__(cls, written: str) -> Self:
        """Make it of its spelling."""
        made = super().__new__(cls, written)
        made.written = written
        return made

    written: str


@dataclass
class _Mending:
    """What had to be changed; the whole schema, for references."""

    root: Mapping[str, Any]
    defects: set[str] = field(default_factory=set)


def spelled(written: str) -> Any:
    """Read JSON that was read before, so that its numbers keep their spelling."""
    return json.loads(written, parse_float=SpelledFloat, strict=False)


def respelled(value: Any) -> str:
    """Write JSON, with the spelling of its numbers."""
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{respelled(one)}" for name, one in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(respelled, value)) + "]"
    return value.written if isinstance(value, SpelledFloat) else json.dumps(value, ensure_ascii=False)


def mended(value: Any, schema: Mapping[str, Any]) -> tuple[Any, frozenset[str]]:
    """
    The value that is meant, where it differs from one that fits in its spelling only, and what was changed.

    Args:
        value: A value of JSON, read by :func:`spelled`.
        schema: The JSON Schema.
    """
    mending = _Mending(schema)
    found = _mended(value, schema, mending)
    return found, frozenset(mending.defects)


def unwrapped(value: Any, depth: int = _DEEPEST) -> Iterator[tuple[Any, frozenset[str]]]:
    """What is inside of one key, a list of one, or a text, each with what is around it, from the outside in."""
    inside, defect = _NOTHING, "wrapper"
    if isinstance(value, dict) and len(value) == 1:
        inside = next(iter(value.values()))
    elif isinstance(value, list) and len(value) == 1:
        inside = value[0]
    elif isinstance(value, str) and (found := read_whole(value)) and isinstance(found.value, (dict, list)):
        inside, defect = spelled(found.written), "string"
    if inside is _NOTHING or not depth:
        return
    yield inside, frozenset((defect,))
    for more, defects in unwrapped(inside, depth - 1):
        yield more, defects | {defect}


def _mended(value: Any, schema: Any, mending: _Mending) -> Any:
    several = branches(schema, mending.root)
    if not several:
        return value
    right = [one for one in several if takes(one, value) and not (_is_null(value) and {*_NARROW} & {*one})]
    if right:
        return _inside(value, right[0], mending) if len(right) == 1 else value
    found: dict[str, tuple[Any, frozenset[str]]] = {}
    for one in several:
        inner = _Mending(mending.root)
        meant = _meant(value, one, inner)
        if meant is not _NOTHING:
            found.setdefault(respelled(meant), (meant, frozenset(inner.defects)))
    if len(found) != 1:
        return value
    meant, defects = next(iter(found.values()))
    mending.defects |= defects
    return meant


def _inside(value: Any, schema: Mapping[str, Any], mending: _Mending) -> Any:
    """What is in a list or an object, mended."""
    if isinstance(value, list):
        return [_mended(one, schema.get("items"), mending) for one in value]
    if not isinstance(value, dict):
        return value
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    required, found = schema.get("required") or (), {}
    meant_names = {} if others or "patternProperties" in schema else _names(value, properties)
    for written, one in value.items():
        name = meant_names.get(written, written)
        mending.defects |= {"name"} if name != written else set()
        below = properties.get(name, others)
        meant = _mended(one, below, mending)
        if name in properties and name not in required and _is_left_out(meant, below, mending):
            mending.defects.add("null")
        else:
            found[name] = meant
    return found


def _names(value: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, str]:
    """The fields that are meant by names in another spelling."""
    absent, unknown = properties.keys() - value.keys(), value.keys() - properties.keys()
    found: dict[str, str] = {}
    for name in absent:
        forms = [other for other in unknown if _form(other) == _form(name)]
        if len(forms) == 1 and sum(_form(other) == _form(name) for other in properties) == 1:
            found[forms[0]] = name
    return found


def _is_left_out(value: Any, schema: Any, mending: _Mending) -> bool:
    """Whether a field that may be left out, and has no other value then, is null or a word for it."""
    several = branches(schema, mending.root)
    if not several or "default" in schema or any(takes(one, value) for one in several):
        return False
    return value is None or _is_null(value)


def _is_null(value: Any) -> bool:
    """Whether it is a word for null."""
    return isinstance(value, str) and value.strip().casefold() in _NULLS


def _meant(value: Any, schema: Mapping[str, Any], mending: _Mending) -> Any:
    """The values that a value may mean, where a schema rejects it; none where the meaning isn't clear."""
    choices, kind = choices_of(schema), schema.get("type")
    if choices is not None:
        meant, defect = _choice(value, choices), "choice"
    elif kind == "null":
        meant = None if _is_null(value) else _NOTHING
        defect = "null"
    elif kind in ("integer", "number"):
        meant, defect = _number(value, whole=kind == "integer"), "numeral"
    elif kind == "boolean":
        words = {"true": True, "false": False}
        meant = words.get(_form(value), _NOTHING) if isinstance(value, str) else _NOTHING
        defect = "literal"
    elif kind == "string":
        plain = isinstance(value, (int, float)) and not isinstance(value, bool) and not {*_NARROW} & {*schema}
        meant, defect = (respelled(value) if plain else _NOTHING), "numeral"
    else:
        meant, defect = _parsed(value, schema, mending), "string"
    if meant is not _NOTHING:
        mending.defects.add(defect)
    return meant


def _choice(value: Any, choices: list[Any]) -> Any:
    words = [one for one in choices if isinstance(one, str)]
    numbers = [one for one in choices if isinstance(one, (int, float)) and not isinstance(one, bool)]
    found: list[Any] = []
    if isinstance(value, str):
        form = _form(value)
        found += [one for one in words if form and _form(one) == form]
    number = _number(value, whole=False)
    if number is not _NOTHING:
        found += [one for one in numbers if one == number]
    if None in choices and _is_null(value):
        found.append(None)
    return found[0] if len(found) == 1 else _NOTHING


def _form(word: str) -> str:
    """A word without case, width, quotation marks around it, and punctuation at its end."""
    form = normalize("NFKC", word).strip()
    form = _QUOTED.sub("", form.strip().rstrip(_END).strip()) if _QUOTED.match(form) else form
    return _BLANKS.sub(" ", form.rstrip(_END).strip()).casefold()


def _number(value: Any, *, whole: bool) -> Any:
    """The number in a text, or the whole number that a number is; nothing where it could be another."""
    if isinstance(value, bool):
        return _NOTHING
    if isinstance(value, (int, float)):
        return (
            int(value)
            if whole and float(value).is_integer() and abs(value) < 2**53
            else value
            if not whole
            else _NOTHING
        )
    if not isinstance(value, str):
        return _NOTHING
    written = normalize("NFKC", value).strip().replace("−", "-")
    if _GROUPED.fullmatch(written):
        if not whole and written.count(",") == 1 and "." not in written:  # a comma may be the decimal sign
            return _NOTHING
        written = written.replace(",", "")
    if not _PLAIN.fullmatch(written):
        return _NOTHING
    written = written.removeprefix("+")
    number = SpelledFloat(written)
    if not math.isfinite(number):
        return _NOTHING
    if whole:
        plain, _, fraction = written.partition(".")
        return int(plain) if not fraction.strip("0") and not set("eE") & set(written) else _NOTHING
    return number if set(".eE") & set(written) else int(written)


def _parsed(value: Any, schema: Mapping[str, Any], mending: _Mending) -> Any:
    """The object or the list in a text."""
    found = read_whole(value) if isinstance(value, str) else None
    if found is None or not isinstance(found.value, (dict, list)) or not takes(schema, found.value):
        return _NOTHING
    mending.defects |= found.defects
    return _inside(spelled(found.written), schema, mending)
