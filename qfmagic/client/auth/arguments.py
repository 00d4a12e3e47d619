"""Keys among the arguments of the Python API: found, and refused without their values."""

from collections.abc import Mapping
from typing import Any

from ...core.errors import CredentialError
from ...core.keys.forms import holds_form
from ...core.keys.names import key_variable
from ...core.keys.pasted import form_of, read_key
from ...core.models import registry

_BEARER = "QIANFAN_BEARER_TOKEN"
_HEADERS = ("authorization", "api-key", "x-api-key")  # their values are keys in any form


def key_among(options: Mapping[str, Any], **others: Any) -> CredentialError | None:
    """
    The error for arguments of which one is a key, by its name or by the form of its value; None if none is.

    It is returned, not raised, so that the caller can drop the values first: tracebacks may show variables.
    """
    known = registry().parameter_names()
    for name, value in {**options, **others}.items():
        variable = None if name in known or name in others else key_variable(name)
        if variable is not None:
            return CredentialError("keys.argument", name=name, **_told(variable))
        if _is_key(value) if name in known else _holds_key(value):
            return CredentialError("keys.argument_value", name=name, **_told(_BEARER))
    return None


def _is_key(value: Any) -> bool:
    """Whether a parameter's value is a key and nothing else: texts for the model may mention one."""
    form = form_of(read_key(value)) if isinstance(value, str) else None
    return form is not None and form.name in ("v2", "access_token")


def _holds_key(value: Any) -> bool:
    """Whether a value is or contains a key, as the headers of other clients do."""
    if isinstance(value, str):
        return holds_form(value)
    if isinstance(value, Mapping):
        return any(str(name).lower() in _HEADERS or _holds_key(held) for name, held in value.items())
    return isinstance(value, (list, tuple)) and any(map(_holds_key, value))


def check_options(options: dict[str, Any]) -> None:
    """
    Check that no option of a call is a key; the values are dropped before the error is raised.

    Raises:
        CredentialError: One is. The error doesn't repeat it.
    """
    error = key_among(options)
    if error is not None:
        options.clear()
        raise error


def positional_error() -> CredentialError:
    """The error for arguments without a name: one of them may be a key."""
    return CredentialError("keys.positional", **_told(_BEARER))


def _told(variable: str) -> dict[str, str]:
    return {"variable": variable, "field": variable.removeprefix("QIANFAN_").lower()}
