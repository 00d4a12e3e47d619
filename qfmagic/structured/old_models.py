"""Models of pydantic 1, which pydantic 2 doesn't check."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args


def is_old_model(kind: Any) -> bool:
    """Whether it is a model of pydantic 1, also of the copy in ``pydantic.v1``."""
    names = ("__fields__", "__get_validators__", "parse_obj")
    return isinstance(kind, type) and not hasattr(kind, "model_fields") and all(hasattr(kind, name) for name in names)


def old_models(kind: Any, above: tuple[Any, ...] = ()) -> Iterator[str]:
    """The names of models of pydantic 1 in a type: itself, in a list, or as a field."""
    if any(kind is one for one in above):
        return
    if is_old_model(kind):
        yield kind.__name__
        return
    inside = [*get_args(kind)]
    if is_dataclass(kind):
        inside += [field.type for field in fields(kind)]
    elif isinstance(kind, type):
        inside += getattr(kind, "__annotations__", {}).values()
    for one in inside:
        yield from old_models(one, (*above, kind))
