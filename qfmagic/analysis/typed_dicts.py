"""TypedDicts as pydantic takes them: before Python 3.12 those of ``typing`` don't hold what it needs."""

import sys
import typing
from typing import Any, get_args, get_origin, is_typeddict


def checkable(kind: Any) -> Any:
    """*kind* with each TypedDict of ``typing``, itself or inside it, as one of ``typing_extensions``."""
    if sys.version_info >= (3, 12):
        return kind
    if is_typeddict(kind) and type(kind).__module__ == "typing":
        return _rebuilt(kind)
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (list, dict, tuple, set) and inside:
        return origin[tuple(map(checkable, inside))]
    if origin is typing.Union:
        return typing.Union[tuple(map(checkable, inside))]  # noqa: UP007 - made at run time
    return kind


def _rebuilt(kind: Any) -> Any:
    import typing_extensions  # noqa: PLC0415 - comes with pydantic

    hints = typing.get_type_hints(kind, include_extras=True)
    made = {
        name: typing_extensions.Required[checkable(hint)]
        if name in kind.__required_keys__
        else typing_extensions.NotRequired[checkable(hint)]
        for name, hint in hints.items()
        if get_origin(hint) not in (typing.Required, typing.NotRequired)
    }
    made |= {name: hint for name, hint in hints.items() if name not in made}
    rebuilt = typing_extensions.TypedDict(kind.__name__, made)  # type: ignore[misc]  # made at run time
    rebuilt.__doc__ = kind.__doc__
    return rebuilt
