"""What a map leaves in its cell: how many rows were answered, the first of them, and what went wrong."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ...accounting.meter import need_of
from ...batch.job import Job
from ...batch.results import MEASURES, Tally, renamed
from ...batch.row import Done, Task
from ...batch.scheduler import steps
from ...core.errors import QianfanError
from ...core.fingerprint import of_json, of_source
from ...core.i18n import text
from ...core.terminal import printable
from ...structured.repair import ErrorText
from ...version import __version__
from ..output.bundle import Bundle
from ..output.tables import Rendered, TextTable, code, short
from ..session.session import Session

SHOWN_ROWS = 5  # rows
REQUESTS = 3  # of what would be sent
ERRORS = 3  # kinds of errors


class Preview(NamedTuple):
    """One of the first rows: its label, what was asked, and what came."""

    index: Any
    item: Any
    cells: Mapping[str, Any]


def map_bundle(
    session: Session, job: Job, tally: Tally, *, rows: int, previews: Sequence[Preview], into: str | None
) -> tuple[Bundle, dict[str, Any]]:
    """
    Build what stays in the cell, and its metadata.

    Neither time nor ids are in it, nor how much was there from before: these differ from run to run.
    """
    lang, kept = session.lang, job.work.kept
    counts = {"prompt": f"{tally.prompt_tokens:,}", "completion": f"{tally.completion_tokens:,}"}
    summary = text("map.summary", lang, answered=tally.answered, rows=rows, failed=tally.failed, **counts)
    failures = sorted(tally.errors.items(), key=lambda found: -len(found[1]))[:ERRORS]
    notes = [
        text("map.failed_rows", lang, count=len(found), rows=_labels(job, found), error=error)
        for error, found in failures
    ]
    notes += [text(key, lang, count=len(found), rows=_labels(job, found)) for key, found in tally.flaws.items()]
    if tally.repaired:
        notes.append(text("map.repaired", lang, count=tally.repaired, tokens=f"{tally.repair_tokens:,}"))
    if own := renamed(job.questions.schema, job.prefix, searches=job.questions.searches):
        notes.append(text("map.renamed", lang, own=[*own.values()]))
    if into is not None:
        notes.append(text("map.into", lang, name=into))
    retirement = job.questions.target.retirement
    if retirement is not None and tally.answered and retirement.precedes(tally.newest):  # else the errors name it
        notes += job.questions.target.warnings(lang)
    if "stub" in tally.transports:
        notes.append(text("map.stub", lang))
    if kept is not None and kept.lost:
        notes.append(text("map.not_kept", lang, count=kept.lost, reason=kept.error))
    notes += session.take_notes()
    said = [Rendered.of(summary), *([_table(job, previews, rows, lang)] if previews else []), *map(Rendered.of, notes)]
    bundle = {
        "text/markdown": "\n\n".join(one.markdown for one in said),
        "text/plain": printable("\n\n".join(one.plain for one in said)),
    }
    return bundle, {"qfmagic_map": {**_metadata(session, job, tally, rows), "shown": of_json(bundle)}}


def _labels(job: Job, numbers: Sequence[int]) -> list[str]:
    """The labels of the first of some rows."""
    first = sorted(numbers)[:SHOWN_ROWS]
    if job.length is None:
        labels: list[Any] = list(first)
    else:
        labels = [row.index for number, row in enumerate(islice(job.rows(), first[-1] + 1)) if number in first]
    return [*map(str, labels), *["..."][: len(numbers) > SHOWN_ROWS]]


def _table(job: Job, previews: Sequence[Preview], rows: int, lang: str) -> Rendered:
    used = {name for expression in job.questions.template.expressions for name in expression.names}
    asked = [name for name in job.table.names if name in used] or ["item"]
    # Tokens are in the sum; time and ids differ from run to run.
    given = job.names[: -len(MEASURES)]
    new = [name for name in given if any(preview.cells[name] is not None for preview in previews)]
    shown = [
        (
            preview.index,
            *(short(_said(preview.item, name)) for name in asked),
            *(_cell(preview.cells[name]) for name in new),
        )
        for preview in previews
    ]
    above = text("map.more_rows", lang, shown=len(shown), rows=rows) if rows > len(shown) else ""
    return TextTable(("", *asked, *new), shown, above).said()


def _said(item: Any, name: str) -> str:
    return str(item[name] if isinstance(item, Mapping) and name in item else item)


def _cell(value: Any) -> str:
    return "" if value is None else short(str(value))


def _metadata(session: Session, job: Job, tally: Tally, rows: int) -> dict[str, Any]:
    questions, least = job.questions, tally.paid + tally.kept
    # Of a row that was there before, nobody knows how often it was asked.
    most = least + (tally.kept * job.work.repairs if questions.schema is not None else 0)
    return {
        "version": __version__,
        "transport": session.mode,
        "transports": sorted(tally.transports),
        "wire": questions.target.wire,
        "model": questions.target.model,
        "endpoint": questions.target.endpoint,
        "parameters": dict(questions.parameters),
        "cell": None if session.source is None else of_source(session.source),
        "rows": rows,
        "answered": tally.answered,
        "kept": tally.kept,
        "failed": tally.failed,
        "usage": {"prompt_tokens": tally.prompt_tokens, "completion_tokens": tally.completion_tokens},
        **({"served_models": sorted(tally.served)} if tally.served else {}),
        **({"flagged": tally.flagged} if tally.flagged else {}),
        # How many of a cassette's answers are this map's; which, is too much to be told of every row.
        "exchanges": [{"wire": questions.target.wire, "model": questions.target.model, "least": least, "most": most}],
    }


def previews_of(job: Job, done: Mapping[int, Done]) -> list[Preview]:
    """The first rows and what came of them; data that are no iterator can be read again."""
    rows = islice(job.rows(), SHOWN_ROWS)
    return [Preview(row.index, row.item, job.cells(done.get(number))) for number, row in enumerate(rows)]


def dry_bundle(session: Session, job: Job) -> Bundle:
    """The first requests, and what all of them would come to."""
    lang, rows, tokens, kept = session.lang, 0, 0, 0
    shown: list[str] = []
    problems: list[QianfanError] = []
    for step in steps(job.rows(), job.questions, job.work.there):
        rows += 1
        if isinstance(step, Task) and session.recorded(step.plan, job.work.slot(step.asked)):
            kept += 1
        elif isinstance(step, Task):
            tokens += need_of(step.plan).prompt
            if len(shown) < REQUESTS:
                shown.append(json.dumps(step.plan.request.body, ensure_ascii=False, indent=2))
        elif step.error is not None:
            problems.append(step.error)
        else:
            kept += 1
    counts = {"rows": rows, "asked": rows - kept - len(problems), "tokens": f"{tokens:,}", "kept": kept}
    said = [text("map.dry", lang, **counts), *job.questions.target.warnings(lang)]
    if problems:
        said.append(text("map.dry_failing", lang, failed=len(problems), error=ErrorText(problems[0])))
    if shown:
        said.append(text("map.dry_first", lang))
    marked = "\n\n".join([*(Rendered.of(one).markdown for one in said), *(code(body, "json") for body in shown)])
    return {"text/markdown": marked, "text/plain": printable("\n\n".join([*said, *shown]))}
