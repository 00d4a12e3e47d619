"""Values that pydantic accepts and nobody means: numbers and digits as dates, "NaN" and true as numbers."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .json_schemas import branches, takes

GUARD = "qfmagic-guard"  # the keyword that names the guard of a part of a schema
_DATE = re.compile(r"\s*[0-9]{4}-[0-9]")
_TIME = re.compile(r"\s*[0-9]{1,2}:[0-9]")
_FAULTS: Mapping[str, str] = {
    "date": "a date is written like 2025-01-08",
    "time": "a time is written like 09:30:00",
    "duration": "a duration is written like PT90S",
    "number": "should be a finite number",
}


@cache
def guarded() -> Any:
    """A maker of JSON Schemas that marks what pydantic reads itself; where the user's own code reads, nothing is."""
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - an extra

    whole = ("model", "dataclass", "typed-dict", "definition-ref", "definitions")

    class Guarded(GenerateJsonSchema):
        def date_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().date_schema(schema), GUARD: "date"}

        def datetime_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().datetime_schema(schema), GUARD: "date"}

        def time_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().time_schema(schema), GUARD: "time"}

        def timedelta_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().timedelta_schema(schema), GUARD: "duration"}

        def float_schema(self, schema: Any) -> dict[str, Any]:
            own = super().float_schema(schema)
            return own if schema.get("allow_inf_nan") else {**own, GUARD: "number"}

        def int_schema(self, schema: Any) -> dict[str, Any]:
            return {**super().int_schema(schema), GUARD: "number"}

        def function_before_schema(self, schema: Any) -> dict[str, Any]:
            own = super().function_before_schema(schema)
            return own if schema["schema"]["type"] in whole else {}

        def function_wrap_schema(self, schema: Any) -> dict[str, Any]:
            own = super().function_wrap_schema(schema)
            return own if schema["schema"]["type"] in whole else {}

        def function_plain_schema(self, schema: Any) -> dict[str, Any]:  # noqa: ARG002 - pydantic's signature
            return {}

    return Guarded


def marked(schema: Any) -> Any:
    """A JSON Schema whose dates and numbers are guarded, for what is asked with a schema of its own."""
    if isinstance(schema, list):
        return [marked(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    formats = {"date": "date", "date-time": "date", "time": "time", "duration": "duration"}
    guard = formats.get(str(schema.get("format"))) or ("number" if schema.get("type") in ("integer", "number") else "")
    inside = {name: below if name in ("enum", "const") else marked(below) for name, below in schema.items()}
    return {**inside, GUARD: guard} if guard else inside


@dataclass
class _Walk:
    """A walk through a value beside its schema; what was looked at once is not looked at for another union."""

    root: Mapping[str, Any]
    seen: dict[tuple[int, int], tuple[Any, list[str]]] = field(default_factory=dict)

    def faults(self, value: Any, schema: Any, path: str) -> list[str]:
        """What is wrong; where one branch of a union takes the value, nothing."""
        several = branches(schema, self.root)
        if not isinstance(value, (dict, list)):
            guards = [_guards(one, value) for one in several]
            fine = any(guard is None and takes(one, value) for one, guard in zip(several, guards, strict=True))
            told = None if fine else next(filter(None, guards), None)
            place = f"{path}: " if path else ""
            return [f"{place}{told} (got {value!r})"] if told else []
        inside = [self._inside(value, one, path) for one in several if takes(one, value)]
        return inside[0] if inside and all(inside) else []

    def _inside(self, value: Any, schema: Mapping[str, Any], path: str) -> list[str]:
        key = id(value), id(schema)
        if key not in self.seen:
            found = [
                fault
                for name, below, described in _parts(value, schema)
                for fault in self.faults(below, described, f"{path}.{name}" if path else str(name))
            ]
            self.seen[key] = schema, found  # keeps the schema alive: the id of one that is freed is used again
        return self.seen[key][1]


def faults(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """
    The parts of a value that pydantic would silently read as another value, each with the reason.

    Args:
        value: A value of JSON.
        schema: The JSON Schema of it, made by :func:`guarded` or :func:`marked`.
    """
    return _Walk(schema).faults(value, schema, "")


def _parts(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[object, Any, Any]]:
    """The members of an object or a list: the name, the value, and the schema of each."""
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        for number, below in enumerate(value):
            yield number, below, first[number] if number < len(first) else schema.get("items")
        return
    properties = schema.get("properties", {})
    for name, below in value.items():
        yield name, below, properties.get(name, schema.get("additionalProperties"))
        yield name, name, schema.get("propertyNames")


def _guards(schema: Mapping[str, Any], value: Any) -> str | None:
    """The fault a guard finds in a value; None without one."""
    guard = schema.get(GUARD)
    if guard is None or value is None:
        return None
    if guard == "number":
        return _FAULTS[guard] if isinstance(value, bool) or not _is_finite(value) else None
    form = {"date": _DATE, "time": _TIME}.get(guard)
    right = isinstance(value, str) and (form is None or form.match(value))
    return None if right else _FAULTS[guard]


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (ValueError, TypeError):  # pydantic reports that
        return True
    except OverflowError:
        return False
