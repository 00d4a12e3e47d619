"""Files are whole or not there: whatever goes wrong while they are written, the old one is what it was."""

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from qfmagic.core.errors import CassetteError
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.cassette.recording import recorded_of
from qfmagic.transport.cassette.whole_files import replace_file

OLD, NEW = b"old\n", b"new\n" * 1000
BODY = b'{"result": "' + b"x" * 2000 + b'", "id": "as-1"}'


@contextmanager
def room_for(size):
    """No file grows beyond *size*: what is written past it fails in the middle, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def exchange(prompt="hi"):
    request = plan_request(registry().target("yi_34b_chat", None, None), prompt, stream=False).request
    return recorded_of(request, 0, status=200, headers={}, events=[(0.0, BODY)])


def test_replace_file_keeps_mode_and_link(tmp_path):
    path, link = tmp_path / "a.md", tmp_path / "link.md"
    replace_file(path, OLD)
    link.symlink_to(path)
    path.chmod(0o640)
    replace_file(link, NEW)
    assert (path.read_bytes(), path.stat().st_mode & 0o777, link.is_symlink()) == (NEW, 0o640, True)
    assert {one.name for one in tmp_path.iterdir()} == {"a.md", "link.md"}


def test_replace_file_applies_umask(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "a.md", NEW)
    finally:
        os.umask(before)
    assert (tmp_path / "a.md").stat().st_mode & 0o777 == 0o640


def test_replace_file_supports_longest_name(tmp_path):
    path = tmp_path / ("x" * 252 + ".md")
    replace_file(path, OLD)
    replace_file(path, NEW)
    assert path.read_bytes() == NEW


def test_replace_file_keeps_old_file_if_disk_is_full(tmp_path):
    path = tmp_path / "a.md"
    replace_file(path, OLD)
    with room_for(100), pytest.raises(OSError, match="too large"):
        replace_file(path, NEW)
    assert path.read_bytes() == OLD
    assert [one.name for one in tmp_path.iterdir()] == ["a.md"]


PLACES = {
    "a folder that is not there": lambda here: here / "nowhere" / "a.md",
    "a folder in its place": lambda here: here,
    "a file in the place of its folder": lambda here: here / "file" / "a.md",
    "a name that is too long": lambda here: here / ("x" * 300 + ".md"),
    "a null character": lambda here: here / "a\0.md",
    "a link to itself": lambda here: here / "loop",
    "a pipe": lambda here: here / "pipe",
    "no file of the disk": lambda _: Path("/dev/full"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_replace_file_raises_os_error_for_unusable_path(tmp_path, place):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError) as caught:
        replace_file(place(tmp_path), NEW)
    assert str(caught.value)
    assert {one.name for one in tmp_path.iterdir()} == {"file", "loop", "pipe"}
    assert (tmp_path / "file").read_bytes() == OLD


def test_replace_file_keeps_unwritable_file(tmp_path, monkeypatch):
    path = tmp_path / "a.md"
    replace_file(path, OLD)
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs the tests may be root
    with pytest.raises(PermissionError) as caught:
        replace_file(path, NEW)
    assert caught.value.errno == errno.EACCES
    assert path.read_bytes() == OLD


# ---- cassettes


def test_cassette_is_whole_after_failed_append(tmp_path):
    path = tmp_path / "a.qf.jsonl"
    cassette.append(path, [exchange("a")])
    before = path.read_bytes()
    with room_for(len(before) + 500), pytest.raises(CassetteError) as caught:
        cassette.append(path, [exchange("b"), exchange("c")])
    assert caught.value.key == "cassette.unwritable"
    assert path.read_bytes() == before
    with room_for(len(before) // 2), pytest.raises(CassetteError):
        cassette.rewrite(path, [exchange("b")])
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    cassette.append(path, [exchange("b"), exchange("c")])
    assert len(cassette.read(path).exchanges) == 3
