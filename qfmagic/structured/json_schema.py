"""What checks a value against a JSON Schema: fastjsonschema."""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any, NoReturn

from ..core.errors import OptionError
from ..core.safe_json import read_json
from .column_types import Kinds, kinds_of
from .validator import VALUE, Unfit, columns_of, line, loaded, why

# Keywords of drafts behind the seventh, which fastjsonschema would silently pass over.
_UNCHECKED = frozenset({
    "prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties",
    "minContains", "maxContains", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor",
})  # fmt: skip
# In the fourth draft these say true or false, and which limit they are about.
_LIMITS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
# What stands below these is data or names, not a schema.
_DATA = frozenset(("const", "enum", "default", "examples", "required"))
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependencies"))


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
        draft4 = "draft-04" in str(schema.get("$schema"))
        for keyword, said in _keywords(schema):
            if keyword in _UNCHECKED:
                raise OptionError("schema.keyword", name=keyword)
            if keyword in _LIMITS and isinstance(said, bool) and not draft4:  # it would be taken for 1 or 0
                raise OptionError("schema.draft4", name=keyword, limit=_LIMITS[keyword])
        try:  # a copy: it writes into what it compiles
            self._validate = module.compile(deepcopy(schema), handlers=_Refusing(), use_default=False)
        except OptionError:
            raise
        except Exception as error:  # a broken schema raises what it likes
            raise OptionError("schema.json", reason=line(str(error) or type(error).__name__)) from error
        try:
            self._validate(None)
        except RecursionError:
            raise OptionError("schema.circular") from None
        except Exception:  # noqa: BLE001, S110 - null needn't fit
            pass

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        properties = self.json_schema.get("properties")
        return tuple(properties) if isinstance(properties, Mapping) else ()

    @property
    def names(self) -> tuple[str, ...]:
        """As :attr:`Checker.names`."""
        return self._fields or (VALUE,)

    @property
    def kinds(self) -> Kinds:
        """As :attr:`Checker.kinds`."""
        return kinds_of(self.json_schema, self.names, whole=not self._fields, formats=False)

    def check(self, written: str) -> Any:
        """As :meth:`Checker.check`."""
        value = read_json(written)
        try:
            return self._validate(value)
        except self._fault as error:
            raise Unfit(line(re.sub(r"^data[. ]?", "", error.message))) from None
        except Exception as error:  # such as a number that is to be a multiple of 0
            raise Unfit(why(error)) from error

    def columns(self, value: Any) -> dict[str, Any]:
        """As :meth:`Checker.columns`."""
        return columns_of(self._fields, value)


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


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    """The keywords of a schema and of those in it, each with what it says."""
    if isinstance(schema, list):
        for one in schema:
            yield from _keywords(one)
    if not isinstance(schema, Mapping):
        return
    for keyword, below in schema.items():
        yield keyword, below
        if keyword in _NAMED and isinstance(below, Mapping):
            for one in below.values():
                yield from _keywords(one)
        elif keyword not in _DATA:
            yield from _keywords(below)
