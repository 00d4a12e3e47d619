"""Files that are whole or not there: written beside, then put in their place."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """
    Have a file hold *content*. Until all of it is on the disk, the file is what it was; a link stays one.

    Raises:
        OSError: It can't be written; then the file is what it was, and nothing is left beside it.
    """
    try:
        path = path.resolve()
        mode = _mode(path)
        # A name of its own, and short: that of the file may be as long as names can be.
        beside = path.with_name(f".qfmagic-{os.getpid()}-{secrets.token_hex(4)}")
    except (ValueError, RuntimeError) as error:  # a null character, a link that leads to itself
        raise OSError(str(error)) from None
    try:
        # Opened as any new file is, so that it may be read by whoever may read the user's other files.
        with beside.open("xb") as file:
            file.write(content)
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int | None:
    """The rights of the file that is there; None for none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, os.strerror(21))
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    if not os.access(path, os.W_OK):  # replacing asks only for the folder's leave
        raise PermissionError(13, os.strerror(13))
    return stat.S_IMODE(status.st_mode)
