"""The conversation follows the notebook, with the metadata JupyterLab sends to a real kernel."""

import contextlib
import json
import os
import signal
import sqlite3
import stat
import time

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import StubKeys

KEYS = StubKeys()
MODEL = "model=yi_34b_chat"


@pytest.fixture
def lab(start, tmp_path):
    """A kernel as JupyterLab starts it, against a server that notes what is sent."""
    with LoopbackServer() as server:
        kernel = start(
            **server.environ,
            QIANFAN_ACCESS_TOKEN=KEYS.access_token,
            QFMAGIC_HOME=str(tmp_path / "home"),
            JPY_SESSION_NAME=str(tmp_path / "notebook.ipynb"),
        )
        kernel.server = server
        kernel.folder = tmp_path
        kernel.ask = lambda cell, prompt, line="", deleted=(): kernel.run(
            f"%%qianfan {MODEL} {line}\n{prompt}", cell, deleted
        )
        yield kernel


def questions(kernel, index=-1):
    """What the server saw: the user's messages of a request."""
    body = json.loads([r for r in kernel.server.requests if "chat" in r.path][index].body)
    return [message["content"] for message in body["messages"] if message["role"] == "user"]


def history(kernel, line=""):
    """The rows of %qf history: number, cell, and the rest."""
    lines = kernel.run(f"%qf history {line}").plain.splitlines()
    return [line for line in lines if line[:1].isdigit()]


def test_rerun_cell_replaces_its_turn(lab):
    for name in "abc":
        lab.ask(name, f"q-{name}")
    ran = lab.ask("a", "q-a, edited")
    assert questions(lab) == ["q-a, edited"]
    assert "stale" in ran.plain
    assert "turns 2, 3 stale" in ran.plain
    assert ["stale" in row for row in history(lab)] == [False, True, True]
    ran = lab.ask("b", "q-b")
    assert questions(lab) == ["q-a, edited", "q-b"]
    assert "turn 3 stale" in ran.plain
    ran = lab.ask("c", "q-c")
    assert questions(lab) == ["q-a, edited", "q-b", "q-c"]
    assert "stale" not in ran.plain
    assert "stale" not in "".join(history(lab))


def test_conversation_note_is_shown_with_newest_answer_only(lab):
    """Else a saved notebook would tell of what was long mended."""
    lab.ask("a", "q-a")
    lab.ask("b", "q-b")
    name = lab.send(f"%%qianfan {MODEL}\nq-a, edited", "a")
    first = lab.collect(name)[0]
    shown = first.outputs[0]["transient"]["display_id"]
    assert "stale" in first.plain
    again = lab.send(f"%%qianfan {MODEL}\nq-b", "b")
    messages = []
    while not messages or messages[-1]["content"].get("execution_state") != "idle":
        messages.append(lab.client.get_iopub_msg(timeout=20))
    updates = [
        m["content"]
        for m in messages
        if m["msg_type"] == "update_display_data" and m["content"]["transient"]["display_id"] == shown
    ]
    assert "stale" not in updates[-1]["data"]["text/plain"]
    assert again


def test_old_version_can_be_restored(lab):
    lab.ask("a", "q-a")
    lab.ask("a", "q-a, edited")
    assert "q-a, edited" in lab.run("%qf show 1").plain
    assert "earlier versions: 1" in lab.run("%qf show 1").plain
    said = lab.run("%qf restore 1").plain
    assert "%qf restore 1" in said
    lab.ask("b", "q-b")
    assert questions(lab) == ["q-a", "q-b"]


def test_copied_cell_adds_turn_and_moved_cell_keeps_it(lab):
    lab.ask("a", "q")
    lab.ask("copy", "q")
    assert questions(lab) == ["q", "q"]
    lab.ask("a", "q, moved and run")
    assert len(history(lab)) == 2


def test_two_lines_of_cell_are_two_turns(lab):
    two = f"%qianfan {MODEL} one\n%qianfan {MODEL} two"
    lab.run(two, "a")
    lab.ask("b", "three")
    assert questions(lab) == ["one", "two", "three"]
    lab.run(two.replace("two", "two again"), "a")
    assert questions(lab) == ["one", "two again"]
    lab.run(f"%qianfan {MODEL} one", "a")
    ran = lab.ask("b", "three")
    assert questions(lab) == ["one", "three"]
    assert "left out of the conversation" in ran.plain
    assert "turn 2 left out" in ran.plain


def test_cell_without_prompt_removes_its_turn(lab):
    lab.ask("a", "q-a")
    lab.run("1 + 1", "a")
    lab.ask("b", "q-b")
    assert questions(lab) == ["q-b"]


def test_dry_keeps_turn(lab):
    lab.ask("a", "q-a")
    lab.ask("a", "q-a", "dry")
    lab.ask("b", "q-b")
    assert questions(lab) == ["q-a", "q-b"]


def test_deleted_cells_are_removed_reported_and_restored(lab):
    """JupyterLab reports a deletion once, with the next run, whatever that is; a cut and pasted cell too."""
    for name in "abc":
        lab.ask(name, f"q-{name}")
    lab.run("1 + 1", "x", deleted=["a", "b"])
    ran = lab.ask("d", "q-d")
    assert questions(lab) == ["q-c", "q-d"]
    assert "turns 1, 2 left out" in ran.plain
    assert "%qf restore 1 or" in ran.plain
    assert "left out" not in lab.ask("e", "q-e").plain
    assert "restores it" in lab.run("%qf drop 3").plain
    assert "%qf drop 1" in lab.run("%qf restore 1").plain
    lab.ask("b", "q-b, pasted")
    assert questions(lab) == ["q-a", "q-b, pasted"]


def test_cells_without_ids_append_turns(lab):
    for number in range(3):
        lab.run(f"%%qianfan {MODEL}\nsame")
        assert questions(lab) == ["same"] * (number + 1)


def test_new_cell_is_placed_by_saved_notebook(lab):
    lab.ask("a", "q-a")
    lab.ask("c", "q-c")
    cells = [{"cell_type": "code", "id": name, "source": "", "metadata": {}, "outputs": []} for name in "abc"]
    (lab.folder / "notebook.ipynb").write_text(json.dumps({"cells": cells}))
    ran = lab.ask("b", "q-b")
    assert questions(lab) == ["q-a", "q-b"]
    assert "turn 3 stale" in ran.plain


def test_context_is_truncated_in_whole_turns_and_reported(lab):
    for name in "abc":
        lab.ask(name, name * 2500)
    ran = lab.ask("d", "q-d" + "d" * 1000)
    sent = questions(lab)
    assert sent[-1].startswith("q-d")
    assert f"sent {len(sent) - 1} of 3 earlier turns" in ran.plain
    assert len(sent) < 4
    lab.run("%qf set model=yi_34b_chat")
    assert "not sent (limit)" in history(lab)[0]
    assert "sent 1 of 4 earlier turns" in lab.ask("e", "q-e", "context=1").plain
    too_long = lab.ask("f", "长" * 8001)
    assert "8001 characters (limit 8000)" in too_long.error[1]


def test_failed_turn_keeps_place_out_of_history(lab):
    lab.ask("a", "q-a")
    lab.ask("b", "q-b", "temperature=7")
    lab.ask("c", "q-c")
    assert questions(lab) == ["q-a", "q-c"]
    assert "failed" in history(lab)[1]
    lab.ask("b", "q-b")
    assert questions(lab) == ["q-a", "q-b"]
    lab.ask("a", "q-a", "temperature=7")
    lab.ask("c", "q-c")
    assert questions(lab) == ["q-b", "q-c"]


def test_once_and_new_leave_conversation(lab):
    lab.ask("a", "q-a")
    lab.ask("b", "aside", "once")
    lab.ask("c", "q-c", "new")
    assert questions(lab) == ["q-c"]
    lab.ask("d", "q-d")
    assert questions(lab) == ["q-c", "q-d"]
    lab.ask("a", "q-a, again")
    assert questions(lab) == ["q-a, again"]
    lab.ask("d", "q-d")
    assert questions(lab) == ["q-c", "q-d"]


def flagged(ban_round):
    def answer(request):
        body = json.loads(request.body)
        bad = "bad" in body["messages"][-1]["content"]
        extra = {"need_clear_history": True} if bad else {}
        if bad and ban_round is not None:
            extra["ban_round"] = ban_round
        return Reply.of_json({"id": "x", "result": "ok", **extra})

    return answer


@pytest.mark.parametrize(
    ("ban_round", "kept"), [(-1, ["a", "b"]), (2, ["a"]), (3, ["a", "b"]), (None, []), (0, []), (9, [])]
)
def test_flagged_turns_are_removed(start, tmp_path, ban_round, kept):
    with LoopbackServer(flagged(ban_round)) as server:
        kernel = start(**server.environ, QIANFAN_ACCESS_TOKEN="t", QFMAGIC_JOURNAL="false")
        kernel.server = server
        for cell in ("a", "b", "bad"):
            ran = kernel.run(f"%%qianfan {MODEL} stream=false\n{cell}", cell)
        assert "flagged this conversation" in ran.plain
        kernel.run(f"%%qianfan {MODEL} stream=false\nnext", "next")
        assert questions(kernel) == [*kept, "next"]
        assert "flagged by the service" in kernel.run("%qf history").plain


def test_conversation_commands_edit_turns(lab):
    for name in "abc":
        lab.ask(name, f"q-{name}")
    assert "%qf restore 3" in lab.run("%qf undo").plain
    assert "%qf restore 2" in lab.run("%qf undo").plain
    lab.run("%qf restore 3")
    lab.run("%qf drop 1")
    lab.ask("d", "q-d")
    assert questions(lab) == ["q-c", "q-d"]
    assert "no earlier version" in lab.run("%qf restore 4").error[1]
    lab.ask("d", "q-d2")
    assert "earlier version" in lab.run("%qf undo").plain
    assert "q-d" in lab.run("%qf show 4").plain
    assert "No turn '9'" in lab.run("%qf show 9").error[1]


def test_conversations_fork_switch_and_separate(lab):
    lab.ask("a", "q-a")
    lab.ask("b", "q-b")
    assert "%qf switch main" in lab.run("%qf fork trial 1").plain
    lab.ask("c", "q-c")
    assert questions(lab) == ["q-a", "q-c"]
    lab.run("%qf switch main")
    lab.ask("d", "q-d")
    assert questions(lab) == ["q-a", "q-b", "q-d"]
    lab.ask("e", "q-e", "chat=trial")
    assert questions(lab) == ["q-a", "q-c", "q-e"]
    assert "%qf switch main~1" in lab.run("%qf reset").plain
    lab.ask("f", "q-f")
    assert questions(lab) == ["q-f"]
    lab.run("%qf switch main~1")
    lab.ask("g", "q-g")
    assert questions(lab) == ["q-a", "q-b", "q-d", "q-g"]
    assert "Did you mean trial" in lab.run("%qf switch trail").error[1]
    assert "already" in lab.run("%qf fork trial").error[1]


def test_last_shows_answer_and_reload_keeps_turns(lab):
    assert "No answer yet" in lab.run("%qf last").error[1]
    lab.ask("a", "hi")
    assert "Hello!" in lab.run("%qf last").plain
    lab.run("%reload_ext qfmagic")
    lab.ask("b", "q-b")
    assert questions(lab) == ["hi", "q-b"]


def test_err_shows_cell_errors_in_prompts(lab):
    failed = lab.run("{}['missing']", "a")
    assert failed.status == "error"
    count = lab.value("max(In.__len__() - 2, 1)")
    lab.run(f"%qianfan {MODEL} Explain: {{{{ Err[{count}] }}}} and {{{{ In[{count}] }}}}", "b")
    asked = questions(lab)[-1]
    assert "KeyError: 'missing'" in asked
    assert "{}['missing'] " in asked + " "
    assert "IPython" not in asked


def test_frame_in_prompt_is_rendered(lab):
    lab.run("import pandas as pd\nframe = pd.DataFrame({'city': ['北京', '上海'], 'n': [1, 2]})", "a")
    lab.run(f"%%qianfan {MODEL}\nDescribe:\n{{{{ frame }}}}", "b")
    asked = questions(lab)[-1]
    assert "DataFrame: 2 rows × 2 columns" in asked
    assert "| 北京 | 1 |" in asked


def test_code_format_inserts_one_cell(start):
    with LoopbackServer(lambda _: Reply.of_json({"id": "x", "result": "```python\nx = 1\n```"})) as server:
        kernel = start(**server.environ, QIANFAN_ACCESS_TOKEN="t", QFMAGIC_JOURNAL="false")
        payloads = []
        for _ in range(3):
            name = kernel.send(f"%%qianfan {MODEL} stream=false format=code\nq", "a")
            reply = None
            while reply is None or reply["parent_header"].get("msg_id") != name:
                reply = kernel.client.get_shell_msg(timeout=20)
            payloads.append([p["text"] for p in reply["content"]["payload"] if p["source"] == "set_next_input"])
        assert payloads == [["x = 1"], [], []]


def test_export_and_import_round_trip(lab):
    for name in "ab":
        lab.ask(name, f"q-{name}")
    for suffix in ("md", "jsonl", "py", "ipynb"):
        assert lab.run(f"%qf export {lab.folder}/c.{suffix}").status == "ok"
        assert "q-a" in (lab.folder / f"c.{suffix}").read_text("utf-8")
    assert "main~1" in lab.run(f"%qf import {lab.folder}/c.jsonl").plain
    equal = "_s.chats.get('main') == _s.chats.get('main~1').fork('main')"
    lab.run("_s = get_ipython().magics_manager.registry['QianfanMagics'].engine.session")
    assert lab.value(equal) == "True"
    assert "Cannot read nowhere.jsonl" in lab.run("%qf import nowhere.jsonl").error[1]


# ---- the journal


def partial_text(path):
    """What the journal has of a turn under way."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("select record from turns where partial > 0").fetchall()
    return "".join(json.loads(record)["answer"]["text"] for (record,) in rows)


def test_killed_kernel_resumes_from_journal(start, tmp_path):
    """kill -9 in mid-stream; %qf resume in a new kernel brings back the turns, the partial one marked."""
    environ = {
        "QFMAGIC_HOME": str(tmp_path / "home"),
        "JPY_SESSION_NAME": str(tmp_path / "n.ipynb"),
        "QFMAGIC_TRANSPORT": "stub",
    }
    kernel = start(**environ, QFMAGIC_STUB_PACE="0.3")
    kernel.run(f"%%qianfan {MODEL}\nhi", "a")
    name = kernel.send(f"%%qianfan {MODEL}\n推荐一些中国自驾游路线", "b")
    kernel.wait_for(name, "comm_msg")
    begun = time.monotonic()
    while not partial_text(tmp_path / "home" / "journal.sqlite"):
        assert time.monotonic() - begun < 10
    os.kill(int(kernel.client_pid), signal.SIGKILL)
    again = start(**environ)
    said = again.run("%qf resume").plain
    assert "2 turns restored" in said
    assert "Interrupted: 1" in said
    shown = again.run("%qf show 2").plain
    assert "interrupted" in shown
    assert "中国幅员辽阔" in shown
    assert "Hello!" in again.run("%qf show 1").plain
    ran = again.run(f"%%qianfan {MODEL}\n推荐一些中国自驾游路线", "b")
    assert ran.metadata["turn"] == 2
    assert len(ran.metadata["parents"]) == 1


def test_kernels_of_one_notebook_are_separate(start, tmp_path):
    environ = {
        "QFMAGIC_HOME": str(tmp_path / "home"),
        "JPY_SESSION_NAME": str(tmp_path / "n.ipynb"),
        "QFMAGIC_TRANSPORT": "stub",
    }
    first, second = start(**environ), start(**environ)
    for number in range(3):
        first.run(f"%%qianfan {MODEL}\nfirst {number}", f"f{number}")
        second.run(f"%%qianfan {MODEL}\nsecond {number}", f"s{number}")
    third = start(**environ)
    assert "3 turns restored" in third.run("%qf resume").plain
    shown = third.run("%qf history").plain
    assert all(f"second {number}" in shown for number in range(3))
    assert "first 0" not in shown


def test_journal_is_private_without_keys_and_optional(start, tmp_path):
    home = tmp_path / "home"
    environ = {"QFMAGIC_HOME": str(home), "QIANFAN_ACCESS_TOKEN": KEYS.access_token}
    with LoopbackServer() as server:
        kernel = start(**server.environ, **environ)
        kernel.run(f"%%qianfan {MODEL}\nhi", "a")
        assert str(home) in kernel.run("%qf doctor").plain
        files = list(home.iterdir())
        assert files
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
            assert KEYS.access_token.encode() not in file.read_bytes()
        assert stat.S_IMODE(home.stat().st_mode) & 0o077 == 0
    off = start(QFMAGIC_HOME=str(tmp_path / "none"), QFMAGIC_JOURNAL="false", QFMAGIC_TRANSPORT="stub")
    assert off.run(f"%%qianfan {MODEL}\nhi", "a").status == "ok"
    assert not (tmp_path / "none").exists()
    assert "it is disabled" in off.run("%qf resume").error[1]
    (tmp_path / "file").write_text("")
    broken = start(QFMAGIC_HOME=str(tmp_path / "file"), QFMAGIC_TRANSPORT="stub")
    assert broken.run(f"%%qianfan {MODEL}\nhi", "a").status == "ok"
    assert "Cannot write the journal" in broken.run("%qf doctor").plain
    fresh = start(QFMAGIC_HOME=str(tmp_path / "new"), QFMAGIC_TRANSPORT="stub")
    assert "No earlier session" in fresh.run("%qf resume").error[1]
