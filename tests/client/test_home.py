"""What is qfmagic's own on disk: closed to others, regular files, or refused in a line; and a .env that can't be read."""

import os
import stat

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from qfmagic.client.auth.key_store import KeyStore
from qfmagic.client.settings import Settings
from qfmagic.core.errors import CassetteError, CredentialError, OptionError
from qfmagic.home import HomeError, private_file, private_folder
from qfmagic.notebook.conversation.journal import Journal
from qfmagic.transport.cassette import file as cassette

posix = pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
NAMES = ("access_key", "secret_key")
WRONG = {
    "pipe": os.mkfifo if hasattr(os, "mkfifo") else None,
    "link to nothing": lambda path: path.symlink_to(path.with_name("gone")),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
}


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o720])
def test_private_folder_repairs_writable_folder_and_reports_it(tmp_path, mode):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    (said,) = private_folder(home)
    assert str(home) in said.describe("en")
    assert rights(home) & 0o022 == 0
    assert private_folder(home) == []


@posix
def test_private_folder_rejects_shared_folder(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o1777)
    with pytest.raises(HomeError, match="is writable by other users"):
        private_folder(home)


@posix
@pytest.mark.parametrize("owner", ["st_uid"])
def test_private_file_rejects_file_of_another_user(tmp_path, monkeypatch, owner):
    path = tmp_path / "file"
    path.touch(0o600)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 4711)
    monkeypatch.setattr("qfmagic.home._ROOT", -1)
    with pytest.raises(HomeError, match="another user"):
        private_file(path)


def _dangle(path):
    path.unlink()
    path.symlink_to("no-folder/a.qf.jsonl")


@posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize("wrong", WRONG)
def test_home_rejects_irregular_files_without_blocking(tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("journal.sqlite", "keys.json", "a.qf.jsonl"):
        WRONG[wrong](home / name)
    # A cassette may be a link to what is recorded only now, in a folder that is there.
    if not (home / "a.qf.jsonl").exists():
        _dangle(home / "a.qf.jsonl")
    vault = KeyStore({"QFMAGIC_HOME": str(home)})
    for refused, work in (
        (HomeError, lambda: Journal(home / "journal.sqlite", "n", float)),
        (CredentialError, lambda: vault.read("iam", NAMES)),
        (CassetteError, lambda: cassette.read(home / "a.qf.jsonl")),
        (CassetteError, lambda: cassette.check_writable(home / "a.qf.jsonl")),
    ):
        with pytest.raises(refused) as error:
            work()
        assert "\n" not in str(error.value)
        assert home.name in error.value.message("zh")
    assert not (home / "gone").exists()


@posix
def test_journal_repairs_readable_file(tmp_path):
    path = tmp_path / "home" / "journal.sqlite"
    Journal(path, "n", float).close()
    path.chmod(0o644)
    journal = Journal(path, "n", float)
    assert [str(path) in one.describe("en") for one in journal.repaired] == [True]
    assert rights(path) == 0o600
    journal.close()


@posix
def test_cassette_lock_is_private_and_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.setattr(cassette.tempfile, "gettempdir", lambda: str(tmp_path))
    target = tmp_path / "a.qf.jsonl"
    cassette.check_writable(target)
    (locks,) = tmp_path.glob("qfmagic-locks-*")
    assert rights(locks) == 0o700
    for lock in locks.iterdir():
        assert rights(lock) == 0o600
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (lock,) = [*locks.iterdir()] or [locks / "x"]
    lock.unlink(missing_ok=True)
    lock.symlink_to(precious)
    with pytest.raises(CassetteError):
        cassette.check_writable(target)
    assert precious.read_text() == "kept"
    lock.unlink()
    locks.rmdir()
    locks.symlink_to(tmp_path)
    with pytest.raises(CassetteError, match="private folder"):
        cassette.check_writable(target)


CANARY = "QIANFAN_SK=dotenvCANARY-7Yx2"
CONTENTS = {
    "UTF-16": CANARY.encode("utf-16"),
    "UTF-16, no mark": CANARY.encode("utf-16-le"),
    "UTF-16, big": CANARY.encode("utf-16-be"),
    "GBK": f"# 密钥\n{CANARY}".encode("gbk"),
    "Latin 1": f"# clé\n{CANARY}".encode("latin-1"),
    "binary": os.urandom(8) + b"\0\xff" + CANARY.encode(),
}


@pytest.fixture
def ipython(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QFMAGIC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QFMAGIC_LANG", "en")
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "qfmagic")
    yield shell
    shell.run_line_magic("unload_ext", "qfmagic")
    shell.restore_sys_module_state()


@pytest.mark.parametrize("xmode", ["Plain", "Context", "Verbose", "Minimal"])
@pytest.mark.parametrize("content", CONTENTS)
def test_env_file_with_invalid_text_gives_short_error(ipython, tmp_path, monkeypatch, capsys, content, xmode):
    (tmp_path / ".env").write_bytes(CONTENTS[content])
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
    ipython.run_line_magic("xmode", xmode)
    capsys.readouterr()
    ipython.run_cell("%qianfan model=yi_34b_chat hi")
    shown = capsys.readouterr().out.strip()
    assert len(shown.splitlines()) == 1
    assert ".env is not UTF-8 text" in shown
    assert "CANARY" not in shown.replace("\\x00", "").replace("\0", "")
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "stub")
    for line in ("%qianfan model=yi_34b_chat hi", "%qf settings", "%qf doctor", "%qf auth check"):
        ipython.run_cell(line)
        assert "Error" not in capsys.readouterr().out
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
    ipython.run_cell("%qf doctor")
    assert ".env is not UTF-8 text" in capsys.readouterr().out


@pytest.mark.parametrize("content", CONTENTS)
def test_env_file_with_invalid_text_is_not_shown_in_error_chain(tmp_path, content):
    (tmp_path / ".env").write_bytes(CONTENTS[content])
    with pytest.raises(OptionError) as error:
        Settings.from_env({}, directory=tmp_path)
    assert (error.value.__cause__, error.value.__context__) == (None, None)
    trace = error.value.__traceback__
    while trace is not None:
        if "qfmagic" in trace.tb_frame.f_code.co_filename and "/tests/" not in trace.tb_frame.f_code.co_filename:
            assert not any(isinstance(value, bytes) for value in trace.tb_frame.f_locals.values())
            assert "CANARY" not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


def test_env_file_with_bom_is_read(tmp_path):
    (tmp_path / ".env").write_text("QIANFAN_AK=x\n", encoding="utf-8-sig")
    assert Settings.from_env({}, directory=tmp_path).ak == "x"


@posix
@pytest.mark.parametrize("put", ["a file", "a link", "a dangling link"])
def test_cassette_lock_in_unsafe_folder_is_rejected_with_hint(tmp_path, monkeypatch, put):
    locks = tmp_path / f"qfmagic-locks-{os.getuid()}"
    monkeypatch.setattr(cassette.tempfile, "gettempdir", lambda: str(tmp_path))
    if put == "a file":
        locks.write_text("")
    else:
        locks.symlink_to(tmp_path if put == "a link" else tmp_path / "nothing")
    with pytest.raises(CassetteError, match="set TMPDIR") as error:
        cassette.check_writable(tmp_path / "x.qf.jsonl")
    assert "QFMAGIC_HOME" not in str(error.value)


def test_cassette_without_temporary_folder_is_rejected(tmp_path, monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(cassette.tempfile, "gettempdir", none)
    with pytest.raises(CassetteError, match="No usable temporary directory"):
        cassette.check_writable(tmp_path / "x.qf.jsonl")
