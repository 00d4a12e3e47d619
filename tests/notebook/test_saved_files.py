"""What version 0.1.0 saved is read, resumed, replayed and audited as before."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from qfmagic import Answer, Turn
from qfmagic.cli import main
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.service import StubService
from tests.support.held import KEY_ENVIRON

SAVED = Path(__file__).parents[1] / "data" / "saved_by_0_1"
EXPECTED = json.loads((SAVED / "expected.json").read_text(encoding="utf-8"))
NAMES = tuple(EXPECTED["conversations"])
# What differs from run to run, or says how it was answered.
OWN = {"seconds", "shown", "transport", "transports", "version"}
CLOSED = "http://127.0.0.1:9"  # where nobody answers


def records(path):
    _, *turns = map(json.loads, path.read_text(encoding="utf-8").split("\n")[:-1])
    return turns


def hash_of(record):
    return Turn(record["prompt"], Answer(record["answer"]["text"]), parent=record["parent"]).hash


def exported(shell, suffix):
    shell.run_line_magic("qf", f"export out{suffix}")
    return Path(f"out{suffix}").read_bytes()


def read_by_readers(markdown):
    """The lines without our notes, and without the mark of our headings."""
    lines = MarkdownIt("commonmark").render(markdown).split("\n")
    return [line.replace("<h2>◈ ", "<h2>") for line in lines if "<em>" not in line]


def sources(notebook):
    return ["".join(cell["source"]) for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]


@pytest.mark.parametrize("name", NAMES)
def test_saved_turns_keep_their_hashes(name):
    turns = records(SAVED / f"{name}.jsonl")
    assert [hash_of(turn) for turn in turns] == EXPECTED["conversations"][name]["turns"]
    versions = [[hash_of(version) for version in turn["versions"]] for turn in turns]
    assert versions == EXPECTED["conversations"][name]["versions"]


@pytest.mark.parametrize("suffix", [".jsonl", ".md", ".py", ".ipynb"])
@pytest.mark.parametrize("name", NAMES)
def test_imported_conversation_is_exported_unchanged(shell, name, suffix):
    shell.run_line_magic("qf", f"import {SAVED / f'{name}.jsonl'}")
    shell.run_line_magic("qf", f"switch {name}")
    now, was = exported(shell, suffix), (SAVED / f"{name}{suffix}").read_bytes()
    if suffix == ".md":  # for readers: how it is written may change, and our notes, but no question and no answer
        now, was = (read_by_readers(text.decode()) for text in (now, was))
    assert now == was


@pytest.fixture
def journal(shell, monkeypatch):
    """A shell of the notebook whose journal was saved."""
    home = Path(os.environ["QFMAGIC_HOME"])
    home.mkdir(parents=True)
    shutil.copyfile(SAVED / "journal.sqlite", home / "journal.sqlite")
    monkeypatch.setenv("QFMAGIC_JOURNAL", "true")
    monkeypatch.setenv("JPY_SESSION_NAME", "/saved/talk.ipynb")
    return shell


def test_saved_journal_restores_conversations(journal):
    journal.run_line_magic("qf", "resume")
    for name in NAMES:
        journal.run_line_magic("qf", f"switch {name}")
        assert exported(journal, ".jsonl") == (SAVED / f"{name}.jsonl").read_bytes()


def test_saved_journal_restores_usage(journal, capsys):
    journal.run_line_magic("qf", "resume")
    capsys.readouterr()
    journal.run_line_magic("qf", "usage notebook by=model")
    lines = capsys.readouterr().out.splitlines()
    for model, counts in EXPECTED["usage"].items():
        assert any(model in line and str(sum(counts)) in line for line in lines)


def test_saved_journal_rows_are_reused(journal, monkeypatch):
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
    for name in ("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_IAM_BASE_URL"):
        monkeypatch.setenv(name, CLOSED)
    for name, value in KEY_ENVIRON.items():
        monkeypatch.setenv(name, value)
    journal.user_ns["reviews"] = [{"text": "good one"}, {"text": "bad one"}, {"text": "good two"}]
    line = "map reviews model=ernie-3.5-128k into=judged"
    journal.run_cell_magic("qf", line, "Is this positive or negative? {{ text }}\n")
    found = [{"answer": row["answer"], "id": row["id"]} for row in journal.user_ns["judged"]]
    assert found == EXPECTED["map"]


@pytest.fixture
def gateway(monkeypatch):
    """A private gateway that still serves the model of that time, and keys for it."""
    with LoopbackServer(StubService(kept=["ernie-3.5-128k"])) as server:
        for name, value in {**server.environ, **KEY_ENVIRON, "QFMAGIC_TRANSPORT": "live"}.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_exported_notebook_sends_same_requests(shell, gateway, name):
    for source in sources(SAVED / f"{name}.ipynb")[1:]:
        assert shell.run_cell(source).success
    shell.run_line_magic("qf", "export again.jsonl")
    answered = [
        turn for turn in records(SAVED / f"{name}.jsonl") if turn["state"] == "answered" and not turn["removed"]
    ]
    asked = [(turn["prompt"], turn["answer"]["model"], turn["fresh"]) for turn in answered]
    again = [(turn["prompt"], turn["answer"]["model"], turn["fresh"]) for turn in records(Path("again.jsonl"))]
    assert again == asked


def test_exported_script_runs(gateway, capsys):
    with pytest.warns(FutureWarning, match="ernie-3.5-128k is retired"):
        runpy.run_path(str(SAVED / "main.py"))
    bodies = [json.loads(request.body) for request in gateway.requests]
    assert [body["messages"][-1]["content"] for body in bodies][:2] == ["The first question", "The second, changed"]
    assert "Behind what is afresh" in capsys.readouterr().out


def bare(value):
    """Metadata without what differs from run to run."""
    if isinstance(value, dict):
        return {name: bare(inner) for name, inner in value.items() if name not in OWN}
    return [bare(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.kernel
def test_saved_notebook_replays_and_passes_audit(tmp_path, capsys):
    for name in ("notebook.ipynb", "notebook.qf.jsonl"):
        shutil.copyfile(SAVED / name, tmp_path / name)
    assert main(["audit", "--strict", str(tmp_path / "notebook.ipynb")]) == 0
    environ = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "QFMAGIC_TRANSPORT": f"replay:{tmp_path / 'notebook.qf.jsonl'}",
        "QFMAGIC_LANG": "en",
        "QFMAGIC_JOURNAL": "false",
        "QFMAGIC_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "qfmagic.testing.save", str(tmp_path / "notebook.ipynb")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = (json.loads((folder / "notebook.ipynb").read_bytes())["cells"] for folder in (SAVED, tmp_path))
    for old, new in zip(before, after, strict=True):
        assert len(new["outputs"]) == len(old["outputs"])
        for was, now in zip(old["outputs"], new["outputs"], strict=True):
            assert bare(now["metadata"]) == bare(was["metadata"])
            if was["output_type"] == "execute_result":
                assert now["data"] == was["data"]
    assert main(["audit", "--strict", str(tmp_path / "notebook.ipynb")]) == 0
