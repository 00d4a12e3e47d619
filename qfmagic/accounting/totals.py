"""
What was asked, what it used, and what it cost.

What a recording or the stub answers costs nothing: its tokens are counted, and not spent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Literal

from ..core.transport_modes import is_free
from ..core.usage import DETAILS
from .prices import Prices, Used, length_class

Kind = Literal["ask", "map", "compare", "repair", "python"]
By = Literal["cell", "chat", "model", "day"]
BY: tuple[By, ...] = ("cell", "chat", "model", "day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    An answer that came, or began to come; or several of one cell that differ in numbers only.

    Attributes:
        at: When, in seconds since 1970.
        model: What was asked.
        wire: ``"v1"`` or ``"v2"``.
        transport: What answered: ``"live"``, ``"record"``, ``"replay"``, ``"stub"``.
        chat: The conversation, where it joined one.
        cell: The id of the cell that asked, None where the front end gives none.
        kind: What asked.
        prompt_tokens: As the service counted them; an estimate if ``estimated``.
        completion_tokens: The same.
        seconds: From sending the request to the end of the answer.
        label: What the front end shows beside the cell, ``In 3``.
        estimated: Whether the service didn't say, as with an answer that was broken off.
        times: How many it stands for; the numbers are their sums.
        cached_tokens: Those of the question that were in the service's cache.
        search_tokens: Those of the question that a web search added.
        reasoning_tokens: Those of the answer that are reasoning.
    """

    at: float
    model: str
    wire: str
    transport: str
    chat: str | None
    cell: str | None
    kind: Kind
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    label: str = ""
    estimated: bool = False
    times: int = 1
    cached_tokens: int = 0
    search_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def alike(self) -> tuple[object, ...]:
        """What calls have in common that may be added up, so that a price by the length of questions still holds."""
        numbers = ("at", "prompt_tokens", "completion_tokens", "seconds", "times", *DETAILS)
        length = length_class(self.used[0] // self.times)
        return (_day(self.at), length, *(getattr(self, name) for name in CALL_FIELDS if name not in numbers))

    def plus(self, other: "Call") -> "Call":
        """Both in one; the time is the first's."""
        (prompt, completion), (more, longer) = self.used, other.used
        return replace(
            self,
            prompt_tokens=prompt + more,
            completion_tokens=completion + longer,
            seconds=self.seconds + other.seconds,
            times=self.times + other.times,
            **{name: getattr(self, name) + getattr(other, name) for name in DETAILS},
        )

    @property
    def free(self) -> bool:
        """Whether it cost nothing."""
        return is_free(self.transport)

    @property
    def used(self) -> tuple[int, int]:
        """The tokens of question and answer."""
        return self.prompt_tokens or 0, self.completion_tokens or 0

    @property
    def spent(self) -> Used:
        """The tokens as prices count them."""
        return Used(*self.used, self.cached_tokens, self.times)

    def of(self, by: By) -> tuple[str, str]:
        """The group it belongs to, and the group's name."""
        if by == "cell":
            return self.cell or self.label, self.label or "-"
        if by == "chat":  # what joins none is told by what asked it
            name = self.chat or f"({'once' if self.kind == 'ask' else self.kind})"
        else:
            name = self.model if by == "model" else _day(self.at)
        return name, name


CALL_FIELDS = tuple(field.name for field in fields(Call))  # in their order, which is that of the journal's columns


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().date().isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """
    What several calls used.

    Attributes:
        name: What they have in common.
        calls: How many there were.
        free: How many of them cost nothing.
        prompt_tokens: Of the questions, the free ones included.
        completion_tokens: Of the answers, the free ones included.
        spent_tokens: Of both, the free ones not included.
        seconds: The sum of their seconds.
        cost: In CNY, of those whose price is known.
        unpriced: How many cost something, and it isn't known how much.
        estimated: Whether a count among them is an estimate.
        cached_tokens: Those of the questions that were in the service's cache.
        search_tokens: Those of the questions that web searches added.
        reasoning_tokens: Those of the answers that are reasoning.
    """

    name: str
    calls: int
    free: int
    prompt_tokens: int
    completion_tokens: int
    spent_tokens: int
    seconds: float
    cost: float
    unpriced: int
    estimated: bool
    cached_tokens: int = 0
    search_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Of questions and answers."""
        return self.prompt_tokens + self.completion_tokens


def total(calls: Iterable[Call], prices: Prices, name: str = "") -> Total:
    """Add calls up."""
    calls = list(calls)
    paid = [call for call in calls if not call.free]
    priced = [(call, price) for call in paid if (price := prices.of(call.model)) is not None]
    times, unpaid = sum(call.times for call in calls), sum(call.times for call in calls if call.free)
    return Total(
        name=name,
        calls=times,
        free=unpaid,
        prompt_tokens=sum(call.used[0] for call in calls),
        completion_tokens=sum(call.used[1] for call in calls),
        spent_tokens=sum(sum(call.used) for call in paid),
        seconds=round(sum(call.seconds for call in calls), 3),
        cost=sum(price.cost(*call.spent) for call, price in priced),
        unpriced=times - unpaid - sum(call.times for call, _ in priced),
        estimated=any(call.estimated for call in calls),
        **{name: sum(getattr(call, name) for call in calls) for name in DETAILS},
    )


def totals(calls: Iterable[Call], by: By, prices: Prices) -> list[Total]:
    """
    Add calls up in groups; a group has the name its last call gives it.

    They come in the order in which they begin; models and conversations by name, as of those asked at the same time
    now one and now the other ends first.
    """
    groups: dict[str, list[Call]] = {}
    names: dict[str, str] = {}
    for call in calls:
        key, names[key] = call.of(by)
        groups.setdefault(key, []).append(call)
    found = [total(group, prices, names[key]) for key, group in groups.items()]
    return sorted(found, key=lambda one: one.name) if by in ("model", "chat") else found
