"""A row's value as the text of a prompt: untruncated, and written as a reader would write it."""

import inspect
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from .rendering import show, whole_json

_SCALARS = (str, int, float, bool, type(None))
_CONTAINERS = (Mapping, list, tuple, set, frozenset)


def show_value(value: object) -> str:
    """
    Turn a value of a row into text. Nothing is left out: what is too long for a model is refused as a whole.

    Returns:
        Texts as they are; lists and dicts as JSON, and short ones as Python writes them.
    """
    written = readable(value)
    if isinstance(written, str):
        return written
    if isinstance(written, _CONTAINERS):
        short = show(written)
        return short if short == repr(written) or isinstance(written, set | frozenset) else whole_json(written)
    return _described(written)


def show_row(row: Mapping[Any, Any]) -> str:
    """All of a row, as JSON."""
    return whole_json({key: readable(value) for key, value in row.items()})


def _described(value: object) -> str:
    if inspect.isfunction(value) or inspect.isclass(value):
        try:
            return inspect.getsource(value).rstrip("\n")
        except (OSError, TypeError):
            return show(value)
    markdown = getattr(value, "_repr_markdown_", None)
    said = markdown() if callable(markdown) and not inspect.isclass(value) else None
    return said if isinstance(said, str) else show(value)


def readable(value: Any) -> Any:
    """A value as JSON has it: ISO times, decimals and UUIDs as text, arrays as lists, a missing number as None."""
    if type(value) in _SCALARS:
        return None if isinstance(value, float) and math.isnan(value) else value
    if isinstance(value, Enum):
        return readable(value.value)
    if isinstance(value, (datetime, date, time)):
        return None if type(value).__name__ == "NaTType" else value.isoformat()
    if isinstance(value, (timedelta, Decimal, UUID, PurePath)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return _decoded(value)
    return _of_numpy(value) if type(value).__module__ == "numpy" else _of_container(value)


def _of_container(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: readable(entry) for key, entry in value.items()}
    if isinstance(value, set | frozenset):
        return value if all(type(entry) in _SCALARS for entry in value) else [readable(entry) for entry in value]
    if type(value) in (list, tuple):
        return type(value)(readable(entry) for entry in value)
    return _of_class(value)


def _of_class(value: Any) -> Any:
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(type(value), "model_dump"):
        return readable(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return readable(asdict(value))
    return value


def _decoded(value: bytes | bytearray) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _of_numpy(value: Any) -> Any:
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return [readable(entry) for entry in value] if value.ndim else readable(value[()])
    if isinstance(value, numpy.floating) and not isinstance(value, float):
        return readable(float(str(value)))
    if isinstance(value, numpy.datetime64 | numpy.timedelta64):
        return None if numpy.isnat(value) else str(value)
    return readable(value.item()) if hasattr(value, "item") else value
