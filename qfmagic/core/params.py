"""What a parameter may be, and the check of the values a user gave against it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ParameterError
from .i18n import text
from .safe_json import read_json, write_json

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


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One parameter of a model.

    Attributes:
        name: Its name in qfmagic, the one of the V1 pages.
        type: ``float``, ``int``, ``bool``, ``string``, ``list`` (of strings), ``map`` (string to string) or ``json``.
        range: For numbers, what is allowed.
        max_items: Most elements of a list or entries of a map.
        max_length: Most characters of a list's element.
        default: What the service takes when the parameter is left out; documentation only, never sent.
        requires: Another parameter that must be given when this one is true.
        wire_name: Its name in the request body.
    """

    name: str
    type: str
    range: Range = Range()
    max_items: int | None = None
    max_length: int | None = None
    default: Any = None
    requires: str | None = None
    wire_name: str = ""

    @classmethod
    def from_row(cls, name: str, row: Mapping[str, Any]) -> "Parameter":
        """Build from a row of ``models.toml``."""
        fields = {key: value for key, value in row.items() if key not in ("range", "as")}
        return cls(name=name, range=Range.parse(row.get("range", "(, )")), wire_name=row.get("as", name), **fields)

    def describe(self, lang: str) -> str:
        """Say what is allowed."""
        limits = [
            self.range.text if self.range.low is not None or self.range.high is not None else "",
            text("parameter.items", lang, count=self.max_items) if self.max_items else "",
            text("parameter.length", lang, count=self.max_length) if self.max_length else "",
        ]
        return ", ".join([self.type, *filter(None, limits)])

    def accepts(self, value: object) -> bool:
        """Whether *value* has the type and keeps the limits."""
        return _TYPES[self.type](value) and self._within(value)

    def _within(self, value: Any) -> bool:
        if self.type in ("float", "int"):
            return value in self.range
        if self.max_items is not None and len(value) > self.max_items:
            return False
        return self.max_length is None or all(len(item) <= self.max_length for item in value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
    "json": _is_json,
}


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
    for name, value in given.items():
        parameter = parameters.get(name)
        if parameter is None:
            raise ParameterError(
                "parameter.unknown", name=name, model=model, takes=list(parameters), source=source, value=repr(value)
            )
        if not parameter.accepts(value):
            raise ParameterError(
                "parameter.value", name=name, value=repr(value), allowed=parameter, model=model, source=source
            )
        if parameter.requires and value and not given.get(parameter.requires):
            raise ParameterError(
                "parameter.requires", name=name, value=repr(value), other=parameter.requires, model=model, source=source
            )
    return {name: given[name] for name in parameters if name in given}


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
        if kind == "json":  # a bare word is a string: response_format=json_object
            return written
        raise
    if not _TYPES[kind](value):
        raise ValueError(written)
    return value
