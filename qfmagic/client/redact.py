"""Keys taken out of what a service says: one that repeats the request in its error would have it shown and saved."""

import base64
import re
import traceback
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from ..core.errors import QianfanError, ServiceError

SHORTEST = 8  # characters; what is shorter is no key, and may be a word
_PART = 6  # characters of a key that are told by themselves, where the text was cut in the middle of it
MASK = "***"


def redact(error: QianfanError, secrets: Iterable[str]) -> None:
    """Take *secrets*, as they are and as they are written in addresses and headers, out of an error and its causes."""
    forms = forms_of(secrets)
    if not forms:
        return
    error.values = _without(error.values, forms)
    if isinstance(error, ServiceError):
        error.detail, error.code = _without(error.detail, forms), _without(error.code, forms)
        error.request_id = _without(error.request_id, forms)
    link: BaseException = error
    while (inner := link.__cause__ or link.__context__) is not None:
        if any(form in f"{inner} {inner!r}" for form in forms):
            link.__cause__ = link.__context__ = None
            return
        link = inner


def forms_of(secrets: Iterable[str]) -> list[str]:
    """How *secrets* may be written, the longest first."""
    return sorted({form for secret in secrets for form in written_forms(secret)}, key=len, reverse=True)


def written_forms(secret: str) -> Iterable[str]:
    """How a key may be written: as it is, and as in addresses and headers; nothing for what is too short to be one."""
    if len(secret) < SHORTEST:
        return
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (base64.b64encode(secret.encode()).decode(), base64.urlsafe_b64encode(secret.encode()).decode())


def _without(value: Any, forms: list[str]) -> Any:
    if isinstance(value, str):
        return _masked(value, forms)
    if isinstance(value, Mapping):
        return {name: _without(inner, forms) for name, inner in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_without(inner, forms) for inner in value)
    return value


def _masked(text: str, forms: list[str]) -> str:
    for form in forms:
        text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)
    whole = text.removesuffix("...")
    cut = next((size for form in forms for size in range(len(form), _PART - 1, -1) if whole.endswith(form[:size])), 0)
    return whole[:-cut] + MASK if cut else text


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
