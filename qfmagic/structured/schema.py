"""The schema of an answer (a class of Python, a JSON Schema or a short form) as one value."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import GenericAlias, MappingProxyType
from typing import Any, Literal, Union, get_origin

from ..core.errors import OptionError, SchemaError
from ..core.i18n import text
from ..core.models import JsonWay, did_you_mean, suggest
from ..core.safe_json import read_json, write_json
from .column_types import Kinds
from .json_schema import JSONSchemaChecker
from .old_models import is_old_model
from .python_types import TypeChecker
from .reading import Reading, read_answer
from .schema_file import is_path, read_schema
from .short_form import Field, json_schema_of, parse_short_form, type_of
from .validator import Checker, Unfit, loaded

# What a pydantic model has, and a TypedDict, of typing or of typing_extensions.
_MARKS = ("model_fields", "__required_keys__")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
ENVELOPE_NAME = "answer"  # what OpenAI's envelope calls the schema
_LIST = re.compile(r"list\s*\[\s*([\w.]+)\s*\]")
_TYPES: Mapping[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True, eq=False)
class Schema:
    """
    The schema of an answer. Made with :meth:`of`; can be pickled where its class can be.

    >>> Schema.of("name str, score float").names
    ('name', 'score')

    Attributes:
        spec: The class, or the JSON Schema as a dict; None of a short form.
        fields: The fields of a short form.
    """

    spec: Any = None
    fields: tuple[Field, ...] = ()

    @classmethod
    def of(cls, spec: Any, namespace: Mapping[str, Any] = _NOTHING) -> "Schema":
        """
        Read a schema.

        Args:
            spec: A pydantic model, a dataclass, a TypedDict, an Enum, a Literal, or ``list[...]`` of one; a JSON Schema
                as a dict, as text, or the path of a ``.json`` file; a short form such as ``"name str, score float"``;
                or the name of one of these, or ``"list[NAME]"``.
            namespace: Where a name is looked up.

        Raises:
            OptionError: It is none of these, can't be checked, or what checks it isn't installed.
        """
        if isinstance(spec, Path) or (isinstance(spec, str) and is_path(spec.strip(), namespace)):
            spec = read_schema(spec)
        if isinstance(spec, str):
            spec = _named(spec.strip(), namespace)
        if isinstance(spec, Schema):
            return spec
        schema = _written(spec.strip()) if isinstance(spec, str) else cls(_checkable(spec))
        schema.checker  # noqa: B018 - a fault in it is reported now, not after an answer that was paid for
        return schema

    def __getstate__(self) -> dict[str, Any]:
        return {"spec": self.spec, "fields": self.fields}  # the checker is made again

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)

    @cached_property
    def checker(self) -> Checker:
        """The checker of objects; made when it is first needed, and not pickled."""
        if isinstance(self.spec, Mapping):
            return JSONSchemaChecker(self.spec)
        loaded("pydantic")
        if self.fields:
            return TypeChecker(type_of(self.fields), json_schema_of(self.fields))
        return TypeChecker(self.spec)

    # ---- sent with a prompt

    @property
    def json_schema(self) -> Mapping[str, Any]:
        """The schema as a JSON Schema."""
        return self.checker.json_schema

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the top-level fields; ``("value",)`` where there are none."""
        return self.checker.names

    @property
    def kinds(self) -> Kinds:
        """The type of each column, as far as the schema says; None is anything."""
        return self.checker.kinds

    @cached_property
    def is_object(self) -> bool:
        """Whether what fits is always an object."""
        return _kind(self.json_schema, self.json_schema) == "object"

    def instruction(self, lang: str) -> str:
        """The text added to a prompt that describes the schema to the model; in ``"en"`` or ``"zh"``."""
        written = json.dumps(self.json_schema, ensure_ascii=False, separators=(",", ":"))
        return f"{text('schema.instruction', lang)}\n{written}"

    def parameters(self, way: JsonWay | None) -> Mapping[str, Any]:
        """
        The parameters that ask for JSON on V2, sent with the instruction; none where *way* is None.

        Both ways are for objects. A JSON Schema is sent in OpenAI's envelope; the client tries the bare schema where
        the service rejects that: Baidu's page leaves the form open.
        """
        if way is None or not self.is_object:
            return {}
        envelope = {"name": ENVELOPE_NAME, "schema": self.json_schema, "strict": True}
        schema = {"json_schema": envelope} if way == "json_schema" else {}
        return {"response_format": {"type": way, **schema}}

    # ---- reading an answer

    def parse(self, answer: str) -> Any:
        """
        Return the object in a model's text, which may be in fenced code or within prose.

        Raises:
            SchemaError: As :meth:`read`.
        """
        return self.read(answer).value

    def read(self, answer: str) -> Reading:
        """
        Return the object in a model's text, and the defects it was read in spite of.

        Raises:
            SchemaError: There is none, it doesn't fit, or several do.
        """
        found = read_answer(answer, self.checker, lists=not self.is_object)
        return replace(found, value=self._completed(found.value)) if self.fields else found

    def _completed(self, value: Any) -> Any:
        """With every field of a short form, in its order: one that was left out is None."""
        return {field.name: value.get(field.name) for field in self.fields}

    def columns(self, value: Any) -> dict[str, Any]:
        """
        The top-level fields of an object as plain values, for a row of a frame.

        Those that aren't there are None, and all of them for None itself: for a row without an answer.

        Raises:
            SchemaError: They can't be had: the class has code of its own for that, which failed. What :meth:`parse`
                returned has been looked at.
        """
        if value is None:
            return dict.fromkeys(self.names)
        try:
            return self.checker.columns(value)
        except Unfit as error:
            raise SchemaError("schema.unfit", reason=str(error)) from error


def _named(written: str, namespace: Mapping[str, Any]) -> Any:
    """The value of a name, or a list of it; a text that is neither is returned unchanged."""
    listed = _LIST.fullmatch(written)
    if listed:
        kind = _TYPES.get(listed[1]) or _named(listed[1], namespace)
        if kind not in _TYPES.values() and not _is_type(kind):
            raise OptionError("schema.kind", kind=type(kind).__name__)
        return GenericAlias(list, kind)
    first, *rest = written.split(".")
    if not all(part.isidentifier() for part in (first, *rest)):
        return written
    if first not in namespace:
        classes = [name for name, value in namespace.items() if _is_type(value) and not name.startswith("_")]
        hint = did_you_mean(suggest(written, classes))
        raise OptionError("schema.unknown", name=written, suggestions=hint)
    found = namespace[first]
    for part in rest:
        if not hasattr(found, part):
            raise OptionError("schema.unknown", name=written, suggestions="")
        found = getattr(found, part)
    return found


def _written(spec: str) -> Schema:
    if spec.startswith("<"):  # what a class looks like as text
        raise OptionError("schema.braces", text=spec)
    if not spec.startswith("{"):
        return Schema(fields=parse_short_form(spec))
    try:
        read = read_json(spec)
    except ValueError as error:
        raise OptionError("schema.json", reason=str(error)) from None
    return Schema(_checkable(read))


def _json(spec: Mapping[str, Any]) -> dict[str, Any]:
    """
    A JSON Schema as a copy of one's own, whose every part is JSON.

    Raises:
        OptionError: One isn't.
    """
    try:
        copy: dict[str, Any] = read_json(write_json(dict(spec), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise OptionError("schema.json", reason=str(error)) from None
    return copy


def _checkable(spec: Any) -> Any:
    if isinstance(spec, Mapping) and spec:
        return _json(spec)
    if _is_type(spec):
        return spec
    if is_old_model(spec):
        raise OptionError("schema.v1", name=spec.__name__)
    raise OptionError("schema.kind", kind=type(spec).__name__)


def _is_type(spec: Any) -> bool:
    """Whether it is a class with fields, choices, or a list of one."""
    origin = get_origin(spec)
    if origin is not None:
        return origin in (Union, Literal) or isinstance(origin, type) or not callable(origin)
    if not isinstance(spec, type):
        return False
    return is_dataclass(spec) or issubclass(spec, Enum) or any(hasattr(spec, name) for name in _MARKS)


def _kind(schema: Mapping[str, Any], root: Mapping[str, Any]) -> object:
    """The type of what fits, as far as it can be told; the root may be a reference to one of its definitions."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/") and schema is root:
        found: Any = root
        for step in reference[2:].split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        return _kind(found, root) if isinstance(found, Mapping) else None
    return schema.get("type") or ("object" if "properties" in schema else None)
