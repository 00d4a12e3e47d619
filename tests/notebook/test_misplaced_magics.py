"""A cell magic below a cell's first line, and magics with a Chinese keyboard's characters behind their names."""

import pytest

from qfmagic.notebook.magics import _taken_literally

BELOW = {
    "comment": "# ask about it\n%%{}\nhello",
    "code": "x = 1\n%%{} model=yi_34b_chat\nhello",
    "indented": "if True:\n    %%{}\n    hello",
    "comment with a mark": "# it's\n\n%%{} into=x\nhello",
}


@pytest.fixture
def kernel(start):
    return start(QFMAGIC_TRANSPORT="stub")


@pytest.mark.parametrize("name", ["qianfan", "qf map"])
def test_magic_below_the_first_line_stops_the_run(kernel, name):
    for written in BELOW.values():
        ran = kernel.run(written.format(name))
        assert ran.status == "error"
        assert f"%%{name.split()[0]}, which must be the first line" in "\n".join(ran.traceback)
        assert ran.outputs == []
    first, second = kernel.collect(kernel.send(BELOW["comment"].format(name)), kernel.send("print('went on')"))
    assert (first.status, second.status, second.stdout) == ("error", "aborted", "")


def test_second_magic_in_a_cell_stops_the_run(kernel):
    ran = kernel.run("%%qianfan model=yi_34b_chat\nhello\n%%qianfan\nand bye")
    assert (ran.status, ran.outputs) == ("error", [])
    assert "Line 3" in "\n".join(ran.traceback)
    assert kernel.run("%%qf map ['a'] model=yi_34b_chat\n{{ item }}\n%%qf map ['b']\nx").status == "error"
    for fine in ("raw\n%%qianfan\nx", "\nhello\n  %%qianfan", "\nWhat does %%qianfan do?"):
        ran = kernel.run(f"%%qianfan model=yi_34b_chat {fine}")
        assert (ran.status, len(ran.outputs)) == ("ok", 1)


def test_magic_with_a_key_below_the_first_line_is_withheld(kernel):
    key = "bce-v3/ALTAK-0a1B2c3D4e5F6g7H8i9J0/4f8a1c9e2b7d5063f1a8c4e97b2d6051"
    for cell in (f"# {key}\n%%qianfan\nhello", f"%%qianfan\nhello\n%%qianfan\n{key}"):
        ran = kernel.run(cell)
        assert (ran.status, ran.outputs) == ("error", [])
        assert key not in "".join(ran.traceback)
        assert "API key in this cell" in "".join(ran.traceback)
    assert kernel.value("any('4f8a1c9e' in one for one in In[:-1])") == "False"


def test_magics_are_read_with_the_blanks_of_a_chinese_keyboard(kernel):
    assert kernel.run("%%qianfan　model=yi_34b_chat\n你好").plain
    assert kernel.run("%qianfan　model=yi_34b_chat　你好").plain
    assert "0.5" in kernel.run("%qf　set　temperature=0.5").plain
    ran = kernel.run("%%qianfan（model=yi_34b_chat）\n你好")
    assert (ran.status, "model=..." in "".join(ran.traceback)) == ("error", True)


@pytest.mark.parametrize(
    "cell",
    [
        'text = """\n%%qianfan\nhello\n"""',
        "%%writefile x\n# a\n%%qianfan\nhello",
        "%%time\n%%qianfan\nhello",
        "# %%qianfan\nx = 1",
        "x = (\n  7\n%%qianfan\n)",
        "%%qianfans\nhello",
    ],
)
def test_python_and_other_magics_are_unchanged(cell):
    lines = cell.splitlines(keepends=True)
    assert _taken_literally(lines) == lines


def test_misplaced_magic_is_reported_with_its_line(shell, capsys):
    with pytest.raises(Exception, match="Line 3"):
        shell.run_cell("# a\n\n%%qianfan\nhello").raise_error()
    capsys.readouterr()
