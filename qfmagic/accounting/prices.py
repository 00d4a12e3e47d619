"""
What tokens cost, as the user's own TOML file says, and a budget in tokens or money.

No price is shipped: they change, and differ between contracts.
"""

import math
import re
import reprlib
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
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
_RATES = ("input", "output", "cached")
_FIELDS = ("model", *_RATES, "per", "steps", "note")
_STEP_FIELDS = ("above", *_RATES)
_SHORT, _SPAN = 1024, 256  # tokens


class Used(NamedTuple):
    """
    The tokens of one call, or of several whose questions are about as long (:func:`length_class`).

    Attributes:
        prompt: Of the questions.
        completion: Of the answers.
        cached: Those of the questions that were in the service's cache.
        times: How many calls there were.
    """

    prompt: int
    completion: int
    cached: int = 0
    times: int = 1

    def plus(self, other: "Used") -> "Used":
        """Both in one."""
        return Used(*map(sum, zip(self, other, strict=True)))


def length_class(prompt: int) -> int:
    """Questions of one class are in one step of any price: steps begin at thousands, in either sense of k."""
    return 0 if prompt <= _SHORT else -(-prompt // _SPAN)


class Price(NamedTuple):
    """
    What a model's tokens cost.

    Attributes:
        input: CNY for the question's tokens.
        output: CNY for the answer's.
        per: For how many tokens that is, 1000 or 1000000.
        cached: CNY for those of the question that were in the service's cache; None for the same as for the others.
        steps: The prices of longer questions: each from above so many tokens of input on, in their order.
    """

    input: float
    output: float
    per: int
    cached: float | None = None
    steps: "tuple[tuple[int, Price], ...]" = ()

    def cost(self, prompt: int, completion: int, cached: int = 0, times: int = 1) -> float:
        """The cost of so many tokens, in CNY; of several calls, those of all of them."""
        price = next((price for above, price in reversed(self.steps) if prompt > above * times), self)
        cached = min(cached, prompt)
        of_cached = price.input if price.cached is None else price.cached
        return ((prompt - cached) * price.input + cached * of_cached + completion * price.output) / self.per


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by model."""

    rows: Mapping[str, Price] = field(default_factory=dict)

    def of(self, model: str) -> Price | None:
        """The price of a model, by whichever of its names."""
        return self.rows.get(registry().name_of(model))

    def cost(self, model: str, used: Sequence[int]) -> float:
        """The cost of :class:`Used` tokens; of a model without a price, by the dearest there is."""
        own = self.of(model)
        known = self.rows.values() if own is None else (own,)
        return max((price.cost(*used) for price in known), default=0.0)

    @classmethod
    def of_toml(cls, path: str | Path) -> Self:
        """
        Read a file of rows.

        A row is ``[[price]]`` with ``model = "yi_34b_chat"``, ``input = 0.5`` and ``output = 1.5`` in CNY (the same
        as the input where it is left out), and ``per = 1000`` or ``1000000`` tokens. ``cached = 0.1`` is the price of
        input the service had in its cache. Where longer questions cost more, ``steps`` has their prices:
        ``steps = [{above = 32000, input = 1, output = 3, cached = 0.2}]`` holds for all tokens of a call with more than
        32000 tokens of input. The numbers here are made up.

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


Wrong = Callable[[str, object, str], OptionError]


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
    model = row.get("model")
    if not isinstance(model, str) or not model:
        raise wrong("model", model, "TEXT")
    per = row.get("per")
    if per not in _PER:
        raise wrong("per", per, "1000, 1000000")
    price = _price(row, per, wrong)._replace(steps=_steps(row.get("steps", []), per, wrong))
    return registry().name_of(model), price


def _price(row: Mapping[str, object], per: int, wrong: Wrong) -> Price:
    each = row.get("input")
    found: dict[str, float] = {}
    for name, value in (("input", each), ("output", row.get("output", each)), ("cached", row.get("cached", each))):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
            raise wrong(name, value, "[0, ∞) CNY")
        found[name] = float(value)
    return Price(found["input"], found["output"], per, found["cached"] if "cached" in row else None)


def _steps(rows: object, per: int, wrong: Wrong) -> tuple[tuple[int, Price], ...]:
    allowed = "[{above = TOKENS, input = CNY, output = CNY, cached = CNY}, ...]"
    if not isinstance(rows, list):
        raise wrong("steps", rows, allowed)
    found: dict[int, Price] = {}
    for row in rows:
        above = row.get("above") if isinstance(row, dict) and not set(row) - {*_STEP_FIELDS} else None
        if type(above) is not int or above < 0 or above in found:
            raise wrong("steps", row, allowed)
        found[above] = _price(row, per, wrong)
    return tuple(sorted(found.items()))


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
