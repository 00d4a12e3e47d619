"""
Keys beyond a kernel's life: in the system's keyring where there is one, else in a file that only its owner can read.

The file stands beside the journal. It also names the kinds of keys that are in the keyring: whoever has saved none
there never waits for a keyring, nor imports one.
"""

import json
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ...core.errors import CredentialError
from ...core.i18n import Text
from ...core.safe_json import read_json
from ...home import HomeError, check_regular, home_folder, private_folder

T = TypeVar("T")

KEYRING = "keyring"  # what it is called as a source of keys
KEYRING_WAIT_S = 30.0  # seconds for the keyring to answer: somebody may have to unlock it
_REAL = 1  # the priority from which on keyring itself recommends a backend


class SavedKeys(NamedTuple):
    """
    Keys of one kind, as they were saved.

    Attributes:
        values: The keys, by their fields in Settings.
        source: Where they were: ``keyring``, or the file's path.
    """

    values: Mapping[str, str]
    source: str

    def __repr__(self) -> str:
        return f"<Saved: {', '.join(self.values)} from {self.source}>"


class KeyPlace(NamedTuple):
    """Where keys were put; and what was wrong with the keyring, if they should have gone there."""

    source: str
    problem: CredentialError | None = None


class KeyStore:
    """
    The saved keys of one user.

    Args:
        environ: The environment, which may say where the file is.

    ``repaired`` is what had to be changed so that nobody else can write there.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.repaired: list[Text] = []
        self._read: dict[str, SavedKeys | CredentialError] = {}  # what the keyring said, by the mark it was saved under

    @cached_property
    def path(self) -> Path:
        """The file."""
        return home_folder(self._environ) / "keys.json"

    def read(self, kind: str, names: Sequence[str]) -> SavedKeys | None:
        """
        Keys of that kind with these fields, None if none were saved.

        The keyring is asked once, whatever it says, until :meth:`ask_again`: settings are read for every cell, and a
        keyring that doesn't answer would hold up each of them.

        Raises:
            CredentialError: They can't be read.
        """
        record = self._records().get(kind)
        if record is None:
            return None
        mark = record.get(KEYRING)
        if mark is None:
            return SavedKeys(self._checked(record, names), str(self.path))
        if mark not in self._read:
            try:
                self._read[mark] = SavedKeys(self._from_keyring(kind, names), KEYRING)
            except CredentialError as error:
                self._read[mark] = error
        found = self._read[mark]
        if isinstance(found, CredentialError):
            raise found.with_traceback(None)
        return found

    @property
    def known(self) -> Mapping[str, str]:
        """All saved keys that are known without asking the keyring, by their fields."""
        try:
            records = self._records(guarded=False)
        except CredentialError:
            records = {}
        found = {name: value for record in records.values() for name, value in record.items() if name != KEYRING}
        for read in self._read.values():
            found |= read.values if isinstance(read, SavedKeys) else {}
        return {name: value for name, value in found.items() if isinstance(value, str)}

    def ask_again(self) -> None:
        """Forget that the keyring didn't answer."""
        self._read = {mark: found for mark, found in self._read.items() if isinstance(found, SavedKeys)}

    def save(self, kind: str, values: Mapping[str, str]) -> KeyPlace:
        """
        Keep keys: in the keyring, or in the file if there is none or it fails.

        Raises:
            CredentialError: They can't be kept.
        """
        records = dict(self._records())
        text = json.dumps(dict(values))
        problem: CredentialError | None = None
        kept = False
        try:
            kept = _in_time(lambda: _put(self._account(kind), text))
        except CredentialError as error:
            problem = error.with_traceback(None)
        records[kind] = {KEYRING: os.urandom(8).hex()} if kept else dict(values)
        self._write(records)
        return KeyPlace(KEYRING if kept else str(self.path), problem)

    def forget(self, kind: str) -> str | None:
        """
        Drop keys; say where they were, None if none were saved. A file that others can read is no obstacle to that.

        Raises:
            CredentialError: They can't be dropped.
        """
        records = dict(self._records(guarded=False))
        record = records.pop(kind, None)
        if record is None:
            return None
        inside = KEYRING in record
        if inside:
            _in_time(lambda: _drop(self._account(kind)))
        self._write(records)
        return KEYRING if inside else str(self.path)

    def _account(self, kind: str) -> str:
        """What the keyring knows the keys by: two homes have two."""
        return f"{kind} {self.path}"

    def _from_keyring(self, kind: str, names: Sequence[str]) -> Mapping[str, str]:
        text = _in_time(lambda: _get(self._account(kind)))
        if text is None:
            raise CredentialError("vault.gone", kind=kind)
        return self._checked(_parsed(text), names)

    def _checked(self, values: object, names: Sequence[str]) -> Mapping[str, str]:
        if isinstance(values, dict) and all(isinstance(values.get(name), str) and values[name] for name in names):
            return {name: values[name] for name in names}
        raise CredentialError("vault.broken", path=self.path)

    # ---- the file

    def _records(self, *, guarded: bool = True) -> Mapping[str, dict[str, str]]:
        """What the file holds, by kind; nothing that others could have read, if *guarded*."""
        try:
            check_regular(self.path)
            if guarded and self.path.exists():
                self.repaired += private_folder(self.path.parent)
            with self.path.open("rb") as file:
                if guarded and _open_to_others(os.fstat(file.fileno())):
                    raise CredentialError("vault.open", path=self.path)
                content = file.read()
        except FileNotFoundError:
            return {}
        except HomeError as error:
            raise CredentialError("vault.unread", path=self.path, reason=Text(error.key, error.values)) from None
        except OSError as error:
            raise CredentialError("vault.unread", path=self.path, reason=_reason(error)) from None
        found = _parsed(content)
        if isinstance(found, dict) and all(isinstance(record, dict) for record in found.values()):
            return found
        raise CredentialError("vault.broken", path=self.path)

    def _write(self, records: Mapping[str, Mapping[str, str]]) -> None:
        try:
            if not records:
                self.path.unlink(missing_ok=True)
                return
            self.repaired += private_folder(self.path.parent)
            descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".keys-")  # for its owner alone, at once
            try:
                with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open already
                    json.dump(records, file, indent=1)
                    file.flush()
                    os.fsync(descriptor)
                Path(name).replace(self.path)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except HomeError as error:
            raise CredentialError("vault.unwritten", path=self.path, reason=Text(error.key, error.values)) from None
        except OSError as error:
            raise CredentialError("vault.unwritten", path=self.path, reason=_reason(error)) from None


def _open_to_others(status: os.stat_result) -> bool:
    """Whether others may read or change the file; where files have such rights at all."""
    return os.name == "posix" and bool(stat.S_IMODE(status.st_mode) & 0o077)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _parsed(content: str | bytes) -> Any:
    """JSON; None for what is none: the error would hold all of it."""
    try:
        return read_json(content)
    except ValueError:
        return None


# ---- the keyring


def _in_time(work: Callable[[], T]) -> T:
    """
    Do *work* with the keyring in a thread of its own, so that one that hangs doesn't hang the notebook.

    Raises:
        CredentialError: It fails, or takes too long. The text of the backend's error isn't repeated: it may hold a key.
    """
    done: list[T] = []
    failed: list[str] = []
    ended = threading.Event()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - whatever a backend raises, the notebook goes on
            failed.append(type(error).__name__)
        finally:
            ended.set()

    threading.Thread(target=run, name="qfmagic-keyring", daemon=True).start()
    if not ended.wait(KEYRING_WAIT_S):
        raise CredentialError("vault.late", seconds=KEYRING_WAIT_S)
    if failed:
        raise CredentialError("vault.keyring", reason=failed[0])
    return done[0]


def _backend() -> Any | None:
    """The backend that keeps secrets as secrets, if there is one: not those that keep nothing, or plain text."""
    try:
        import keyring  # noqa: PLC0415 - an extra, and asked only when something is or was saved
    except ImportError:
        return None
    chosen: Any = keyring.get_keyring()
    several = getattr(chosen, "backends", None)  # one that asks several in turn
    return next((one for one in several or [chosen] if _keeps(one)), None)


def _keeps(backend: Any) -> bool:
    return backend.priority >= _REAL and "plaintext" not in type(backend).__name__.lower()


def _put(account: str, text: str) -> bool:
    """Whether it was kept: there is a keyring, and it gives back what it was given."""
    backend = _backend()
    if backend is None:
        return False
    backend.set_password("qfmagic", account, text)
    return bool(backend.get_password("qfmagic", account) == text)


def _get(account: str) -> str | None:
    backend = _backend()
    found = None if backend is None else backend.get_password("qfmagic", account)
    return found if isinstance(found, str) else None


def _drop(account: str) -> None:
    backend = _backend()
    if backend is not None and backend.get_password("qfmagic", account) is not None:
        backend.delete_password("qfmagic", account)
