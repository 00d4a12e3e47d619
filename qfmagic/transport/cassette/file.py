"""
Cassettes: files of recorded exchanges, one on a line.

A file has a header, the exchanges in the order of their hashes, and an end mark; what was recorded since it was last
tidied stands behind the end mark. So a file that was cut short is told from one whose writer was killed: the first
lacks the mark, the second has at worst a torn last line behind it. Sorted lines keep the differences between two
recordings small, and make those of two people easy to merge.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ...core.errors import CassetteError
from ...core.i18n import Text
from ...core.safe_json import read_json
from ...home import HomeError, check_regular, private_folder
from .recording import Key, Recorded, RecordingError, canonical
from .whole_files import replace_file

VERSION = 1
SUFFIX = ".qf.jsonl"
LOCK_TIMEOUT = 10.0  # seconds to wait for others who write the same file
_WRITTEN = re.compile(r"\S[^\n]*")
HEADER = canonical({"cassette": VERSION, "made_by": "qfmagic"})
END = canonical({"end": True})


class Cassette(NamedTuple):
    """
    What a file holds.

    Attributes:
        exchanges: The exchanges by hash and number, in that order.
        untidy: Whether some stand behind the end mark, or a torn line does.
        merged: Those that a merge of two files brought in beside another answer to the same; they have numbers of
            their own now.
    """

    exchanges: Mapping[Key, Recorded] = MappingProxyType({})
    untidy: bool = False
    merged: tuple[Key, ...] = ()


def shown(path: Path) -> str:
    """A file's name as a user in this folder would write it; where the folder is isn't said."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere; or the folder is gone
        return str(path)


def beside(notebook: Path) -> Path:
    """Where the cassette of a notebook is looked for: ``analysis.ipynb`` has ``analysis.qf.jsonl``."""
    return notebook.with_name(notebook.stem + SUFFIX)


def read(path: Path) -> Cassette:
    """
    Read a file.

    Raises:
        CassetteError: It isn't there, can't be read, is no cassette, was made by a newer version, edited or cut short.
    """
    try:
        check_regular(path.resolve())  # a link may lead to what isn't there yet
        data = path.read_bytes()
    except HomeError as error:
        raise CassetteError("cassette.unreadable", path=shown(path), reason=Text(error.key, error.values)) from None
    except FileNotFoundError:
        raise CassetteError("cassette.missing", path=shown(path)) from None
    except OSError as error:
        raise CassetteError("cassette.unreadable", path=shown(path), reason=error.strerror or str(error)) from error
    return parse(data, path)


def parse(data: bytes, path: Path) -> Cassette:
    """
    Read the bytes of a file; *path* is what errors show.

    Raises:
        CassetteError: As :func:`read`.
    """
    content = _text(data, path)
    _check_header(content.partition("\n")[0].removesuffix("\r"), path)
    last = content.count("\n") + 1  # behind the last line's end, where nothing stands unless it is torn
    found: dict[Key, Recorded] = {}
    others: list[Recorded] = []
    ended = untidy = False
    for number, line in written_lines(content):
        if number == 1:
            continue
        if line == END:
            ended = True
            continue
        untidy = untidy or ended
        try:
            recorded = Recorded.of_line(line)
        except RecordingError as error:
            if ended and number == last and error.reason == "json":
                break  # its writer was killed
            if not ended and number == last:
                raise CassetteError("cassette.truncated", path=shown(path)) from None
            raise CassetteError(_BROKEN[error.reason], path=shown(path), line=number) from None
        there = found.get(recorded.key)
        if there is not None and not ended and there.line() != line:  # two branches recorded the same
            others.append(recorded)
        else:
            found[recorded.key] = recorded
    if not ended:
        raise CassetteError("cassette.truncated", path=shown(path))
    merged = _numbered(others, found)
    whole = {**found, **{one.key: one for one in merged}}
    return Cassette(
        MappingProxyType(dict(sorted(whole.items()))), untidy or bool(merged), tuple(one.key for one in merged)
    )


def _text(data: bytes, path: Path) -> str:
    """The text of a file, without the mark at its beginning that some editors write."""
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CassetteError("cassette.broken", path=shown(path), line=data[: error.start].count(b"\n") + 1) from None
    conflict = _CONFLICT.search(content)
    if conflict is not None:
        line = content.count("\n", 0, conflict.start()) + 1
        raise CassetteError("cassette.conflict", path=shown(path), line=line)
    return content


def _numbered(others: Iterable[Recorded], found: Mapping[Key, Recorded]) -> list[Recorded]:
    """Further answers to requests that have one, behind those: each different one once."""
    made: dict[Key, Recorded] = {}
    for one in others:
        same = [known for known in (*found.values(), *made.values()) if known.hash == one.hash]
        if all(replace(known, n=one.n).line() != one.line() for known in same):
            numbered = replace(one, n=1 + max(known.n for known in same))
            made[numbered.key] = numbered
    return list(made.values())


def written_lines(content: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that aren't blank, and the number of each, from 1; of blank ones there may be millions."""
    number = counted = 0
    for begun in _WRITTEN.finditer(content):
        number += content.count("\n", counted, begun.start())
        counted = begun.start()
        start = content.rfind("\n", 0, counted) + 1
        # Some version control writes files with the line ends of the system.
        yield number + 1, content[start : begun.end()].removesuffix("\r")


# What git leaves in a file that two branches changed.
_CONFLICT = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?=[ \r\n]|\Z)", re.MULTILINE)
_LFS = "version https://git-lfs.github.com/"
_BROKEN = {"json": "cassette.broken", "shape": "cassette.broken", "edited": "cassette.edited"}


def _check_header(line: str, path: Path) -> None:
    if line.startswith(_LFS):
        raise CassetteError("cassette.lfs", path=shown(path))
    try:
        version = read_json(line)["cassette"]
    except (ValueError, KeyError, TypeError):
        raise CassetteError("cassette.none", path=shown(path)) from None
    if version != VERSION:
        raise CassetteError("cassette.newer", path=shown(path), version=version, known=VERSION)


def append(path: Path, exchanges: Sequence[Recorded]) -> None:
    """
    Add exchanges to a file, which is made if it isn't there. Others may write it at the same time.

    Raises:
        CassetteError: They can't be written; then none of them is.
    """
    with _locked(path):
        if not path.exists():
            _replace(path, ())
        with path.open("rb") as file:
            size = file.seek(-1, os.SEEK_END) + 1
            whole = file.read(1) == b"\n"
        if not whole:  # a writer was killed in the middle of a line
            _replace(path, {**read(path).exchanges, **{one.key: one for one in exchanges}}.values())
            return
        try:
            with path.open("ab") as file:
                file.write("".join(f"{one.line()}\n" for one in exchanges).encode("utf-8", "replace"))
        except OSError:
            with suppress(OSError):  # what came onto a disk that is full now
                os.truncate(path, size)
            raise


def tidy(path: Path) -> Cassette:
    """
    Put what stands behind the end mark into its place; return all of it.

    Raises:
        CassetteError: As :func:`read`; or it can't be written.
    """
    with _locked(path):
        cassette = read(path)
        if cassette.untidy:
            _replace(path, cassette.exchanges.values())
        return cassette


def rewrite(path: Path, exchanges: Iterable[Recorded]) -> None:
    """
    Have a file hold just these.

    Raises:
        CassetteError: It can't be written.
    """
    with _locked(path):
        _replace(path, exchanges)


def change(path: Path, become: Callable[[Recorded], Recorded | None]) -> int:
    """
    Have each exchange be what *become* makes of it, and dropped for None; return how many changed.

    Others who write the file wait meanwhile; and nothing that was replaced before stays in it.

    Raises:
        CassetteError: As :func:`read`; or it can't be written.
    """
    with _locked(path):
        cassette = read(path)
        made = [(one, become(one)) for one in cassette.exchanges.values()]
        count = sum(new is not old for old, new in made)
        if count or cassette.untidy:
            _replace(path, [new for _, new in made if new is not None])
        return count


def check_writable(path: Path) -> None:
    """
    Make a file that isn't there, with nothing in it; check one that is.

    Raises:
        CassetteError: As :func:`read`; or it can't be written.
    """
    with _locked(path):
        if path.exists():
            read(path)
            if not os.access(path, os.W_OK):
                raise CassetteError("cassette.unwritable", path=shown(path), reason=os.strerror(13))
        else:
            _replace(path, ())


def _replace(path: Path, exchanges: Iterable[Recorded]) -> None:
    """Write a whole file."""
    ordered = sorted(exchanges, key=lambda recorded: recorded.key)
    content = "".join(f"{line}\n" for line in (HEADER, *(recorded.line() for recorded in ordered), END))
    replace_file(path, content.encode("utf-8", "replace"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep others who write this file out; the lock stands apart, so that nothing is left beside a notebook."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only who records

    try:
        lock = _lock_of(path)
        check_regular(path.resolve())
        with FileLock(lock, timeout=LOCK_TIMEOUT, mode=0o600):
            yield
    except HomeError as error:
        raise CassetteError("cassette.unwritable", path=shown(path), reason=Text(error.key, error.values)) from None
    except Timeout:
        raise CassetteError("cassette.locked", path=shown(path), seconds=LOCK_TIMEOUT) from None
    except OSError as error:
        raise CassetteError("cassette.unwritable", path=shown(path), reason=error.strerror or str(error)) from error


def _lock_of(path: Path) -> Path:
    """
    The lock of a file: in the temporary folder, where all kernels see it whatever their QFMAGIC_HOME. There others can
    put what they like, so it has to be in a folder that is ours and closed to them.

    Raises:
        CassetteError: That folder isn't.
        OSError: There is none, and none can be made.
    """
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    owner = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"qfmagic-locks-{owner}"
    try:
        private_folder(folder, linked=False)
        check_regular(folder / name)
    except HomeError:
        raise CassetteError("cassette.lock", path=shown(path), folder=folder) from None
    return folder / name
