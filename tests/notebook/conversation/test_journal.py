"""The journal keeps what it can, and never stands in a question's way."""

import os
import sqlite3
import threading
from contextlib import closing

import pytest

from qfmagic.accounting.meter import Meter
from qfmagic.core.answer import Answer
from qfmagic.core.conversation import Conversation, Turn
from qfmagic.core.errors import ServiceError
from qfmagic.core.usage import Usage
from qfmagic.notebook.conversation.journal import Journal
from qfmagic.transport.stub.reply import EVENT_TYPE, Reply
from tests.support.services import serve, session_of

STREAM = {"content-type": EVENT_TYPE}


def journal(tmp_path):
    return Journal(tmp_path / "home" / "journal.sqlite", "n.ipynb", iter(range(1000)).__next__)


def test_journal_stores_every_change(tmp_path):
    first = journal(tmp_path)
    before, steps = Conversation(), []
    steps.append(before.add("a", Answer("A")))
    steps.append(steps[-1].add("b", Answer("B")))
    steps.append(steps[-1].put(Turn("x", Answer("X")), 1))
    steps.append(steps[-1].put(Turn("a2", Answer("A2")), 0, over=True))
    steps.append(steps[-1].mark(2, "dropped"))
    steps.append(steps[-1].fork("main", 2))
    for after in steps:
        first.save(before, after)
        before = after
        second = journal(tmp_path)
        assert second.last() == [after]
        second.close()
    first.close()


def test_journal_stores_partial_turn_until_it_ends(tmp_path):
    first = journal(tmp_path)
    whole = Conversation().put(Turn("a", Answer("A"), cell="a"), 0)
    first.save(Conversation(), whole)
    partial = Turn("b", Answer("B...", finish_reason="interrupted"), "interrupted", cell="b")
    first.save_partial("main", 1, partial)
    (found,) = journal(tmp_path).last()
    assert [(turn.prompt, turn.state) for turn in found.turns] == [("a", "answered"), ("b", "interrupted")]
    again = Turn("a again", Answer("A..."), "interrupted", cell="a")
    first.save_partial("main", 0, again)
    (found,) = journal(tmp_path).last()
    assert [turn.prompt for turn in found.turns] == ["a again"]
    assert found.turns[0].versions[0].prompt == "a"
    first.save(whole, whole.put(Turn("b", Answer("B")), 1))
    (found,) = journal(tmp_path).last()
    assert [turn.prompt for turn in found.turns] == ["a", "b"]


def test_journal_locked_file_keeps_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("qfmagic.notebook.conversation.journal.LOCK_WAIT_S", 0.01)
    kept = journal(tmp_path)
    other = sqlite3.connect(kept.path, isolation_level=None)
    other.execute("begin immediate")
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert "locked" in kept.error
    other.execute("rollback")
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert len(journal(tmp_path).last()) == 1


def test_journal_waits_for_locked_file_once(tmp_path, monkeypatch, connections):
    """Else each record of an answer would hold up the notebook."""
    monkeypatch.setattr("qfmagic.notebook.conversation.journal.LOCK_WAIT_S", 0.01)
    kept = journal(tmp_path)
    waits = []
    connections[0].set_trace_callback(lambda said: waits.append(said) if "busy_timeout" in said else None)
    other = sqlite3.connect(kept.path, isolation_level=None)
    other.execute("begin immediate")
    first, second = Conversation().add("a", Answer("A")), Conversation("b").add("b", Answer("B"))
    kept.save(Conversation(), first)
    kept.save(Conversation("b"), second)
    assert waits == ["pragma busy_timeout = 50"]
    other.execute("rollback")
    kept.save(Conversation("b"), second)
    assert waits[1:] == ["pragma busy_timeout = 10"]


def test_journal_unstorable_value_keeps_answer(tmp_path):
    kept = journal(tmp_path)
    counted = Meter(lambda: 0.0, keep=kept.save_call)
    counted.after(Answer("A", Usage(10**19, 1, 10**19)), kind="ask")
    assert kept.error
    counted.after(Answer("A", Usage(1, 1, 2)), kind="ask")
    assert [call.prompt_tokens for call in kept.calls()] == [1]


def test_journal_stores_lone_surrogates(tmp_path):
    whole = Conversation().add("a", Answer("half a character: \ud800"))
    journal(tmp_path).save(Conversation(), whole)
    assert journal(tmp_path).last() == [whole]


@pytest.fixture
def connections(monkeypatch):
    """The connections that are made to SQLite files, in their order."""
    made, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: made.append(connect(*args, **kwargs)) or made[-1])
    return made


def full(connection):
    """As a full disk: SQLite's own error, at the same place."""
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.execute("pragma max_page_count = 1")


def room_again(connection):
    connection.execute("pragma max_page_count = 1000000")


def test_journal_writes_pending_records_when_disk_has_room(tmp_path, connections):
    kept = journal(tmp_path)
    counted = Meter(lambda: 0.0, keep=kept.save_call)
    first = Conversation().add("a", Answer("A"))
    kept.save(Conversation(), first)
    full(connections[0])
    long = "长" * 10_000
    second = first.add("b", Answer(long))
    kept.save(first, second)
    other = Conversation("other").add("c", Answer(long))
    kept.save(Conversation("other"), other)
    for tokens in range(300):
        counted.after(Answer("A", Usage(tokens, 1, 1), model="m" * 100), kind="ask")
    assert "full" in kept.error
    lacking = journal(tmp_path)
    assert lacking.last() == [first]
    assert len(lacking.calls()) < 300
    room_again(connections[0])
    third = second.add("d", Answer("D"))
    kept.save(second, third)
    counted.after(Answer("A", Usage(300, 1, 1)), kind="ask")
    assert lacking.last() == [third, other]
    assert [call.prompt_tokens for call in lacking.calls()] == list(range(301))
    kept.save(third, first)
    assert lacking.last() == [first, other]


@pytest.mark.parametrize(
    "record", ["", "{", "[" * 20_000, "[]", "{}", '{"version": 1, "answer": 1}', "\x00", '"\\ud800"']
)
def test_resume_skips_damaged_records_and_reports_them(shell, monkeypatch, capsys, record):
    monkeypatch.setenv("QFMAGIC_JOURNAL", "true")
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/talk.ipynb")
    session = session_of(shell)
    kept = session.open_journal()
    other = Journal(kept.path, kept.notebook, iter(range(1000)).__next__)
    other.save(Conversation(), Conversation().add("a", Answer("A")).add("b", Answer("B")).add("c", Answer("C")))
    other.close()
    with closing(sqlite3.connect(kept.path)) as database, database:
        database.execute("update turns set record = ? where seq = 1", (record,))
    shell.run_line_magic("qf", "resume")
    assert "1 turn skipped: corrupt journal record." in capsys.readouterr().out
    assert [turn.prompt for turn in session.chats.get("main").turns] == ["a", "c"]


def test_journal_closed_keeps_answer(tmp_path):
    kept = journal(tmp_path)
    kept.close()
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert "closed" in kept.error


def test_journal_failed_prompt_leaves_no_partial_turn(shell, monkeypatch):
    monkeypatch.setattr("qfmagic.notebook.ask.sending.KEEP_EVERY_S", 0.0)
    service = serve(shell, monkeypatch)
    session = session_of(shell)
    shell.run_line_magic("qf", "set journal=true model=m")
    saved = threading.Event()
    kept = session.open_journal()
    save = kept.save_partial
    monkeypatch.setattr(kept, "save_partial", lambda *of: (save(*of), saved.set()))
    service.gates["m"] = saved
    service.answers["m"] = Reply((b": alive\n\n", b'data: {"error": {"code": "x", "message": "no"}}\n\n'), 200, STREAM)
    with pytest.raises(ServiceError):
        shell.run_cell_magic("qianfan", "", "hi")
    assert saved.is_set()
    later = Journal(kept.path, kept.notebook, lambda: 0.0)
    assert later.last() == []
    later.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_journal_of_forked_child_writes_nothing(tmp_path):
    kept = journal(tmp_path)
    first = Conversation().add("a", Answer("A"))
    kept.save(Conversation(), first)
    child = os.fork()
    if child == 0:
        kept.save(first, first.add("of the child", Answer("x")))
        kept.save_partial("main", 1, Turn("of the child", Answer("x"), "interrupted"))
        kept.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert journal(tmp_path).last() == [first]


def test_answer_reports_unwritable_journal_once(shell, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("QFMAGIC_JOURNAL", "true")
    home = tmp_path / "home"
    home.write_text("no folder")
    said = []
    for _ in range(3):
        shell.run_cell_magic("qianfan", "", "hi")
        said.append(capsys.readouterr().out.count("cannot write the journal"))
    assert said == [1, 0, 0]
    home.unlink()
    shell.run_cell_magic("qianfan", "", "there is room again")
    (found,) = Journal(home / "journal.sqlite", session_of(shell).journal.notebook, lambda: 0.0).last()
    assert found.turns[-1].prompt == "there is room again"


def test_answer_does_not_mention_disabled_journal(shell, tmp_path, capsys):
    (tmp_path / "home").write_text("no folder")
    shell.run_cell_magic("qianfan", "", "hi")
    assert "journal" not in capsys.readouterr().out
