"""Keys taken out of what a service says: one that repeats the request in its error would have it shown and saved."""

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from ...core.errors import QianfanError, ServiceError
from ...core.keys.spellings import Spellings, spellings_of


def redact(error: QianfanError, secrets: Iterable[str]) -> None:
    """Take *secrets*, however they are spelled, out of an error and its causes."""
    spellings = spellings_of(frozenset(secrets))
    if not spellings:
        return
    hints = tuple((hint, _without(values, spellings)) for hint, values in error.values.get("hints", ()))  # texts by key
    error.values = {**_without(error.values, spellings), **({"hints": hints} if hints else {})}
    if isinstance(error, ServiceError):
        error.detail, error.code = _without(error.detail, spellings), _without(error.code, spellings)
        error.request_id = _without(error.request_id, spellings)
    _redact_causes(error, spellings)


def _redact_causes(error: QianfanError, spellings: Spellings) -> None:
    """Cut off what tells a key in the chains behind an error; they may come back to where they began."""
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        link = pending.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        inside = [one for one in (link.__cause__, link.__context__) if one is not None]
        if any(spellings.find(f"{one} {one!r} {getattr(one, '__notes__', '')}") is not None for one in inside):
            link.__cause__ = link.__context__ = None
        else:
            pending += inside


def _without(value: Any, spellings: Spellings) -> Any:
    if isinstance(value, str):
        return spellings.masked_message(value)
    if isinstance(value, Mapping):
        return {name: _without(inner, spellings) for name, inner in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_without(inner, spellings) for inner in value)
    return value


def forget_values(error: BaseException) -> None:
    """
    Drop the values of variables from the stacks of an error and of all that led to it; the stacks stay.

    Those of the HTTP library hold whole addresses and headers, with keys in them, and tools that show tracebacks with
    their variables would show these.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        pending += [one.__cause__, one.__context__]
