"""
Checkers of values against a schema: pydantic for types of Python, fastjsonschema for JSON Schemas.

Both are loaded with the first prompt that has a schema.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from importlib import import_module
from typing import Any, Protocol

from ..core.errors import OptionError
from ..core.terminal import printable
from .column_types import Kinds

VALUE = "value"  # the only column of a value that has no fields
_LONGEST = 160  # characters of one fault


class Unfit(ValueError):
    """The value doesn't fit; the message says why."""


class Checker(Protocol):
    """Checks values against one schema."""

    @property
    def json_schema(self) -> Mapping[str, Any]:
        """The schema as a JSON Schema."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The top-level fields, or :data:`VALUE` where there are none."""
        ...

    @property
    def kinds(self) -> Kinds:
        """The type of each column; None is anything."""
        ...

    def check(self, written: str) -> Any:
        """Return the object that JSON text stands for; raise :class:`Unfit` if it doesn't fit."""
        ...

    def columns(self, value: Any) -> dict[str, Any]:
        """The top-level fields of an object as plain values; raise :class:`Unfit` if they can't be had."""
        ...


def loaded(module: str) -> Any:
    """
    Import a package of the extra.

    Raises:
        OptionError: It isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise OptionError("schema.extra", package=module.partition(".")[0]) from error


def columns_of(fields: Sequence[str], plain: Any) -> dict[str, Any]:
    """The columns of a value that consists of plain ones; without fields, it is one itself."""
    if not fields:
        return {VALUE: _plain(plain)}
    found = plain if isinstance(plain, Mapping) else {}
    return {name: _plain(found.get(name)) for name in fields}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def line(said: str) -> str:
    """A message in one line, without control sequences of terminals: a model's text may be in it."""
    whole = printable(" ".join(said.split()))
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 3]}..."


def why(error: BaseException) -> str:
    """The text of an exception; its class is the user's, and may fail at that too."""
    try:
        return line(f"{type(error).__name__}: {error}".removesuffix(": "))
    except BaseException:  # noqa: BLE001 - as above
        return type(error).__name__
