"""Saved keys: in a keyring, else in a file that only its owner can read."""

import json
import os
import stat
import sys
import threading

import pytest

from qfmagic.client.auth import key_store
from qfmagic.client.auth.key_store import KEYRING, KeyStore
from qfmagic.core.errors import CredentialError

IAM = {"access_key": "vault-ACCESS", "secret_key": "vault-SECRET"}
NAMES = tuple(IAM)


class Ring:
    """A backend of keyring that keeps its secrets in this process."""

    priority = 5.0

    def __init__(self):
        self.kept = {}

    def get_password(self, service, account):
        return self.kept.get((service, account))

    def set_password(self, service, account, password):
        self.kept[service, account] = password

    def delete_password(self, service, account):
        del self.kept[service, account]


@pytest.fixture
def ring(monkeypatch):
    keyring = pytest.importorskip("keyring")
    ring = Ring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: ring)
    return ring


@pytest.fixture
def no_keyring(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def vault(tmp_path):
    return KeyStore({"QFMAGIC_HOME": str(tmp_path / "home")})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_key_store_without_keyring_uses_private_file(vault, no_keyring):
    before = os.umask(0)
    try:
        assert vault.save("iam", IAM).source == str(vault.path)
    finally:
        os.umask(before)
    assert (mode(vault.path), mode(vault.path.parent)) == (0o600, 0o700)
    assert [path.name for path in vault.path.parent.iterdir()] == ["keys.json"]
    found = vault.read("iam", NAMES)
    assert (dict(found.values), found.source) == (IAM, str(vault.path))
    assert "vault-" not in repr(found)
    assert vault.read("bearer", ("bearer_token",)) is None


def test_key_store_with_keyring_writes_no_key_to_file(vault, ring):
    assert vault.save("iam", IAM) == (KEYRING, None)
    assert "vault-" not in vault.path.read_text()
    assert "vault-" in str(ring.kept)
    assert vault.read("iam", NAMES).source == KEYRING
    assert vault.forget("iam") == KEYRING
    assert ring.kept == {}
    assert not vault.path.exists()
    assert vault.forget("iam") is None


def test_key_store_reads_keys_saved_by_another_kernel(vault, ring, tmp_path):
    other = KeyStore({"QFMAGIC_HOME": str(tmp_path / "home")})
    vault.save("iam", IAM)
    assert other.read("iam", NAMES).values == IAM
    vault.save("iam", {**IAM, "secret_key": "vault-OTHER"})
    assert other.read("iam", NAMES).values["secret_key"] == "vault-OTHER"


def test_key_store_separates_keyring_entries_of_two_homes(vault, ring, tmp_path):
    other = KeyStore({"QFMAGIC_HOME": str(tmp_path / "other")})
    vault.save("iam", IAM)
    other.save("iam", {**IAM, "secret_key": "vault-OTHER"})
    assert vault.read("iam", NAMES).values == IAM


def test_key_store_imports_keyring_only_if_used(vault, monkeypatch, no_keyring):
    vault.save("iam", IAM)
    monkeypatch.delitem(sys.modules, "keyring")
    assert vault.read("iam", NAMES).values == IAM
    assert vault.read("bearer", ("bearer_token",)) is None
    assert "keyring" not in sys.modules


@pytest.mark.parametrize(
    ("name", "priority"), [("Keyring", 0), ("Keyring", -1), ("PlaintextKeyring", 0.5), ("PlaintextKeyring", 5)]
)
def test_key_store_rejects_null_and_plaintext_backends(vault, ring, monkeypatch, name, priority):
    import keyring

    other = type(name, (Ring,), {"priority": priority})()
    monkeypatch.setattr(keyring, "get_keyring", lambda: other)
    assert vault.save("iam", IAM) == (str(vault.path), None)
    assert other.kept == {}


def test_key_store_chooses_secure_backend_of_chain(vault, ring, monkeypatch):
    import keyring

    plain = Ring()
    plain.priority = 0.5
    chain = Ring()
    chain.backends = [plain, ring]
    monkeypatch.setattr(keyring, "get_keyring", lambda: chain)
    assert vault.save("iam", IAM).source == KEYRING
    assert ring.kept
    assert not plain.kept


def test_key_store_rejects_backend_that_stores_nothing(vault, ring, monkeypatch):
    monkeypatch.setattr(Ring, "set_password", lambda *_: None)
    assert vault.save("iam", IAM).source == str(vault.path)


def test_key_store_falls_back_to_file_if_keyring_fails(vault, ring, monkeypatch):
    def refuse(_, __, ___, password):
        raise RuntimeError(f"can't keep {password}")

    monkeypatch.setattr(Ring, "set_password", refuse)
    place = vault.save("iam", IAM)
    assert place.source == str(vault.path)
    assert "RuntimeError" in str(place.problem)
    assert "vault-" not in f"{place.problem} {place.problem!r} {place.problem.values}"
    assert place.problem.__cause__ is place.problem.__context__ is None
    assert vault.read("iam", NAMES).values == IAM


def test_key_store_stops_asking_keyring_that_hangs(vault, ring, monkeypatch):
    vault.save("iam", IAM)
    monkeypatch.setattr(key_store, "KEYRING_WAIT_S", 0.05)
    asked, answer = [], threading.Event()

    def hang(*_):
        asked.append(1)
        answer.wait(20)

    monkeypatch.setattr(Ring, "get_password", hang)
    for _ in range(3):
        with pytest.raises(CredentialError, match="did not respond within 0.05 s"):
            vault.read("iam", NAMES)
    assert len(asked) == 1
    answer.set()
    monkeypatch.undo()
    import keyring

    monkeypatch.setattr(keyring, "get_keyring", lambda: ring)
    vault.ask_again()
    assert vault.read("iam", NAMES).values == IAM


def test_key_store_reports_keys_missing_from_keyring(vault, ring):
    vault.save("iam", IAM)
    ring.kept.clear()
    with pytest.raises(CredentialError, match="no longer has the saved keys"):
        vault.read("iam", NAMES)
    assert vault.forget("iam") == KEYRING


@pytest.mark.skipif(os.name != "posix", reason="files have no such rights here")
@pytest.mark.parametrize("rights", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_key_store_rejects_readable_file_but_can_delete_it(vault, no_keyring, rights):
    vault.save("iam", IAM)
    vault.path.chmod(rights)
    for work in (lambda: vault.read("iam", NAMES), lambda: vault.save("bearer", {"bearer_token": "b"})):
        with pytest.raises(CredentialError, match="chmod 600") as error:
            work()
        assert str(vault.path) in str(error.value)
        assert "vault-" not in repr(error.value.values)
    assert mode(vault.path) == rights
    assert vault.forget("iam") == str(vault.path)
    assert not vault.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"iam": 1}', '{"iam": {"access_key": "vault-HALF"}}', '{"iam": {"access_key": 1}}', "\xff"),
        *(f"{opening * 100_000}vault-" for opening in ("[", '{"iam":')),
    ],
    ids=lambda content: content[:40],
)
def test_key_store_rejects_broken_file_without_its_content(vault, content):
    vault.path.parent.mkdir()
    vault.path.write_bytes(content.encode("latin-1"))
    vault.path.chmod(0o600)
    with pytest.raises(CredentialError, match="Delete the file") as error:
        vault.read("iam", NAMES)
    assert "vault-" not in repr(error.value.values)
    assert error.value.__context__ is None
    assert not any("vault-" in value for value in vault.known.values() if value != "vault-HALF")


def test_key_store_reports_unreadable_and_unwritable_file(vault, no_keyring, tmp_path):
    vault.path.mkdir(parents=True)
    with pytest.raises(CredentialError, match="Cannot read the saved keys from"):
        vault.read("iam", NAMES)
    (tmp_path / "file").write_text("")
    with pytest.raises(CredentialError, match=r"Cannot (read|write) the saved keys"):
        KeyStore({"QFMAGIC_HOME": str(tmp_path / "file")}).save("iam", IAM)


def test_key_store_failed_write_keeps_old_file(vault, no_keyring, monkeypatch):
    vault.save("iam", IAM)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CredentialError, match="No space left"):
        vault.save("bearer", {"bearer_token": "vault-BEARER"})
    assert list(json.loads(vault.path.read_text())) == ["iam"]
    assert [path.name for path in vault.path.parent.iterdir()] == ["keys.json"]
