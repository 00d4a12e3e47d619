"""
The pytest plugin as a user has it: a project of its own, qfmagic from the wheel, notebooks under nbval.

What of it needs no kernel is in test_fixtures.py.
"""

import json
import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.service import StubKeys, StubService

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]

CONFIGURATION = """
[tool.pytest.ini_options]
addopts = "-p qfmagic.testing.plugin --nbval"
qianfan = "replay"
"""
PLAIN = """
import qfmagic

def test_plain(qianfan_client):
    assert "in-the-venv" in qfmagic.__file__
    assert qianfan_client.ask("a question of a plain test").text
"""
# The second cell chooses what answers, so that the same notebook is recorded, and tested as one that says `live`.
TALK = [
    "%load_ext qfmagic\n%qf set lang=en",
    "%qf transport auto",
    "%%qianfan\nfirst question",
    "%qianfan and the second",
]
# Never run: nbval compares nothing, but a cell that fails fails.
GUIDE = ["%load_ext qfmagic\n%qf set lang=en\n%qf transport stub", "%qianfan guide me"]


def notebook(cells):
    made = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for n, source in enumerate(cells)
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


class Project:
    """A folder with a virtual environment that has the wheel, and of ours the libraries alone."""

    def __init__(self, folder):
        self.folder = folder / "project"
        self.folder.mkdir()
        subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True)
        (wheel,) = folder.glob("*.whl")
        venv = folder / "in-the-venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        self.python = venv / "bin" / "python"
        install = ["install", "-q", "--no-deps", "--no-index", wheel]
        subprocess.run([sys.executable, "-m", "pip", "--python", self.python, *install], check=True)
        (own,) = venv.glob("lib/python*/site-packages")
        # A path that is only named is searched, but its .pth files, an editable qfmagic's among them, do nothing.
        (own / "libraries.pth").write_text("\n".join(site.getsitepackages()))
        self.write("pyproject.toml", CONFIGURATION)
        self.write("test_plain.py", PLAIN)
        self.write("talk.ipynb", json.dumps(notebook(TALK)))
        self.write("guide.ipynb", json.dumps(notebook(GUIDE)))

    def write(self, name, content):
        (self.folder / name).write_text(content, "utf-8")

    def read(self, name):
        return (self.folder / name).read_text("utf-8")

    def start(self, *arguments, **environ):
        """Begin a run; several at a time take less time."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("QIANFAN_", "QFMAGIC_"))}
        own = {"QFMAGIC_LANG": "en", "QFMAGIC_JOURNAL": "false", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [self.python, "-m", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env={**plain, **own, **environ}, text=True, stdout=-1, stderr=subprocess.STDOUT
        )

    def pytest(self, *arguments, **environ):
        plugins = ("-pnbval.plugin", "-pno:cacheprovider", "-pno:warnings", "--color=no", "-rfs")
        return self.start("pytest", *plugins, *arguments, **environ)


@pytest.fixture(scope="module")
def server():
    stub = StubService()

    def answer(request):  # as a service would: the stub marks its answers
        reply = stub(request)
        return reply._replace(headers={name: value for name, value in reply.headers.items() if name != "server"})

    with LoopbackServer(answer) as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory, server):
    """The project, recorded against a service on this machine: the notebook run and saved, and the tests."""
    made = Project(tmp_path_factory.mktemp("user"))
    keys = {**server.environ, "QIANFAN_BEARER_TOKEN": StubKeys().bearer_token}
    runs = [
        made.start("qfmagic.testing.save", "talk.ipynb", JPY_SESSION_NAME=str(made.folder / "talk.ipynb"), **keys),
        made.pytest("--qianfan=auto", "test_plain.py", **keys),
    ]
    for run in runs:
        output, _ = run.communicate()
        assert run.returncode == 0, output
    assert "Transport: auto talk.qf.jsonl." in made.read("talk.ipynb")
    assert made.read("talk.qf.jsonl").count('"n":') == 2
    server.requests.clear()
    return made


def outcome(run):
    output, _ = run.communicate()
    found = re.findall(r"(\d+) (passed|failed|skipped)", output.splitlines()[-1])
    return {name: int(count) for count, name in found}, output


def test_plugin_runs_notebooks_and_tests_without_keys_or_network(project, server):
    """Strictly, with the very outputs that were saved."""
    counts, output = outcome(project.pytest(**server.environ))
    assert counts == {"passed": 1 + 4 + 1 + 2}, output
    assert server.requests == []


def test_plugin_fails_invalid_notebook_or_cassette(project, server):
    talk, tape = project.read("talk.ipynb"), project.read("talk.qf.jsonl")
    notebooks = {
        "says_live": talk.replace("%qf transport auto", "%qf transport live").replace("auto talk.qf.jsonl", "live"),
        "changed": talk.replace("first question", "another question"),
        "shorter": json.dumps({**json.loads(talk), "cells": json.loads(talk)["cells"][:3]}),
        "missing": talk,
    }
    folder = project.folder / "wrong"
    folder.mkdir()
    for name, content in notebooks.items():
        (folder / f"{name}.ipynb").write_text(content.replace("talk.qf.jsonl", f"{name}.qf.jsonl"), "utf-8")
        if name != "missing":
            (folder / f"{name}.qf.jsonl").write_text(tape, "utf-8")
    _, output = outcome(project.pytest("wrong", "-v", **server.environ))
    shutil.rmtree(folder)
    lines = [" ".join(line.split("[")[0].split()) for line in output.splitlines()]
    # What nbval says of a cell has "::" in place of each dot.
    for passed in ("says_live::ipynb::Cell 3", "says_live.ipynb::cassette", "shorter::ipynb::Cell 2"):
        assert f"wrong/{passed} PASSED" in lines, output
    assert "wrong/shorter.ipynb::cassette FAILED" in lines
    assert "Cassette wrong/shorter.qf.jsonl has 1 answer that no request used: " in output
    assert "“and the second”" in output
    assert "wrong/changed::ipynb::Cell 2 FAILED" in lines
    assert "): message 1 (user) differs: “[-first-]{+another+} question”" in output
    assert "changed.ipynb: the cassette has unused answers, but not every cell ran and passed" in output
    assert "Cassette missing.qf.jsonl not found" in output
    assert "missing.ipynb::cassette" not in output
    assert server.requests == []


def test_plugin_uses_stub_and_service_as_selected(project, server):
    """Whatever the notebook says; the service not without keys, and in `auto` only for what is new."""
    new = project.folder / "new"
    new.mkdir()
    (new / "new.ipynb").write_text(project.read("talk.ipynb").replace("and the second", "and another"), "utf-8")
    (new / "new.qf.jsonl").write_text(project.read("talk.qf.jsonl"), "utf-8")
    keys = {**server.environ, "QIANFAN_BEARER_TOKEN": StubKeys().bearer_token}
    runs = [
        project.pytest("--nbval-lax", "--qianfan=stub", "talk.ipynb", "test_plain.py", **server.environ),
        project.pytest("--qianfan=live", "guide.ipynb", **server.environ),
        project.pytest("--nbval-lax", "--qianfan=auto", "new", **keys),
    ]
    (stub, shown), (live, told), (auto, said) = map(outcome, runs)
    assert stub == {"passed": 4 + 1}, shown
    assert live == {"failed": 1, "passed": 1}, told
    assert "CredentialError: No key" in told, told
    assert auto == {"failed": 1, "passed": 4}, said
    assert "new.qf.jsonl has 1 answer that no request used: ernie-5.1 “and the second”" in said
    assert (new / "new.qf.jsonl").read_text("utf-8").count('"n":') == 3
    assert len(server.requests) == 1  # what the cassette lacked
