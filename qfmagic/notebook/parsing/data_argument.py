"""The DATA of ``%%qf map DATA`` and ``over=DATA``: a variable, an expression, or a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...batch.files import KINDS
from ...core.errors import OptionError
from ...core.models import did_you_mean, suggest
from .key_guard import check_no_key
from .scanner import split_word

_QUOTES = "\"'"


def take_word(line: str) -> tuple[str, str]:
    """
    Take the first word of a line, as it is written; return it and the rest.

    Raises:
        OptionError: A quote doesn't close.
    """
    end = split_word(line)
    return line[:end], line[end:].lstrip()


def data_of(word: str, namespace: Mapping[str, Any]) -> Any:
    """
    Return what DATA stands for: the value of a Python expression, which may stand in ``{{ }}``, or a file's path.

    Raises:
        OptionError: It is neither.
    """
    bare = word[1:-1] if word[:1] in _QUOTES and word[-1:] == word[:1] and len(word) > 1 else word
    if bare not in namespace and Path(bare).suffix.lower() in KINDS and "{{" not in bare:
        return Path(bare)
    source = word.removeprefix("{{").removesuffix("}}").strip() if word.startswith("{{") else word
    try:
        return eval(source, dict(namespace))  # noqa: S307 - the user's own cell, in the user's own kernel
    except Exception as error:
        check_no_key(bare)
        hint = did_you_mean(suggest(bare, [name for name in namespace if not name.startswith("_")]))
        reason = f"{type(error).__name__}: {error}"
        raise OptionError("map.unknown_data", written=bare, reason=reason, suggestions=hint) from error
