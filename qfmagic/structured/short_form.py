"""
The short form of a schema: ``"name str, score float, tags list[str], note str?, mood good|bad"``.

Fields with commas between them; each is a name and a type. A ``?`` behind the type says that the field may be left out
or null; words with ``|`` between them are the values that are allowed, numbers if all of them are whole numbers.
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
    """

    name: str
    kind: str
    choices: tuple[str | int, ...] = ()
    many: bool = False
    optional: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The field as a JSON Schema."""
        one: dict[str, Any] = {"enum": list(self.choices)} if self.choices else dict(TYPES[self.kind])
        whole = {"type": "array", "items": one} if self.many else one
        return {"anyOf": [whole, {"type": "null"}]} if self.optional else whole


def parse_short_form(written: str) -> tuple[Field, ...]:
    """
    Read a short form.

    Raises:
        OptionError: It is none; the error names the part that is wrong.
    """
    fields: list[Field] = []
    for part in _parts(written.translate(_PUNCTUATION)):
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
    """What stands between the commas, but for those inside brackets."""
    parts = re.split(r",(?![^\[\]]*\])", written)
    if parts and not parts[-1].strip():
        parts.pop()
    return [part.strip() for part in parts]


def _field(part: str) -> Field:
    found = _NAME.fullmatch(part)
    assert found is not None  # any text has that form
    name, written = found[1], found[2].strip()
    if not name.isidentifier():
        raise _wrong(part, "schema.field.name" if name else "schema.field.empty", name=name)
    if not written:
        raise _wrong(part, "schema.field.untyped", name=name)
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
