"""The journal keeps what it can, and never stands in a question's way."""

import os
import sqlite3
import threading

import pytest

from qfmagic.analysis.meter import Meter
from qfmagic.core.answer import Answer
from qfmagic.core.errors import ServiceError
from qfmagic.core.turns import Conversation, Turn
from qfmagic.core.usage import Usage
from qfmagic.notebook.journal import Journal
from qfmagic.notebook.magics import _LOADED
from qfmagic.transport.reply import EVENT_TYPE, Reply
from tests.services import serve

STREAM = {"content-type": EVENT_TYPE}


def journal(tmp_path):
    return Journal(tmp_path / "home" / "journal.sqlite", "n.ipynb", iter(range(1000)).__next__)


def test_every_change_is_there_in_the_next_kernel(tmp_path):
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


def test_a_turn_under_way_is_there_until_it_has_ended(tmp_path):
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


def test_a_locked_file_costs_the_record_not_the_answer(tmp_path):
    kept = journal(tmp_path)
    kept._database.execute("pragma busy_timeout = 10")
    other = sqlite3.connect(kept.path, isolation_level=None)
    other.execute("begin immediate")
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert "locked" in kept.error
    other.execute("rollback")
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert len(journal(tmp_path).last()) == 1


def test_a_file_that_stays_locked_is_waited_for_once(tmp_path):
    """Else each record of an answer would hold up the notebook."""
    kept = journal(tmp_path)
    waits = []
    kept._database.set_trace_callback(lambda said: waits.append(said) if "busy_timeout" in said else None)
    other = sqlite3.connect(kept.path, isolation_level=None)
    other.execute("begin immediate")
    first, second = Conversation().add("a", Answer("A")), Conversation("b").add("b", Answer("B"))
    kept._wait(0.01)
    kept.save(Conversation(), first)
    kept.save(Conversation("b"), second)
    assert waits[1:] == ["pragma busy_timeout = 50"]
    other.execute("rollback")
    kept.save(Conversation("b"), second)
    assert waits[2:] == ["pragma busy_timeout = 1000"]


@pytest.mark.parametrize("answer", [Answer("A", Usage(10**19, 1, 10**19)), Answer("half a character: \ud800")])
def test_what_the_file_can_not_hold_costs_the_record_not_the_answer(tmp_path, answer):
    kept = journal(tmp_path)
    counted = Meter(lambda: 0.0, keep=kept.save_call)
    counted.after(answer, kind="ask")
    kept.save(Conversation(), Conversation().add("a", answer))
    assert kept.error
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert journal(tmp_path).last()[0].turns[0].answer.text == "A"


def test_a_journal_that_is_closed_costs_no_answer(tmp_path):
    kept = journal(tmp_path)
    kept.close()
    kept.save(Conversation(), Conversation().add("a", Answer("A")))
    assert "closed" in kept.error


def test_a_question_that_fails_without_a_word_leaves_nothing_under_way(shell, monkeypatch):
    monkeypatch.setattr("qfmagic.notebook.sending.KEEP_EVERY", 0.0)
    service = serve(shell, monkeypatch)
    session = _LOADED[shell].engine.session
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
    later = Journal(kept.path, kept.notebook, kept._clock)
    assert later.last() == []
    later.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_child_of_a_fork_writes_nothing(tmp_path):
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
