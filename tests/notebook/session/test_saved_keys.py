"""Keys that outlive the kernel: %qf auth save, where they count, and %qf auth forget."""

import stat
import sys
from pathlib import Path

import pytest

from qfmagic.client.settings import fingerprint
from qfmagic.core.errors import CredentialError, QianfanError
from qfmagic.notebook.panel.state import panel_state
from qfmagic.notebook.session.keys import Keys
from qfmagic.notebook.session.session import Session
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.service import StubKeys

KEYS = StubKeys()
BEARER = "bce-v3/ALTAK-saved/1"
RING = """
from keyring.backend import KeyringBackend

class Ring(KeyringBackend):
    priority = 9
    kept = {}
    def get_password(self, service, username):
        return self.kept.get(username)
    def set_password(self, service, username, password):
        self.kept[username] = password
    def delete_password(self, service, username):
        del self.kept[username]
"""


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def home(tmp_path):
    return {"QFMAGIC_HOME": str(tmp_path / "home")}


def saved(environ, **values):
    """Keys of an earlier session, saved."""
    kinds = {"bearer_token": "bearer", "access_key": "iam", "secret_key": "iam", "ak": "app", "sk": "app"}
    keys = Keys(environ)
    for kind in {kinds[name] for name in values}:
        keys.put(kind, values, "%qf auth")
        keys.save(kind)
    return str(keys.vault.path)


def test_saved_keys_are_used_in_another_kernel(home):
    path = saved(home, bearer_token=BEARER)
    settings = Keys(home).settings()
    assert (settings.bearer_token, settings.sources["bearer_token"]) == (BEARER, path)


def test_keys_of_session_precede_environment_and_saved_ones(home):
    path = saved(home, access_key="saved-A", secret_key="saved-S")
    keys = Keys({**home, "QIANFAN_ACCESS_KEY": "env-A", "QIANFAN_SECRET_KEY": "env-S"})
    assert keys.settings().access_key == "env-A"
    keys.put("iam", {"access_key": "given-A", "secret_key": "given-S"}, "panel")
    assert keys.settings().sources["access_key"] == "panel"
    assert Keys(home).settings().sources["access_key"] == path


def test_keys_of_env_file_precede_saved_ones(home, tmp_path):
    saved(home, bearer_token=BEARER)
    (tmp_path / ".env").write_text("QIANFAN_BEARER_TOKEN=bce-v3/ALTAK-file/1\n")
    assert Keys(home).settings().bearer_token == "bce-v3/ALTAK-file/1"


@pytest.mark.parametrize("environ", [{"QIANFAN_ACCESS_KEY": "env-A"}, {"QIANFAN_SECRET_KEY": "env-S"}])
def test_keys_of_two_sources_are_not_mixed(home, environ):
    saved(home, access_key="saved-A", secret_key="saved-S")
    settings = Keys({**home, **environ}).settings()
    assert "saved" not in settings.access_key + settings.secret_key


def test_keys_of_environment_precede_saved_ones_of_another_kind(home):
    saved(home, bearer_token=BEARER)
    both = {"QIANFAN_ACCESS_KEY": "env-A", "QIANFAN_SECRET_KEY": "env-S"}
    assert Keys({**home, **both}).settings().bearer_token == ""


def test_saved_keys_serve_api_without_keys(home):
    saved(home, bearer_token=BEARER)
    settings = Keys({**home, "QIANFAN_AK": "env-A", "QIANFAN_SK": "env-S"}).settings()
    assert (settings.ak, settings.bearer_token) == ("env-A", BEARER)


@pytest.mark.parametrize("environ", [{"QIANFAN_BEARER_TOKEN": ""}, {"QIANFAN_NO_AUTH": "true"}])
def test_saved_keys_are_ignored_if_variable_disables_them(home, environ):
    saved(home, bearer_token=BEARER)
    assert Keys({**home, **environ}).settings().bearer_token == ""


def test_saved_keys_are_not_read_on_stub(home):
    path = Path(saved(home, bearer_token=BEARER))
    path.write_text("broken")
    path.chmod(0o600)
    session = Session({**home, "QFMAGIC_TRANSPORT": "stub"})
    assert session.keys.settings().bearer_token == ""
    assert session.keys.trouble is None
    session.change_transport("live")
    session.keys.settings()
    assert isinstance(session.keys.trouble, CredentialError)
    session.close()


@pytest.fixture
def live(shell, monkeypatch):
    """The shell on the service, and what is typed at the hidden prompt."""
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
    answers = []
    monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))

    def run(line, *typed):
        answers[:] = typed
        shell.run_line_magic("qf", line)

    return run


def test_auth_save_and_forget_keys(live, capsys, tmp_path):
    live("auth save")
    assert "No keys were entered in this session" in capsys.readouterr().out
    live("auth bearer", BEARER)
    live("auth save")
    said = capsys.readouterr().out
    path = tmp_path / "home" / "keys.json"
    assert f"Saved: bearer ({path})" in said
    assert "not encrypted" in said
    assert BEARER not in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    live("settings")
    assert str(path) not in capsys.readouterr().out  # the session's come first
    live("auth forget")
    assert f"Deleted: bearer (%qf auth, {path})." in capsys.readouterr().out
    assert not path.exists()


def test_settings_show_sources_of_keys(live, capsys, home):
    path = saved(home, bearer_token=BEARER)
    live("settings")
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("bearer_token"))
    assert path in row
    assert fingerprint(BEARER) in row
    live("auth forget iam")
    assert "No keys were entered" in capsys.readouterr().out
    live("auth forget bearer")
    assert f"Deleted: bearer ({path})" in capsys.readouterr().out


def test_saved_keys_with_rejected_file_are_reported(live, capsys, home, shell):
    path = Path(saved(home, bearer_token=BEARER))
    path.chmod(0o644)
    for line in ("settings", "auth check"):
        live(line)
        assert "chmod 600" in capsys.readouterr().out
    with pytest.raises(QianfanError, match=r"No keys for the V2 API.*chmod 600"):
        shell.run_line_magic("qianfan", "model=ernie-5.1 hi")
    session = shell.magics_manager.registry["QianfanMagics"].engine.session
    session.preferences.change({"model": "ernie-5.1"})
    assert "chmod 600" in panel_state(session)["problem"]


def test_panel_shows_and_drops_saved_keys(home):
    path = saved(home, bearer_token=BEARER)
    session = Session(home)
    kinds = {one["kind"]: one for one in panel_state(session)["keys"]["kinds"]}
    assert (kinds["bearer"]["source"], kinds["bearer"]["given"]) == (path, True)
    assert kinds["iam"]["given"] is False
    session.close()


@pytest.mark.parametrize(
    "line", [f"auth {BEARER}", f"auth bearer {BEARER}", f"auth save bearer={BEARER}", f'auth "{BEARER}']
)
def test_auth_rejects_key_on_line_without_repeating_it(shell, line):
    with pytest.raises(QianfanError, match="Don't put a key on the line") as error:
        shell.run_line_magic("qf", line)
    assert BEARER not in f"{error.value} {error.value.values}"


@pytest.mark.parametrize("keyring", [True, False])
def test_saved_keys_authorize_in_real_kernel(start, tmp_path, keyring):
    """Saved by one kernel, dropped by another; of a keyring the file names the kind alone."""
    (tmp_path / "testring.py").write_text(RING.replace("kept = {}", "kept = __import__('shelve').open('ring')"))
    ring = "testring.Ring" if keyring else "keyring.backends.null.Keyring"
    environ = {"PYTHON_KEYRING_BACKEND": ring, "PYTHONPATH": str(tmp_path), "QFMAGIC_HOME": str(tmp_path / "home")}
    with LoopbackServer() as server:
        first = start(**server.environ, **environ, QIANFAN_BEARER_TOKEN="")
        first.run("session = get_ipython().magics_manager.registry['QianfanMagics'].engine.session")
        assert first.value("'keyring' in __import__('sys').modules") == "False"
        first.run(
            f"session.keys.put('iam', {{'access_key': {KEYS.access_key!r}, 'secret_key': {KEYS.secret_key!r}}}, 'panel')"
        )
        source = "keyring" if keyring else str(tmp_path / "home" / "keys.json")
        assert f"Saved: iam ({source})" in first.run("%qf auth save").plain
        assert (KEYS.secret_key in (tmp_path / "home" / "keys.json").read_text()) is not keyring
        first.close()
        second = start(**server.environ, **environ)
        assert source in second.run("%qf settings").plain
        ran = second.run("%%qianfan model=ernie-5.1\nhi")
        assert ran.error is None
        assert f"Deleted: iam ({source})" in second.run("%qf auth forget").plain
        assert second.run("%%qianfan model=ernie-5.1\nhi").error[0] == "CredentialError"
