"""JSON that fits a schema, made up: what the stub answers where JSON is asked for. The same question gets the same."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.i18n import text
from ...core.safe_json import read_json_at

_DEEPEST = 4  # levels, of a schema that refers to itself
_FORMATS = {
    "date": "2025-01-08",
    "date-time": "2025-01-08T12:00:00Z",
    "time": "12:00:00Z",
    "email": "stub@example.com",
    "uri": "https://example.com/stub",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "duration": "P1D",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "ipvanyaddress": "192.0.2.1",
    "regex": "stub",
}


def made_up(body: Mapping[str, Any], contents: Sequence[str], otherwise: str) -> str | None:
    """
    Answer a request that asks for JSON; None if it doesn't.

    Args:
        body: The request's.
        contents: The texts of its messages.
        otherwise: What is said in JSON where it doesn't tell what that is to look like.
    """
    asked = body.get("response_format")
    kind = asked.get("type") if isinstance(asked, Mapping) else asked
    schema = _of_parameter(asked) if kind == "json_schema" else None
    if schema is None:
        schema = next(filter(None, map(_of_instruction, _question(contents))), None)
    if schema is not None:
        return json.dumps(_Maker(schema, "\0".join(contents)).value(schema, ""), ensure_ascii=False)
    return json.dumps({"answer": otherwise}, ensure_ascii=False) if kind in ("json_object", "json_schema") else None


def _question(contents: Sequence[str]) -> Sequence[str]:
    """The question; with the one before it, where it only asks for that again."""
    again = any(contents[-1].endswith(text("schema.repair", lang, fault="")) for lang in ("en", "zh"))
    return contents[-1::-2][:2] if again else contents[-1:]


def _of_parameter(asked: object) -> Mapping[str, Any] | None:
    """The schema, as it stands or wrapped as OpenAI has it."""
    given = asked.get("json_schema") if isinstance(asked, Mapping) else None
    inside = given.get("schema") if isinstance(given, Mapping) else None
    schema = inside if isinstance(inside, Mapping) else given
    return schema if isinstance(schema, Mapping) else None


def _of_instruction(content: str) -> Mapping[str, Any] | None:
    """The schema that stands behind the words in which ``schema=`` asks for it."""
    for lang in ("en", "zh"):
        _, found, behind = content.rpartition(text("schema.instruction", lang))
        if found:
            try:
                schema, _ = read_json_at(behind.lstrip())
            except ValueError:
                return None
            return schema if isinstance(schema, Mapping) else None
    return None


class _Maker:
    def __init__(self, root: Mapping[str, Any], seed: str) -> None:
        self._root, self._seed = root, seed

    def _draw(self, path: str, count: int) -> int:
        """A number below *count*, by the question and the place in the answer."""
        digest = hashlib.sha256(f"{self._seed}\0{path}".encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[:4], "big") % max(count, 1)

    def value(self, schema: Any, path: str) -> Any:
        """A value for the place *path*."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][self._draw(path, len(schema["enum"]))]
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        match kind or ("object" if "properties" in schema else "string"):
            case "object":
                return self._object(schema, path)
            case "array":
                return self._array(schema, path)
            case "integer" | "number":
                return self._number(schema, path, whole=kind == "integer")
            case "boolean":
                return bool(self._draw(path, 2))
            case "null":
                return None
            case _ if schema.get("contentMediaType") == "application/json":
                return json.dumps(self.value(schema.get("contentSchema", {}), path), ensure_ascii=False)
            case _:
                return _string(schema, path)

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """The schema behind references, and the first that is possible of several."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                return {}
            several = schema.get("anyOf") or schema.get("oneOf")
            if isinstance(schema.get("$ref"), str):
                schema = self._at(schema["$ref"])
            elif isinstance(several, list):
                schema = several[0]
            elif isinstance(schema.get("allOf"), list):
                parts = [part for part in schema["allOf"] if isinstance(part, Mapping)]
                rest = {name: below for name, below in schema.items() if name != "allOf"}
                schema = {name: below for part in (*parts, rest) for name, below in part.items()}
            else:
                return schema
        return {}

    def _at(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found

    def _object(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        properties = schema.get("properties")
        needed = schema.get("required") or ()
        deep = path.count("/") >= _DEEPEST
        made = {
            name: self.value(below, f"{path}/{name}")
            for name, below in (properties.items() if isinstance(properties, Mapping) else ())
            if not deep or (name in needed and path.count("/") < 2 * _DEEPEST)
        }
        further = range(len(made), _whole(schema.get("minProperties"), 0))
        return made | {f"stub {n}": self.value(schema.get("additionalProperties"), f"{path}/stub {n}") for n in further}

    def _array(self, schema: Mapping[str, Any], path: str) -> list[Any]:
        first = schema.get("prefixItems")
        if isinstance(first, list):
            return [self.value(below, f"{path}/{place}") for place, below in enumerate(first)]
        least, most = _whole(schema.get("minItems"), 0), _whole(schema.get("maxItems"), 2)
        count = max(least, 0 if path.count("/") >= _DEEPEST else min(2, most))
        return [self.value(schema.get("items"), f"{path}/{place}") for place in range(count)]

    def _number(self, schema: Mapping[str, Any], path: str, *, whole: bool) -> float:
        inside = 1.0 if whole else 0.01
        low, high = _bound(schema, "inimum", inside), _bound(schema, "aximum", -inside)
        low = (min(1.0, high) if high is not None else 1.0) if low is None else low
        high = low + 4 if high is None else high
        step = schema.get("multipleOf")
        if isinstance(step, (int, float)) and step > 0:
            return math.ceil(low / step) * step
        if whole:
            return math.ceil(low) + self._draw(path, math.floor(high) - math.ceil(low) + 1)
        return min(max(round(low + (high - low) * self._draw(path, 101) / 100, 2), low), high)


def _bound(schema: Mapping[str, Any], name: str, inside: float) -> float | None:
    """The limit that is called so, or the one *inside* of which it lies; None for none."""
    for written, moved in ((f"m{name}", 0.0), (f"exclusiveM{name}", inside)):
        bound = schema.get(written)
        if isinstance(bound, (int, float)) and not isinstance(bound, bool):
            return bound + moved
    return None


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and 0 <= value <= 100 else otherwise


def _string(schema: Mapping[str, Any], path: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    name = next((step for step in reversed(path.split("/")) if step and not step.isdigit()), "answer")
    said = f"stub {name}"
    return said.ljust(_whole(schema.get("minLength"), 0), ".")[: _whole(schema.get("maxLength"), 100)]
