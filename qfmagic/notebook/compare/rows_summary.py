"""The summary of ``%%qf compare over=``: the models' table, and the first rows."""

from collections.abc import Sequence
from typing import Any

from ...batch.agreement import Compared, agreement_by_row
from ...core.fingerprint import of_json, of_source
from ...core.i18n import text
from ...core.terminal import printable
from ...version import __version__
from ..ask.comparison import ComparisonView
from ..ask.side_by_side import agreement_notes, shared_notes, summary_table
from ..cell import CellContext
from ..output.bundle import Bundle
from ..output.tables import Rendered, TextTable, note_lines, short
from .answers import RowAnswers

SHOWN_ROWS = 20  # rows shown


def show_rows(cell: CellContext, shower: ComparisonView, asked: RowAnswers) -> None:
    """Leave the table of the models, and below it the first rows with each model's answer."""
    lang, compared = cell.session.lang, asked.compared
    agreed = agreement_by_row(compared)
    shower.bind(compared, agreed)
    if shower.quiet:
        return
    models = summary_table(compared, agreed, lang)
    said = [*agreement_notes(agreed, lang), *shared_notes(compared, lang), *cell.session.take_notes()]
    if asked.repaired:
        said.append(text("compare.repaired", lang, count=asked.repaired, tokens=f"{asked.repair_tokens:,}"))
    said += [text("compare.unasked", lang, count=asked.unasked, of=len(compared))] if asked.unasked else []
    below = Rendered.of(" · ".join(said))
    rows, count = _rows(compared, lang), len({one.row for one in compared})
    more = text("compare.rows", lang, shown=f"1-{SHOWN_ROWS}", count=count) if count > SHOWN_ROWS else ""
    noted = note_lines(below)
    marked = (models.markdown, noted[0], rows.markdown, Rendered.of(more).markdown)
    plain = (models.plain, noted[1], rows.plain, more)
    bundle = {
        "text/markdown": "\n\n".join(filter(None, marked)),
        "text/plain": printable("\n\n".join(filter(None, plain))),
    }
    cell.front.conclude(bundle, {"qfmagic_compare": _metadata(cell, asked, count, bundle)})


def _metadata(cell: CellContext, asked: RowAnswers, rows: int, bundle: Bundle) -> dict[str, Any]:
    """Where the answers come from; no secrets."""
    compared, source = asked.compared, cell.session.source
    came = [one.answer for one in compared if one.answered]
    served = sorted({answer.served_model for answer in came if answer.served_model not in ("", answer.model)})
    flagged = sum(bool(answer.flag or answer.filtered) for answer in came)
    usage = {
        name: sum(getattr(one.answer.usage, name) or 0 for one in compared)
        for name in ("prompt_tokens", "completion_tokens")
    }
    return {
        "version": __version__,
        "transports": sorted({answer.transport for answer in came}),
        "models": list(dict.fromkeys(one.model for one in compared)),
        **({"served_models": served} if served else {}),
        **({"flagged": flagged} if flagged else {}),
        "rows": rows,
        "asked": len(compared) - asked.unasked,
        "unasked": asked.unasked,
        "answers": len(came),
        "usage": usage,
        "cell": None if source is None else of_source(source),
        "shown": of_json(bundle),
        "exchanges": [
            {"wire": wire, "model": model, "least": count, "most": count + asked.unknown[wire, model]}
            for (wire, model), count in asked.paid.items()
        ],
        "seconds": round(sum(one.answer.seconds for one in compared), 3),
    }


def _rows(compared: Sequence[Compared], lang: str) -> Rendered:
    """The first rows, with a column for each model and round."""
    many = any(one.n > 1 for one in compared)
    cells: dict[str, dict[int | None, str]] = {}
    for one in compared:
        name = f"{one.model} · {one.n}" if many else one.model
        failed = "" if one.problem is None else type(one.problem).__name__
        cells.setdefault(name, {})[one.row] = short(one.answer.shown) if one.answered else failed
    labels = {one.row: one.index for one in compared}
    first = list(labels)[:SHOWN_ROWS]
    rows = [(labels[row], *(column.get(row, "") for column in cells.values())) for row in first]
    return TextTable((text("compare.column.row", lang), *cells), rows).said()
