"""What is in a column, as far as a JSON Schema tells."""

from collections.abc import Mapping, Sequence
from typing import Any

from .json_schemas import at

Kinds = Mapping[str, type | None]
_OF_JSON: Kinds = {"string": str, "integer": int, "number": float, "boolean": bool}
_DEEPEST = 10  # references that follow on each other


def kinds_of(schema: Mapping[str, Any], names: Sequence[str], *, whole: bool, formats: bool = True) -> Kinds:
    """
    What is in each column; None is anything.

    Args:
        schema: The JSON Schema of an object.
        names: The columns: its fields; of a value without fields, the one that holds it.
        whole: Whether that is so.
        formats: Whether a string with a format stands for something else, such as a date.
    """
    properties = _resolved(schema, schema).get("properties")
    described = properties if isinstance(properties, Mapping) else {}
    return {name: _kind(schema if whole else described.get(name), schema, formats=formats) for name in names}


def _kind(described: Any, root: Mapping[str, Any], *, formats: bool) -> type | None:
    described = _resolved(described, root)
    if formats and "format" in described:
        return None
    choices = described.get("enum", [described["const"]] if "const" in described else None)
    if isinstance(choices, list) and choices:
        kinds: set[type | None] = {type(choice) for choice in choices if choice is not None}
    else:
        written = described.get("type")
        names = written if isinstance(written, list) else [written]
        kinds = {_OF_JSON.get(str(name)) for name in names if name != "null"}
    kind = kinds.pop() if len(kinds) == 1 else None
    return kind if kind in _OF_JSON.values() else None


def _resolved(described: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is described behind references, and beside null."""
    for _ in range(_DEEPEST):
        if not isinstance(described, Mapping):
            return {}
        several = described.get("anyOf") or described.get("oneOf") or described.get("allOf")
        if isinstance(described.get("$ref"), str):
            described = at(described["$ref"], root)
        elif isinstance(several, list):
            left = [one for one in several if one != {"type": "null"}]
            described = left[0] if len(left) == 1 else {}
        else:
            return described
    return {}
