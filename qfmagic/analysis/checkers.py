"""
What checks a value against a schema: pydantic for types of Python, fastjsonschema for JSON Schemas.

Both are loaded with the first question that has a schema.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from importlib import import_module
from typing import Any, NoReturn, Protocol

from ..core.catalogue import Text
from ..core.errors import OptionError
from ..core.plain import printable

VALUE = "value"  # the only column of a value that has no fields
_SHOWN = 5  # faults told
_LONGEST = 160  # characters of one
# Keywords of drafts behind the seventh, which fastjsonschema would silently pass over.
_UNCHECKED = frozenset({
    "prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties",
    "minContains", "maxContains", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor",
})  # fmt: skip
# What stands below these is data or names, not a schema.
_DATA = frozenset(("const", "enum", "default", "examples", "required"))
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependencies"))


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

    def check(self, written: str) -> Any:
        """Return the object that JSON text stands for; raise :class:`Unfit` if it doesn't fit."""
        ...

    def columns(self, value: Any) -> dict[str, Any]:
        """The top-level fields of an object as plain values."""
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


class TypeChecker:
    """
    Checks against a type of Python: a pydantic model, a dataclass, a TypedDict, a list of these.

    Args:
        kind: The type.
        shown: The JSON Schema to ask with, where it isn't the type's own.

    Raises:
        OptionError: pydantic isn't there, or can't check that type.
    """

    def __init__(self, kind: Any, shown: Mapping[str, Any] | None = None) -> None:
        pydantic = loaded("pydantic")
        self._kind = kind
        try:
            self._adapter = pydantic.TypeAdapter(kind)
            self.json_schema: Mapping[str, Any] = shown or self._adapter.json_schema(schema_generator=_untitled())
        except Exception as error:  # the class is the user's, and may fail in any way
            raise OptionError("schema.type", name=_name(kind), reason=_line(str(error))) from error

    @cached_property
    def names(self) -> tuple[str, ...]:
        """As :attr:`Checker.names`."""
        if hasattr(self._kind, "model_fields"):
            return tuple(self._kind.model_fields)
        if is_dataclass(self._kind):
            return tuple(field.name for field in fields(self._kind))
        return tuple(getattr(self._kind, "__annotations__", ())) or (VALUE,)

    def check(self, written: str) -> Any:
        """As :meth:`Checker.check`."""
        from pydantic import ValidationError  # noqa: PLC0415 - an extra

        try:
            return self._adapter.validate_json(written)
        except ValidationError as error:
            raise Unfit(_told(_faults(error))) from None
        except Exception as error:  # a validator of the user's may raise what it likes
            raise Unfit(_line(f"{type(error).__name__}: {error}")) from error

    def columns(self, value: Any) -> dict[str, Any]:
        """As :meth:`Checker.columns`."""
        plain = self._adapter.dump_python(value, warnings=False)
        return _columns(self.names, plain)


class JSONSchemaChecker:
    """
    Checks against a JSON Schema.

    Raises:
        OptionError: It is none, refers to what isn't in it, or has a keyword that wouldn't be checked.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        module = loaded("fastjsonschema")
        self.json_schema = schema
        self._fault = module.JsonSchemaException
        for keyword in _keywords(schema):
            if keyword in _UNCHECKED:
                raise OptionError("schema.keyword", name=keyword)
        try:  # a copy: it writes into what it compiles
            self._validate = module.compile(deepcopy(schema), handlers=_Refusing(), use_default=False)
        except OptionError:
            raise
        except Exception as error:  # a broken schema raises what it likes
            raise OptionError("schema.json", reason=_line(str(error) or type(error).__name__)) from error

    @cached_property
    def names(self) -> tuple[str, ...]:
        """As :attr:`Checker.names`."""
        properties = self.json_schema.get("properties")
        return tuple(properties) if isinstance(properties, Mapping) and properties else (VALUE,)

    def check(self, written: str) -> Any:
        """As :meth:`Checker.check`."""
        import json  # noqa: PLC0415 - as pydantic

        value = json.loads(written)
        try:
            return self._validate(value)
        except self._fault as error:
            raise Unfit(_line(re.sub(r"^data[. ]?", "", error.message))) from None
        except Exception as error:  # such as a schema that refers to itself
            raise Unfit(_line(f"{type(error).__name__}: {error}")) from error

    def columns(self, value: Any) -> dict[str, Any]:
        """As :meth:`Checker.columns`."""
        return _columns(self.names, value)


class _Refusing(Mapping[str, Callable[[str], Any]]):
    """What fetches references out of the schema, whatever their scheme: nothing does."""

    def __getitem__(self, scheme: str) -> Callable[[str], Any]:
        return _refuse

    def __contains__(self, scheme: object) -> bool:
        return True  # what isn't there would be fetched with urllib

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _refuse(reference: str) -> NoReturn:
    raise OptionError("schema.ref", name=reference)


def _keywords(schema: Any) -> Iterator[str]:
    """The keywords of a schema and of those in it."""
    if isinstance(schema, list):
        for one in schema:
            yield from _keywords(one)
    if not isinstance(schema, Mapping):
        return
    for keyword, below in schema.items():
        yield keyword
        if keyword in _NAMED and isinstance(below, Mapping):
            for one in below.values():
                yield from _keywords(one)
        elif keyword not in _DATA:
            yield from _keywords(below)


def _untitled() -> Any:
    """A JSON Schema without titles, which say nothing that the names don't."""
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - an extra

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
            return False

    return Untitled


def _columns(names: tuple[str, ...], plain: Any) -> dict[str, Any]:
    if names == (VALUE,) and not (isinstance(plain, Mapping) and VALUE in plain):
        return {VALUE: _plain(plain)}
    found = plain if isinstance(plain, Mapping) else {}
    return {name: _plain(found.get(name)) for name in names}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _faults(error: Any) -> list[str]:
    found = []
    for fault in error.errors(include_url=False, include_context=False):
        place = ".".join(str(step) for step in fault["loc"])
        given = fault["input"]
        got = f" (got {given!r})" if isinstance(given, (str, int, float, bool)) or given is None else ""
        found.append(_line(f"{place}: {fault['msg']}{got}" if place else f"{fault['msg']}{got}"))
    return found


def _told(faults: list[str]) -> str:
    more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return "; ".join([*faults[:_SHOWN], *more])


def _line(said: str) -> str:
    """In one line, without what a terminal would obey: a model's text may be in it."""
    line = printable(" ".join(said.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _name(kind: Any) -> Text | str:
    return getattr(kind, "__name__", None) or str(kind)
