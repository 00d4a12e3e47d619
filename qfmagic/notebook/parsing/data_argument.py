"""The DATA of ``%%qf map DATA`` and ``over=DATA``: a variable, an expression, or a file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...batch.files import is_file_name
from ...core.errors import OptionError
from ...core.models import did_you_mean, suggest
from .key_guard import check_no_key
from .scanner import split_word

_QUOTES = "\"'"
_CLOSING = ")]}"
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


def take_word(line: str) -> tuple[str, str]:
    """
    Take the first word of a line, as it is written, blanks within its brackets included; return it and the rest.

    Raises:
        OptionError: A quote doesn't close.
    """
    end = split_word(line)
    balanced = _balanced(line[:end])
    for position, character in enumerate(line):
        if not balanced and position >= end and character in _CLOSING and _balanced(line[: position + 1]):
            end = position + 1
            break
    return line[:end], line[end:].lstrip()


def _balanced(code: str) -> bool:
    """Whether each bracket is closed, those in quotes left out."""
    without = _QUOTED.sub("", code)
    return all(
        without.count(opening) <= without.count(closing) for opening, closing in zip("([{", _CLOSING, strict=True)
    )


def data_of(word: str, namespace: Mapping[str, Any]) -> Any:
    """
    Return what DATA stands for: the value of a Python expression, which may stand in ``{{ }}``, or a file's path.

    Raises:
        OptionError: It is neither.
    """
    bare = word[1:-1] if word[:1] in _QUOTES and word[-1:] == word[:1] and len(word) > 1 else word
    if bare not in namespace and is_file_name(bare) and "{{" not in bare:
        return Path(bare)
    source = word.removeprefix("{{").removesuffix("}}").strip() if word.startswith("{{") else word
    try:
        return eval(source, dict(namespace))  # noqa: S307 - the user's own cell, in the user's own kernel
    except Exception as error:
        check_no_key(bare)
        hint = did_you_mean(suggest(bare, [name for name in namespace if not name.startswith("_")]))
        reason = f"{type(error).__name__}: {error}"
        raise OptionError("map.unknown_data", written=bare, reason=reason, suggestions=hint) from error
