"""Command lines as a user would write them: what the panel runs is what it shows."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...core.errors import OptionError
from ...core.safe_json import read_json_at

_PLAIN = re.compile(r"[\w.:/+~-]+")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def pair(name: str, written: str) -> str:
    """
    ``name=value`` that is read back as just this value.

    Raises:
        OptionError: No option has such a name.
    """
    if not _NAME.fullmatch(name):
        raise OptionError("settings.unknown", name=name, suggestions="")
    return f"{name}={written if _is_json(written) else word(written)}"


def word(written: str) -> str:
    """One word for a command: as it stands where that is plain, else in double quotes."""
    if _PLAIN.fullmatch(written):
        return written
    # What stands in {{ }} is read as it is, quotes and backslashes too.
    parts = re.split(r"(\{\{.*?\}\})", written, flags=re.DOTALL)
    quoted = [part if number % 2 else re.sub(r'(["\\])', r"\\\1", part) for number, part in enumerate(parts)]
    return f'"{"".join(quoted)}"'


def _is_json(written: str) -> bool:
    """Whether it is a list or map as it may stand on a line without quotes."""
    if written[:1] not in ("[", "{") or written.startswith("{{"):
        return False
    try:
        return read_json_at(written)[1] == len(written)
    except ValueError:
        return False


def written(value: Any) -> str:
    """A setting's value as text, as it would be written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple, Mapping)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def magic(command: str) -> str:
    """The cell that runs the command: a ``%qf`` line, or a call where a line can't hold it."""
    if len(command.splitlines()) > 1 or "\r" in command:
        return f'get_ipython().run_line_magic("qf", {command!r})'
    return f"%qf {command}"


def cell(pairs: Iterable[tuple[str, str]]) -> str:
    """The cell that sets all of these; one line, but for values that need a line of their own."""
    alone: list[str] = []
    together: list[str] = []
    for name, value in pairs:
        one = pair(name, value)
        (alone if "{{" in one or len(one.splitlines()) > 1 else together).append(one)
    first = [" ".join(together)] if together else []
    return "\n".join(magic(f"set {line}") for line in (*first, *alone))
