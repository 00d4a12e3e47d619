"""What was answered about rows before: kept in the journal, else as long as the kernel lives."""

import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ...batch.answer_cache import AnswerCache, RowKey
from ...batch.row_runner import slot_of
from ..session.session import Session

Opened = Callable[[AnswerCache | None], AnswerCache | None]
# What was answered in this kernel, where there is no journal; by session, mode and job.
_HERE: "weakref.WeakKeyDictionary[Session, dict[str, AnswerCache]]" = weakref.WeakKeyDictionary()


def kept_of(session: Session, job: str) -> AnswerCache | None:
    """
    Where the answers of earlier runs are, and those of this go.

    What the stub answered is nothing to the service, and the other way round. A cassette that answers needs nobody
    else.
    """
    mode = session.transport.kind
    if mode.plays:
        return None
    job = f"{'stub' if mode.simulated else 'service'}:{job}"
    journal = session.open_journal()
    if journal is not None:
        with suppress(OSError, sqlite3.Error):  # a disk that is full or not ours must not stop a question
            return AnswerCache(journal.path, journal.notebook, job, time.time)
    here = _HERE.setdefault(session, {})
    if job not in here:
        here[job] = AnswerCache(None, "", job, time.time)
        weakref.finalize(session, here[job].close)
    return here[job]


def usable(session: Session, job: str, *, fresh: bool = False) -> Callable[[RowKey], bool]:
    """
    Whether what is kept counts: while a cassette is recorded, only what the cassette has for the same asker too.

    Args:
        session: Whose cassette.
        job: What the tape knows the job by.
        fresh: Whether nothing counts.
    """
    if fresh:
        return lambda _: False
    tape = session.tape
    if tape is None:
        return lambda _: True
    return lambda asked: tape.holds(asked.request, slot_of(job, asked))


@contextmanager
def opening(session: Session) -> Iterator[Opened]:
    """What is handed to the function that is yielded is closed at the end, whatever happens."""
    opened: list[AnswerCache] = []

    def take(kept: AnswerCache | None) -> AnswerCache | None:
        if kept is not None and kept not in _HERE.get(session, {}).values():
            opened.append(kept)
        return kept

    try:
        yield take
    finally:
        for kept in opened:
            kept.close()
