"""Recording and replaying a notebook: the modes, the files, and what the commands say."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from qfmagic.core.errors import CassetteError, OptionError
from qfmagic.notebook.session.transport_mode import Transport, from_variable, read_transport
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.stub.reply import Reply
from tests.support.held import KEY_ENVIRON, held_reply

PATH = Path("a.qf.jsonl")


def answer(request):
    """A service that is no stub, and counts what it answers."""
    question = json.loads(request.body)["messages"][-1]["content"]
    answer.count += 1
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    pieces = [{"id": f"as-{answer.count}", "result": f"{answer.count}. "}, {"result": f"re: {question}"}]
    return Reply.of_events([*pieces, {"result": "", "is_end": True, "usage": usage}])


@pytest.fixture
def service():
    answer.count = 0
    with LoopbackServer(answer) as server:
        yield server


@pytest.fixture
def live(shell, service, monkeypatch):
    """A shell that asks the service, with keys."""
    monkeypatch.delenv("QFMAGIC_TRANSPORT")
    for name, value in {**service.environ, **KEY_ENVIRON}.items():
        monkeypatch.setenv(name, value)
    shell.run_line_magic("qf", "set model=yi_34b_chat")
    return shell


def ask(shell, prompt="hi", line=""):
    return shell.run_cell_magic("qianfan", line, prompt).text


def qf(shell, capsys, line):
    capsys.readouterr()
    shell.run_line_magic("qf", line)
    return capsys.readouterr().out


# ---- the modes


def test_replay_needs_no_service_or_keys(live, service, monkeypatch, capsys):
    qf(live, capsys, "transport record a.qf.jsonl")
    first = [ask(live), ask(live, "and now?"), ask(live, "aside", "once")]
    assert first == ["1. re: hi", "2. re: and now?", "3. re: aside"]
    for name in KEY_ENVIRON:
        monkeypatch.delenv(name)
    qf(live, capsys, "reset")
    assert "Transport: replay a.qf.jsonl." in qf(live, capsys, "transport replay a.qf.jsonl")
    assert [ask(live), ask(live, "and now?"), ask(live, "aside", "once")] == first
    assert len(service.requests) == 3
    qf(live, capsys, "drop 2")
    with pytest.raises(CassetteError, match=r"message 3 \(user\) differs: “and \[-now-\]\{\+then\+\}\?”") as error:
        ask(live, "and then?")
    assert "qf transport auto" in str(error.value)
    assert len(service.requests) == 3
    assert "Exchanges: 3; replayed in this session: 3; recorded: 0." in qf(live, capsys, "transport")


def test_auto_sends_new_prompts_and_restarts_on_switch(live, service, capsys):
    for expected in (1, 1, 1):
        qf(live, capsys, "transport auto a.qf.jsonl")
        assert ask(live, "aside", "once") == "1. re: aside"
        assert len(service.requests) == expected
    assert ask(live, "aside", "once") == "2. re: aside"  # no cell is named here: it's another question
    assert "replayed in this session: 1; recorded: 1." in qf(live, capsys, "transport")


def test_replay_continues_after_changed_setting(live, service, capsys):
    qf(live, capsys, "transport record a.qf.jsonl")
    both = [ask(live, "aside", "once"), ask(live, "aside", "once")]
    qf(live, capsys, "transport replay a.qf.jsonl")
    assert ask(live, "aside", "once") == both[0]
    qf(live, capsys, "set retry_count=2 qps=5")
    assert ask(live, "aside", "once") == both[1]


def test_replay_ignores_limits_and_keys(live, service, capsys):
    qf(live, capsys, "transport record a.qf.jsonl")
    ask(live, "aside", "once")
    qf(live, capsys, "transport replay a.qf.jsonl")
    asked = len(service.requests)
    assert "Transport replay: network checks skipped." in qf(live, capsys, "doctor")
    assert "use no keys" in qf(live, capsys, "auth check")
    assert len(service.requests) == asked


def test_record_reports_unwritable_cassette_under_answer(live, capsys):
    qf(live, capsys, "transport record a.qf.jsonl")
    PATH.unlink()
    PATH.mkdir()
    capsys.readouterr()
    assert ask(live) == "1. re: hi"
    assert "Cannot write cassette a.qf.jsonl" in capsys.readouterr().out


def test_replayed_stub_answer_is_marked_as_stub(shell, monkeypatch, capsys):
    with LoopbackServer() as server:
        for name, value in {**server.environ, **KEY_ENVIRON}.items():
            monkeypatch.setenv(name, value)
        qf(shell, capsys, "transport record a.qf.jsonl")
        ask(shell, line="model=yi_34b_chat")
    qf(shell, capsys, "transport replay a.qf.jsonl")
    qf(shell, capsys, "reset")
    ask(shell, line="model=yi_34b_chat")
    assert "[◈ simulated answer" in capsys.readouterr().out


def test_cassette_path_is_independent_of_working_directory(live, monkeypatch):
    here = Path.cwd()
    (here / "my 数据.ipynb").write_text('{"cells": []}')
    (here / "sub").mkdir()
    monkeypatch.setenv("JPY_SESSION_NAME", str(here / "my 数据.ipynb"))
    for written, name in (("record", "my 数据.qf.jsonl"), ("record:a.qf.jsonl", "a.qf.jsonl")):
        monkeypatch.setenv("QFMAGIC_TRANSPORT", written)
        monkeypatch.chdir(here / "sub")
        ask(live, "aside", "once")
        monkeypatch.chdir(here)
        ask(live, "aside", "once")
        assert [one.n for one in cassette.read(here / name).exchanges.values()] == [0, 1]


# ---- how a mode is written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("live", Transport()),
        ("record a.jsonl", Transport("record", Path("a.jsonl"))),
        ("replay 'my file.jsonl'", Transport("replay", Path("my file.jsonl"))),
        ("auto a.jsonl pace=recorded", Transport("auto", Path("a.jsonl"), paced=True)),
        ("replay pace=instant a.jsonl", Transport("replay", Path("a.jsonl"))),
    ],
)
def test_read_transport_parses_modes(written, expected):
    assert read_transport(written, {}) == expected
    assert read_transport(str(expected).replace("my file.jsonl", "'my file.jsonl'"), {}) == expected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nothing", "Unknown transport 'nothing'"),
        ("live x", "Usage: %qf transport live"),
        ("record a b", "Usage: %qf transport record PATH"),
        ("replay a pace=fast", "pace"),
        ("record a pace=recorded", "pace"),
        ("replay", "%qf transport replay PATH"),
        ("auto 'a", "quote"),
    ],
)
def test_read_transport_rejects_invalid_modes(written, said):
    with pytest.raises(OptionError, match=said) as error:
        read_transport(written, {})
    assert error.value.message("zh") != error.value.message("en")


def test_transport_variable_sets_mode(monkeypatch, tmp_path):
    assert from_variable("replay:a b.jsonl", {}) == Transport("replay", Path("a b.jsonl"))
    assert from_variable("record:C:/x.jsonl", {}).path == Path("C:/x.jsonl")
    assert from_variable("stub", {}) == Transport("stub")
    with pytest.raises(OptionError, match="Unknown transport"):
        from_variable("record-all", {})
    notebook = {"JPY_SESSION_NAME": str(tmp_path / "an analysis.ipynb")}
    assert from_variable("auto", notebook).path == Path("an analysis.qf.jsonl")
    monkeypatch.chdir("/usr")
    assert from_variable("auto", notebook).path == tmp_path / "an analysis.qf.jsonl"
    with pytest.raises(OptionError, match="Cassette path required"):
        from_variable("auto", {"JPY_SESSION_NAME": "console"})


def test_transport_with_missing_file_keeps_mode(live, service, capsys):
    with pytest.raises(CassetteError, match="Cassette none.jsonl not found"):
        qf(live, capsys, "transport replay none.jsonl")
    with pytest.raises(CassetteError, match="Cannot write"):
        qf(live, capsys, "transport auto nowhere/none.jsonl")
    assert "Transport: live." in qf(live, capsys, "transport")
    assert ask(live) == "1. re: hi"


def test_transport_variable_with_missing_file_is_reported(shell, monkeypatch, capsys):
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "replay:none.jsonl")
    with pytest.raises(CassetteError, match="Cassette none.jsonl not found"):
        ask(shell)
    assert "replay none.jsonl" in qf(shell, capsys, "settings")
    qf(shell, capsys, "transport stub")
    assert "Hello!" in ask(shell, line="model=yi_34b_chat")


# ---- the commands


@pytest.fixture
def recorded(live, capsys):
    qf(live, capsys, "transport record a.qf.jsonl")
    for question in ("of 张三", "of 李四", "of nobody"):
        ask(live, question, "once")
    return live


def test_cassette_list_shows_exchanges(recorded, capsys):
    listed = qf(recorded, capsys, "cassette")
    assert "a.qf.jsonl: 3 exchanges" in listed
    assert listed.count("recorded") == 3
    qf(recorded, capsys, "transport replay a.qf.jsonl")
    ask(recorded, "of 李四", "once")
    listed = qf(recorded, capsys, "cassette list")
    assert listed.count("not replayed") == 2
    assert "of 李四" in listed
    assert "2. re: of 李四" in listed
    assert qf(recorded, capsys, "cassette list path=a.qf.jsonl").count("not replayed") == 2
    qf(recorded, capsys, "transport stub")
    assert "not replayed" not in qf(recorded, capsys, "cassette path=a.qf.jsonl")
    with pytest.raises(OptionError, match="No cassette in use"):
        qf(recorded, capsys, "cassette")


def test_cassette_show_prints_exchange(recorded, capsys):
    found = next(one for one in cassette.read(PATH).exchanges.values() if "李四" in one.line())
    shown = qf(recorded, capsys, f"cassette show {found.hash}")
    assert '"content": "of 李四"' in shown
    assert shown.endswith("2. re: of 李四\n")
    assert '"messages"' in qf(recorded, capsys, "cassette show 1")
    for wrong in ("show", "show 1 2", "list all", "burn", "redact", "prune 3", "list path=a path=b"):
        with pytest.raises(OptionError, match="Usage"):
            qf(recorded, capsys, f"cassette {wrong}")
    with pytest.raises(OptionError, match="which has 3 exchanges"):
        qf(recorded, capsys, "cassette show 4")


def test_cassette_in_use_is_recognized_by_any_path(recorded, capsys):
    Path("link.jsonl").symlink_to(PATH)
    qf(recorded, capsys, "transport replay link.jsonl")
    ask(recorded, "of 李四", "once")
    assert qf(recorded, capsys, "cassette list path=a.qf.jsonl").count("not replayed") == 2
    assert "2 unused exchanges deleted, 1 kept" in qf(recorded, capsys, "cassette prune yes path=./a.qf.jsonl")
    for line in ("transport replay", "cassette list path="):
        with pytest.raises(CassetteError, match="Cassette ~nobody-of-that-name/a"):
            qf(recorded, capsys, f"{line}{'' if line.endswith('=') else ' '}~nobody-of-that-name/a")


def test_cassette_prune_drops_unused_exchanges(recorded, capsys):
    qf(recorded, capsys, "transport replay a.qf.jsonl")
    with pytest.raises(CassetteError, match="Run the whole notebook first"):
        qf(recorded, capsys, "cassette prune")
    ask(recorded, "of 李四", "once")
    whole = PATH.read_bytes()
    assert "2 exchanges not used in this session and not shown" in qf(recorded, capsys, "cassette prune")
    assert PATH.read_bytes() == whole, "without yes, nothing is deleted"
    assert "2 unused exchanges deleted, 1 kept. a.qf.jsonl.bak is the file" in qf(
        recorded, capsys, "cassette prune yes"
    )
    assert Path("a.qf.jsonl.bak").read_bytes() == whole
    assert "no unused exchange" in qf(recorded, capsys, "cassette prune yes")
    assert [one.play().outcome.text for one in cassette.read(PATH).exchanges.values()] == ["2. re: of 李四"]
    with pytest.raises(CassetteError):
        ask(recorded, "of nobody", "once")


def notebook_of(path, metadata, source="%%qianfan\nhi"):
    outputs = [{"output_type": "display_data", "data": {}, "metadata": metadata}] if metadata else []
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": source, "outputs": outputs}
    Path(path).write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}))


@pytest.mark.parametrize(
    ("name", "metadata", "source", "unused"),
    [
        ("a.ipynb", {"qfmagic": {"request": "HASH"}}, "%%qianfan\nhi", 1),
        ("a.ipynb", {"qfmagic": {"request": "x", "others": [{"request": "HASH"}]}}, "%%qianfan\nhi", 1),
        ("a.ipynb", {"qfmagic": {"request": "x", "rejected": ["HASH"]}}, "%%qianfan\nhi", 1),
        ("a.ipynb", {"qfmagic_map": {"exchanges": [{"wire": "v1", "model": "yi_34b_chat"}]}}, "%%qf map x\nhi", 0),
        ("b.ipynb", {"qfmagic": {"request": "HASH"}}, "%qf transport replay a.qf.jsonl", 1),
        ("b.ipynb", {"qfmagic": {"request": "HASH"}}, "%%qianfan\nhi", 2),
    ],
)
def test_cassette_prune_keeps_what_saved_notebooks_show(recorded, capsys, name, metadata, source, unused):
    first = next(one for one in cassette.read(PATH).exchanges.values() if "李四" not in one.line())
    notebook_of(name, json.loads(json.dumps(metadata).replace("HASH", first.hash)), source)
    qf(recorded, capsys, "transport replay a.qf.jsonl")
    ask(recorded, "of 李四", "once")
    said = qf(recorded, capsys, "cassette prune")
    assert f"{unused} exchange" in said or (unused == 0 and ": 0 exchanges" in said)


@pytest.mark.parametrize("content", [None, "not json", "[]"])
def test_cassette_prune_is_refused_beside_notebook_without_answers(recorded, capsys, content):
    notebook_of("a.ipynb", None)
    if content:
        Path("a.ipynb").write_text(content)
    qf(recorded, capsys, "transport replay a.qf.jsonl")
    ask(recorded, "of 李四", "once")
    with pytest.raises(CassetteError, match="cells without answers: a.ipynb"):
        qf(recorded, capsys, "cassette prune yes")


def test_merged_recordings_are_both_listed_and_told(recorded, capsys):
    one = next(one for one in cassette.tidy(PATH).exchanges.values() if "李四" in one.line())
    theirs = replace(one, events=tuple((at, data.replace(b"re: of", b"again: of")) for at, data in one.events))
    header, *lines = PATH.read_text(encoding="utf-8").splitlines()
    PATH.write_text("\n".join([header, *lines[:-1], theirs.line(), one.line(), lines[-1], ""]), encoding="utf-8")
    assert "1 exchange is a second answer to a recorded request" in qf(recorded, capsys, "transport replay a.qf.jsonl")
    listed = qf(recorded, capsys, "cassette list")
    assert "4 exchanges" in listed
    assert "re: of 李四" in listed
    assert "again: of 李四" in listed


def test_cassette_redact_removes_words_and_still_matches(recorded, capsys):
    assert "2 exchanges changed" in qf(recorded, capsys, "cassette redact 张三 李四")
    content = PATH.read_text(encoding="utf-8")
    assert "张三" not in content
    assert "李四" not in content
    assert "0 exchanges changed" in qf(recorded, capsys, "cassette redact 张三")
    qf(recorded, capsys, "transport replay a.qf.jsonl")
    assert ask(recorded, "of 张三", "once") == "1. re: of […]"
    assert ask(recorded, "of nobody", "once") == "3. re: of nobody"


def test_cassette_redacted_conversation_is_replayed(live, capsys):
    qf(live, capsys, "transport record a.qf.jsonl")
    ask(live, "who is 张三?")
    ask(live, "and he?")
    qf(live, capsys, "cassette redact 张三")
    qf(live, capsys, "transport replay a.qf.jsonl")
    qf(live, capsys, "reset")
    assert ask(live, "who is 张三?") == "1. re: who is […]?"
    assert ask(live, "and he?") == "2. re: and he?"


# ---- in a kernel


def test_replay_answers_each_cell_on_every_run(start, service, tmp_path):
    (tmp_path / "my.ipynb").write_text('{"cells": []}')
    environ = {**service.environ, **KEY_ENVIRON, "JPY_SESSION_NAME": str(tmp_path / "my.ipynb")}
    kernel = start(**environ)
    same = "%%qianfan model=yi_34b_chat once\nhi"
    assert "my.qf.jsonl" in kernel.run("%qf transport record").plain
    texts = [kernel.run(same, cell=cell).plain for cell in ("a", "b", "a")]
    assert texts == ["1. re: hi", "2. re: hi", "3. re: hi"]
    kernel.run("%qf transport auto")
    replayed = [kernel.run(same, cell=cell) for cell in ("a", "b", "b", "a", "a")]
    assert [ran.plain for ran in replayed] == ["3. re: hi", "2. re: hi", "2. re: hi", "3. re: hi", "3. re: hi"]
    assert {ran.metadata["transport"] for ran in replayed} == {"replay"}
    assert len(service.requests) == 3
    again = kernel.run("%%qianfan model=yi_34b_chat\nfor the record", cell="c")
    assert again.metadata["transport"] == "record"
    assert all(len(again.metadata[name]) == 16 for name in ("hash", "cell", "shown"))
    assert cassette.read(tmp_path / "my.qf.jsonl").untidy is False  # sorted with the end of each cell


def test_record_killed_kernel_leaves_readable_cassette(start, tmp_path):
    reply = held_reply(["one ", "two"])
    answered = Reply.of_events([{"id": "1", "result": "whole"}, {"result": "", "is_end": True}])
    with LoopbackServer(lambda request: answered if "chat/yi_34b_chat" in request.path else reply) as server:
        kernel = start(**server.environ, **KEY_ENVIRON)
        kernel.run("%qf transport record a.qf.jsonl")
        cell = "%qianfan model=yi_34b_chat once hi\n%qianfan model=ernie-5.1 once hi"
        name = kernel.send(cell, cell="a")
        kernel.wait_for(name, "comm_open")  # the second question: the first is answered, its cell goes on
        os.kill(kernel.client_pid, signal.SIGKILL)
        reply.chunks.let_all()
    kept = cassette.read(tmp_path / "a.qf.jsonl")
    assert [one.play().outcome.text for one in kept.exchanges.values()] == ["whole"]
    assert kept.untidy
