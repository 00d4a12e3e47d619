"""
The short form of a schema: ``"name str, score float, tags list[str], note str?, mood good|bad"``.

Fields with commas or line ends between them; each is a name and a type, and may be followed by a colon and a
description: ``"score float: from 0 to 1, reason: why, in a sentence"``. Without a type it is a text. A ``?`` behind the
type says that the field may be left out or null; words with ``|`` between them are the values that are allowed, numbers
if all of them are whole numbers.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.errors import OptionError
from ..core.i18n import Text
from ..core.models import did_you_mean, suggest

# What may stand as a type, and what it is in a JSON Schema.
TYPES: Mapping[str, Mapping[str, str]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
}
_NULL = ("None", "null")
# Chinese punctuation is what a Chinese keyboard writes there.
_PUNCTUATION = str.maketrans({"，": ",", "、": ",", "｜": "|", "？": "?", "：": ":", "［": "[", "］": "]"})
_LIST = re.compile(r"list\s*\[(.*)\]")
_NAME = re.compile(r"([^\s:]*)\s*:?\s*(.*)", re.DOTALL)
_COLON = re.compile(r"[:：](\s|$)?")
_WHOLE_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")  # with zeros in front it is a code


class Field(NamedTuple):
    """
    One field.

    Attributes:
        name: Its name.
        kind: A type of :data:`TYPES`; "" where ``choices`` are given.
        choices: The values that are allowed, all of them strings or all ints.
        many: Whether it is a list of these.
        optional: Whether it may be left out or null.
        description: What it is, in words.
    """

    name: str
    kind: str
    choices: tuple[str | int, ...] = ()
    many: bool = False
    optional: bool = False
    description: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        """The field as a JSON Schema."""
        one: dict[str, Any] = {"enum": list(self.choices)} if self.choices else dict(TYPES[self.kind])
        whole = {"type": "array", "items": one} if self.many else one
        told = {"description": self.description} if self.description else {}
        return {**({"anyOf": [whole, {"type": "null"}]} if self.optional else whole), **told}


def parse_short_form(written: str) -> tuple[Field, ...]:
    """
    Read a short form.

    Raises:
        OptionError: It is none; the error names the part that is wrong.
    """
    fields: list[Field] = []
    for part in _parts(written):
        field = _field(part)
        if any(field.name == other.name for other in fields):
            raise _wrong(part, "schema.field.twice", name=field.name)
        fields.append(field)
    if not fields:
        raise OptionError("schema.empty")
    return tuple(fields)


def json_schema_of(fields: tuple[Field, ...]) -> dict[str, Any]:
    """The JSON Schema of an object with these fields."""
    return {
        "type": "object",
        "properties": {field.name: field.schema for field in fields},
        "required": [field.name for field in fields if not field.optional],
    }


def type_of(fields: tuple[Field, ...]) -> Any:
    """The TypedDict that pydantic checks an object with these fields against."""
    from datetime import date, datetime  # noqa: PLC0415 - only who asks for a schema
    from typing import Literal, NotRequired  # noqa: PLC0415 - as above

    from pydantic import ConfigDict, FiniteFloat  # noqa: PLC0415 - an extra
    from typing_extensions import TypedDict  # noqa: PLC0415 - comes with pydantic, which wants this one

    types = {"str": str, "int": int, "float": FiniteFloat, "bool": bool, "date": date, "datetime": datetime}

    def annotation(field: Field) -> Any:
        one: Any = Literal[field.choices] if field.choices else types[field.kind]
        whole = list[one] if field.many else one
        return NotRequired[whole | None] if field.optional else whole

    make: Any = TypedDict
    made = make("Answer", {field.name: annotation(field) for field in fields})
    # A number where a text is asked for is what models write for codes and years.
    made.__pydantic_config__ = ConfigDict(coerce_numbers_to_str=True)
    return made


def _parts(written: str) -> list[str]:
    """What stands between the commas and line ends, but for those inside brackets; a description may have commas."""
    lines = [line for line in _split(written, "\n") if line.strip()]
    if len(lines) < 2:
        return _fields_in(written)
    parts: list[str] = []
    for line in lines:
        inside = _fields_in(line)
        first, *others = map(_field_or_none, inside)
        described = first is not None and first.description and others and not any(others)
        parts += [line.strip().rstrip(",，")] if described else inside
    return parts


def _fields_in(line: str) -> list[str]:
    parts = _split(line, ",")
    if parts and not parts[-1].strip():
        parts.pop()
    return [part.strip() for part in parts]


def _split(written: str, sign: str) -> list[str]:
    """Split a text at signs that aren't inside brackets."""
    parts, start, depth = [], 0, 0
    for at, character in enumerate(written.translate(_PUNCTUATION)):
        depth = max(depth + {"[": 1, "(": 1, "]": -1, ")": -1}.get(character, 0), 0)
        if character == sign and not depth:
            parts.append(written[start:at])
            start = at + 1
    return [*parts, written[start:]]


def _field_or_none(part: str) -> Field | None:
    try:
        return _field(part)
    except OptionError:
        return None


def _field(part: str) -> Field:
    found = _NAME.fullmatch(part.translate(_PUNCTUATION))
    assert found is not None  # any text has that form
    name, told = found[1], part[found.start(2) :].strip()
    if not name.isidentifier():
        raise _wrong(part, "schema.field.name" if name else "schema.field.empty", name=name)
    if not told:
        raise _wrong(part, "schema.field.untyped", name=name)
    kind, description = _kind_and_description(told)
    after_colon = ":" in found[0][: found.start(2)]
    # One word that is like a type is rather a slip of the pen.
    slip = told.isascii() and " " not in told and suggest(told.rstrip("?"), TYPES)
    if after_colon and not slip and not _is_kind(kind):
        return Field(name, "str", description=told)
    return _typed(part, name, kind)._replace(description=description)


def _kind_and_description(told: str) -> tuple[str, str]:
    """A type and what follows on its colon; without a blank behind it, that may be part of a choice: 10:00|12:00."""
    usual = told.translate(_PUNCTUATION)
    for colon in _COLON.finditer(told):
        kind = usual[: colon.start()].strip()
        if _is_kind(kind) and ("|" not in kind or colon[1] or colon[0] == "："):
            return kind, told[colon.end() :].strip()
    return usual.strip(), ""


def _is_kind(written: str) -> bool:
    inside = written.removesuffix("?").strip()
    listed = _LIST.fullmatch(inside)
    kind = listed[1].strip() if listed else inside
    return kind in TYPES or "|" in kind


def _typed(part: str, name: str, written: str) -> Field:
    optional = written.endswith("?")
    inside = written.removesuffix("?").strip()
    listed = _LIST.fullmatch(inside)
    kind = listed[1].strip() if listed else inside
    if "|" in kind:
        return Field(name, "", _choices(part, kind), listed is not None, optional)
    if kind not in TYPES:
        hint = did_you_mean(suggest(kind, TYPES))
        raise _wrong(part, "schema.field.type", word=kind, suggestions=hint, allowed=[*TYPES, "list[...]", "a|b|c"])
    return Field(name, kind, (), listed is not None, optional)


def _choices(part: str, written: str) -> tuple[str | int, ...]:
    words = [word.strip() for word in written.split("|")]
    no_words = [word for word in words if word in TYPES or word in _NULL]
    if no_words:
        raise _wrong(part, "schema.field.no_word", word=no_words[0])
    choices = tuple(map(int, words)) if all(map(_WHOLE_NUMBER.fullmatch, words)) else tuple(words)
    if not all(words) or len(set(choices)) < len(choices):
        raise _wrong(part, "schema.field.choices")
    return choices


def _wrong(part: str, key: str, **values: object) -> OptionError:
    return OptionError("schema.short", part=part, reason=Text(key, values))
