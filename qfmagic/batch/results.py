"""What a map leaves: columns beside the data, and what it all came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.answer import Answer
from ..core.errors import QianfanError
from ..core.i18n import text
from ..core.safety import NOTED
from ..core.usage import added
from ..structured.column_types import Kinds
from ..structured.schema import Schema
from .columns import plain
from .own_columns import own_column
from .row import Done

_BEFORE: Kinds = {"answer": str}
_SOURCES: Kinds = {"sources": str}
# An error is of no kind: None where there is none, so that `if row.error` works; pandas' own missing text is no bool.
_BEHIND: Kinds = {"error": None, "prompt_tokens": int, "completion_tokens": int, "seconds": float, "id": str}


MEASURES = tuple(_BEHIND)[1:]  # tokens, time and ids


def result_kinds(schema: Schema | None, prefix: str = "", *, searches: bool = False) -> Kinds:
    """
    The columns a map adds, with what is in them; None is anything. The schema's fields stand behind the answer.

    Args:
        schema: The schema.
        prefix: What all names begin with.
        searches: Whether the answers come with the addresses of pages.
    """
    fields = schema.kinds if schema is not None else {}
    behind = {
        own_column(name, fields): kind for name, kind in (*(_SOURCES if searches else {}).items(), *_BEHIND.items())
    }
    columns = {**{own_column(name, fields): kind for name, kind in _BEFORE.items()}, **fields, **behind}
    return {f"{prefix}{name}": kind for name, kind in columns.items()}


def result_names(schema: Schema | None, prefix: str = "", *, searches: bool = False) -> tuple[str, ...]:
    """The names alone."""
    return tuple(result_kinds(schema, prefix, searches=searches))


def renamed(schema: Schema | None, prefix: str = "", *, searches: bool = False) -> dict[str, str]:
    """The columns of ours that have another name, as the schema has a field of theirs: that field, and the name."""
    fields = schema.names if schema is not None else ()
    own = (*_BEFORE, *(_SOURCES if searches else ()), *_BEHIND)
    return {f"{prefix}{name}": f"{prefix}{own_column(name, fields)}" for name in own if name in fields}


def cells_of(done: Done | None, schema: Schema | None, lang: str, *, searches: bool = False) -> tuple[Any, ...]:
    """One row's results, as :func:`result_names` has them; None for a row that wasn't asked."""
    answer = None if done is None else done.answer
    if done is None:
        error: str | None = text("map.not_asked", lang)
    else:
        error = None if done.error is None else told(done.error, lang)
    fields: Mapping[str, Any] = {}
    if schema is not None:
        found: Mapping[str, Any] = {}
        if done is not None and done.value is not None and not (answer is not None and answer.withheld):
            try:
                found = schema.columns(done.value)
            except Exception as problem:  # noqa: BLE001 - fields of the user's own may be computed, and fail
                error = told(fault(problem), lang)
        fields = {name: plain(found.get(name)) for name in schema.names}
    if answer is None:
        return (None, *fields.values(), *([None] if searches else ()), error, None, None, None, None)
    usage = answer.usage
    pages = "" if answer.withheld else "\n".join(str(source["url"]) for source in answer.sources)
    return (
        None if answer.withheld else answer.text,
        *fields.values(),
        *([pages or None] if searches else ()),
        error,
        usage.prompt_tokens,
        usage.completion_tokens,
        answer.seconds,
        answer.id or None,
    )


def fault(error: BaseException) -> QianfanError:
    """What fails a row though the service is not to blame, as an error of ours."""
    try:
        reason = str(error)
    except Exception:  # noqa: BLE001 - its own words may fail
        reason = ""
    return QianfanError("map.fault", kind=type(error).__name__, reason=reason)


def told(error: QianfanError, lang: str) -> str:
    """An error as a cell's text."""
    return f"{type(error).__name__}: {error.message(lang)}"


def _flaws(answer: Answer) -> list[str]:
    """What the reader must know of an answer that came."""
    found = {
        "map.cut": answer.truncated,
        "map.withheld": answer.withheld,
        "map.flagged": not answer.withheld and (answer.need_clear_history or answer.flag >= NOTED),
        "map.filtered": answer.filtered,
        "map.despite": bool(answer.despite),
        "map.blank": answer.complete and not answer.text.strip(),
    }
    return [key for key, there in found.items() if there]


@dataclass
class Tally:
    """
    What a map has come to so far.

    Attributes:
        answered: How many rows have an answer without an error.
        kept: How many of these were there before.
        failed: How many failed.
        prompt_tokens: Of all answers.
        completion_tokens: Of all answers.
        repaired: How many rows were asked again as an answer did not fit.
        repair_tokens: What these repairs came to.
        paid: How many whole answers came now, those that didn't fit included.
        transports: Where the answers come from.
        newest: The latest time stamp of an answer, in seconds since 1970; 0 without one.
        errors: The rows that failed, from 0, by the error in words.
        served: The models that answered, where the service names others than were asked.
        flaws: The rows whose answers came and need a look, from 0, by what is to be said of them.
        problem: The first error.
    """

    answered: int = 0
    kept: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    repaired: int = 0
    repair_tokens: int = 0
    paid: int = 0
    transports: set[str] = field(default_factory=set)
    newest: int = 0
    errors: dict[str, list[int]] = field(default_factory=dict)
    served: set[str] = field(default_factory=set)
    flaws: dict[str, list[int]] = field(default_factory=dict)
    problem: QianfanError | None = None

    @property
    def flagged(self) -> int:
        """How many rows the service's safety check had something to say about."""
        keys = ("map.withheld", "map.flagged", "map.filtered")
        return len({number for key in keys for number in self.flaws.get(key, ())})

    @property
    def rows(self) -> int:
        """How many rows are done."""
        return self.answered + self.failed

    @property
    def tokens(self) -> int:
        """Of questions and answers."""
        return self.prompt_tokens + self.completion_tokens

    def add(self, done: Done, lang: str) -> None:
        """Count a row."""
        if done.error is None:
            self.answered += 1
        else:
            self.failed += 1
            self.errors.setdefault(told(done.error, lang), []).append(done.number)
            self.problem = self.problem or done.error
        self.kept += done.kept
        again = added([answer.usage for answer in done.paid[1:]])
        self.repaired += len(done.paid) > 1
        self.repair_tokens += (again.prompt_tokens or 0) + (again.completion_tokens or 0)
        self.paid += sum(answer.complete for answer in done.paid)
        if done.answer is not None:
            for flaw in _flaws(done.answer):
                self.flaws.setdefault(flaw, []).append(done.number)
            self.transports.add(done.answer.transport)
            self.newest = max(self.newest, done.answer.created or 0)
            self.served |= {done.answer.served_model} - {"", done.answer.model}
            self.prompt_tokens += done.answer.usage.prompt_tokens or 0
            self.completion_tokens += done.answer.usage.completion_tokens or 0
