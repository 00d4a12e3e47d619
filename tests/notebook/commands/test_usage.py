"""%qf usage, prices and budgets, as a user types them."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from qfmagic.accounting.meter import Meter
from qfmagic.core.errors import BudgetError, OptionError, ProtocolError
from qfmagic.notebook.session.session import Session
from tests.support.services import serve, v2
from tests.support.services import session_of as session

PRICES = """
[[price]]
model = "m"
input = 100
output = 200
per = 1000
"""


def ask(shell, line="model=m", text="one two three"):
    return shell.run_cell_magic("qianfan", line, text)


@pytest.fixture
def service(shell, monkeypatch):
    return serve(shell, monkeypatch)


@pytest.fixture
def usage(shell, capsys):
    def look(words=""):
        capsys.readouterr()
        shell.run_line_magic("qf", f"usage {words}")
        return capsys.readouterr().out

    return look


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(PRICES, encoding="utf-8")
    return path


def rows(shown):
    """The table's rows, as words."""
    lines = shown.split("\n\n")[1].splitlines()
    return [line.split() for line in lines]


# ---- the table


def test_usage_without_calls_says_so(usage):
    assert usage() == "No requests yet.\n"


def test_usage_groups_by_cell_conversation_and_model(shell, service, usage):
    ask(shell)
    ask(shell, "model=other chat=side")
    ask(shell, "model=m once")
    assert rows(usage("by=model")) == [
        ["model", "calls", "prompt", "answer", "tokens", "prompt", "▒", "answer", "█"],
        ["m", "2", "20", "40", "60", "▒" * 7 + "█" * 13],
        ["other", "1", "10", "20", "30", "▒" * 3 + "█" * 7],
        ["total", "3", "30", "60", "90"],
    ]
    assert [row[0] for row in rows(usage("by=chat"))[1:]] == ["(once)", "main", "side", "total"]
    assert [row[1] for row in rows(usage("by=day"))[1:]] == ["3"]
    assert rows(usage())[1][0] == "In"


def test_usage_shows_seconds_only_on_request(shell, service, usage):
    ask(shell)
    assert "seconds" not in usage("by=model")
    assert rows(usage("seconds by=model"))[0][5] == "seconds"


def test_usage_of_same_cells_is_equal(shell, service, usage):
    """What a saved notebook holds is compared with its next run."""
    ask(shell)
    first = usage("by=chat")
    session(shell).meter = Meter(lambda: 5e8)
    session(shell).chats.conversations.clear()
    ask(shell)
    assert usage("by=chat") == first


def test_usage_marks_stub_answers_as_free(shell, usage):
    ask(shell, "model=yi_34b_chat")
    shown = usage("by=model")
    assert rows(shown)[1][:3] == ["yi_34b_chat", "1", "1"]
    assert "1 of 1 answer came from a cassette or the stub: free" in shown


def test_usage_marks_estimates(shell, service, usage):
    service.answers["m"] = v2("four words are here", prompt=0)
    ask(shell)
    shown = usage("by=model")
    assert rows(shown)[1][:5] == ["m", "1", "~3", "~4", "~7"]
    assert "~ marks estimates" in shown


def test_usage_shows_costs(shell, service, usage, prices):
    shell.run_line_magic("qf", f"set prices={prices}")
    ask(shell)
    ask(shell, "model=other")
    shown = usage("by=model")
    assert [row[5] for row in rows(shown)] == ["CNY", "5.00", "?", "5.00"]
    assert rows(shown)[-1][5:8] == ["5.00", "+", "?"]
    assert "? marks the unknown cost of 1 answer whose" in shown
    prices.write_text(PRICES.replace("200", "400"), encoding="utf-8")
    assert rows(usage("by=model"))[1][5] == "9.00"  # read again when it has changed


def test_usage_supports_chinese(shell, service, usage, prices):
    shell.run_line_magic("qf", f"set lang=zh budget=100CNY prices={prices}")
    ask(shell)
    shown = usage("by=model")
    assert shown.startswith("本内核的用量：")
    assert "预算：本内核已用 5.00 元，共 100.00 元。" in shown


@pytest.mark.parametrize("words", ["everything", "by=colour", "all notebook", "by=day by=day", "here"])
def test_usage_rejects_unknown_words(shell, words):
    with pytest.raises(OptionError, match="%qf usage|Allowed"):
        shell.run_line_magic("qf", f"usage {words}")


# ---- the journal


@pytest.fixture
def journal(monkeypatch):
    monkeypatch.setenv("QFMAGIC_JOURNAL", "true")


def test_usage_reads_other_kernels_and_notebooks_from_journal(shell, service, usage, journal, monkeypatch):
    ask(shell, text="a secret question")
    own = session(shell)
    other = own.journal.__class__(own.journal.path, "/elsewhere/other.ipynb", lambda: 0.0)
    other.save_call(replace(own.meter.calls[0], label="In 9"))
    other.close()
    earlier = own.journal.__class__(own.journal.path, own.journal.notebook, lambda: 0.0)
    earlier.save_call(replace(own.meter.calls[0], at=0.0, model="older"))
    earlier.close()
    assert [row[0] for row in rows(usage("by=model"))[1:]] == ["m"]
    assert [row[0] for row in rows(usage("notebook by=model"))[1:]] == ["m", "older", "total"]
    assert rows(usage("all"))[-1][1] == "3"
    everywhere = [row[:2] for row in rows(usage("all by=chat"))[1:-1]]
    assert ["other:", "main"] in everywhere
    with closing(sqlite3.connect(own.journal.path)) as database:
        kept = str(list(database.execute("select * from calls")))
    assert "secret question" not in kept
    assert "fine" not in kept


def test_usage_separates_unnamed_cells_of_kernels(shell, service, usage, journal):
    ask(shell)
    own = session(shell)
    (call,) = own.meter.calls
    earlier = own.journal.__class__(own.journal.path, own.journal.notebook, lambda: 0.0)
    for cell in (None, "id"):
        earlier.save_call(replace(call, at=0.0, cell=cell, label="In 9"))
    earlier.close()
    own.journal.save_call(replace(call, cell="id"))
    own.journal.save_call(replace(call, label="In 9"))
    here = call.label.removeprefix("In ")
    told = [row[1:3] for row in rows(usage("notebook"))[1:-1]]
    assert told == [["9", "1"], [here, "2"], [here, "1"], ["9", "1"]]


def test_usage_separates_notebooks_of_same_name(shell, service, usage, journal):
    ask(shell)
    own = session(shell)
    for path in ("/a/x/n.ipynb", "/b/x/n.ipynb", "/b/x/m.ipynb"):
        other = own.journal.__class__(own.journal.path, path, lambda: 0.0)
        other.save_call(own.meter.calls[0])
        other.close()
    told = [row[0] for row in rows(usage("all by=chat"))[1:-1]]
    assert {"a/x/n:", "b/x/n:", "m:"} < set(told)


def test_usage_reports_unreadable_journal(shell, service, usage, journal):
    ask(shell)
    path = session(shell).journal.path
    with closing(sqlite3.connect(path)) as database:
        database.execute("alter table calls drop column times")
    ask(shell, "model=m once")
    for words in ("notebook", "all"):
        with pytest.raises(OptionError, match=r"No journal \(.*times"):
            usage(words)


def test_usage_without_journal_covers_this_kernel(shell, service, usage):
    ask(shell)
    with pytest.raises(OptionError, match=r"No journal \(switched off: journal=false\)"):
        usage("notebook")


def test_prices_file_is_resolved_where_set(shell, service, usage, prices, monkeypatch, tmp_path):
    """It is seen from where it was set; what the environment names, from where the kernel began."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    shell.run_line_magic("qf", "set prices=prices.toml")
    ask(shell)
    monkeypatch.chdir(tmp_path / "below")
    assert "5.00" in usage()
    with pytest.raises(OptionError, match="Cannot read"):
        shell.run_line_magic("qf", "set prices=prices.toml")
    assert "5.00" in usage()
    shell.run_line_magic("qf", "set prices=../prices.toml")
    shell.run_line_magic("qf", "unset prices")
    monkeypatch.setenv("QFMAGIC_PRICES", "prices.toml")
    began = Session({"QFMAGIC_PRICES": "prices.toml"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match="below"):
        assert began.prices
    began.close()


# ---- budgets


def test_budget_stops_call_that_would_exceed_it(shell, service, usage):
    shell.run_line_magic("qf", "set budget=35tok")
    ask(shell)
    with pytest.raises(BudgetError, match="about 6 tokens, and 30 tokens of 35 tokens are used"):
        ask(shell, "model=m once", "one two three four five six")
    assert len(service.bodies) == 1  # nothing was sent
    assert "Budget: 30 tokens of 35 tokens used in this kernel." in usage()
    shell.run_line_magic("qf", "set budget=100tok")
    assert ask(shell).text == "fine"


def test_budget_counts_max_output_tokens(shell, service):
    shell.run_line_magic("qf", "set budget=100tok")
    with pytest.raises(BudgetError, match="about 203 tokens"):
        ask(shell, "model=m max_output_tokens=200")
    assert service.bodies == []


def test_budget_of_money_requires_price(shell, service, prices):
    shell.run_line_magic("qf", "set budget=6CNY")
    with pytest.raises(BudgetError, match="No price for m"):
        ask(shell)
    shell.run_line_magic("qf", f"set prices={prices}")
    ask(shell)  # 5 CNY
    with pytest.raises(BudgetError, match=r"about 1.40 CNY, and 5.00 CNY of 6.00 CNY are used"):
        ask(shell, "model=m once", "a " * 14)


def test_budget_counts_lost_price_consistently(shell, service, usage, prices):
    shell.run_line_magic("qf", f"set prices={prices} budget=6CNY")
    ask(shell)
    prices.write_text(PRICES.replace('"m"', '"other"'), encoding="utf-8")
    shown = usage()
    assert "Budget: 5.00 CNY of 6.00 CNY used in this kernel." in shown
    assert "at the highest price in the file" in shown
    with pytest.raises(BudgetError, match=r"and 5.00 CNY of 6.00 CNY are used"):
        ask(shell, "model=other once", "a " * 14)


def test_budget_overshoot_is_reported_once(shell, service, capsys):
    shell.run_line_magic("qf", "set budget=20tok")
    capsys.readouterr()
    ask(shell)
    assert "budget of 20 tokens exceeded by 10 tokens" in capsys.readouterr().out


def test_budget_variable_with_invalid_value_is_named(shell, service, monkeypatch):
    monkeypatch.setenv("QFMAGIC_BUDGET", "five yuan")
    shell.run_line_magic("qf", "set temperature=0.5")
    with pytest.raises(OptionError, match="QFMAGIC_BUDGET=five yuan"):
        ask(shell)
    assert service.bodies == []
    shell.run_line_magic("qf", "set budget=50000tok")
    ask(shell)


def test_budget_stop_leaves_no_turn(shell, service):
    shell.run_line_magic("qf", "set budget=1tok")
    with pytest.raises(BudgetError):
        ask(shell)
    assert session(shell).chats.get("main").history == ()


def test_budget_counts_interrupted_answer(shell, service):
    service.answers["m"] = v2("half an", prompt=0)._replace(chunks=v2("half an answer", prompt=0).chunks[:1])
    ask(shell)
    (call,) = session(shell).meter.calls
    assert (call.used, call.estimated) == ((3, 3), True)


def test_usage_skips_failed_prompt(shell, service):
    service.answers["m"] = v2("")._replace(chunks=(b"<html>",))
    with pytest.raises(ProtocolError):
        ask(shell)
    assert session(shell).meter.calls == ()


def test_budget_allows_stub_answers(shell):
    shell.run_line_magic("qf", "set budget=0tok")
    assert ask(shell, "model=yi_34b_chat").text


def test_budget_allows_replay_and_stops_new_prompts(shell, service, tmp_path):
    path = tmp_path / "n.qf.jsonl"
    shell.run_line_magic("qf", f"transport auto {path}")
    shell.run_line_magic("qf", "set budget=30tok")
    ask(shell, "model=m once", "recorded")
    shell.run_line_magic("qf", f"transport replay {path}")
    shell.run_line_magic("qf", f"transport auto {path}")
    assert ask(shell, "model=m once", "recorded").transport == "replay"
    with pytest.raises(BudgetError):
        ask(shell, "model=m once", "something new")
    assert len(service.bodies) == 1


@pytest.mark.parametrize("words", ["budget=cheap", "budget=0.5tok", "prices=/no/such/file.toml", "prices=deep.toml"])
def test_settings_reject_invalid_budget_and_prices(shell, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep.toml").write_text(f"a = {'[' * 3000}", encoding="utf-8")
    with pytest.raises(OptionError):
        shell.run_line_magic("qf", f"set {words}")
    assert words.split("=")[0] not in session(shell).preferences.changed
