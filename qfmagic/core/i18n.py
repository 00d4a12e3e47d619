"""The texts users read, in English and Chinese, from ``data/messages.toml``."""

import pkgutil
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol, runtime_checkable

Lang = Literal["en", "zh"]
_GAP = re.compile("(?<=[^ \n]) {2,}(?=[^ ])")


@runtime_checkable
class Described(Protocol):
    """A value that can say in a language what it is."""

    def describe(self, lang: str) -> str:
        """Say it."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the catalogue as a value, rendered when the language is known."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def describe(self, lang: str) -> str:
        """Render it."""
        return text(self.key, lang, **self.values)


def read_table(name: str) -> dict[str, Any]:
    """Read one of the package's TOML tables, by file name."""
    data = pkgutil.get_data("qfmagic", f"data/{name}")
    assert data is not None, name
    return tomllib.loads(data.decode())


@cache
def messages() -> dict[str, dict[str, str]]:
    """All texts by key, each with its ``en`` and ``zh`` form."""
    return read_table("messages.toml")


def text(key: str, lang: str = "en", /, **values: object) -> str:
    """
    Render the text *key* in *lang*.

    Values that are lists are joined with commas, a value of ``None`` renders as nothing, a :class:`Described` one in
    the language. ``{n:turn|turns}`` is the word for the integer *n*: the first for 1, else the second.
    """
    template = messages()[key]["zh" if lang == "zh" else "en"]
    filled = template.format_map({name: _shown(value, lang) for name, value in values.items()})
    return _GAP.sub(" ", filled).strip()  # where a value rendered as nothing


def reader_language(chosen: str, environ: Mapping[str, str]) -> Lang:
    """The language of who reads: the one that was *chosen*, or for ``auto`` the environment's."""
    if chosen in ("en", "zh"):
        return "zh" if chosen == "zh" else "en"
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def _shown(value: object, lang: str) -> object:
    if value is None:
        return ""
    if isinstance(value, Described):
        return value.describe(lang)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(str(_shown(item, lang)) for item in value)
    return _Count(value) if type(value) is int else value


class _Count(int):
    """An integer that also chooses between the singular and the plural of a word."""

    def __format__(self, spec: str) -> str:
        one, bar, many = spec.partition("|")
        if bar:
            return one if self == 1 else many
        return super().__format__(spec)
