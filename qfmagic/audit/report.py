"""What an audit finds, as values."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..core.i18n import Text, text
from .notebook import Batch, Provenance

Severity = Literal["error", "warning"]

# Each text of a finding: its code, which is what machines go by, and how bad it is.
KINDS: Mapping[str, tuple[str, Severity]] = {
    "audit.edited": ("edited", "error"),
    "audit.changed": ("changed", "error"),
    "audit.stale": ("stale", "error"),
    "audit.stale.again": ("stale", "error"),
    "audit.stale.between": ("stale", "error"),
    "audit.unfollowed": ("unfollowed", "warning"),
    "audit.order.turns": ("order", "error"),
    "audit.order.below": ("order", "error"),
    "audit.order.counts": ("order", "warning"),
    "audit.missing": ("missing", "error"),
    "audit.missing.other": ("missing", "error"),
    "audit.missing.fewer": ("missing", "error"),
    "audit.stub": ("stub", "error"),
    "audit.unasked": ("unasked", "warning"),
    "audit.no_provenance": ("no_provenance", "warning"),
    "audit.no_provenance.old": ("no_provenance", "warning"),
    "audit.incomplete": ("incomplete", "error"),
    "audit.failed": ("failed", "error"),
    "audit.filtered": ("filtered", "warning"),
    "audit.flagged": ("flagged", "warning"),
    "audit.rows_filtered": ("flagged", "warning"),
    "audit.served": ("served", "warning"),
    "audit.secret": ("secret", "error"),
    "audit.cassette": ("cassette", "error"),
    "audit.cassette.absent": ("cassette", "error"),
    "audit.cassette.unplayed": ("cassette", "warning"),
    "audit.cassette.unshown": ("cassette", "warning"),
    "audit.answers": ("answers", "error"),
}
_DEEPEST = 4  # levels of a parameter's value that are repeated


class AuditFinding(NamedTuple):
    """
    One thing that is wrong.

    Attributes:
        key: Its text in ``data/messages.toml``; one of :data:`KINDS`.
        cell: The cell's place in the document, from 1; None where it isn't in one.
        ran: That cell's ``In [n]``.
        values: What the text is filled with.
    """

    key: str
    cell: int | None = None
    ran: int | None = None
    values: Mapping[str, Any] = {}

    @property
    def code(self) -> str:
        """What it is, for machines."""
        return KINDS[self.key][0]

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.key][1]

    def message(self, lang: str) -> str:
        """What it is and what to do, for people."""
        return text(self.key, lang, **self.values)


class Answered(NamedTuple):
    """One answer in the document: the cell's place and ``In [n]``, and what its output says about it."""

    cell: int
    ran: int | None
    provenance: Provenance

    def as_json(self, mask: Callable[[str], str]) -> dict[str, Any]:
        """For machines."""
        given = self.provenance
        names = ("chat", "turn", "model", "endpoint", "parameters", "transport", "finish", "request", "hash")
        return {
            "cell": self.cell,
            "execution_count": self.ran,
            "api": _plain(given.wire, mask),
            **{name: _plain(getattr(given, name), mask) for name in names},
            **_told(given, ("served_model", "flag"), mask),
            "tokens": {name: getattr(given, f"{name}_tokens") for name in ("prompt", "completion", "total")},
        }


def _told(given: Provenance | Batch, names: Sequence[str], mask: Callable[[str], str]) -> dict[str, Any]:
    """What is only in a report where an output says it."""
    return {name: _plain(value, mask) for name in names if (value := getattr(given, name))}


class Mapped(NamedTuple):
    """A question about many rows: its cell's place and ``In [n]``, and what its output says about it."""

    cell: int
    ran: int | None
    batch: Batch

    def as_json(self, mask: Callable[[str], str]) -> dict[str, Any]:
        """For machines."""
        given = self.batch
        names = ("command", "models", "parameters", "transports", "asked", "answered")
        return {
            "cell": self.cell,
            "execution_count": self.ran,
            "apis": _plain(given.wires, mask),
            **{name: _plain(getattr(given, name), mask) for name in names},
            **_told(given, ("served_models", "flagged"), mask),
            "tokens": {name: getattr(given, f"{name}_tokens") for name in ("prompt", "completion")},
        }


class Report(NamedTuple):
    """
    All of it.

    Attributes:
        answers: The answers, in the document's order.
        findings: What is wrong, in the document's order; what is in no cell comes first.
        mask: Takes the keys that were found out of a text that is to be shown.
        batches: The questions about many rows, in the document's order.
    """

    answers: tuple[Answered, ...] = ()
    findings: tuple[AuditFinding, ...] = ()
    mask: Callable[[str], str] = str
    batches: tuple[Mapped, ...] = ()

    @property
    def answered(self) -> int:
        """How many answers there are, those about each row included."""
        return len(self.answers) + sum(one.batch.answered or 0 for one in self.batches)

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity == severity for finding in self.findings)

    def as_json(self, lang: str) -> dict[str, Any]:
        """For machines; the messages are in *lang*."""
        findings = [
            {
                "code": finding.code,
                "severity": finding.severity,
                "cell": finding.cell,
                "execution_count": finding.ran,
                "message": self.mask(finding.message(lang)),
            }
            for finding in self.findings
        ]
        return {
            "answers": [answer.as_json(self.mask) for answer in self.answers],
            "batches": [one.as_json(self.mask) for one in self.batches],
            "findings": findings,
        }


def listed(items: list[int]) -> str:
    """Numbers in a row; of many, the first."""
    shown = ", ".join(map(str, items[:12]))
    return f"{shown}, ..." if len(items) > 12 else shown


def kind_of_key(kind: str, /, **values: object) -> Text:
    """What kind of key was found, to be said in a finding."""
    return Text(f"audit.key.{kind}", values)


def _plain(value: object, mask: Callable[[str], str], depth: int = 0) -> Any:
    """A value as JSON can hold it, without keys, and no deeper than anyone would look."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth == _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {mask(str(name)): _plain(inner, mask, depth + 1) for name, inner in value.items()}
    return [_plain(inner, mask, depth + 1) for inner in value] if isinstance(value, (list, tuple)) else mask(str(value))
