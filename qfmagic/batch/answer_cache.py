"""
Answers that are there already, by what was asked: what makes a map go on where it ended.

Each is on disk as soon as it is there, so that a kernel that is killed loses nothing that was paid for.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..core.answer import Answer
from ..core.safe_json import read_json
from ..core.usage import Usage

_SCHEMA = """
create table if not exists map_rows (
    notebook text not null, job text not null, request text not null, n integer not null,
    record text not null, at real not null,
    primary key (notebook, job, request, n)
) without rowid;
"""
_FIELDS = (
    "text",
    "model",
    "id",
    "finish_reason",
    "seconds",
    "reasoning",
    "wire",
    "endpoint",
    "created",
    "transport",
    "need_clear_history",
    "ban_round",
    "flag",
    "served_model",
    "extra",
)


LOCK_WAIT_S = 1.0  # seconds to wait for a file another process writes


class RowKey(NamedTuple):
    """A request's hash, and which of the same requests of the job it is, from 0."""

    request: str
    n: int


class AnswerCache:
    """
    The answers of one job; from any thread.

    Args:
        path: The SQLite file, which may hold more than this; None for a temporary one that nobody else sees.
        notebook: What the notebook is known by.
        job: What the job is known by in it.
        clock: Seconds since 1970.

    Raises:
        OSError: It can't be written there.
        sqlite3.Error: It is another kind of file.

    ``lost`` is how many answers couldn't be kept, and ``error`` why; that costs no answer. After the first, none is
    tried: waiting for a file that is locked or full takes longer than asking.
    """

    def __init__(
        self,
        path: Path | None = None,
        notebook: str = "",
        job: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._notebook, self._job, self._clock = notebook, job, clock
        self._process = os.getpid()
        self._lock = threading.Lock()
        self.error: str | None = None
        self.lost = 0
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here and not by SQLite, which would leave it readable to others for a moment.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path or "", timeout=LOCK_WAIT_S, check_same_thread=False, isolation_level=None)
        # One that nobody sees afterwards needs to survive nothing.
        self._database.execute(f"pragma journal_mode = {'off' if path is None else 'wal'}")
        self._database.execute(f"pragma synchronous = {'off' if path is None else 'normal'}")
        self._database.executescript(_SCHEMA)

    def get(self, asked: RowKey) -> Answer | None:
        """The answer that is there, without the request it answers; None too for a record that can't be read."""
        try:
            with self._lock:
                found = self._database.execute(
                    "select record from map_rows where notebook = ? and job = ? and request = ? and n = ?",
                    (self._notebook, self._job, *asked),
                ).fetchone()
            return None if found is None else _answer(read_json(found[0]))
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError):
            return None

    def put(self, asked: RowKey, answer: Answer) -> None:
        """Keep an answer; a full disk or a file that is locked for long costs the record, not the answer."""
        if self._process != os.getpid():  # the child of a fork: the connection is the parent's
            return
        if self.error is not None:
            self.lost += 1
            return
        record = json.dumps(_record(answer), ensure_ascii=False)
        try:
            with self._lock:
                self._database.execute(
                    "insert or replace into map_rows values (?, ?, ?, ?, ?, ?)",
                    (self._notebook, self._job, *asked, record, self._clock()),
                )
        except sqlite3.Error as error:
            self.error, self.lost = f"{type(error).__name__}: {error}", self.lost + 1

    def close(self) -> None:
        """Close the file."""
        if self._process == os.getpid():
            self._database.close()


def _record(answer: Answer) -> dict[str, Any]:
    return {**{name: getattr(answer, name) for name in _FIELDS}, "usage": astuple(answer.usage)}


def _answer(record: dict[str, Any]) -> Answer:
    usage = Usage(*record.pop("usage"))
    return replace(Answer(""), usage=usage, **record)
