"""What checks a value against a type of Python: pydantic."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from ..core.errors import OptionError
from ..core.i18n import Text
from ..core.safe_json import read_json
from .column_types import Kinds, kinds_of
from .guards import faults, guarded, marked
from .old_models import old_models
from .typed_dicts import checkable
from .validator import VALUE, Unfit, columns_of, line, loaded, why

_SHOWN = 5  # faults told
_STRING_OR_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')


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
        if kind is pydantic.BaseModel or kind is pydantic.RootModel:
            raise OptionError("schema.kind", kind=kind.__name__)
        self._kind, self._shown = kind, shown
        if not hasattr(pydantic, "TypeAdapter"):
            raise OptionError("schema.extra", package="pydantic>=2")
        for name in old_models(kind):
            raise OptionError("schema.v1", name=name)
        try:
            self._adapter = pydantic.TypeAdapter(checkable(kind))
            self.json_schema: Mapping[str, Any] = shown or self._adapter.json_schema(schema_generator=_untitled())
            json.dumps(self.json_schema)
            self._guard = marked(shown) if shown else self._adapter.json_schema(schema_generator=guarded())
        except Exception as error:  # the class is the user's, and may fail in any way
            raise OptionError("schema.type", name=_name(kind), reason=line(str(error))) from error

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        if getattr(self._kind, "__pydantic_root_model__", False) or _is_enum(self._kind):
            return ()
        if hasattr(self._kind, "model_fields"):
            return tuple(self._kind.model_fields)
        if is_dataclass(self._kind):
            return tuple(field.name for field in fields(self._kind))
        return tuple(getattr(self._kind, "__annotations__", ()))

    @property
    def names(self) -> tuple[str, ...]:
        """As :attr:`Checker.names`."""
        return self._fields or (VALUE,)

    @cached_property
    def kinds(self) -> Kinds:
        """As :attr:`Checker.kinds`; by the names, which aren't always those the model is asked for."""
        if self._shown is not None:
            return kinds_of(self._shown, self.names, whole=False)
        try:
            schemas = [self._adapter.json_schema(by_alias=False, mode=mode) for mode in ("validation", "serialization")]
        except Exception:  # noqa: BLE001 - as above; what isn't known is anything
            schemas = [{}, {}]
        taken, given = (kinds_of(schema, self.names, whole=not self._fields) for schema in schemas)
        # Where what is written isn't what is read, it may be neither: a decimal number, a type with its own code.
        return {name: kind if given[name] is kind else None for name, kind in taken.items()}

    @cached_property
    def _exact(self) -> bool:
        """Whether there are fields that keep what a number looks like, and none that take a text for something else."""
        if self._shown is not None:
            return True
        types = set(_types(self._adapter.core_schema))
        return "decimal" in types and "any" not in types

    def check(self, written: str) -> Any:
        """As :meth:`Checker.check`."""
        told = faults(read_json(written), self._guard)
        if told:
            raise Unfit("; ".join(map(line, told[:_SHOWN])))
        texts = dict.fromkeys((_STRING_OR_NUMBER.sub(_exactly, written), written) if self._exact else (written,))
        for text in texts:
            try:
                value = self._adapter.validate_json(text)
                break
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a validator of the user's may raise what it likes
                fault = error
        else:
            raise Unfit(_told(fault)) from fault
        return value

    def columns(self, value: Any) -> dict[str, Any]:
        """As :meth:`Checker.columns`."""
        try:
            plain = self._adapter.dump_python(value, by_alias=False, warnings=False)
            if self._fields:
                found = plain if isinstance(plain, Mapping) else {}
                plain = {name: found[name] if name in found else self._left_out(value, name) for name in self._fields}
            return columns_of(self._fields, plain)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a serializer of the user's, as above
            raise Unfit(why(error)) from error

    def _left_out(self, value: Any, name: str) -> Any:
        """A field that isn't serialized, or not by its name: it is a column all the same."""
        inside = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        return self._anything.dump_python(inside, by_alias=False)

    @cached_property
    def _anything(self) -> Any:
        return loaded("pydantic").TypeAdapter(Any)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _exactly(found: re.Match[str]) -> str:
    """A number that a float would change, as a text: what wants a number takes it all the same."""
    written = found[0]
    kept = written[0] == '"' or not set(".eE") & set(written) or repr(float(written)) == written
    return written if kept else f'"{written}"'


def _types(core_schema: Any) -> Iterator[str]:
    """The types in a schema of pydantic's core."""
    if isinstance(core_schema, Mapping):
        if isinstance(core_schema.get("type"), str):
            yield core_schema["type"]
        core_schema = list(core_schema.values())
    if isinstance(core_schema, (list, tuple)):
        for one in core_schema:
            yield from _types(one)


def _untitled() -> Any:
    """A JSON Schema without titles, which say nothing that the names don't."""
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - an extra

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
            return False

    return Untitled


def _told(error: BaseException) -> str:
    from pydantic import ValidationError  # noqa: PLC0415 - an extra

    if not isinstance(error, ValidationError):
        return why(error)
    try:
        faults = _faults(error)
    except Exception:  # noqa: BLE001 - an exception of the user's that can't say what it is
        return why(error)
    more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return "; ".join([*faults[:_SHOWN], *more])


def _faults(error: Any) -> list[str]:
    found = []
    for fault in error.errors(include_url=False, include_context=False):
        place = ".".join(str(step) for step in fault["loc"])
        given = fault["input"]
        got = f" (got {given!r})" if isinstance(given, (str, int, float, bool)) or given is None else ""
        found.append(line(f"{place}: {fault['msg']}{got}" if place else f"{fault['msg']}{got}"))
    return found


def _name(kind: Any) -> Text | str:
    return getattr(kind, "__name__", None) or str(kind)
