"""A report for people: the answers in a table, what is wrong below it."""

from collections.abc import Mapping
from typing import Any

from ..core.i18n import text
from ..core.messages import whole_text
from ..core.terminal import aligned, printable
from .loading import LoadedNotebook
from .notebook import Batch, Provenance
from .report import Answered, AuditFinding, Mapped, Report, listed

_COLUMNS = ("cell", "count", "turn", "model", "api", "parameters", "tokens", "transport", "finish")


def shown(report: Report, source: LoadedNotebook, lang: str) -> str:
    """All of it, as lines."""
    cassette = source.cassette_path
    head = text("audit.head", lang, path=source.path) if cassette is None else ""
    lines = [_safe(report, head or text("audit.head.cassette", lang, path=source.path, cassette=cassette))]
    entries: list[Answered | Mapped] = sorted([*report.answers, *report.batches], key=lambda one: one.cell)
    if entries:
        names = [text(f"audit.column.{name}", lang) for name in _COLUMNS]
        rows = [[_safe(report, cell) for cell in _row(one)] for one in entries]
        lines += ["", *(f"  {line}" for line in aligned([names, *rows]))]
    if report.findings:
        lines += ["", *(f"  {line}" for line in _findings(report, lang))]
    counts = {"answers": report.answered, "errors": report.count("error"), "warnings": report.count("warning")}
    lines += ["", f"  {text('audit.summary', lang, **counts) if report.findings else _clean(report, lang)}"]
    return "\n".join(lines)


def _clean(report: Report, lang: str) -> str:
    return text("audit.clean", lang, answers=report.answered)


def _findings(report: Report, lang: str) -> list[str]:
    """One line for each thing that is wrong, with all the cells it is wrong in."""
    cells: dict[tuple[str, str, str], list[AuditFinding]] = {}
    for finding in report.findings:
        said = _safe(report, finding.message(lang))
        cells.setdefault((finding.severity, finding.code, said), []).append(finding)
    rows = [
        [text(f"audit.severity.{severity}", lang), code, _where(found, lang), said]
        for (severity, code, said), found in sorted(cells.items(), key=lambda item: item[0][0])
    ]
    return aligned(rows)


def _where(findings: list[AuditFinding], lang: str) -> str:
    numbers = list(dict.fromkeys(finding.cell for finding in findings if finding.cell is not None))
    if not numbers:
        return text("audit.where.file", lang)
    return text("audit.where.cell" if len(numbers) == 1 else "audit.where.cells", lang, cells=listed(numbers))


def _row(one: Answered | Mapped) -> list[str]:
    row = _of_batch(one.batch) if isinstance(one, Mapped) else _of_answer(one.provenance)
    return [str(one.cell), _word(one.ran), *row]


def _of_batch(given: Batch) -> list[str]:
    """A line for all its rows; at its end stands how many were answered."""
    return [
        given.command,
        _word(",".join(given.models)),
        _word(",".join(given.wires)),
        _parameters(given.parameters),
        _tokens(given),
        _word(",".join(given.transports)),
        "-" if given.asked is None else f"{_word(given.answered)}/{given.asked}",
    ]


def _of_answer(given: Provenance) -> list[str]:
    turn = " ".join(_word(part) for part in (given.chat, given.turn) if part is not None)
    return [
        turn or "-",
        _word(given.model),
        _word(given.wire),
        _parameters(given.parameters),
        _tokens(given),
        _word(given.transport),
        _word(given.finish),
    ]


def _parameters(given: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in given.items()) or "-"


def _tokens(given: Provenance | Batch) -> str:
    tokens = [_word(count) for count in (given.prompt_tokens, given.completion_tokens)]
    return "-" if tokens == ["-", "-"] else "+".join(tokens)


def _word(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{...}" if value else "{}"
    if isinstance(value, list):
        return "[...]" if value else "[]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _safe(report: Report, content: str) -> str:
    """Text of a file as it may be shown: on one line, without keys, and with nothing a terminal would obey."""
    line = " ".join(report.mask(whole_text(content)).split())
    return printable(line)
