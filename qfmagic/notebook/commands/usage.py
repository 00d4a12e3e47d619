"""``%qf usage``: what was asked, what it used, and what it cost."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, cast

from ...accounting.prices import Budget, amount, money
from ...accounting.totals import BY, By, Call, Total, total, totals
from ...core.errors import OptionError
from ...core.i18n import text
from ..output.tables import Rendered, TextTable
from ..parsing.scanner import split_words
from ..session.session import Session

WIDTH = 20  # characters of the longest bar
_USAGE = "%qf usage [notebook|all] [by=cell|chat|model|day] [seconds]"
_SCOPES = ("here", "notebook", "all")


class _Wanted(NamedTuple):
    scope: str
    by: By
    seconds: bool


def usage(session: Session, words: str) -> Rendered:
    """
    Show calls, tokens and cost, as a table with bars.

    How long things took differs from run to run, so it is shown only when it is asked for: what a notebook says must
    be the same when it is run again.

    Raises:
        OptionError: The words say something else; or the journal is asked, and there is none.
    """
    wanted = _read(words)
    calls = _calls(session, wanted.scope)
    lang, prices = session.lang, session.prices
    if not calls:
        return Rendered.of(text("usage.nothing", lang))
    groups, whole = totals(calls, wanted.by, prices), total(calls, prices, text("usage.sum", lang))
    said = _table(groups, whole, wanted, lang).said()
    notes = below(session, whole)
    if not notes:
        return said
    lines = Rendered.of(" ".join(notes))
    return Rendered(f"{said.markdown}\n\n{lines.markdown}", f"{said.plain}\n\n{lines.plain}")


def _read(words: str) -> _Wanted:
    wanted = _Wanted("here", "cell", seconds=False)
    scope = by = None
    for word in split_words(words):
        if word.startswith("by=") and by is None:
            by = word.removeprefix("by=")
            if by not in BY:
                raise OptionError("option.value", name="by", value=by, allowed=list(BY))
        elif word in _SCOPES[1:] and scope is None:
            scope = word
        elif word == "seconds":
            wanted = wanted._replace(seconds=True)
        else:
            raise OptionError("command.usage", usage=_USAGE)
    by = by or ("model" if scope == "all" else "cell")
    return wanted._replace(scope=scope or "here", by=cast("By", by))


def _calls(session: Session, scope: str) -> Sequence[Call]:
    if scope == "here":
        return session.meter.calls
    journal = session.open_journal()
    if journal is None:
        why = session.journal_error or text("usage.journal_off", session.lang)
        raise OptionError("usage.no_journal", why=why)
    try:
        return journal.calls(everywhere=scope == "all")
    except sqlite3.Error as error:
        raise OptionError("usage.no_journal", why=f"{type(error).__name__}: {error}") from None


def _table(groups: Sequence[Total], whole: Total, wanted: _Wanted, lang: str) -> TextTable:
    columns = [*columns_of(whole, wanted.by, seconds=wanted.seconds), "bar"]
    most = max(group.tokens for group in groups)
    rows = [row_of(group, columns, _bar(group, most)) for group in groups]
    if len(groups) > 1:
        rows.append(row_of(whole, columns))
    return TextTable([head_of(name, lang) for name in columns], rows, text(f"usage.{wanted.scope}", lang))


def head_of(column: str, lang: str) -> str:
    """The head of a column."""
    return text(f"usage.column.{column}", lang)


def columns_of(whole: Total, by: By, *, seconds: bool) -> list[str]:
    """The columns that tell something of these calls."""
    priced = bool(whole.cost) or whole.unpriced < whole.calls - whole.free
    absent = {
        "free": not whole.free,
        "seconds": not seconds,
        "cost": not priced,
        "cached": not whole.cached_tokens,
        "search": not whole.search_tokens,
        "reasoning": not whole.reasoning_tokens,
    }
    columns = [by, "calls", "free", "prompt", "cached", "search", "completion", "reasoning", "tokens"]
    columns += ["seconds", "cost"]
    return [name for name in columns if not absent.get(name)]


def row_of(group: Total, columns: Sequence[str], bar: str = "") -> list[object]:
    """A group's cells."""
    about = "~" if group.estimated else ""
    cells: dict[str, object] = {
        "calls": group.calls,
        "free": group.free,
        "prompt": f"{about}{group.prompt_tokens}",
        "completion": f"{about}{group.completion_tokens}",
        "cached": group.cached_tokens,
        "search": group.search_tokens,
        "reasoning": group.reasoning_tokens,
        "tokens": f"{about}{group.tokens}",
        "seconds": f"{group.seconds:.1f}",
        "cost": _cost(group),
        "bar": bar,
    }
    return [cells.get(name, group.name) for name in columns]


def _cost(group: Total) -> str:
    paid = group.calls - group.free
    known = money(group.cost) if group.unpriced < paid or not paid else ""
    return " + ".join(filter(None, (known, "?" if group.unpriced else "")))


def _bar(group: Total, most: int) -> str:
    """Question and answer as blocks; the largest group's are :data:`WIDTH`, and what is there is seen."""
    if not group.tokens:
        return ""
    whole = max(round(WIDTH * group.tokens / most), 1)
    asked = round(whole * group.prompt_tokens / group.tokens)
    return "▒" * asked + "█" * (whole - asked)


def below(session: Session, whole: Total) -> list[str]:
    """What the columns don't say."""
    found, lang = [], session.lang
    if whole.free:
        found.append(text("usage.free", lang, free=whole.free, calls=whole.calls))
    if whole.estimated:
        found.append(text("usage.estimated", lang))
    if whole.unpriced and session.preferences.setting("prices").value is not None:
        found.append(text("usage.unpriced", lang, count=whole.unpriced))
    spent, budget = spent_of(session)
    if budget is not None:
        found.append(text("usage.budget", lang, spent=amount(spent, budget.unit), budget=budget))
        if budget.unit == "CNY" and total(session.meter.calls, session.prices).unpriced:
            found.append(text("usage.dearest", lang))
    return found


def spent_of(session: Session) -> tuple[float, Budget | None]:
    """What was spent in this kernel in the budget's unit, and the budget."""
    budget = session.preferences.budget()
    return (0, None) if budget is None else (session.meter.spent(budget), budget)
