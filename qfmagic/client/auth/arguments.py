"""Keys among the arguments of the Python API: found, and refused without their values."""

from collections.abc import Mapping
from typing import Any

from ...core.errors import CredentialError
from ...core.keys.forms import holds_form
from ...core.keys.names import key_variable
from ...core.models import registry

_BEARER = "QIANFAN_BEARER_TOKEN"


def key_among(options: Mapping[str, Any], **others: Any) -> CredentialError | None:
    """
    The error for arguments of which one is a key, by its name or by the form of its value; None if none is.

    It is returned, not raised, so that the caller can drop the values first: tracebacks may show variables.
    """
    known = registry().parameter_names()
    for name, value in {**options, **others}.items():
        if name in known:
            continue
        variable = None if name in others else key_variable(name)
        if variable is not None:
            return CredentialError("keys.argument", name=name, **_told(variable))
        if isinstance(value, str) and holds_form(value):
            return CredentialError("keys.argument_value", name=name, **_told(_BEARER))
    return None


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
