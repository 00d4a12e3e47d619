"""Where qfmagic keeps what is its user's own, and whether nobody else can get at it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from .core.errors import QianfanError
from .core.i18n import Text

_ROOT = 0
_POSIX = os.name == "posix"  # elsewhere files have no such rights


class HomeError(QianfanError):
    """A folder or file of qfmagic's own that others can change, or that is something else."""


def home_folder(environ: Mapping[str, str]) -> Path:
    """``QFMAGIC_HOME``, else where the system keeps a user's data."""
    home = environ.get("QFMAGIC_HOME")
    if not home:
        from platformdirs import user_data_dir  # noqa: PLC0415 - asked once, and not by everybody

        home = user_data_dir("qfmagic", appauthor=False)
    return Path(home)


def private_folder(folder: Path, *, linked: bool = True) -> list[Text]:
    """
    Make a folder that only its owner can write to; return what was repaired.

    Args:
        folder: The folder.
        linked: Whether it may be a link to one.

    Raises:
        HomeError: Others can write to it, and that can't be changed; or it is no folder.
        OSError: It can't be made.
    """
    _check_link(folder)
    if (folder.exists() and not folder.is_dir()) or (folder.is_symlink() and not linked):
        raise HomeError("home.not_folder", path=folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _repaired(folder, 0o022, "home.repaired_folder") if _POSIX else []


def private_file(path: Path) -> list[Text]:
    """
    Check a file that may be there, and take others' rights from it; return what was repaired.

    Raises:
        HomeError: It is no regular file; or it belongs to somebody else.
        OSError: It can't be looked at.
    """
    check_regular(path)
    return _repaired(path, 0o077, "home.repaired_file") if _POSIX and path.exists() else []


def check_regular(path: Path) -> None:
    """
    Check that a file is a regular one, if it is there: to open a pipe or a device might never return.

    Raises:
        HomeError: It isn't, or is a link to nothing.
    """
    _check_link(path)
    if path.exists() and not path.is_file():
        raise HomeError("home.not_file", path=path)


def _check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise HomeError("home.dangling", path=path)


def _repaired(path: Path, others: int, said: str) -> list[Text]:
    status = path.stat()
    if status.st_uid not in (os.getuid(), _ROOT):
        raise HomeError("home.foreign", path=path)
    rights = stat.S_IMODE(status.st_mode)
    if not rights & others:
        return []
    if status.st_uid != os.getuid() or rights & stat.S_ISVTX:  # a shared folder like /tmp is not ours to change
        raise HomeError("home.open", path=path)
    path.chmod(rights & ~others)
    return [Text(said, {"path": path})]
