"""
``qfmagic audit``.

With ``--json``, one object is written::

    {"audit": 1,                          the version of this form
     "notebooks": [
       {"notebook": "a.ipynb",            as it was named
        "cassette": "a.qf.jsonl",         null where there is none
        "error": null,                    why the file can't be read; then there are no answers, batches and findings
        "answers": [
          {"cell": 3,                     the place in the document, from 1
           "execution_count": 2, "chat": "main", "turn": 1, "model": "yi_34b_chat", "endpoint": "yi_34b_chat",
           "api": "v1", "parameters": {}, "transport": "live", "finish": "stop", "request": "...", "hash": "...",
           "tokens": {"prompt": 4, "completion": 20, "total": 24}}],      each of these is null where it isn't known
        "batches": [                     questions about many rows: %%qf map, and %%qf compare with over=
          {"cell": 5, "execution_count": 4,
           "command": "map",             or "compare"
           "models": ["yi_34b_chat"], "apis": ["v1"], "parameters": {}, "transports": ["live"],
           "asked": 200, "answered": 199,       null where it isn't known, as are the tokens
           "tokens": {"prompt": 4000, "completion": 20000}}],
        "findings": [
          {"code": "edited",              the codes are in KINDS of qfmagic/audit/report.py
           "severity": "error",           or "warning"
           "cell": 3, "execution_count": 2,      null for what is in no cell
           "message": "..."}]}],          in the reader's language
     "errors": 1, "warnings": 0}          how many findings there are of each severity
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .audit import audit
from .loading import NotebookError, keys_in_use, load
from .report import Report
from .text_report import shown

CLEAN, FOUND, UNREADABLE = 0, 1, 2  # exit statuses


def run(
    paths: Sequence[Path],
    *,
    environ: Mapping[str, str],
    lang: str,
    say: Callable[[str], object],
    complain: Callable[[str], object],
    cassette: Path | None = None,
    as_json: bool = False,
    strict: bool = False,
) -> int:
    """
    Audit notebooks, and say what was found.

    Args:
        paths: Their files.
        environ: The environment.
        lang: The reader's language.
        say: Takes what was found, a text at a time.
        complain: Takes what couldn't be done.
        cassette: The cassette, where it isn't the file beside the notebook.
        as_json: Whether to say it for machines.
        strict: Whether a warning counts as an error.

    Returns:
        The exit status: 0 if nothing is wrong, 1 if something is, 2 if a file can't be read.
    """
    reports: list[Report] = []
    entries: list[dict[str, Any]] = []
    unreadable = False
    for path in paths:
        entry: dict[str, Any] = {"notebook": str(path), "cassette": None, "error": None}
        entry |= Report().as_json(lang)
        entries.append(entry)
        try:
            source = load(path, cassette)
        except NotebookError as error:
            unreadable = True
            entry["error"] = error.message(lang)
            complain(error.message(lang))
            continue
        keys = keys_in_use(environ, (Path(), path.parent))
        report = audit(source.notebook, source.cassette, recorded=source.recorded, keys=keys)
        reports.append(report)
        entry |= report.as_json(lang)
        entry["cassette"] = None if source.cassette_path is None else str(source.cassette_path)
        if not as_json:
            say(shown(report, source, lang) + ("\n" if path != paths[-1] else ""))
    errors = sum(report.count("error") for report in reports)
    warnings = sum(report.count("warning") for report in reports)
    if as_json:
        whole = {"audit": 1, "notebooks": entries, "errors": errors, "warnings": warnings}
        say(json.dumps(whole, ensure_ascii=False, indent=2))
    if unreadable:
        return UNREADABLE
    return FOUND if errors or (strict and warnings) else CLEAN
