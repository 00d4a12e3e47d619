"""NotebookHarness: cells in a test's own process, apart from the user's environment."""

import subprocess
import sys
from pathlib import Path

import pytest

import qfmagic.testing
from qfmagic import BudgetError, QianfanError
from qfmagic.core.errors import OptionError
from qfmagic.testing import NotebookHarness
from qfmagic.testing.scripted import ScriptedTransport
from qfmagic.transport.stub.reply import Reply
from tests.support.services import v2


@pytest.fixture
def notebook():
    with NotebookHarness() as harness:
        yield harness


def said(text):
    return Reply.of_json({"id": "1", "result": text, "usage": {"prompt_tokens": 3, "completion_tokens": 4}})


def test_harness_runs_cell_on_stub(notebook):
    cell = notebook.run("%%qianfan model=yi_34b_chat into=kept\nhi")
    assert cell.value.text.startswith("Hello!")
    assert cell.value is notebook.shell.user_ns["kept"]
    (output,) = cell.outputs
    assert output.data["text/plain"].startswith("Hello!")
    assert set(output.data) == {"text/plain", "text/markdown"}
    assert output.metadata["qfmagic"]["transport"] == "stub"
    assert notebook.bodies == [{"messages": [{"role": "user", "content": "hi"}], "stream": True}]
    assert len(notebook.requests) == 1


def test_harness_uses_given_transport():
    transport = ScriptedTransport([said("4 of 5")])
    with NotebookHarness(transport) as notebook:
        notebook.shell.user_ns["review"] = "Fast."
        assert notebook.run("%%qianfan model=yi_34b_chat stream=false\nRate: {{ review }}").value.text == "4 of 5"
        assert notebook.bodies[0]["messages"][-1]["content"] == "Rate: Fast."
        assert notebook.conversation().turns[0].prompt == "Rate: Fast."
        assert notebook.conversation("other").turns == ()
    transport.finish()


def test_harness_live_transport_counts_costs():
    transport = ScriptedTransport([v2("fine", prompt=10, completion=20)])
    with NotebookHarness(transport) as notebook:
        notebook.run("%qf transport live")
        notebook.run("%qf set model=m budget=35tok")
        cell = notebook.run("%%qianfan\nhi")
        assert cell.outputs[0].metadata["qfmagic"]["transport"] == "live"
        assert "stub" not in cell.text
        with pytest.raises(BudgetError):
            notebook.run("%%qianfan\none two three four five six")
        assert notebook.settings == {"model": "m", "budget": "35tok"}


def test_harness_records_and_replays_given_transport(tmp_path):
    path = tmp_path / "n.qf.jsonl"
    with NotebookHarness(ScriptedTransport([said("recorded")])) as notebook:
        notebook.run(f"%qf transport record {path}")
        notebook.run("%%qianfan model=yi_34b_chat stream=false\nhi", "a")
    with NotebookHarness(ScriptedTransport()) as notebook:
        notebook.run(f"%qf transport replay {path}")
        cell = notebook.run("%%qianfan model=yi_34b_chat stream=false\nhi", "a")
        assert (cell.value.text, cell.value.transport, notebook.requests) == ("recorded", "replay", [])


def test_harness_cell_id_replaces_turn(notebook):
    for cell_id, prompt in (("a", "one"), ("b", "two"), ("a", "three")):
        notebook.run(f"%%qianfan model=yi_34b_chat\n{prompt}", cell_id)
    assert [turn.prompt for turn in notebook.conversation().turns] == ["three", "two"]
    notebook.run("1", "c", deleted=["b"])
    assert [turn.in_history for turn in notebook.conversation().turns] == [True, False]


def test_harness_raises_error_and_keeps_last_result(notebook):
    with pytest.raises(OptionError, match="Did you mean model"):
        notebook.run("print(1)\n%qianfan modle=x hi")
    assert isinstance(notebook.last.error, OptionError)
    assert notebook.last.stdout.startswith("1\n")
    with pytest.raises(ZeroDivisionError):
        notebook.run("1 / 0")
    with pytest.raises(SyntaxError):
        notebook.run("1 +")
    assert notebook.run("1 + 1").value == 2


def test_harness_cell_result_has_outputs_of_commands(notebook):
    assert "yi_34b_chat" in notebook.run("%qf models").text
    notebook.shell.user_ns["rows"] = ["a", "b"]
    mapped = notebook.run("%%qf map rows model=yi_34b_chat into=rated\nRate {{ item }}")
    assert "qfmagic_map" in mapped.outputs[-1].metadata
    compared = notebook.run("%%qf compare models=yi_34b_chat,ernie-lite-8k\nhi")
    assert "ernie-lite-8k" in compared.text
    assert "Settings at the time this cell ran" in notebook.run("%qf panel").text


def test_harness_ignores_environment_of_user(monkeypatch, tmp_path):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", "the-key-of-the-user")
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
    monkeypatch.setenv("QFMAGIC_LANG", "zh")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with NotebookHarness() as notebook:
        home = notebook.shell.ipython_dir
        assert notebook.run("%%qianfan model=yi_34b_chat\nhi").value.transport == "stub"
        assert "the-key-of-the-user" not in str(notebook.requests)
    assert not Path(home).exists()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("environ", [None, {"QFMAGIC_TRANSPORT": "stub"}])
def test_harness_ignores_files_of_user(monkeypatch, tmp_path, environ):
    (tmp_path / ".env").write_text("QIANFAN_AK=the-key-of-the-user\nQIANFAN_SK=the-other\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with NotebookHarness(environ=environ) as notebook:
        notebook.run("%qf set journal=true")
        notebook.run("%%qianfan model=yi_34b_chat\nhi")
        assert notebook.session.journal.path.parent == Path(notebook.shell.ipython_dir)
        notebook.run("%qf transport live")
        assert "QIANFAN_AK" not in notebook.run("%qf settings").text
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_harness_reads_given_environment():
    with NotebookHarness(environ={"QFMAGIC_TRANSPORT": "live", "QFMAGIC_JOURNAL": "false"}) as notebook:
        with pytest.raises(QianfanError, match="No key"):
            notebook.run("%%qianfan model=ernie-4.0-8k\nhi")
        assert notebook.requests == []


def test_harnesses_are_independent():
    with NotebookHarness() as one, NotebookHarness() as other:
        one.run("%%qianfan model=yi_34b_chat into=kept\nhi")
        assert "kept" not in other.shell.user_ns
        assert other.conversation().turns == ()
        assert other.requests == []


def test_testing_package_imports_harness_on_demand():
    code = "import sys, qfmagic.testing; print({'IPython', 'httpx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="nothing"):
        _ = qfmagic.testing.nothing
