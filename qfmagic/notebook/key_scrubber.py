"""
A cell with a key in it, taken out of what IPython remembers and writes down.

What is beyond this process stays: the cell itself in its document, which the error that refuses it asks to clean, and
what the front ends of the kernel have been shown.
"""

import linecache
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .parsing.key_guard import REFUSALS

NOTE = "# taken out by qfmagic: this cell held a key"


def withhold(shell: Any, raw: str | None) -> None:
    """
    Take a cell out of a shell's history, in memory and on disk, its log, and tracebacks' sources.

    Args:
        shell: The shell.
        raw: The cell as it was written; None for the one that was the last to come.
    """
    manager = shell.history_manager
    raw = (manager.input_hist_raw[-1] if raw is None else raw).rstrip("\n")
    if not raw.strip():
        return
    texts = {raw, shell.transform_cell(raw).rstrip("\n")}
    numbers = {number for number, written in enumerate(manager.input_hist_raw) if written == raw}
    texts |= {manager.input_hist_parsed[number] for number in numbers}
    for number in numbers:
        manager.input_hist_raw[number] = manager.input_hist_parsed[number] = NOTE
    _forget_variables(shell, manager, texts)
    # What can't be written now stays; the refusal stands either way.
    with suppress(Exception):
        _rewrite_database(manager, texts)
    with suppress(OSError, ValueError):
        _rewrite_log(shell.logger, texts)
    for name, entry in list(linecache.cache.items()):
        if len(entry) > 2 and "".join(entry[2]).rstrip("\n") in texts:
            del linecache.cache[name]
    message = shell.kernel.get_parent() if hasattr(shell, "kernel") else None
    if message and "code" in message.get("content", ()):
        message["content"]["code"] = NOTE
    recalled = getattr(getattr(getattr(shell, "pt_app", None), "history", None), "_loaded_strings", None)
    if isinstance(recalled, list):  # what the arrow keys of a terminal bring back
        recalled[:] = [one for one in recalled if one.rstrip("\n") not in texts]


def forget_run(result: Any) -> None:
    """Take the cell out of what IPython keeps of its last run, and the frames that hold it out of its error."""
    for name in ("transformed_cell", "raw_cell"):
        if getattr(result.info, name, None):
            setattr(result.info, name, NOTE)
    error = result.error_in_exec
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
    shown = getattr(sys, "last_value", None)
    # A magic around ours, %%time for example, shows the error itself.
    if shown is result.error_in_exec or getattr(shown, "key", None) in REFUSALS:
        sys.last_traceback = None
        if shown is not None:
            shown.__traceback__ = None


def _forget_variables(shell: Any, manager: Any, texts: set[str]) -> None:
    for name in ("_i", "_ii", "_iii", "_i00"):
        if getattr(manager, name, None) in texts:
            setattr(manager, name, NOTE)
    for name, value in list(shell.user_ns.items()):
        if name.startswith("_i") and isinstance(value, str) and value in texts:
            shell.user_ns[name] = NOTE


def _rewrite_database(manager: Any, texts: set[str]) -> None:
    """Its rows are written by a thread, which may or may not have come to the cell; the lock keeps it off meanwhile."""
    with manager.db_input_cache_lock:
        manager.db_input_cache = [(row[0], NOTE, NOTE) if texts & {*row[1:]} else row for row in manager.db_input_cache]
        if not manager.enabled:
            return
        own = str(manager.hist_file) != ":memory:"
        # IPython's connection may belong to another thread.
        database = sqlite3.connect(manager.hist_file) if own else manager.db
        try:
            database.execute("pragma secure_delete = on")  # else the text stays in the file, in what is free now
            with database:
                database.executemany(
                    "update history set source = ?, source_raw = ? where session = ? and ? in (source, source_raw)",
                    [(NOTE, NOTE, manager.session_number, text) for text in texts],
                )
        finally:
            if own:
                database.close()


def _rewrite_log(logger: Any, texts: set[str]) -> None:
    """The file of ``%logstart``, which is written before a cell runs."""
    if not logger.log_active or logger.logfile is None:
        return
    logger.logfile.flush()
    path = Path(logger.logfile.name)
    kept = path.read_text(encoding="utf-8")
    cleaned = kept
    for text in sorted(texts, key=len, reverse=True):
        cleaned = cleaned.replace(text, NOTE)
    if cleaned != kept:
        path.write_text(cleaned, encoding="utf-8")
        logger.logfile.seek(0, 2)
