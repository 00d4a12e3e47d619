"""What was asked and what it used, as a panel shows it: what ``%qf usage`` tells, by each of its groupings."""

from collections.abc import Sequence
from typing import Any

from ...accounting.prices import Prices
from ...accounting.totals import BY, By, Call, Total, total, totals
from ...core.errors import QianfanError
from ...core.i18n import text
from ..commands.usage import below, columns_of, head_of, row_of, spent_of
from ..session.session import Session
from . import command_lines

LAST = 100  # rows shown of a grouping; all of them are in %qf usage

UsageState = dict[str, Any]


def usage_state(session: Session) -> UsageState:
    """The calls of this kernel in words; a problem is part of it, and never an exception."""
    lang, calls = session.lang, session.meter.calls
    try:
        prices = session.prices
        whole = total(calls, prices, text("usage.sum", lang))
        spent, budget = spent_of(session)
        return {
            "problem": "",
            "above": text("usage.here" if calls else "usage.nothing", lang),
            "by": {by: _grouping(calls, by, prices, whole, lang) for by in BY},
            "below": below(session, whole),
            "budget": None if budget is None else round(spent / budget.amount, 4) if budget.amount else 1,
        }
    except QianfanError as error:
        return {"problem": error.message(lang)}


def _grouping(calls: Sequence[Call], by: By, prices: Prices, whole: Total, lang: str) -> UsageState:
    groups = totals(calls, by, prices)
    columns = columns_of(whole, by, seconds=True)
    most = max((group.tokens for group in groups), default=0) or 1

    def share(tokens: int) -> float:
        return round(100 * tokens / most, 1)

    return {
        "title": head_of(by, lang),
        "line": command_lines.magic("usage" if by == BY[0] else f"usage by={by}"),
        "columns": columns,
        "head": [head_of(name, lang) for name in columns],
        "rows": [
            {
                "cells": _words(group, columns),
                "prompt": share(group.prompt_tokens),
                "completion": share(group.completion_tokens),
            }
            for group in groups[-LAST:]
        ],
        "earlier": max(len(groups) - LAST, 0),
        "sum": _words(whole, columns) if len(groups) > 1 else [],
    }


def _words(group: Total, columns: Sequence[str]) -> list[str]:
    return [str(cell) for cell in row_of(group, columns)]
