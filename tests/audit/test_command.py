"""Reading the files, and what is said about them: the table, JSON, the exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qfmagic.audit import command
from qfmagic.audit.audit import audit
from qfmagic.audit.loading import LoadedNotebook, NotebookError, load
from qfmagic.audit.notebook import CellOutput
from qfmagic.audit.report import KINDS
from qfmagic.audit.text_report import shown
from qfmagic.core.conversation import Conversation
from qfmagic.core.terminal import width
from qfmagic.transport.cassette.file import rewrite
from tests.support.documents import TURNS, asked, cassette, code, failed, mapped, notebook, recorded, talk, tape

GUIDES = Path(__file__).parents[2] / "notebooks"


class Said:
    """What the command said, and its exit status."""

    def __init__(self, *paths, lang="en", environ=None, **more):
        self.out, self.err = [], []
        self.status = command.run(
            [Path(path) for path in paths],
            environ=environ or {},
            lang=lang,
            say=self.out.append,
            complain=self.err.append,
            **more,
        )
        self.text = "\n".join(self.out)

    @property
    def json(self):
        return json.loads(self.text)


def written(path, content):
    Path(path).write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


# ---- for people


def test_audit_shows_clean_notebook_with_its_answers(tmp_path):
    path = written("a.ipynb", notebook(*talk()))
    rewrite(Path("a.qf.jsonl"), tape().exchanges.values())
    said = Said(path)
    assert said.status == command.CLEAN
    assert said.text == (
        "a.ipynb (cassette: a.qf.jsonl)\n"
        "\n"
        "  cell  In  turn    model        API  parameters       tokens  transport  finish\n"
        "  2     2   main 1  yi_34b_chat  v1   temperature=0.3  4+20    live       stop\n"
        "  3     3   main 2  yi_34b_chat  v1   temperature=0.3  4+20    live       stop\n"
        "  4     4   main 3  yi_34b_chat  v1   temperature=0.3  4+20    live       stop\n"
        "\n"
        "  answers: 3, no problems found"
    )


def test_audit_lists_findings_by_cell_errors_first():
    bare = asked("hi", "Hello!", 5, chat=None, turn=None, hash=None, parameters={}, usage={}, finish=None, model=None)
    path = written("a.ipynb", notebook(*talk(TURNS[:2], transport="stub"), code("1/0", 4, failed()), bare, code("%%qianfan\nhi", None)))  # fmt: skip
    said = Said(path)
    assert said.status == command.FOUND
    lines = said.text.splitlines()
    assert lines[0] == "a.ipynb (no cassette)"
    assert lines[5].split() == ["5", "5", "-", "-", "v1", "-", "-", "live", "-"]
    assert [line.split()[:2] for line in lines[7:10]] == [
        ["error", "stub"],
        ["error", "failed"],
        ["warning", "unasked"],
    ]
    assert "cells 2, 3 " in lines[7]
    assert "cell 4 " in lines[8]
    assert "(ValueError)" in lines[8]
    assert lines[-1] == "  answers: 3, errors: 3, warnings: 1"


def test_audit_aligns_columns_in_chinese():
    turns = (("你好", "你好！"), ("长城？", "很长。"))
    path = written("a.ipynb", notebook(*talk(turns, transport="stub", chat="旅行", parameters={"system": "你是导游"})))
    said = Said(path, lang="zh")
    lines = said.text.splitlines()
    assert lines[0] == "a.ipynb（无录制文件）"
    assert lines[2].split()[:3] == ["单元格", "运行号", "轮次"]
    columns = [width(line[: line.index(word)]) for line, word in zip(lines[2:5], ("接口", "v1", "v1"), strict=True)]
    assert len(set(columns)) == 1
    assert "错误" in lines[6]
    assert "单元格 2, 3" in lines[6]
    assert lines[-1] == "  回答：2，错误：2，警告：0"


def test_audit_escapes_control_characters_of_notebook():
    bad = "\x1b]0;gone\x07\r\n\ud800"
    cell = asked("hi", "Hello!", 2, chat=bad, model=bad, parameters={bad: [bad]}, finish=bad, transport=bad, wire=bad)
    path = Path("a.ipynb")
    path.write_text(json.dumps(notebook(cell, code("x", 3, failed(bad)))), "ascii")
    said = Said(path)
    assert all(character.isprintable() for line in said.text.splitlines() for character in line)
    assert len(said.text.splitlines()) == 8
    said.text.encode()


def test_audit_groups_cells_of_same_finding():
    path = written("a.ipynb", notebook(*talk([(f"q{n}", f"a{n}") for n in range(30)], transport="stub")))
    assert "cells 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, ..." in Said(path).text


# ---- for machines


def test_audit_json_has_fixed_form():
    written("a.ipynb", notebook(*talk(TURNS[:1], transport="stub"), code("%%qianfan\nhi", None)))
    said = Said("a.ipynb", "none.ipynb", as_json=True)
    assert said.status == command.UNREADABLE
    assert said.json == {
        "audit": 1,
        "notebooks": [
            {
                "notebook": "a.ipynb",
                "cassette": None,
                "error": None,
                "answers": [
                    {
                        "cell": 2,
                        "execution_count": 2,
                        "api": "v1",
                        "chat": "main",
                        "turn": 1,
                        "model": "yi_34b_chat",
                        "endpoint": "yi_34b_chat",
                        "parameters": {"temperature": 0.3},
                        "transport": "stub",
                        "finish": "stop",
                        "request": recorded(*TURNS[0]).hash,
                        "hash": Conversation().add(TURNS[0][0], _Answer(TURNS[0][1])).turns[0].hash,
                        "tokens": {"prompt": 4, "completion": 20, "total": 24},
                    }
                ],
                "batches": [],
                "findings": [
                    {
                        "code": "stub",
                        "severity": "error",
                        "cell": 2,
                        "execution_count": 2,
                        "message": said.json["notebooks"][0]["findings"][0]["message"],
                    },
                    {
                        "code": "unasked",
                        "severity": "warning",
                        "cell": 3,
                        "execution_count": None,
                        "message": said.json["notebooks"][0]["findings"][1]["message"],
                    },
                ],
            },
            {
                "notebook": "none.ipynb",
                "cassette": None,
                "error": "none.ipynb: file not found.",
                "answers": [],
                "batches": [],
                "findings": [],
            },
        ],
        "errors": 1,
        "warnings": 1,
    }
    assert said.err == ["none.ipynb: file not found."]


def test_audit_json_lists_batches_separately():
    written("a.ipynb", notebook(mapped()))
    (entry,) = Said("a.ipynb", as_json=True).json["notebooks"]
    assert entry["answers"] == []
    assert entry["batches"] == [
        {
            "cell": 2,
            "execution_count": 2,
            "command": "map",
            "models": ["yi_34b_chat"],
            "apis": ["v1"],
            "parameters": {"temperature": 0.3},
            "transports": ["record"],
            "asked": 3,
            "answered": 3,
            "tokens": {"prompt": 12, "completion": 60},
        }
    ]


def _Answer(text):  # noqa: N802 - the class is imported where it is needed
    from qfmagic.core.answer import Answer

    return Answer(text)


def test_audit_codes_are_stable():
    """They are what scripts go by: one that is added is documented, none changes."""
    assert {code for code, _ in KINDS.values()} == {
        "edited", "changed", "stale", "order", "missing", "stub", "unasked", "no_provenance", "incomplete", "failed",
        "secret", "cassette", "filtered", "flagged", "served", "answers", "unfollowed",
    }  # fmt: skip


# ---- the exit status


@pytest.mark.parametrize(
    ("cells", "strict", "status"),
    [
        (talk(), True, command.CLEAN),
        ([code("%%qianfan\nhi", None)], False, command.CLEAN),
        ([code("%%qianfan\nhi", None)], True, command.FOUND),
        (talk(transport="stub"), False, command.FOUND),
    ],
)
def test_audit_exit_status_reports_findings(cells, strict, status):
    assert Said(written("a.ipynb", notebook(*cells)), strict=strict).status == status


def test_audit_continues_after_unreadable_notebook():
    written("a.ipynb", notebook(*talk(transport="stub")))
    said = Said("none.ipynb", "a.ipynb", lang="zh")
    assert said.status == command.UNREADABLE
    assert said.err == ["none.ipynb：文件不存在。"]
    assert "a.ipynb" in said.text


# ---- the files


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (None, "audit.file.missing"),
        (b"", "audit.file.json"),
        (b"\xff\xfe\x00", "audit.file.json"),
        (b"print(1)", "audit.file.json"),
        (b"[" * 100_000, "audit.file.json"),
        (b"1" * 5000, "audit.file.json"),
        (b"[]", "audit.file.other"),
        (b"null", "audit.file.other"),
        (b'{"nbformat": 4}', "audit.file.other"),
        (b'{"nbformat": 4, "cells": {}}', "audit.file.other"),
        (b'{"nbformat": "4", "cells": []}', "audit.file.other"),
        (b'{"nbformat": true, "cells": []}', "audit.file.other"),
        (b'{"cells": []}', "audit.file.other"),
        (b'{"nbformat": 3, "worksheets": []}', "audit.file.version"),
        (b'{"nbformat": 5, "cells": []}', "audit.file.version"),
    ],
)
def test_audit_load_rejects_invalid_notebook_in_both_languages(content, key):
    path = Path("a.ipynb")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotebookError) as error:
        load(path)
    assert error.value.key == key
    assert "a.ipynb" in error.value.message("en")
    assert "a.ipynb" in error.value.message("zh")
    assert len(error.value.message()) < 300


def test_audit_load_rejects_folder_and_invalid_path():
    Path("folder.ipynb").mkdir()
    with pytest.raises(NotebookError) as error:
        load(Path("folder.ipynb"))
    assert error.value.key == "audit.file.unreadable"
    with pytest.raises(NotebookError):
        load(Path("a\0b.ipynb"))


def test_audit_finds_key_under_duplicate_json_name():
    Path("a.ipynb").write_text('{"nbformat": 4, "cells": [], "metadata": {"sk": "aB3dE5fG7hJ9kL1m", "sk": "x"}}')
    assert Said("a.ipynb").status == command.FOUND


def test_audit_reads_cassette_next_to_notebook_or_named_one():
    written("a.ipynb", notebook(*talk()))
    rewrite(Path("b.qf.jsonl"), tape(TURNS[:2]).exchanges.values())
    assert load(Path("a.ipynb")).cassette_path is None
    assert Said("a.ipynb").status == command.CLEAN
    said = Said("a.ipynb", cassette=Path("b.qf.jsonl"), as_json=True)
    assert said.json["notebooks"][0]["cassette"] == "b.qf.jsonl"
    assert [finding["code"] for finding in said.json["notebooks"][0]["findings"]] == ["missing"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"hello\n", b'{"cassette":99}\n', b'{"cassette":1}\nbroken\n{"end":true}\n', None]
)
def test_audit_reports_unreadable_cassette(content):
    written("a.ipynb", notebook(*talk()))
    path = Path("a.qf.jsonl")
    path.mkdir() if content is None else path.write_bytes(content)
    said = Said("a.ipynb", as_json=True)
    assert said.status == command.FOUND
    assert [finding["code"] for finding in said.json["notebooks"][0]["findings"]] == ["cassette"]


def test_audit_reports_edited_cassette_and_its_keys():
    written("a.ipynb", notebook(*talk()))
    path = Path("a.qf.jsonl")
    rewrite(path, tape().exchanges.values())
    path.write_text(path.read_text("utf-8").replace("21,196", "bce-v3/ALTAK-Q1w2E3r4T5y6/0123456789"), "utf-8")
    said = Said("a.ipynb", as_json=True)
    assert {finding["code"] for finding in said.json["notebooks"][0]["findings"]} == {"secret", "cassette"}
    assert "Q1w2E3r4T5y6" not in said.text


def test_audit_reports_missing_named_cassette():
    written("a.ipynb", notebook(*talk()))
    assert "none.jsonl" in Said("a.ipynb", cassette=Path("none.jsonl")).text


def test_audit_searches_keys_of_environment():
    written("a.ipynb", notebook({"cell_type": "markdown", "source": "plain words here"}))
    assert Said("a.ipynb").status == command.CLEAN
    assert Said("a.ipynb", environ={"QIANFAN_SK": "plain words"}).status == command.FOUND


# ---- whatever stands in a file

STRANGE = [
    None,
    True,
    0,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    [None],
    [[]],
    {},
    {"x": None},
    10**30,
    "\ud800",
]


def test_audit_accepts_any_json_type_anywhere():
    base = notebook(*talk(TURNS[:2]))
    cell = base["cells"][2]
    places = [
        (base, "cells", 2), (base, "metadata"), (cell, "source"), (cell, "outputs"), (cell, "outputs", 0), (cell, "metadata"),
        (cell, "execution_count"), (cell, "cell_type"), (cell["outputs"][0], "data"), (cell["outputs"][0], "metadata"),
        (cell["outputs"][0], "output_type"), (cell["outputs"][0]["data"], "text/plain"), (cell["outputs"][0]["metadata"], "qfmagic"),
        *((cell["outputs"][0]["metadata"]["qfmagic"], name) for name in cell["outputs"][0]["metadata"]["qfmagic"]),
    ]  # fmt: skip
    source, recordings = LoadedNotebook(Path("a.ipynb"), base, None, None, ()), tape()
    for at, *path in places:
        target = at
        for step in path[:-1]:
            target = target[step]
        before = target[path[-1]]
        for value in STRANGE:
            target[path[-1]] = value
            report = audit(base, recordings)
            json.loads(json.dumps(report.as_json("en"), allow_nan=False))
            assert shown(report, source, "zh").startswith("a.ipynb")
        target[path[-1]] = before
    assert audit(base, tape(TURNS[:2])).findings == ()


def test_audit_shows_parameters_of_every_type():
    given = {"stop": ["END"], "metadata": {"k": "v"}, "a": [], "b": {}, "c": True, "d": float("nan"), "e": None}
    path = written("a.ipynb", notebook(asked("hi", "Hello!", 2, parameters=given)))
    assert "stop=[...] metadata={...} a=[] b={} c=true d=nan e=None" in Said(path).text
    assert Said(path, as_json=True).json["notebooks"][0]["answers"][0]["parameters"] == {**given, "d": None}


def test_output_fingerprint_is_empty_for_too_deep_json():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert CellOutput("display_data", {"application/json": deep}, "", None).fingerprint == ""


def test_audit_accepts_deeply_nested_values():
    cell = code(
        "%%qianfan\nhi",
        2,
        {"data": {"application/json": "DEEP"}, "metadata": {"qfmagic": {"shown": "x", "parameters": {"a": "DEEP"}}}},
    )
    content = {**notebook(cell), "metadata": {"a": "DEEP"}}
    Path("a.ipynb").write_text(json.dumps(content).replace('"DEEP"', "[" * 900 + "]" * 900))
    assert Said("a.ipynb").status == command.FOUND
    assert Said("a.ipynb", as_json=True).json["notebooks"][0]["answers"][0]["parameters"] == {"a": [[["..."]]]}


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_audit_of_long_notebook_is_fast():
    turns = [(f"question {n}", f"answer {n} ") for n in range(200)]
    alone = [(f"more {n}", f"answer {n} " * 500) for n in range(1000)]
    cells = [asked(*turn, n, chat=None, turn=None, hash=None) for n, turn in enumerate(alone, 300)]
    exchanges = [*tape(turns).exchanges.values(), *(recorded(*turn) for turn in alone)]
    report = audit(notebook(*talk(turns), *cells), cassette(*exchanges))
    assert len(report.answers) == 1200
    assert report.findings == ()


@pytest.mark.parametrize("path", sorted(GUIDES.glob("*.ipynb")), ids=lambda path: path.name)
def test_guides_pass_audit_except_stub_findings(path):
    source = load(path)
    report = audit(source.notebook, source.cassette, recorded=source.recorded)
    assert report.answered
    if source.cassette is not None:
        assert report.findings == ()
    # Older ones can't be checked for changes.
    assert {finding.code for finding in report.findings} <= {"stub", "no_provenance"}


def test_audit_imports_no_kernel_or_network():
    script = (
        "import sys; from pathlib import Path; from qfmagic.audit import command\n"
        "command.run([Path(sys.argv[1])], environ={}, lang='en', say=str, complain=str)\n"
        "print(sorted({'IPython', 'httpx', 'ipykernel', 'nbformat', 'ipywidgets'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, GUIDES / "quickstart.ipynb"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.stdout == "[]\n"


def test_audit_skips_blank_cassette_lines(monkeypatch):
    """Three megabytes of them took more than a minute; numbers of lines stay those of an editor."""
    looked = []
    monkeypatch.setattr("qfmagic.audit.audit.saved_keys", lambda _, content, **__: looked.append(content) or [])
    Path("a.ipynb").write_text(json.dumps(notebook()))
    for blank in ("\n", "\r\n", "   \n", "\t\r\n"):
        looked.clear()
        key = '{"a": "bce-v3/ALTAK-abcdefghij/0123456789"}'
        Path("a.qf.jsonl").write_text(f'{blank * 200_000}{key}{blank}{blank * 200_000}{{"b": 1}}', newline="")
        source = load(Path("a.ipynb"))
        assert sorted(source.recorded) == [200_001, 400_002]
        audit(source.notebook, source.cassette, recorded=source.recorded)
        assert [one for one in looked if any(str(name).startswith("cassette") for name in one)] == [
            {"cassette 200001": {"a": "bce-v3/ALTAK-abcdefghij/0123456789"}},
            {"cassette 400002": {"b": 1}},
        ]
