"""The type and limits of a parameter, and the check of a user's values against them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import ParameterError
from ..i18n import text
from ..safe_json import read_json, write_json

_RANGE = re.compile(r"([(\[])\s*(-?[\d.]*)\s*,\s*(-?[\d.]*)\s*([)\]])")


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers; a side without a bound is None, an open side does not hold its bound."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    text: str = ""

    @classmethod
    def parse(cls, notation: str) -> "Range":
        """Read the notation of ``models.toml``: ``(0, 1.0]``, ``[1, )``."""
        match = _RANGE.fullmatch(notation.strip())
        if match is None:
            raise ValueError(f"not a range: {notation!r}")
        opening, low, high, closing = match.groups()
        shown = notation.replace(", )", ", ∞)")
        return cls(float(low) if low else None, float(high) if high else None, opening == "(", closing == ")", shown)

    def __contains__(self, value: float) -> bool:
        # Written so that NaN is in no range.
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        below = self.high is None or value < self.high or (value == self.high and not self.high_open)
        # An int is finite, and may be too large to be asked as a float.
        return above and below and (isinstance(value, int) or math.isfinite(value))


class Violation(NamedTuple):
    """A parameter, or a field of one, and the value it does not take."""

    parameter: "Parameter"
    value: object


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of a model.

    Attributes:
        name: Its name in qfmagic, the one of the V1 pages; a field's with its object's (``web_search.enable``).
        type: ``float``, ``int``, ``bool``, ``string``, ``list`` (of strings), ``map`` (string to string), ``object``
            (with ``fields``), ``array`` (of such objects), ``switch`` (a short form's value and nothing else) or
            ``json``.
        range: For numbers, what is allowed.
        choices: For strings, what is allowed; nothing allows every string.
        short: Short forms, and the values they are sent as: ``on`` and ``off`` may be given as a bool too.
        lone: Whether a string alone is sent as a list of it.
        fields: The fields of an object, by name; without any, every field is allowed.
        needs: The fields an object must have.
        needs_for: Further fields it must have, by the value of its ``type``.
        max_items: Most elements of a list or entries of a map.
        max_length: Most characters of a list's element.
        default: What the service takes when the parameter is left out; documentation only, never sent.
        requires: Another parameter that must be given when this one is true.
        wire_name: Its name in the request body; "" for a parameter that is not sent.
    """

    name: str
    type: str
    range: Range = Range()
    choices: tuple[str, ...] = ()
    short: Mapping[str, Any] = field(default_factory=dict)
    lone: bool = False
    fields: Mapping[str, "Parameter"] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    needs_for: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_items: int | None = None
    max_length: int | None = None
    default: Any = None
    requires: str | None = None
    wire_name: str = ""

    @classmethod
    def from_row(cls, name: str, row: Mapping[str, Any]) -> "Parameter":
        """Build from a row of ``models.toml``."""
        made = {"range", "as", "choices", "fields", "needs"}
        return cls(
            name=name,
            range=Range.parse(row.get("range", "(, )")),
            wire_name=row.get("as", name),
            choices=tuple(row.get("choices", ())),
            fields={key: cls.from_row(f"{name}.{key}", inner) for key, inner in row.get("fields", {}).items()},
            needs=tuple(row.get("needs", ())),
            **{key: value for key, value in row.items() if key not in made},
        )

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are allowed as its value."""
        return (*self.choices, *self.short) or (("true", "false") if self.type == "bool" else ())

    def describe(self, lang: str) -> str:
        """Say what is allowed."""
        limits = [
            self.range.text if self.range.low is not None or self.range.high is not None else "",
            text("parameter.items", lang, count=self.max_items) if self.max_items else "",
            text("parameter.length", lang, count=self.max_length) if self.max_length else "",
        ]
        names = list(self.fields or self.needs)
        kind = text("parameter.fields", lang, type=self.type, names=names) if names else self.type
        kinds = [*self.choices] if self.choices else [*self.short, *([] if self.type == "switch" else [kind])]
        return ", ".join([*kinds, *filter(None, limits)])

    def expanded(self, value: Any) -> Any:
        """*value* as it is sent: a short form's own value, a lone string as a list."""
        word = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        if isinstance(word, str) and word in self.short:
            return self.short[word]
        return [value] if self.lone and isinstance(value, str) and value else value

    def word_of(self, value: Any) -> str:
        """The word that stands for *value* in a list of :attr:`words`."""
        return next((word for word, whole in self.short.items() if _equal(value, whole)), str(value))

    def accepts(self, value: object) -> bool:
        """Whether *value* has the type and keeps the limits, as it is sent."""
        return self.violation(value) is None

    def violation(self, value: Any) -> Violation | None:
        """The part of *value* that has another type, or exceeds a limit; None for a value that may be sent."""
        if any(_equal(value, whole) for whole in self.short.values()):
            return None
        if not (_TYPES[self.type](value) and self._within(value)):
            return Violation(self, value)
        if self.type not in ("object", "array"):
            return None
        for one in value if self.type == "array" else [value]:
            unknown = bool(self.fields) and not one.keys() <= self.fields.keys()
            needed = (*self.needs, *self.needs_for.get(str(one.get("type")), ()))
            if unknown or any(name not in one for name in needed):
                return Violation(self, one)
            inner = (self.fields[name].violation(found) for name, found in one.items() if name in self.fields)
            if found := next(filter(None, inner), None):
                return found
        return None

    def _within(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.type in ("float", "int"):
            return value in self.range
        if self.max_items is not None and len(value) > self.max_items:
            return False
        return self.max_length is None or all(len(item) <= self.max_length for item in value)


def _equal(one: object, other: object) -> bool:
    """Whether two values are the same JSON: 1 is not true, and an array of numbers is compared with nothing."""
    return type(one) is type(other) and bool(one == other)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_json(value: object) -> bool:
    try:
        write_json(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


_TYPES: dict[str, Callable[[Any], bool]] = {
    "float": _is_number,
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str) and value != "",
    "list": lambda value: isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value),
    "map": lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(name, str) and isinstance(item, str) for name, item in value.items())
    ),
    "object": lambda value: _is_object(value) and _is_json(value),
    "array": lambda value: isinstance(value, (list, tuple)) and all(map(_is_object, value)) and _is_json(value),
    "switch": lambda _: False,
    "json": _is_json,
}

# Fields of the body that are given in another way, so that what is sent is what the answer is kept under.
FIXED_FIELDS = ("model", "messages", "stream")
# Further fields of the body, merged into it last, for whatever model; no part of any model's own parameters.
EXTRA = Parameter("extra", "object", wire_name="extra")
# The parameters that limit an answer's tokens: V1's name, and V2's two.
ANSWER_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")


def answer_limit(parameters: Mapping[str, Any]) -> int:
    """The most tokens an answer to these parameters may have; 0 where nothing limits them."""
    extra = _read_extra(parameters.get(EXTRA.name))
    extra = extra if isinstance(extra, Mapping) else {}
    given = (found.get(name) for found in (parameters, extra) for name in ANSWER_LIMITS)
    return min((limit for limit in given if type(limit) is int and limit > 0), default=0)


def check_parameters(
    values: Mapping[str, Any], parameters: Mapping[str, Parameter], *, model: str, source: str
) -> dict[str, Any]:
    """
    Check *values* against what the model takes, and return those to be sent, in the order of *parameters*.

    Values of None count as not given.

    Args:
        values: Parameters by name.
        parameters: What the model takes, by name.
        model: The model's title, for errors.
        source: The page the rules come from, for errors.

    Raises:
        ParameterError: Unknown to the model, not allowed, or missing its companion.
    """
    given = {name: value for name, value in values.items() if value is not None}
    extra = {EXTRA.name: _checked_extra(given.pop(EXTRA.name))} if EXTRA.name in given else {}
    sent: dict[str, Any] = {}
    places = {"model": model, "source": source}
    for name, value in given.items():
        parameter = parameters.get(name)
        if parameter is None:
            takes = list(parameters)
            unknown = ParameterError("parameter.unknown", name=name, takes=takes, value=repr(value), **places)
            raise unknown.with_hint("option.extra", name=name)
        sent[name] = parameter.expanded(value)
        if found := parameter.violation(sent[name]):
            shown = found.parameter.name, repr(value if found.parameter is parameter else found.value)
            raise ParameterError("parameter.value", name=shown[0], value=shown[1], allowed=found.parameter, **places)
        if parameter.requires and value and not given.get(parameter.requires):
            raise ParameterError("parameter.requires", name=name, value=repr(value), other=parameter.requires, **places)
    checked = {name: sent[name] for name in parameters if name in sent}
    _check_names(checked, parameters, model)
    return checked | extra


def _read_extra(extra: Any) -> Any:
    """The further fields; from their JSON too, as errors and a magic's line write them."""
    if isinstance(extra, str):
        with suppress(ValueError):
            return read_json(extra)
    return extra


def _checked_extra(extra: Any) -> Mapping[str, Any]:
    """The further fields of a body."""
    extra = _read_extra(extra)
    if not EXTRA.accepts(extra):
        raise ParameterError("parameter.extra", value=repr(extra))
    for name in FIXED_FIELDS:
        if name in extra:
            raise ParameterError("parameter.extra_fixed", name=name, fixed=list(FIXED_FIELDS))
    return dict(extra)


def _check_names(given: Mapping[str, Any], parameters: Mapping[str, Parameter], model: str) -> None:
    """Check that no two parameters are sent under one name."""
    names: dict[str, str] = {}
    for name in given:
        field_name = parameters[name].wire_name
        if field_name in names:
            raise ParameterError("parameter.twice", name=name, other=names[field_name], field=field_name, model=model)
        names[field_name] = name


_JSON_OR_WORD = ("json", "object", "switch")
_BOOLS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def parse_value(kind: str, written: str) -> Any:
    """
    Read a value written as text, as on a magic's line.

    Raises:
        ValueError: The text is not a *kind*.
    """
    if kind == "string":
        return written
    if kind == "bool":
        if written.lower() not in _BOOLS:
            raise ValueError(written)
        return _BOOLS[written.lower()]
    if kind == "int":
        return int(written)
    if kind == "float":
        # 1 stays 1 and isn't sent as 1.0: the request shows what was written.
        return int(written) if written.lstrip("+-").isdigit() else float(written)
    try:
        value = read_json(written)
    except ValueError:
        # A bare word is a string: response_format=json_object, stop=END. The model's own check says where it may be.
        if kind in _JSON_OR_WORD or (kind == "list" and written[:1] not in ("", "[", "{", '"')):
            return written
        raise
    if kind in _JSON_OR_WORD:
        return value
    if not _TYPES[kind](value):
        raise ValueError(written)
    return value
