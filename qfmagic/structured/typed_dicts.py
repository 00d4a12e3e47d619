"""TypedDicts as pydantic takes them: before Python 3.12 those of ``typing`` don't hold what it needs."""

import sys
import typing
from types import UnionType
from typing import Any, get_args, get_origin, is_typeddict

_MARKS = (typing.Required, typing.NotRequired)


def checkable(kind: Any, above: tuple[Any, ...] = ()) -> Any:
    """
    *kind* with each TypedDict of ``typing``, itself or inside it, as one of ``typing_extensions``.

    One that holds itself, as *above* tells, stays as it is; pydantic says what to do about it.
    """
    if sys.version_info >= (3, 12):
        return kind
    if is_typeddict(kind) and type(kind).__module__ == "typing":
        return kind if kind in above else _rebuilt(kind, (*above, kind))
    origin, inside = get_origin(kind), get_args(kind)
    made = tuple(checkable(one, above) for one in inside)
    if all(one is other for one, other in zip(made, inside, strict=True)):
        return kind
    if origin is UnionType:
        return typing.Union[made]  # noqa: UP007 - made at run time
    if origin is typing.Annotated:
        return typing.Annotated[(made[0], *kind.__metadata__)]
    return origin[made[0] if origin in _MARKS else made]


def _rebuilt(kind: Any, above: tuple[Any, ...]) -> Any:
    import typing_extensions  # noqa: PLC0415 - comes with pydantic

    hints = typing.get_type_hints(kind, include_extras=True)
    made = {name: checkable(hint, above) for name, hint in hints.items()}
    needed = {True: typing.Required, False: typing.NotRequired}
    marked = {
        name: hint if get_origin(hint) in _MARKS else needed[name in kind.__required_keys__][hint]
        for name, hint in made.items()
    }
    rebuilt = typing_extensions.TypedDict(kind.__name__, marked)  # type: ignore[misc]  # made at run time
    rebuilt.__doc__ = kind.__doc__
    return rebuilt
