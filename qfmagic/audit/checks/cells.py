"""What each cell shows by itself."""

from collections.abc import Iterable, Iterator

from ...core.fingerprint import of_source
from ...core.terminal import fitted, printable
from ..cell_calls import CellCall
from ..notebook import Batch, Cell, CellOutput, Provenance
from ..report import AuditFinding

_SHOWN = ("display_data", "execute_result")


def check_cell(cell: Cell, asked: CellCall) -> Iterator[AuditFinding]:
    """What is wrong with a code cell."""
    found = [*_answers(cell), *_count(cell, asked), *_errors(cell), *_questions(cell, asked)]
    return (AuditFinding(key, cell.number, cell.ran, values) for key, values in found)


def _answers(cell: Cell) -> Iterator[tuple[str, dict[str, object]]]:
    source = of_source(cell.source)
    answers: list[tuple[CellOutput, Provenance | Batch]] = [*cell.answers, *cell.batches]
    if any(given.cell not in (None, source) for _, given in answers):
        yield "audit.changed", {}
    told = {key: values for output, given in answers for key, values in _answer(output, given)}
    yield from told.items()


def _count(cell: Cell, asked: CellCall) -> Iterator[tuple[str, dict[str, object]]]:
    """More answers than a whole cell asks for: both sides of a merge. Other cells may ask in a loop."""
    found = sum(bool(output.provenances) or output.batch is not None for output in cell.outputs)
    if asked.whole and found > 1:
        yield "audit.answers", {"found": found, "asked": 1}


def _answer(output: CellOutput, given: Provenance | Batch) -> Iterator[tuple[str, dict[str, object]]]:
    if given.shown is None:
        yield "audit.no_provenance.old", {}
    elif given.shown != output.fingerprint:
        yield "audit.edited", {}
    if given.incomplete:
        yield "audit.incomplete", {}
    if "stub" in (given.transports if isinstance(given, Batch) else (given.transport,)):
        yield "audit.stub", {}
    if isinstance(given, Batch):
        if given.flagged:
            yield "audit.rows_filtered", {"count": given.flagged}
        return
    if given.finish == "content_filter":
        yield "audit.filtered", {}
    if given.flag:
        yield "audit.flagged", {"flag": given.flag}


def check_served(cells: Iterable[Cell]) -> Iterator[AuditFinding]:
    """Models of a notebook that were answered by different ones, since a name without a date moves on."""
    served: dict[str, dict[str, None]] = {}
    for cell in cells:
        for _, given in cell.answers:
            if given.model and given.served_model:
                served.setdefault(given.model, {})[given.served_model] = None
    for model, found in served.items():
        if len(found) > 1:
            yield AuditFinding("audit.served", values={"model": model, "served": list(found)})


def _errors(cell: Cell) -> Iterator[tuple[str, dict[str, object]]]:
    for output in cell.outputs:
        if output.kind == "error" and "raises-exception" not in cell.tags:
            yield "audit.failed", {"name": fitted(printable(output.error), 40)}


def _questions(cell: Cell, asked: CellCall) -> Iterator[tuple[str, dict[str, object]]]:
    """Questions without an answer: never asked, or their answer's origin isn't known."""
    left_alone = "skip-execution" in cell.tags or any(output.kind == "error" for output in cell.outputs)
    if not asked.questions or asked.dry or left_alone or any(cell.answers) or any(cell.batches):
        return
    if cell.ran is not None and not asked.answered:
        return
    # Beside a line that asks, other lines may show something; below a whole cell only its answer stands.
    shown = asked.whole and any(output.kind in _SHOWN for output in cell.outputs)
    if shown and asked.command == "map":  # what hands the rows to a cluster leaves a note, and no answers
        return
    yield ("audit.no_provenance" if shown else "audit.unasked"), {}
