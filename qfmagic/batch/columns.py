"""
Columns of the frame libraries. Each is read back when it is made: what it would change is kept in another form.

That form is JSON text, or in pandas a column of objects.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import Any

# Where one is missing, integers stay integers.
_PANDAS: Mapping[type | None, str] = {int: "Int64", float: "float64", bool: "boolean", str: "string", None: "object"}
_NARWHALS: Mapping[type, str] = {int: "Int64", float: "Float64", bool: "Boolean", str: "String"}
_SCALARS = (str, int, float, bool, type(None))
_EXACT = 2**53  # whole numbers up to it are exact as fractions
_TIMES = (datetime, date, time, timedelta)


def plain(value: Any, *, inside: bool = False) -> Any:
    """
    A value that every frame can hold and every file can keep: sets as lists, models as dicts, UUIDs as text.

    Args:
        value: The value.
        inside: Whether it is within another one: there, decimals and times are text.
    """
    kind = type(value)
    if kind in _SCALARS or isinstance(value, (bytes, bytearray)):
        return value
    if isinstance(value, Enum):
        return plain(value.value, inside=inside)
    if isinstance(value, (Decimal, *_TIMES)):
        return _as_text(value) if inside else value
    if isinstance(value, (str, int, float)):  # a class of one's own that is one
        return next(base(value) for base in (str, int, float) if isinstance(value, base))
    return _plain_container(value)


def _plain_container(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): plain(entry, inside=True) for key, entry in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(entry, inside=True) for entry in value), key=_sorting)
    if isinstance(value, (list, tuple)):
        return [plain(entry, inside=True) for entry in value]
    if hasattr(type(value), "model_dump"):
        return plain(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    return str(value)


def _key(key: Any) -> str:
    return key if type(key) is str else str(plain(key, inside=True))


def _sorting(value: Any) -> tuple[str, Any]:
    return (type(value).__name__, value if isinstance(value, (str, int, float)) else _as_text(value))


def _as_text(value: Any) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, timedelta)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=_as_text)


def same(one: Any, other: Any) -> bool:
    """Whether two values have the same type and content; NaN equals NaN, and a missing value a missing value."""
    if isinstance(other, dict) or isinstance(one, dict):
        equal_names = isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other)
        return equal_names and all(same(entry, other[name]) for name, entry in one.items())
    if isinstance(one, (list, tuple)) or isinstance(other, (list, tuple)):
        both = isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other)
        return both and all(map(same, one, other))
    if one is None or other is None:
        return one is other
    if isinstance(one, datetime) and isinstance(other, datetime):  # pandas has a class of its own
        return one == other and one.utcoffset() == other.utcoffset()
    return type(one) is type(other) and (repr(one) == repr(other))


def pandas_column(pandas: Any, values: Sequence[Any], kind: type | None) -> Any:
    """A column of pandas; of objects where it would change a value."""
    given = _numbers(values, kind)
    there = [value for value in given if value is not None]
    try:
        if kind is None and there and all(isinstance(value, datetime) for value in there):
            made = pandas.array(pandas.to_datetime(given))
        else:
            made = pandas.array(given, dtype=_PANDAS[kind])
        if all(map(same, map(_read_back, made), (None if is_missing(value) else value for value in given))):
            return made
    except Exception:  # noqa: BLE001, S110 - too large, another type, zones that differ: it must be there all the same
        pass
    found = sys.modules["numpy"].empty(len(values), dtype=object)
    for at, value in enumerate(values):  # one by one, as lists of one length would be taken for more columns
        found[at] = value
    return found


def _numbers(values: Sequence[Any], kind: type | None) -> list[Any]:
    """The values; in a column of fractions, whole numbers as such, where they are exactly that."""
    if kind is not float:
        return list(values)
    return [float(value) if type(value) is int and abs(value) <= _EXACT else value for value in values]


def _read_back(value: Any) -> Any:
    if is_missing(value):
        return None
    return value.item() if hasattr(value, "item") else value


def is_missing(value: object) -> bool:
    """Whether a value is None, or not equal to itself, as NaN and its like are."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - that is what NaN is
    except Exception:  # noqa: BLE001 - pandas.NA says neither yes nor no, an array both, another's own class anything
        return type(value).__name__ == "NAType"


def new_series(nw: Any, name: str, values: Sequence[Any], kind: type | None, backend: Any) -> Any:
    """The same through narwhals; where a library has no column for the values as they are, they are JSON text."""
    given = _numbers(values, kind)
    known = kind is not None or all(value is None for value in given)
    dtype = getattr(nw, _NARWHALS[kind or str])() if known else None
    try:
        made = nw.new_series(name, given, dtype, backend=backend)
        if made.dtype != nw.Object and not _has_empty_struct(given) and all(map(same, made.to_list(), given)):
            return made
    except Exception:  # noqa: BLE001, S110 - as above
        pass
    return nw.new_series(name, _texts(values), nw.String(), backend=backend)


def _texts(values: Sequence[Any]) -> list[str | None]:
    """JSON; decimals and times among themselves are written without quotes."""
    bare = not any(isinstance(value, str) for value in values)
    return [None if value is None else (_as_text if bare else _json)(value) for value in values]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_as_text)


def _has_empty_struct(value: Any) -> bool:
    """Whether there is an object without fields, which Parquet cannot keep."""
    if isinstance(value, dict):
        return not value or any(map(_has_empty_struct, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_has_empty_struct, value))


def frame_of(library: Any, columns: Mapping[str, Sequence[Any]]) -> Any:
    """A frame of pandas or polars with the columns of a file."""
    if library.__name__ == "pandas":
        return library.DataFrame({name: _of_file(library, values) for name, values in columns.items()})
    nw = import_module("narwhals.stable.v2")
    return library.DataFrame({name: new_series(nw, name, v, None, library).to_native() for name, v in columns.items()})


def _of_file(pandas: Any, values: Sequence[Any]) -> Any:
    """Texts in pandas' own type; whole numbers and truth values with a missing one in its nullable types."""
    kinds = {type(value) for value in values if value is not None}
    only = next(iter(kinds)) if len(kinds) == 1 else None
    if only in (str, int, float, bool):
        whole = None not in values or only is str
        made = pandas.Series(list(values)) if whole else pandas.Series(pandas_column(pandas, values, only))
        if all(map(same, map(_read_back, made), values)):
            return made
    return pandas_column(pandas, values, None)
