"""One notebook, looked at from every side."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..core.errors import CassetteError
from ..core.keys.spellings import SHORTEST
from ..transport.cassette.file import Cassette
from .cell_calls import CellCall, asked
from .checks.cassette import check_recorded
from .checks.cells import check_cell, check_served
from .checks.order import check_chain
from .checks.secrets import Keyring, saved_keys
from .notebook import Cell, cells_of
from .report import KINDS, Answered, AuditFinding, Mapped, Report

_ORDER = {key: number for number, key in enumerate(KINDS)}


def audit(
    notebook: Mapping[str, Any],
    cassette: Cassette | CassetteError | None = None,
    *,
    recorded: Mapping[int, Any] = MappingProxyType({}),
    keys: Mapping[str, str] | None = None,
) -> Report:
    """
    Look at a notebook. Whatever stands in it, this reports and doesn't fail.

    Args:
        notebook: Its JSON, format 4.
        cassette: Its cassette, or why that can't be read; None where there is none.
        recorded: The cassette's lines as JSON by their numbers, looked through for keys.
        keys: Keys that are in use, and the variable each is set by.
    """
    cells = [(cell, asked(cell.source) if cell.code else CellCall()) for cell in cells_of(notebook)]
    keyring = Keyring(keys)
    findings = [finding for cell, questions in cells for finding in check_cell(cell, questions)]
    findings += check_served(cell for cell, _ in cells)
    findings += check_chain(cells)
    findings += _keys(notebook, cells, recorded, keyring)
    if isinstance(cassette, CassetteError):
        findings.append(AuditFinding("audit.cassette", None, None, {"reason": _Said(cassette)}))
    else:
        findings += check_recorded(cells, cassette)
    answers = tuple(Answered(cell.number, cell.ran, given) for cell, _ in cells for _, given in cell.answers)
    batches = tuple(Mapped(cell.number, cell.ran, batch) for cell, _ in cells for _, batch in cell.batches)
    findings.sort(key=lambda finding: (finding.cell or 0, _ORDER[finding.key]))
    return Report(answers, tuple(findings), keyring.masked, batches)


class _Said:
    """An error's own text, in the reader's language."""

    def __init__(self, error: CassetteError) -> None:
        self._error = error

    def describe(self, lang: str) -> str:
        """Say it."""
        return self._error.message(lang)


def _keys(
    notebook: Mapping[str, Any], cells: Sequence[tuple[Cell, CellCall]], recorded: Mapping[int, Any], keyring: Keyring
) -> list[AuditFinding]:
    findings = saved_keys(keyring, {name: value for name, value in notebook.items() if name != "cells"})
    written = notebook.get("cells")
    for (cell, _), content in zip(cells, written if isinstance(written, list) else (), strict=True):
        findings += saved_keys(keyring, content, cell=cell.number, ran=cell.ran)
    for number, line in recorded.items():
        if not isinstance(line, (str, dict, list)) or (isinstance(line, str) and len(line) < SHORTEST) or not line:
            continue  # no key is that short
        findings += saved_keys(keyring, {f"cassette {number}": line})
    return findings
