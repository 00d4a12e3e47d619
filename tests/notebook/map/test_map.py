"""``%%qf map`` as a user runs it: what is sent, what is left, what a second run asks."""

import asyncio
import json
import os
import queue
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pandas as pd
import pytest

from qfmagic.batch.answer_cache import AnswerCache
from qfmagic.core.errors import BudgetError
from qfmagic.notebook.completion import candidates, place
from qfmagic.notebook.session.session import Session
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from tests.support.held import KEY_ENVIRON
from tests.support.services import refusal, serve, session_of, v2

MODEL = "ernie-5.1"
OPEN = Path("/proc/self/fd")


def run(shell, head, body="Rate {{ text }}\n"):
    return shell.run_cell(f"%%qf map {head}\n{body}").result


def failed(shell, head, body="Rate {{ text }}\n"):
    with pytest.raises(Exception) as caught:
        shell.run_cell_magic("qf", f"map {head}", body)
    return caught.value


def prompts(service):
    return [body["messages"][-1]["content"] for body in service.bodies]


@pytest.fixture
def frame(shell):
    shell.user_ns["df"] = pd.DataFrame({"text": ["good", "bad", "so so"], "n": [1, 2, 3]}, index=list("abc"))
    return shell.user_ns["df"]


@pytest.fixture
def service(shell, monkeypatch):
    found = serve(shell, monkeypatch)
    found.answers[MODEL] = lambda body: v2(f"re: {body['messages'][-1]['content']}")
    shell.run_line_magic("qf", f"set model={MODEL}")
    return found


def test_map_cell_binds_frame_and_shows_summary(shell, service, frame, capsys):
    result = run(shell, "df into=rated workers=2 system=short")
    assert result is None
    rated = shell.user_ns["rated"]
    assert rated["answer"].tolist() == ["re: Rate good", "re: Rate bad", "re: Rate so so"]
    assert list(rated.index) == list("abc")
    assert list(frame.columns) == ["text", "n"]
    assert service.bodies[0]["messages"][0]["content"] == "short"
    shown = capsys.readouterr().out
    assert "3 of 3 rows answered, 0 failed" in shown
    assert "re: Rate so so" in shown
    assert "rated" in shown
    assert "as-1" not in shown, "ids differ from run to run"
    session = session_of(shell)
    assert not session.chats.get("main").turns, "rows are no turns"
    assert sum(call.times for call in session.meter.calls) == 3
    assert {call.kind for call in session.meter.calls} == {"map"}


def test_map_cell_without_into_binds_underscore(shell, service, frame):
    run(shell, "df['text'].tolist()", "{{ item }}\n")
    assert [row["answer"] for row in shell.user_ns["_"]] == ["re: good", "re: bad", "re: so so"]


def test_map_cell_sends_body_unchanged(shell, service, frame):
    run(shell, "df[:1]", ">>> {{ text }}\n\n    In [1]: {x} $y  \n")
    assert prompts(service) == [">>> good\n\n    In [1]: {x} $y  "]


def test_map_cell_rerun_sends_missing_and_failed_rows(shell, service, frame, capsys):
    service.answers[MODEL] = lambda body: refusal("x", "no", 400) if "bad" in str(body) else v2("fine")
    run(shell, "df into=rated")
    assert "1 failed" in capsys.readouterr().out
    service.bodies.clear()
    service.answers[MODEL] = v2("now")
    shell.user_ns["df"] = pd.concat([frame, pd.DataFrame({"text": ["new"], "n": [4]}, index=["d"])])
    run(shell, "df into=rated")
    assert sorted(prompts(service)) == ["Rate bad", "Rate new"]
    assert shell.user_ns["rated"]["answer"].tolist() == ["fine", "now", "fine", "now"]
    service.bodies.clear()
    run(shell, "df into=rated")
    assert not service.bodies
    run(shell, "df into=rated fresh")
    assert len(service.bodies) == 4


def test_map_cell_sample_is_reused_by_whole_run(shell, service, frame):
    run(shell, "df into=rated sample=2")
    assert len(shell.user_ns["rated"]) == 2
    run(shell, "df into=rated")
    assert prompts(service) == ["Rate good", "Rate bad", "Rate so so"]


def test_map_cell_dry_sends_nothing(shell, service, frame, capsys):
    frame.loc["b", "text"] = None
    run(shell, "df dry temperature=0.5")
    shown = capsys.readouterr().out
    assert not service.bodies
    assert '"content": "Rate good"' in shown
    assert '"temperature": 0.5' in shown
    assert "2 of 3 rows would be sent" in shown
    assert "1 row cannot be sent" in shown


def test_map_cell_schema_gives_typed_columns(shell, service, frame):
    service.answers[MODEL] = v2('{"score": 4}')
    run(shell, "df into=rated schema='score int' prefix=x_")
    assert shell.user_ns["rated"]["x_score"].tolist() == [4, 4, 4]


def test_map_cell_iterator_becomes_list(shell, service):
    shell.user_ns["numbers"] = iter(range(12))
    run(shell, "numbers into=found", "{{ item }}\n")
    assert [row["answer"] for row in shell.user_ns["found"]] == [f"re: {n}" for n in range(12)]


def test_map_cell_reads_file(shell, service, tmp_path):
    (tmp_path / "my reviews.csv").write_text("text\ngood\nbad\n", "utf-8")
    run(shell, "'my reviews.csv' into=rated")
    assert shell.user_ns["rated"]["answer"].tolist() == ["re: Rate good", "re: Rate bad"]


def test_map_cell_budget_stop_keeps_answers(shell, service, frame):
    shell.run_line_magic("qf", "set budget=40tok")
    error = failed(shell, "df into=rated workers=1")
    assert type(error).__name__ == "BudgetError"
    assert "1 of 3" in str(error)
    assert shell.user_ns["rated"]["error"].tolist()[1:] == ["not sent"] * 2
    shell.run_line_magic("qf", "set budget=4000tok")
    run(shell, "df into=rated workers=1")
    assert len(service.bodies) == 3, "nothing is paid for twice"


def test_map_cell_budget_allows_replay(shell, service, frame):
    shell.run_line_magic("qf", "transport record a.qf.jsonl")
    run(shell, "df into=rated")
    shell.run_line_magic("qf", "transport auto a.qf.jsonl")
    shell.run_line_magic("qf", "set budget=1tok")
    run(shell, "df into=rated")
    assert shell.user_ns["rated"]["answer"].notna().all()
    assert len(service.bodies) == 3
    with pytest.raises(BudgetError):
        shell.run_cell_magic("qf", "map df into=rated", "Judge {{ text }}\n")


def test_map_cell_interrupt_keeps_answers(shell, service, frame):
    def answer(body):
        if "bad" in str(body):
            os.kill(os.getpid(), signal.SIGINT)
        return v2("fine")

    # So many rows that the interrupt comes before the last of them, however late.
    shell.user_ns["df"] = pd.DataFrame({"text": ["good", "bad", *map(str, range(298))]})
    service.answers[MODEL] = answer
    error = failed_by_interrupt(shell, "df into=rated workers=1")
    assert isinstance(error, KeyboardInterrupt)
    done = shell.user_ns["rated"]["answer"].notna().sum()
    assert done >= 1
    assert shell.user_ns["rated"]["error"].tolist()[-1] == "not sent"
    service.answers[MODEL] = v2("later")
    before = len(service.bodies)
    run(shell, "df into=rated workers=8")
    assert len(service.bodies) + done == before + 300, "only what was missing"


def test_map_cell_interrupted_iterator_keeps_rows_it_read(shell, service, capsys):
    """The first row is still open: those behind it wait for it, and are paid for."""
    gate, pulled = threading.Event(), []

    def source():
        for number in range(100_000):
            if number == 40:
                os.kill(os.getpid(), signal.SIGINT)
            pulled.append(number)
            yield number

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if '"number 0"' in (await request.aread()).decode():
                await asyncio.to_thread(gate.wait)
            return await service.handle_async_request(request)

    session_of(shell).network = Slow()
    shell.user_ns["source"] = source
    threading.Timer(0.5, gate.set).start()
    with pytest.raises(KeyboardInterrupt):
        shell.run_cell_magic("qf", "map source() into=out workers=4", "number {{ item }}\n")
    out = shell.user_ns["out"]
    assert [row["item"] for row in out] == pulled
    answered = [row for row in out if row["answer"]]
    assert len(answered) == len(service.bodies)
    assert f"{len(answered)} of {len(out)} rows answered" in capsys.readouterr().out


def test_map_cell_waiting_source_can_be_interrupted(shell, service):
    numbers = queue.Queue()
    for number in range(12):
        numbers.put(number)
    shell.user_ns["waiting"] = iter(numbers.get, None)
    threading.Thread(target=interrupt_when, args=(lambda: numbers.empty() and len(service.bodies) == 12,)).start()
    with pytest.raises(KeyboardInterrupt):
        shell.run_cell_magic("qf", "map waiting into=out", "number {{ item }}\n")
    assert [row["item"] for row in shell.user_ns["out"]] == list(range(12))
    assert [row["answer"] is not None for row in shell.user_ns["out"]].count(True) == len(service.bodies)


def interrupt_when(so):
    while not so():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)


def test_map_cell_source_error_keeps_answers(shell, service):
    def source():
        yield from range(20)
        raise ZeroDivisionError("of mine")

    shell.user_ns["source"] = source
    error = failed(shell, "source() into=out", "number {{ item }}\n")
    assert type(error) is ZeroDivisionError
    assert [row["answer"] for row in shell.user_ns["out"]] == [f"re: number {n}" for n in range(20)]


def test_map_cell_fresh_keeps_stored_answers_until_replaced(shell, service, frame):
    run(shell, "df into=rated")
    failed(shell, "df into=rated fresh schema='error str'")
    service.answers[MODEL] = refusal("invalid_iam_token", "no", 401)
    failed(shell, "df into=rated fresh")
    service.answers[MODEL] = v2("newer")
    run(shell, "df into=rated fresh sample=1")
    service.bodies.clear()
    run(shell, "df into=rated")
    assert shell.user_ns["rated"]["answer"].tolist() == ["newer", "re: Rate bad", "re: Rate so so"]
    assert not service.bodies
    run(shell, "df into=rated fresh dry")


def test_map_cell_record_sends_rows_missing_from_cassette(shell, service, frame):
    frame.loc["b", "text"] = "good"  # twice the same
    run(shell, "df into=a")
    run(shell, "df into=b")
    service.bodies.clear()
    shell.run_line_magic("qf", "transport record c.qf.jsonl")
    service.answers[MODEL] = lambda body: refusal("x", "no", 400) if "so so" in str(body) else v2("fine")
    run(shell, "df into=a sample=1")
    run(shell, "df into=a")
    assert len(service.bodies) == 3
    service.answers[MODEL] = v2("fine")
    run(shell, "df into=a")
    run(shell, "df into=b")
    assert len(service.bodies) == 4 + 3, "what failed, and all of the other"
    service.bodies.clear()
    run(shell, "df into=a")
    run(shell, "df into=b")
    assert not service.bodies
    shell.run_line_magic("qf", "transport replay c.qf.jsonl")
    for name in "ab":
        run(shell, f"df into={name}")
        assert shell.user_ns[name]["error"].isna().all()


def test_map_cell_locked_journal_is_reported_and_keeps_answers(shell, service, frame, capsys, monkeypatch):
    shell.run_line_magic("qf", "set journal=true")
    monkeypatch.setattr("qfmagic.batch.answer_cache.LOCK_WAIT_S", 0.01)
    session = session_of(shell)
    path = session.open_journal().path
    AnswerCache(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        monkeypatch.setattr(session.meter, "_keep", bool)
        run(shell, "df into=rated")
        other.execute("rollback")
    assert shell.user_ns["rated"]["answer"].notna().all()
    assert "3 answers not stored for another run" in capsys.readouterr().out


@pytest.mark.skipif(not OPEN.is_dir(), reason="this system doesn't list open files")
def test_map_cells_leave_no_open_file(shell, service, frame):
    shell.run_line_magic("qf", "set journal=true")
    run(shell, "df into=rated")
    before = len([*OPEN.iterdir()])
    for _ in range(3):
        run(shell, "df into=rated")
        failed(shell, "df into=rated schema='error str'")
    assert len([*OPEN.iterdir()]) <= before


def test_map_cell_reports_flawed_answers_with_rows(shell, service, frame, capsys):
    def answer(body):
        cut = "bad" in str(body)
        return Reply.of_events(
            [
                {
                    "id": "1",
                    "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "length" if cut else "stop"}],
                }
            ],
            done=True,
        )

    service.answers[MODEL] = answer
    run(shell, "df into=rated")
    assert "1 answer truncated at the output limit (row b)" in capsys.readouterr().out


def test_map_cell_reports_answers_read_despite_defects(shell, service, frame, capsys):
    service.answers[MODEL] = lambda body: v2("{'error': 'x'}" if "bad" in str(body) else '{"error": "x"}')
    for line in ("df into=rated", "df into=again"):  # the second time the answers are there
        run(shell, f"{line} schema='error str'")
        told = capsys.readouterr().out
        assert "1 answer read despite defects that leave one meaning (row b)" in told
        assert "which are called qf_error" in told
    rated = shell.user_ns["rated"]
    assert rated.error.tolist() == ["x", "x", "x"]
    assert rated.qf_error.isna().all()


def test_map_cell_summary_shows_item(shell, service, capsys):
    shell.user_ns["rows"] = iter([{"text": "first", "item": "of its own"}])
    run(shell, "rows into=out")
    shown = capsys.readouterr().out
    assert "{'text'" not in shown
    run(shell, "iter(['plain']) into=out", "{{ item }}\n")
    assert "{'item'" not in capsys.readouterr().out


def failed_by_interrupt(shell, head):
    with pytest.raises(KeyboardInterrupt) as caught:
        shell.run_cell_magic("qf", f"map {head}", "Rate {{ text }}\n")
    return caught.value


def test_map_cell_fails_if_all_rows_fail(shell, service, frame):
    service.answers[MODEL] = refusal("invalid_argument", "no such thing", 400)
    error = failed(shell, "df into=rated")
    assert "no such thing" in str(error)
    assert len(shell.user_ns["rated"]) == 3


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        ("", "{{ text }}\n", "DATA required"),
        ("into=x", "{{ text }}\n", "DATA required"),
        ("dff", "{{ text }}\n", "Did you mean df?"),
        ("df", "\n", "no question"),
        ("df", "no placeholder\n", "no placeholder"),
        ("df", "{{ txt }}\n", "Did you mean text?"),
        ("df workers=0", "{{ text }}\n", "workers"),
        ("df wrokers=3", "{{ text }}\n", "Did you mean workers?"),
        ("df sample=0", "{{ text }}\n", "sample"),
        ("df into=1x", "{{ text }}\n", "into"),
        ("df once", "{{ text }}\n", "once"),
        ("df model=a,b", "{{ text }}\n", "only with one"),
        ("df temperature=9 model=yi_34b_chat", "{{ text }}\n", "temperature"),
        ("no/such/file.csv", "{{ text }}\n", "File no/such/file.csv not found"),
        ("3", "{{ text }}\n", "Unsupported type int"),
        ("[]", "{{ item }}\n", "no rows"),
        ("iter([1])  dry", "{{ item }}\n", "consume rows"),
    ],
)
def test_map_cell_rejects_invalid_line_before_sending(shell, service, frame, head, body, told):
    error = failed(shell, head, body)
    assert told in str(error)
    assert not service.bodies
    assert error.message("zh")


def test_qf_cell_rejects_commands_without_cell(shell):
    for head, told in (("history", "does not accept a cell body"), ("mpa df", "Did you mean map")):
        with pytest.raises(Exception, match=told):
            shell.run_cell_magic("qf", head, "x")


@pytest.mark.slow
def test_map_cell_of_500_rows_replays_offline(shell, service, tmp_path):
    shell.user_ns["rows"] = [{"text": f"{n % 400}"} for n in range(500)]  # some are there twice
    count = iter(range(1000))
    service.answers[MODEL] = lambda body: v2(f"{next(count)}: {body['messages'][-1]['content']}")
    shell.run_line_magic("qf", "transport record answers.qf.jsonl")
    run(shell, "rows into=first workers=32")
    assert len(service.bodies) == 500
    run(shell, "rows into=first workers=32")
    assert len(service.bodies) == 500, "what is recorded is not asked again"
    service.bodies.clear()
    shell.run_line_magic("reload_ext", "qfmagic")
    session_of(shell).network = service
    shell.run_line_magic("qf", f"set model={MODEL}")
    shell.run_line_magic("qf", "transport replay answers.qf.jsonl")
    run(shell, "rows into=second workers=5")
    assert not service.bodies
    plain = ("text", "answer", "error", "prompt_tokens", "id")
    assert [[row[name] for name in plain] for row in shell.user_ns["second"]] == [
        [row[name] for name in plain] for row in shell.user_ns["first"]
    ]
    shell.user_ns["rows"].append({"text": "another"})
    run(shell, "rows into=second")
    assert "CassetteError" in shell.user_ns["second"][-1]["error"]
    assert shell.user_ns["second"][0]["error"] is None
    shell.run_line_magic("qf", "transport auto answers.qf.jsonl")
    run(shell, "rows into=second")
    assert prompts(service) == ["Rate another"], "auto asks for what is missing"


def test_map_cell_killed_kernel_sends_no_row_twice(start, tmp_path):
    """One kernel: a live bar, a kill in the middle, and the next kernel's run; the journal is between them."""
    answered = []

    def answer(request):
        text = json.loads(request.body)["messages"][-1]["content"]
        if len(answered) == 20 and text not in answered:
            kernels[0].client_kill()
        answered.append(text)
        return v2(f"re: {text}")

    kernels = []
    with LoopbackServer(answer) as server:
        environ = {**server.environ, **KEY_ENVIRON, "QFMAGIC_JOURNAL": "true", "QFMAGIC_HOME": str(tmp_path / "home")}
        cell = f"%%qf map range(60) into=found workers=2 model={MODEL}\nNumber {{{{ item }}}}\n"
        first = start(**environ)
        kernels.append(first)
        first.client_kill = lambda: os.kill(first.client_pid, signal.SIGKILL)
        first.send(cell, "cell-1")
        while first.manager.is_alive():
            pass
        paid = len(answered)
        second = start(**environ)
        ran = second.run(cell, "cell-1")
        assert ran.status == "ok", ran.error
        assert paid + 40 <= len(answered) <= 60 + 3, "but for those that were under way"
        assert second.value("[row['answer'] for row in found] == [f're: Number {n}' for n in range(60)]") == "True"
        assert not ran.models, "the bar's models are closed"
        assert len(ran.outputs) == 1
        assert "60 of 60 rows answered" in ran.plain
        assert "application/vnd.jupyter.widget-view+json" not in ran.outputs[0]["data"]
        assert "text/markdown" in ran.outputs[0]["data"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%%qf m|", ["map"]),
        ("%%qf map rev|", ["reviews"]),
        ("%%qf map reviews wor|", ["workers="]),
        ("%%qf map reviews sam| workers=2", ["sample="]),
        ("%%qf map reviews model=yi_34b|", ["yi_34b_chat"]),
        ("%%qf history x|", []),
        ("%%qf map reviews\n{{ revi|", ["reviews"]),
    ],
)
def test_map_cell_completes_commands_data_and_options(line, offered):
    before, after = line.split("|")
    session = Session({"QFMAGIC_TRANSPORT": "stub"})
    here = place(before + after, before.count("\n"), len(before.rpartition("\n")[2]))
    assert candidates(here, session, {"reviews": 1}).texts == offered
    session.close()
