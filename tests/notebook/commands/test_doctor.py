"""``%qf doctor`` finds and explains what is wrong."""

import socket

import pytest

from qfmagic.core.page_order import PageOrder
from qfmagic.notebook.commands.doctor import front_end, page
from qfmagic.notebook.conversation.cell_order import RunningCell
from qfmagic.notebook.session.session import Session
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from tests.notebook.test_kernel import KEYS
from tests.support.held import KEY_ENVIRON


@pytest.fixture
def examine(shell, monkeypatch, capsys):
    """What the doctor says under an environment, in its lines that begin with a mark."""

    def run(environ, lang="en"):
        monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        shell.run_line_magic("qf", f"set lang={lang}")
        capsys.readouterr()
        shell.run_line_magic("qf", "doctor")
        return [line for line in capsys.readouterr().out.splitlines() if line[:1] in "✓!✗" and line.strip()]

    return run


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def gone(request):
    return Reply.of_json({"error_code": 3, "error_msg": "Unsupported openapi method"})


def login_page(request):
    return Reply((b"<html>Please log in</html>",), headers={"content-type": "text/html"})


@pytest.mark.parametrize(
    ("answer", "environ", "mark", "said", "chinese"),
    [
        (None, KEY_ENVIRON, "✓", "responds", "有响应"),
        (None, {}, "✗", "No keys for the V2 API", "没有"),
        (None, {"QIANFAN_AK": "wrong", "QIANFAN_SK": KEYS.sk}, "✗", "QIANFAN_AK", "QIANFAN_AK"),
        (None, {"QIANFAN_BEARER_TOKEN": "bce-v3/wrong"}, "✗", "QIANFAN_BEARER_TOKEN", "QIANFAN_BEARER_TOKEN"),
        (
            None,
            {**KEY_ENVIRON, "QIANFAN_SSL_VERIFICATION_ENABLED": "false"},
            "!",
            "verification is disabled",
            "证书验证已关闭",
        ),
        (gone, KEY_ENVIRON, "!", "no longer provides the V1 API", "不再提供 V1"),
        (login_page, KEY_ENVIRON, "✗", "login page", "登录页"),
    ],
)
def test_doctor_reports_problems_first(examine, answer, environ, mark, said, chinese):
    with LoopbackServer(answer) as server:
        for lang, words in (("en", said), ("zh", chinese)):
            found = examine({**server.environ, **environ}, lang)
            assert [line for line in found if words in line and line[0] == mark], found
            assert found == sorted(found, key=lambda line: "✗!✓".index(line[0]))  # what is wrong comes first
            assert not [line for line in found if any(value in line for value in KEY_ENVIRON.values())]


def test_doctor_reports_unreachable_host(examine):
    url = f"http://127.0.0.1:{unused_port()}"
    names = ("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_IAM_BASE_URL")
    found = examine({**dict.fromkeys(names, url), **KEY_ENVIRON})
    assert any("Cannot connect" in line and line[0] == "✗" for line in found), found


def test_doctor_reports_wrong_clock(examine):
    def late(request):
        headers = {"date": "Mon, 01 Jan 2035 00:00:00 GMT", "content-type": "application/json"}
        return Reply((b'{"error_code": 110, "error_msg": "Access token invalid"}',), headers=headers)

    with LoopbackServer(late) as server:
        found = examine({**server.environ, **KEY_ENVIRON})
    assert any("clock" in line for line in found), found


def test_doctor_reports_failing_proxy(examine):
    with LoopbackServer() as server:
        proxy = f"http://user:secret@127.0.0.1:{unused_port()}"
        found = examine({**server.environ, **KEY_ENVIRON, "QIANFAN_PROXY": proxy})
    assert any("proxy" in line and line[0] != "✓" for line in found), found
    assert not any("secret" in line for line in found)


def test_doctor_reports_invalid_setting(examine):
    assert any("QIANFAN_LLM_API_RETRY_COUNT" in line for line in examine({"QIANFAN_LLM_API_RETRY_COUNT": "many"}))


@pytest.mark.parametrize(
    ("versions", "folders", "keys"),
    [
        ({"ipykernel": "7.4.0", "jupyterlab": "4.6.6"}, ["anywidget", "@jupyter-widgets/jupyterlab-manager"], []),
        ({"ipykernel": "6.30.1"}, [], ["doctor.old"]),
        ({"ipykernel": "7.0.0", "jupyterlab": "4.2.1"}, ["anywidget"], ["doctor.old", "doctor.widgets"]),
        ({"ipykernel": "7.0.0", "notebook": "7.5"}, [], ["doctor.widgets"]),
        ({}, [], []),
    ],
)
def test_doctor_checks_front_end(tmp_path, versions, folders, keys):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    assert [found.key for found in front_end(versions.get, [tmp_path])] == keys


def test_doctor_on_stub_skips_network(shell, capsys):
    shell.run_line_magic("qf", "doctor")
    assert "network checks skipped" in capsys.readouterr().out


REPORT = PageOrder(("a",))


@pytest.mark.parametrize(
    ("running", "folders", "keys"),
    [
        (RunningCell("a", page=REPORT, lab=True), [], ["doctor.page"]),
        (RunningCell("a", lab=True), [], ["doctor.extension"]),
        (RunningCell("a", lab=True), ["qfmagic"], ["doctor.page_silent"]),
        (RunningCell("vscode-notebook-cell:/x.ipynb#W1"), [], ["doctor.page_silent"]),
        (RunningCell("a", outside=True), [], []),
        (RunningCell(), [], []),
    ],
)
def test_doctor_tells_whether_page_reports_order(tmp_path, running, folders, keys):
    for folder in folders:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "package.json").write_text("{}")
    session = Session({"QFMAGIC_JOURNAL": "false"})
    session.begin_cell(running, None)
    assert [found.key for found in page(session, {"jupyterlab": "4.6.6"}.get, [tmp_path])] == keys
