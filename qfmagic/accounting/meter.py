"""
A budget, and what has been spent of it: a call that would break it is stopped before it is sent.

What a recording or the stub answers costs nothing: it is counted, and not spent.
"""

import threading
import weakref
from collections.abc import Callable
from typing import NamedTuple, Self

from ..core.answer import Answer
from ..core.callbacks import ignore
from ..core.context import measure
from ..core.errors import BudgetError
from ..core.i18n import Text
from ..core.messages import text_of
from ..core.models.params import answer_limit
from ..core.plan import Plan
from ..core.usage import DETAILS
from .prices import Budget, Prices, Used, amount, length_class
from .totals import Call, Kind


class TokenEstimate(NamedTuple):
    """What a call will take: an estimate for the question, and the most for the answer where that is limited."""

    prompt: int
    completion: int = 0


def need_of(plan: Plan) -> TokenEstimate:
    """What a planned call will take, in tokens."""
    parameters, size = plan.request.parameters, plan.context.size
    if parameters.get("system") and not plan.context.limits.system_counts:
        size += measure(parameters["system"])
    return TokenEstimate(size.tokens, answer_limit(parameters))


class Reservation:
    """
    What is set aside for a call under way.

    Given back at the end of its ``with``, by :meth:`release`, or when nothing refers to it any more.
    """

    def __init__(self, give_back: Callable[[], object] = ignore, key: object = None) -> None:
        self.key = key
        self._give_back = weakref.finalize(self, give_back)
        self._give_back.atexit = False

    def release(self) -> None:
        """Give it back; later calls do nothing."""
        self._give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Meter:
    """
    Counts the calls of a notebook in this kernel. May be used from any thread.

    Args:
        clock: Seconds since 1970.
        budget: The most that may be spent, asked before each call; None for no limit.
        prices: What tokens cost, asked where a budget in money needs it.
        keep: Where each call goes besides, as into a journal.
        where: The id of the cell that runs, and what the front end shows beside it.
        free: Whether nothing that is asked now costs anything.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        budget: Callable[[], Budget | None] = lambda: None,
        prices: Callable[[], Prices] = Prices,
        keep: Callable[[Call], object] = ignore,
        where: Callable[[], tuple[str | None, str]] = lambda: (None, ""),
        free: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clock, self._budget, self._prices = clock, budget, prices
        self._keep, self._where, self._free = keep, where, free
        # What is held may be given back by the garbage collector, in a thread that has the lock already.
        self._lock = threading.RLock()
        self._calls: dict[tuple[object, ...], Call] = {}
        self._used: dict[tuple[str, int], Used] = {}  # by model and length of the question, of what isn't free
        self._held: dict[object, tuple[str, TokenEstimate]] = {}
        self._told: Budget | None = None  # the one whose being passed was told

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was counted, oldest first. Of a cell that asks much, what differs in numbers only is added up."""
        with self._lock:
            return tuple(self._calls.values())

    @property
    def reserved(self) -> int:
        """How many calls have a part of the budget reserved now."""
        return len(self._held)

    @property
    def limited(self) -> bool:
        """Whether a budget holds for what is asked now."""
        return self._holding() is not None

    def before(
        self,
        model: str,
        tokens: int,
        completion: int = 0,
        *,
        free: Callable[[], bool] = lambda: False,
        instead: Reservation | None = None,
    ) -> Reservation:
        """
        Check that a call is within the budget, and set aside what it will take.

        Calls that run at the same time stay within the budget together: ``with meter.before(...):`` around the call,
        and :meth:`after` within.

        Args:
            model: What is asked.
            tokens: What the question takes.
            completion: The most the answer takes, where that is limited.
            free: Tells whether this call costs nothing, where others may; asked if there is a budget.
            instead: What was set aside before for the same, and is given back for this.

        Raises:
            BudgetError: It would break the budget. Or the budget is money, and there is no price for the model.
        """
        budget = self._holding()
        if budget is None or free():
            return instead or Reservation()
        need = TokenEstimate(tokens, completion)
        with self._lock:
            before = None if instead is None else self._held.pop(instead.key, None)
            try:
                self._check(budget, model, need)
            except BudgetError:
                if instead is not None and before is not None:
                    self._held[instead.key] = before
                raise
            key = object()
            self._held[key] = model, need
        return Reservation(lambda: self._held.pop(key, None), key)

    def _check(self, budget: Budget, model: str, need: TokenEstimate) -> None:
        self.check_priced(model)
        worth = self._worth(budget)
        spent = sum(worth(name, used) for (name, _), used in self._used.items())
        held = sum(worth(name, Used(*wanted)) for name, wanted in tuple(self._held.values()))
        takes = worth(model, Used(*need))
        if spent + held + takes > budget.amount:
            under_way = {"held": amount(held, budget.unit)}
            raise BudgetError(
                "budget.broken",
                takes=amount(takes, budget.unit),
                spent=amount(spent, budget.unit),
                under_way=Text("budget.under_way", under_way) if held else "",
                budget=budget,
            )

    def check_priced(self, model: str) -> None:
        """
        Check that what is asked of a model can be counted: where a budget in money holds, that it has a price.

        Raises:
            BudgetError: It has none.
        """
        budget = self._holding()
        if budget is not None and budget.unit == "CNY" and self._prices().of(model) is None:
            raise BudgetError("budget.no_price", model=model, budget=budget)

    def spent(self, budget: Budget) -> float:
        """What has been spent, in the budget's unit; on a model without a price, by the dearest there is."""
        worth = self._worth(budget)
        with self._lock:
            return sum(worth(model, used) for (model, _), used in self._used.items())

    def take_overshoot(self) -> Text | None:
        """By how much the budget is passed, in words: answers may take more than was set aside. Told once."""
        budget = self._holding()
        over = 0.0 if budget is None else self.spent(budget) - budget.amount
        told, self._told = self._told, budget if over > 0 else None
        if budget is None or over <= 0 or budget == told:
            return None
        return Text("budget.passed", {"budget": budget, "over": amount(over, budget.unit)})

    def _holding(self) -> Budget | None:
        """The budget that holds for what is asked now."""
        return None if self._free() else self._budget()

    def _worth(self, budget: Budget) -> Callable[[str, Used], float]:
        """What a model's tokens count for in the budget's unit."""
        return self._prices().cost if budget.unit == "CNY" else lambda _, used: used.prompt + used.completion

    def after(self, answer: Answer, *, kind: Kind, chat: str | None = None, cell: str | None = None) -> None:
        """
        Count an answer, whole or as far as it came; one that hasn't begun isn't counted.

        Args:
            answer: The answer.
            kind: What asked.
            chat: The conversation it joins, if it does.
            cell: The id of the cell that asked; of the one that runs when not given.
        """
        usage = answer.usage
        if not (answer.text or answer.reasoning or answer.id or answer.headers or usage.total_tokens):
            return
        here, label = self._where()
        known = usage.prompt_tokens is not None and usage.completion_tokens is not None
        prompt, completion = used_of(answer)
        call = Call(
            at=self._clock(),
            model=answer.model,
            wire=answer.wire,
            transport=answer.transport,
            chat=chat,
            cell=here if cell is None else cell,
            kind=kind,
            prompt_tokens=prompt,
            completion_tokens=completion,
            seconds=answer.seconds,
            label=label if cell in (None, here) else "",
            estimated=not known,
            **{name: getattr(usage, name) or 0 for name in DETAILS},
        )
        with self._lock:
            same = self._calls.get(call.alike)
            self._calls[call.alike] = call if same is None else same.plus(call)
            if not call.free:
                place = call.model, length_class(call.used[0])
                before = self._used.get(place)
                self._used[place] = call.spent if before is None else before.plus(call.spent)
        self._keep(call)


def used_of(answer: Answer) -> tuple[int, int]:
    """The tokens of question and answer; an estimate where the service didn't say them."""
    usage = answer.usage
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        return usage.prompt_tokens, usage.completion_tokens
    messages = answer.request.get("messages", ())
    asked = sum(measure(text_of(message.get("content"))).tokens for message in messages)
    asked += measure(str(answer.request.get("system", ""))).tokens  # V1's stands beside the messages
    said = measure(answer.text).tokens + measure(answer.reasoning).tokens
    prompt, whole = answer.usage.prompt_tokens, answer.usage.total_tokens
    prompt = asked if prompt is None else prompt
    return prompt, said if whole is None else max(whole - prompt, 0)
