"""The file: sorted, whole whatever happens to its writers, and clear about what is wrong with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qfmagic.core.errors import CassetteError
from qfmagic.transport.cassette import file as cassette

from .test_recording import recording

PATH = Path("a.qf.jsonl")
OTHERS = [recording(f"question {number}", f"answer {number}") for number in range(5)]


def made(*recordings):
    cassette.rewrite(PATH, recordings)
    return PATH.read_bytes()


def key_of(error):
    return error.value.key


def test_tidy_sorts_file_independent_of_recording_order():
    first = made(*OTHERS)
    PATH.unlink()
    for one in reversed(OTHERS):
        cassette.append(PATH, [one])
    assert PATH.read_bytes() != first
    kept = cassette.tidy(PATH)
    assert PATH.read_bytes() == first
    assert list(kept.exchanges) == sorted(one.key for one in OTHERS)
    before = PATH.stat().st_mtime_ns
    cassette.tidy(PATH)
    assert PATH.stat().st_mtime_ns == before  # nothing to do, nothing written


def test_append_adds_one_line():
    before = made(*OTHERS[:-1]).splitlines()
    after = made(*OTHERS).splitlines()
    assert set(before) < set(after)
    assert len(after) == len(before) + 1


def test_append_replaces_older_recording():
    made(recording(text="old"))
    cassette.append(PATH, [recording(text="new")])
    assert [one.play().outcome.text for one in cassette.tidy(PATH).exchanges.values()] == ["new"]
    assert b"old" not in PATH.read_bytes()


def test_torn_last_line_leaves_readable_file():
    whole = made(OTHERS[0])
    torn = whole + OTHERS[1].line().encode()[:40]
    PATH.write_bytes(torn)
    assert list(cassette.read(PATH).exchanges) == [OTHERS[0].key]
    cassette.append(PATH, [OTHERS[2]])
    assert set(cassette.tidy(PATH).exchanges) == {OTHERS[0].key, OTHERS[2].key}
    assert PATH.read_bytes().endswith(b"\n")


def test_change_removes_replaced_recording():
    for torn in (b"", b'{"body"'):
        PATH.write_bytes(made(recording(text="the old")) + torn)
        cassette.append(PATH, [recording(text="the new")])
        assert cassette.change(PATH, lambda one: one) == 0
        assert b"the old" not in PATH.read_bytes()
        assert not cassette.read(PATH).untidy


def test_change_includes_lines_of_other_writers():
    made(*OTHERS[:2])
    cassette.append(PATH, [OTHERS[2]])
    assert cassette.change(PATH, lambda one: None if one == OTHERS[0] else one) == 1
    assert set(cassette.read(PATH).exchanges) == {OTHERS[1].key, OTHERS[2].key}


def test_append_keeps_symlink():
    Path("elsewhere").mkdir()
    PATH.symlink_to("elsewhere/b.jsonl")
    for one in OTHERS:
        cassette.append(PATH, [one])
    cassette.tidy(PATH)
    assert PATH.is_symlink()
    assert len(cassette.read(Path("elsewhere/b.jsonl")).exchanges) == len(OTHERS)


@pytest.mark.parametrize("keep", range(1, 100, 7))
def test_truncated_file_is_reported(keep):
    whole = made(*OTHERS)
    header = len(whole.splitlines(keepends=True)[0])
    end = len(whole.splitlines(keepends=True)[-1])
    size = header + (len(whole) - header - end) * keep // 100
    PATH.write_bytes(whole[:size])
    with pytest.raises(CassetteError) as error:
        cassette.read(PATH)
    assert key_of(error) == "cassette.truncated"


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        (lambda data: data.replace(b"answer 1", b"answer x"), "cassette.edited", "Line "),
        (lambda data: data.replace(b'{"body"', b"{body", 1), "cassette.broken", "Line 2 "),
        (lambda data: b"<<<<<<< ours\n" + data, "cassette.conflict", "(line 1)"),
        (lambda data: data.replace(b"\n", b"\n=======\n", 1), "cassette.conflict", "(line 2)"),
        (lambda data: data.replace(b"\n", b"\r\n>>>>>>> theirs\r\n", 1), "cassette.conflict", "(line 2)"),
        (
            lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 8\n",
            "cassette.lfs",
            "lfs pull",
        ),
        (lambda data: data.replace(b'"cassette":1', b'"cassette":2'), "cassette.newer", "version 2"),
        (lambda data: data.replace(b"answer 1", b"\xff"), "cassette.broken", "Line "),
        (lambda data: b"", "cassette.none", ""),
        (lambda data: b'{"cells": []}', "cassette.none", ""),
        (lambda data: b"[]\n", "cassette.none", ""),
        (lambda data: b"[" * 100_000, "cassette.none", ""),
        (lambda data: data.replace(b'{"body"', b"[" * 100_000, 1), "cassette.broken", "Line 2 "),
    ],
)
def test_invalid_file_is_reported(change, key, said):
    PATH.write_bytes(change(made(*OTHERS)))
    with pytest.raises(CassetteError) as error:
        cassette.read(PATH)
    assert key_of(error) == key
    assert said in str(error.value)
    assert str(Path.cwd()) not in str(error.value)  # it would differ from one machine to the next
    assert "a.qf.jsonl" in error.value.message("zh")


def test_missing_or_unwritable_file_is_reported():
    with pytest.raises(CassetteError, match="Cassette a.qf.jsonl not found"):
        cassette.read(PATH)
    with pytest.raises(CassetteError, match="Cannot write"):
        cassette.check_writable(Path("nowhere/a.qf.jsonl"))
    with pytest.raises(CassetteError, match="Cannot write"):
        cassette.append(Path("nowhere/a.qf.jsonl"), [OTHERS[0]])
    Path("folder").mkdir()
    with pytest.raises(CassetteError, match="Cannot read"):
        cassette.read(Path("folder"))
    cassette.check_writable(PATH)
    assert not cassette.read(PATH).exchanges


def test_file_mode_follows_umask():
    old = os.umask(0o027)
    try:
        made(OTHERS[0])
        assert PATH.stat().st_mode & 0o777 == 0o640
        PATH.chmod(0o664)
        cassette.append(PATH, [OTHERS[1]])
        cassette.tidy(PATH)
        assert PATH.stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(old)
    assert list(Path().iterdir()) == [PATH]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from qfmagic.transport.cassette import file as cassette
from tests.transport.cassette.test_recording import recording
for number in range(40):
    cassette.append(Path("a.qf.jsonl"), [recording(f"{sys.argv[2]} {number}")])
    if number % 5 == 0:
        cassette.tidy(Path("a.qf.jsonl"))
"""


def test_concurrent_writers_lose_nothing():
    root = str(Path(__file__).parents[3])
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, root, name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(cassette.tidy(PATH).exchanges) == 120


def test_cassette_path_follows_notebook_path():
    assert cassette.beside(Path("x/my.analysis.ipynb")) == Path("x/my.analysis.qf.jsonl")
