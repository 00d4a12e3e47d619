"""The command line, as a user runs it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from qfmagic import Qianfan, __version__, cli
from qfmagic.client.settings import Settings
from qfmagic.transport.stub.service import StubKeys

GUIDE = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command line in this process: the exit status, and what was written where."""

    def run(*words, **environ):
        for name, value in {"QFMAGIC_LANG": "en", "COLUMNS": "80", **environ}.items():
            monkeypatch.setenv(name, value)
        try:
            status = cli.main(list(map(str, words)))
        except SystemExit as end:
            status = end.code
        return (status or 0, *capsys.readouterr())

    return run


def process(*words, **more):
    environ = {**os.environ, "QFMAGIC_LANG": "en", "PYTHONIOENCODING": "utf-8", **more.pop("environ", {})}
    return subprocess.run(
        [sys.executable, "-m", "qfmagic", *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
        **more,
    )


def test_version_imports_nothing_else():
    script = (
        "import sys; from qfmagic import cli\n"
        "cli.main(['--version'])\n"
        "print(sorted({'httpx', 'IPython', 'qfmagic.audit', 'qfmagic.client', 'qfmagic.testing'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == f"qfmagic {__version__}\n[]\n"


def test_command_is_installed_and_equals_module():
    command = Path(sys.executable).with_name("qfmagic")
    if not command.exists():
        pytest.skip("this environment was made before the command was there")
    assert (
        subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
        == process("--version").stdout
    )


def test_audit_command_checks_guide():
    done = process("audit", GUIDE)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{GUIDE} (no cassette)\n")
    assert " stub " in done.stdout
    assert done.stderr == ""


def test_audit_command_ignores_closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "qfmagic", "audit", "--json", GUIDE],
        check=False,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writer)
    assert done.returncode == 2
    assert done.stderr == ""


def test_cli_escapes_chinese_where_terminal_cannot_show_it():
    assert "模拟回答" in process("audit", GUIDE, environ={"QFMAGIC_LANG": "zh"}).stdout
    done = process("audit", GUIDE, environ={"QFMAGIC_LANG": "zh", "PYTHONIOENCODING": "ascii"})
    assert "\\u6a21\\u62df\\u56de\\u7b54" in done.stdout
    assert done.stderr == ""


def test_audit_command_accepts_options(run):
    shutil.copy(GUIDE, "a.ipynb")
    status, out, err = run("audit", "--json", "a.ipynb", "none.ipynb")
    assert status == 2
    assert [one["notebook"] for one in json.loads(out)["notebooks"]] == ["a.ipynb", "none.ipynb"]
    assert err == "qfmagic: none.ipynb: file not found.\n"
    assert "none.jsonl" in run("audit", "a.ipynb", "--cassette", "none.jsonl")[1]
    empty = json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": "%%qianfan\nhi", "outputs": []}]})
    Path("b.ipynb").write_text(empty)
    assert run("audit", "b.ipynb")[0] == 0
    assert run("audit", "--strict", "b.ipynb")[0] == 1
    assert run("audit", "a.ipynb", "b.ipynb", "--cassette", "c")[::2] == (
        2,
        "qfmagic: --cassette accepts one notebook; 2 were given.\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("audit",),
        ("audit", "--nonsense", "a.ipynb"),
        ("stub-server", "--port", "nonsense"),
        ("stub-server", "--port", "65536"),
        ("stub-server", "--port", "-1"),
        ("stub-server", "--pace", "-1"),
        ("stub-server", "--pace", "nan"),
    ],
)
def test_cli_rejects_invalid_line_in_one_line(run, words):
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert err.startswith("qfmagic: ")
    assert len(err.splitlines()) == 1
    assert "See `" in err
    assert "用法见" in run(*words, QFMAGIC_LANG="zh")[2]


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("words", [(), ("audit",), ("stub-server",)])
def test_help_uses_language_of_reader(run, words, lang):
    status, out, _ = run(*words, "--help", QFMAGIC_LANG=lang)
    assert status == 0
    assert ("选项" in out) == (lang == "zh")
    assert ("options:" in out) == (lang == "en")
    for word in {
        (): ("audit", "stub-server", "--version"),
        ("audit",): ("NOTEBOOK", "--json", "--strict", "--cassette"),
    }.get(words, ("--port", "--host", "--pace")):
        assert word in out


def test_cli_rejects_unknown_language(run):
    status, _, err = run("audit", "a.ipynb", QFMAGIC_LANG="fr")
    assert (status, err) == (2, "qfmagic: Invalid QFMAGIC_LANG=fr. Allowed: zh, en, auto.\n")


def test_version_is_shown_with_other_options(run):
    assert run("--version", "audit") == (0, f"qfmagic {__version__}\n", "")


def test_language_follows_environment(run):
    assert "选项" in run("--help", QFMAGIC_LANG="", LC_ALL="zh_CN.UTF-8")[1]


def test_audit_command_interrupted_prints_nothing(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("qfmagic.audit.command.run", interrupted)
    assert run("audit", "a.ipynb") == (130, "", "")


# ---- the stub server


@pytest.fixture
def serving():
    """Starts servers as processes, with the lines they said first."""
    started = []

    def start(*words, **environ):
        server = subprocess.Popen(
            [sys.executable, "-m", "qfmagic", "stub-server", "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "", "QFMAGIC_LANG": "en", **environ},
        )
        started.append(server)
        lines = []
        for line in server.stdout:
            if not line.strip() and len(lines) > 1:
                break
            lines.append(line.strip())
        return server, lines[0], dict(line.removeprefix("export ").split("=", 1) for line in lines[2:])

    yield start
    for server in started:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stub_server_command_serves_until_signal(serving, number):
    server, said, environ = serving()
    assert environ["QIANFAN_BASE_URL"] in said
    settings = Settings.from_env(environ)
    for model in ("yi_34b_chat", "ernie-5.1"):  # V1 with the application's keys, V2
        with Qianfan(settings=settings, model=model) as client:
            answer = client.ask("hi")
            assert answer.text
            assert answer.transport == "stub"
    reply = httpx.post(
        f"{environ['OPENAI_BASE_URL']}/chat/completions",
        headers={"authorization": f"Bearer {environ['OPENAI_API_KEY']}"},
        json={"model": "ernie-5.1", "messages": [{"role": "user", "content": "hi"}]},
    )
    assert reply.json()["choices"][0]["message"]["content"]
    # One who is in the middle of something doesn't keep it from ending.
    address = environ["QIANFAN_BASE_URL"].removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))):
        server.send_signal(number)
        assert server.wait(timeout=20) == 0
    assert server.stderr.read() == ""


def test_stub_server_command_uses_language_of_reader(serving):
    assert serving(QFMAGIC_LANG="zh")[1].startswith("模拟服务位于 http://127.0.0.1:")


def test_stub_server_command_rejects_unavailable_address_in_one_line(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, out, err = run("stub-server", "--port", port)
    assert (status, out) == (2, "")
    assert f"127.0.0.1:{port}" in err
    assert len(err.splitlines()) == 1
    assert run("stub-server", "--port", 0, "--host", "not an address")[0] == 2


def test_stub_server_variables_contain_stub_keys(serving):
    environ = serving()[2]
    assert {environ[name] for name in environ if name.startswith("QIANFAN_") and "URL" not in name} <= set(StubKeys())
