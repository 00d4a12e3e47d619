"""
What tokens cost, as the user's own TOML file says, and a budget in tokens or money.

No price is shipped: they change, and differ between contracts.
"""

import math
import re
import reprlib
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self

from ..core.errors import OptionError
from ..core.i18n import Text
from ..core.models import did_you_mean, registry, suggest

Unit = Literal["tok", "CNY"]
_WRITTEN = re.compile(r"([\d_]+(?:\.\d+)?)\s*(tok|tokens?|cny|rmb|元)", re.IGNORECASE)
_PER = (1_000, 1_000_000)
_MOST = sys.float_info.max  # of a whole number, more than this can't be made a float
_FIELDS = ("model", "input", "output", "per", "note")


class Price(NamedTuple):
    """
    What a model's tokens cost.

    Attributes:
        input: CNY for the question's tokens.
        output: CNY for the answer's.
        per: For how many tokens that is, 1000 or 1000000.
    """

    input: float
    output: float
    per: int

    def cost(self, prompt: int, completion: int) -> float:
        """The cost of so many tokens, in CNY."""
        return (prompt * self.input + completion * self.output) / self.per


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by model."""

    rows: Mapping[str, Price] = field(default_factory=dict)

    def of(self, model: str) -> Price | None:
        """The price of a model, by whichever of its names."""
        return self.rows.get(registry().name_of(model))

    def cost(self, model: str, used: tuple[int, int]) -> float:
        """The cost of a question's and its answer's tokens; of a model without a price, by the dearest there is."""
        own = self.of(model)
        known = self.rows.values() if own is None else (own,)
        return max((price.cost(*used) for price in known), default=0.0)

    @classmethod
    def of_toml(cls, path: str | Path) -> Self:
        """
        Read a file of rows.

        A row is ``[[price]]`` with ``model = "yi_34b_chat"``, ``input = 0.5`` and ``output = 1.5`` in CNY (the same
        as the input where it is left out), and ``per = 1000`` or ``1000000`` tokens. The numbers here are made up.

        Raises:
            OptionError: It can't be read, or a row says something else.
        """
        try:
            table = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:  # tomllib's and the decoder's errors are ValueErrors
            why = getattr(error, "strerror", None) or str(error)
            raise OptionError("prices.unreadable", path=path, why=why) from None
        rows = table.get("price")
        if not isinstance(rows, list) or set(table) - {"price"}:
            raise OptionError("prices.no_rows", path=path)
        found: dict[str, Price] = {}
        for number, row in enumerate(rows, 1):
            name, price = _read(row, number, path)
            if name in found:
                raise OptionError("prices.twice", path=path, number=number, model=name)
            found[name] = price
        return cls(found)


def _read(row: object, number: int, path: str | Path) -> tuple[str, Price]:
    def wrong(name: str, value: object, allowed: str) -> OptionError:
        return OptionError(
            "prices.value", path=path, number=number, name=name, value=reprlib.repr(value), allowed=allowed
        )

    if not isinstance(row, dict):
        raise OptionError("prices.no_rows", path=path)
    for name in row:
        if name not in _FIELDS:
            hint = did_you_mean(suggest(name, _FIELDS))
            raise OptionError("prices.field", path=path, number=number, name=name, suggestions=hint)
    model, each = row.get("model"), row.get("input")
    if not isinstance(model, str) or not model:
        raise wrong("model", model, "TEXT")
    price: dict[str, float] = {}
    for name, value in (("input", each), ("output", row.get("output", each))):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
            raise wrong(name, value, "[0, ∞) CNY")
        price[name] = float(value)
    per = row.get("per")
    if per not in _PER:
        raise wrong("per", per, "1000, 1000000")
    return registry().name_of(model), Price(price["input"], price["output"], per)


class Budget(NamedTuple):
    """The most that may be spent."""

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, written: str) -> Self:
        """
        Read ``50000tok`` or ``5CNY``.

        Raises:
            OptionError: It is neither.
        """
        found = _WRITTEN.fullmatch(written.strip())
        unit: Unit = "tok" if found is not None and found[2].lower().startswith("tok") else "CNY"
        number = found[1].replace("_", "") if found is not None else ""
        if not number or float(number) > _MOST or (unit == "tok" and "." in number):
            raise OptionError("option.value", name="budget", value=written, allowed="50000tok, 5CNY")
        return cls(float(number), unit)

    def describe(self, lang: str) -> str:
        """The amount in words."""
        return amount(self.amount, self.unit).describe(lang)


def amount(value: float, unit: Unit) -> Text:
    """So much of a unit, in words."""
    return Text("usage.tokens", {"count": round(value)}) if unit == "tok" else Text("usage.cny", {"cost": money(value)})


def money(value: float) -> str:
    """CNY with as many decimals as tell something: fen, and for less than that two digits that count."""
    if value == 0 or value >= 0.1:
        return f"{value:.2f}"
    return f"{value:.{1 - math.floor(math.log10(value))}f}" if value >= 1e-6 else "<0.000001"
