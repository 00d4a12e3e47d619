"""
Every turn on disk as it ends: an SQLite file, readable by its owner only.

It holds questions and answers, never keys. Each kernel writes under its own number, so that two kernels of one
notebook don't meet; ``%qf resume`` reads what the last one left.
"""

import os
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...accounting.totals import CALL_FIELDS, Call
from ...core.conversation import Conversation, Turn
from ...core.i18n import Text
from ...core.safe_json import escaped_halves, read_json, write_json
from ...core.serialization import turn_from_record, turn_to_record
from ...core.usage import DETAILS
from ...home import home_folder, private_file, private_folder

LOCK_WAIT_S = 1.0  # seconds a record waits for another kernel's: they are written in the main thread
NEXT_LOCK_WAIT_S = 0.05  # seconds the next ones wait where that wasn't enough
_MOST_CALLS = 10_000  # that wait for a file that can be written
_UNDER_WAY = -1  # the row of a turn that has no place among the others yet

_SCHEMA = """
create table if not exists turns (
    notebook text not null, kernel text not null, chat text not null, seq integer not null,
    record text not null, partial integer not null, at real not null,
    primary key (notebook, kernel, chat, seq)
) without rowid;
create index if not exists by_time on turns (notebook, at);
create table if not exists calls (
    notebook text not null, kernel text not null, at real not null, model text not null, wire text not null,
    transport text not null, chat text, cell text, kind text not null, prompt_tokens integer,
    completion_tokens integer, seconds real not null, label text not null, estimated integer not null,
    times integer not null, cached_tokens integer not null default 0, search_tokens integer not null default 0,
    reasoning_tokens integer not null default 0
);
create index if not exists calls_of on calls (notebook, at);
"""

_ADD_CALL = f"insert into calls values ({', '.join('?' * (len(CALL_FIELDS) + 2))})"  # noqa: S608 - ours
_CALLS = f"select notebook, kernel, {', '.join(CALL_FIELDS)} from calls"  # noqa: S608 - ours


def journal_path(environ: Mapping[str, str]) -> Path:
    """The journal's file: under ``QFMAGIC_HOME``, else where the system keeps a user's data."""
    return home_folder(environ) / "journal.sqlite"


class Journal:
    """
    The journal of one notebook in one kernel.

    Args:
        path: The file; it and its folder are made if they aren't there.
        notebook: What the notebook is known by: its path.
        clock: Seconds since 1970.

    ``error`` is what went wrong with the last record that couldn't be kept; ``%qf doctor`` shows it. What the file was
    no place for is written with the next record. ``unread`` is how many turns :meth:`last` couldn't read. ``repaired``
    is what had to be changed so that nobody else can read it.

    Raises:
        HomeError: Others can change the folder or the file; or it is no file.
        OSError: It can't be made.
        sqlite3.Error: It is another kind of file.
    """

    def __init__(self, path: Path, notebook: str, clock: Callable[[], float]) -> None:
        self.path = path
        self.notebook = notebook
        self._kernel = os.urandom(16).hex()
        self._clock = clock
        self._process = os.getpid()
        self.error: str | None = None
        self.unread = 0
        self._behind: dict[str, Conversation] = {}  # what the file lacks turns of
        self._uncounted: deque[Call] = deque(maxlen=_MOST_CALLS)  # calls that aren't on the file
        self._lock = threading.Lock()  # a transaction belongs to a connection, not to a thread
        self.repaired: list[Text] = private_folder(path.parent) + private_file(path)
        # Made here and not by SQLite, which would leave it readable to others for a moment.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._waits = 0.0
        self._wait(LOCK_WAIT_S)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.executescript(_SCHEMA)
        there = {name for _, name, *_ in self._database.execute("pragma table_info(calls)")}
        for name in DETAILS:  # of a file of version 0.1
            if name not in there:
                self._database.execute(f"alter table calls add column {name} integer not null default 0")

    def save(self, before: Conversation, after: Conversation) -> None:
        """Keep what changed from one value of a conversation to the next; and what couldn't be kept before."""
        if self._foreign:
            return
        behind = {**self._behind, after.name: after} if self._behind else {}
        kept = self._keep(lambda: self._rewrite(behind) if behind else self._write_changes(before, after))
        self._behind = {} if kept else behind or {after.name: after}

    def _write_changes(self, before: Conversation, after: Conversation) -> None:
        old, new = before.turns, after.turns
        # Turns are compared by identity first, so that an unchanged beginning costs next to nothing.
        start = len(old) if new[: len(old)] == old else 0
        rows = [
            (seq, turn, 0) for seq, turn in enumerate(new[start:], start) if seq >= len(old) or old[seq] is not turn
        ]
        self._write(after.name, rows)
        self._delete(after.name, "seq = ?", _UNDER_WAY)
        if len(new) < len(old):
            self._delete(after.name, "seq >= ?", len(new))

    def _rewrite(self, conversations: Mapping[str, Conversation]) -> None:
        for name, conversation in conversations.items():
            self._delete(name, "seq >= ?", _UNDER_WAY)
            self._write(name, [(seq, turn, 0) for seq, turn in enumerate(conversation.turns)])

    def save_partial(self, chat: str, index: int, turn: Turn) -> None:
        """Keep a turn that is under way to *index*, as far as it has come."""
        if self._foreign:
            return
        self._keep(lambda: self._write(chat, [(_UNDER_WAY, turn, index + 1)]))

    def drop_partial(self, chat: str) -> None:
        """The turn that was under way came to nothing."""
        if self._foreign:
            return
        self._keep(lambda: self._delete(chat, "seq = ?", _UNDER_WAY))

    def save_call(self, call: Call) -> None:
        """Keep what a call used; from any thread."""
        if self._foreign:
            return
        self._uncounted.append(call)  # appending to a deque needs no lock

        def add() -> None:
            rows = [
                (self.notebook, self._kernel, *(getattr(one, name) for name in CALL_FIELDS)) for one in self._uncounted
            ]
            self._database.executemany(_ADD_CALL, rows)

        self._keep(add, self._uncounted.clear)

    def calls(self, *, everywhere: bool = False) -> list[Call]:
        """
        The calls of this notebook, in all its kernels; *everywhere*: of all notebooks, each told by its file's name.

        Oldest first. A cell without a name is told from those of other kernels.

        Raises:
            sqlite3.Error: The file can't be read.
        """
        where, which = ("", ()) if everywhere else ("where notebook = ?", (self.notebook,))
        rows = self._database.execute(f"{_CALLS} {where} order by at, rowid", which).fetchall()
        names = _told_apart({notebook for notebook, *_ in rows}) if everywhere else {}
        found = []
        for notebook, kernel, *values in rows:
            call = Call(**dict(zip(CALL_FIELDS, values, strict=True)))
            cell = call.cell or f"{kernel}\0{call.label}"
            call = replace(call, estimated=bool(call.estimated), cell=cell)
            if everywhere:
                name = names[notebook]
                chat = None if call.chat is None else f"{name}: {call.chat}"
                call = replace(call, chat=chat, cell=f"{notebook}\0{cell}", label=f"{name}: {call.label or '-'}")
            found.append(call)
        return found

    @property
    def _foreign(self) -> bool:
        """
        Whether this is the child of a fork: the connection is the parent's, and SQLite's file with it.

        What a child asks is no part of the notebook; it would overwrite the parent's turns.
        """
        return self._process != os.getpid()

    def _keep(self, work: Callable[[], None], settle: Callable[[], object] = tuple) -> bool:
        """
        Do all of *work* or nothing; what is wrong with the file or the record costs the record, not the answer.

        Args:
            work: Writes.
            settle: Done where it is not to be tried again, before anything else is written.

        Returns:
            Whether it is not to be tried again: it is kept, or can't ever be.
        """
        try:
            with self._lock:
                try:
                    work()
                    self._database.commit()
                except BaseException as error:
                    with suppress(sqlite3.Error):  # it may be closed
                        self._database.rollback()
                    if not isinstance(error, sqlite3.Error):
                        settle()
                    raise
                settle()
        except (sqlite3.Error, OverflowError, ValueError) as error:  # a number or a text that SQLite can't hold
            self.error = f"{type(error).__name__}: {error}"
            self._wait(NEXT_LOCK_WAIT_S)
            return not isinstance(error, sqlite3.Error)
        self._wait(LOCK_WAIT_S)
        return True

    def _wait(self, seconds: float) -> None:
        """Wait so long for a file that is locked."""
        if seconds != self._waits:
            with suppress(sqlite3.Error), self._lock:
                self._database.execute(f"pragma busy_timeout = {round(1000 * seconds)}")
                self._waits = seconds

    def _write(self, chat: str, rows: list[tuple[int, Turn, int]]) -> None:
        now = self._clock()
        self._database.executemany(
            "insert or replace into turns values (?, ?, ?, ?, ?, ?, ?)",
            [(self.notebook, self._kernel, chat, seq, _text(turn), partial, now) for seq, turn, partial in rows],
        )

    def _delete(self, chat: str, where: str, seq: int) -> None:
        self._database.execute(
            f"delete from turns where notebook = ? and kernel = ? and chat = ? and {where}",  # noqa: S608 - ours
            (self.notebook, self._kernel, chat, seq),
        )

    def notebooks(self) -> list[str]:
        """The names of the notebooks with turns of other kernels; the last one first."""
        rows = self._database.execute(
            "select notebook from turns where kernel <> ? group by notebook order by max(at) desc", (self._kernel,)
        )
        return [name for (name,) in rows]

    def last(self, notebook: str | None = None) -> list[Conversation]:
        """
        The conversations the last other kernel of a notebook left, a turn that was under way included.

        *notebook* is this one when not given.
        """
        notebook = self.notebook if notebook is None else notebook
        found = self._database.execute(
            "select kernel from turns where notebook = ? and kernel <> ? order by at desc limit 1",
            (notebook, self._kernel),
        ).fetchone()
        if found is None:
            return []
        whole: dict[str, list[Turn]] = {}
        self.unread = 0
        under_way: list[tuple[str, int, Turn]] = []
        for chat, record, partial in self._database.execute(
            "select chat, record, partial from turns where notebook = ? and kernel = ? order by chat, seq",
            (notebook, found[0]),
        ):
            turns = whole.setdefault(chat, [])
            try:
                turn = turn_from_record(read_json(record))
            except (ValueError, TypeError, AttributeError):  # the file was damaged, or edited
                self.unread += 1
                continue
            if partial:
                under_way.append((chat, partial - 1, turn))
            else:
                turns.append(turn)
        chats = {chat: Conversation(chat, tuple(turns)) for chat, turns in whole.items()}
        for chat, at, turn in under_way:
            index = chats[chat].find(turn.cell, turn.place)
            place = min(at, len(chats[chat].turns)) if index is None else index
            chats[chat] = chats[chat].put(turn, place, over=index is not None)
        return list(chats.values())

    def close(self) -> None:
        """Close the file; in the child of a fork it is not ours to close."""
        if not self._foreign:
            self._database.close()


def _told_apart(notebooks: Iterable[str]) -> dict[str, str]:
    """The notebooks' names, each with as many of its folders as it takes to tell it from the others."""
    parts = {notebook: Path(notebook).with_suffix("").parts for notebook in notebooks}
    ends = Counter(ends for whole in parts.values() for ends in _ends(whole))
    return {
        notebook: next(("/".join(end) for end in _ends(whole) if ends[end] == 1), notebook)
        for notebook, whole in parts.items()
    }


def _ends(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (parts[start:] for start in range(len(parts) - 1, -1, -1))


def _text(turn: Turn) -> str:
    return escaped_halves(write_json(turn_to_record(turn), ensure_ascii=False))
