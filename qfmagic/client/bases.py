"""The addresses of V2 that have a name, from ``data/bases.toml``."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from ..core.errors import OptionError
from ..core.i18n import Text, read_table

DEFAULT_BASE = "default"
_CHAT = "/chat/completions"


class Base(NamedTuple):
    """
    A named address.

    Attributes:
        name: Its name, for ``base=``.
        url: What the routes are appended to.
        titles: What it is, by language.
        codes: What error codes about its keys begin with; "" where there are none.
        token: The variable of its own token; "" where the V2 key is sent.
        purpose: ``coding`` where its terms allow programming tools only, else "".
    """

    name: str
    url: str
    titles: Mapping[str, str]
    codes: str = ""
    token: str = ""
    purpose: str = ""

    @property
    def chat_place(self) -> tuple[str, str]:
        """The address of the host, and the path of chat requests."""
        scheme, _, rest = self.url.partition("://")
        host, _, path = rest.partition("/")
        return f"{scheme}://{host}", f"/{path}{_CHAT}"

    def warning(self, wire: str) -> Text | None:
        """The warning before many requests: that the terms of the address may not allow them."""
        return Text("map.coding_plan", {"base": self}) if self.purpose == "coding" and wire == "v2" else None

    def describe(self, lang: str) -> str:
        """Say its name, and what it is."""
        return f"base={self.name} ({self.titles[lang]}, {self.url})"


@cache
def bases() -> Mapping[str, Base]:
    """Every named address, by name."""
    rows = (dict(row) for row in read_table("bases.toml")["base"])
    found = [Base(titles={lang: row.pop(f"title_{lang}") for lang in ("en", "zh")}, **row) for row in rows]
    return {base.name: base for base in found}


def base_of(name: str) -> Base:
    """
    Return the address of that name.

    Raises:
        OptionError: There is none.
    """
    found = bases().get(name or DEFAULT_BASE)
    if found is None:
        raise OptionError("option.value", name="base", value=name, allowed=list(bases()))
    return found


def base_of_code(code: object) -> Base | None:
    """The address whose keys an error code is about; None for other codes."""
    return next((base for base in bases().values() if base.codes and str(code).startswith(f"{base.codes}_")), None)
