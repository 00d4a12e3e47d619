"""Parts of a JSON Schema, looked up: references, unions, and the types they take."""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 10  # references and unions that follow on each other
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def branches(schema: Any, root: Mapping[str, Any], depth: int = _DEEPEST) -> tuple[Mapping[str, Any], ...]:
    """The schemas of which a value has to fit one, without references; none where that isn't known."""
    if not isinstance(schema, Mapping) or not depth:
        return ()
    if isinstance(schema.get("$ref"), str):
        return branches(at(schema["$ref"], root), root, depth - 1)
    several = schema.get("anyOf") or schema.get("oneOf")
    if not several and isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
        several = schema["allOf"]
    if isinstance(several, list):
        return tuple(found for one in several for found in branches(one, root, depth - 1))
    if isinstance(schema.get("type"), list):
        return tuple({**schema, "type": one} for one in schema["type"])
    return (schema,)


def takes(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is of the type, and among the choices, of a schema without references and unions."""
    choices = choices_of(schema)
    if choices is not None:
        return any(type(one) is type(value) and one == value for one in choices)
    kinds = _TYPES.get(str(schema.get("type")))
    if kinds is None:
        return "type" not in schema
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def choices_of(schema: Mapping[str, Any]) -> list[Any] | None:
    """The values that are allowed; None for any."""
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return choices if isinstance(choices, list) else None


def at(reference: str, root: Mapping[str, Any]) -> Any:
    """The part of a schema that a reference names; None where the reference names none."""
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found
