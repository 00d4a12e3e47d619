"""The page's order in a real kernel: as JupyterLab reports it, and without a report as other front ends run cells."""

import json
import os
import time
from functools import partial

import pytest

from qfmagic.notebook.conversation.cell_order import text_of
from qfmagic.notebook.frontend.metadata import CellMetadata, notebook_of
from qfmagic.notebook.frontend.page_channel import MAX_REPORTS, PageChannel
from qfmagic.testing import NotebookHarness
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.service import StubKeys

KEYS = StubKeys()
UNKNOWN = "does not report the order"


def ask(prompt):
    return f"%%qianfan model=yi_34b_chat\n{prompt}"


class Page:
    """A notebook's page: cells with sources, run in a kernel whose requests a server notes."""

    def __init__(self, kernel, server, *prompts):
        self.kernel, self.server = kernel, server
        self.cells = [(prompt, ask(prompt)) for prompt in prompts]

    def questions(self):
        """The user's messages of each request since this was last asked."""
        bodies = [json.loads(request.body) for request in self.server.requests if "chat" in request.path]
        self.server.requests.clear()
        return [[message["content"] for message in body["messages"][::2]] for body in bodies]

    def run(self, cell, deleted=(), *, reported=True):
        """Run a cell as JupyterLab does; return what was sent and what is shown."""
        at = [name for name, _ in self.cells].index(cell)
        if reported:
            self.kernel.report(self.cells, at)
        ran = self.kernel.run(self.cells[at][1], cell, deleted)
        return self.questions(), ran.plain

    def save(self, path, *, at=None):
        """Save the page; *at* is the file's time."""
        cells = [{"cell_type": "code", "id": name, "source": source} for name, source in self.cells]
        path.write_text(json.dumps({"cells": cells}))
        if at is not None:
            os.utime(path, (at, at))


@pytest.fixture
def served(start, tmp_path):
    """Start kernels that ask a server, in a folder with notebooks."""
    with LoopbackServer() as server:
        yield partial(serve, start, server, tmp_path)


def serve(start, server, folder, *prompts, **environ):
    keys = {"QIANFAN_ACCESS_TOKEN": KEYS.access_token, "QFMAGIC_HOME": str(folder / "home")}
    return Page(start(**server.environ, **keys, **environ, cwd=str(folder)), server, *prompts)


def test_reported_order_decides_what_is_sent(served):
    page = served("a", "b", "c")
    for cell in "abc":
        page.run(cell)
    page.cells = [page.cells[2], ("x", ask("x")), page.cells[0], page.cells[1]]
    assert page.run("b")[0] == [["c", "a", "b"]]
    assert page.run("x")[0] == [["c", "x"]]
    sent, shown = page.run("a", deleted=["c"])  # cut and pasted: the page has it
    assert sent == [["c", "x", "a"]]
    assert "left out" not in shown
    page.cells.pop(0)
    sent, shown = page.run("b")
    assert sent == [["x", "a", "b"]]
    assert "turn 1 left out" in shown
    assert UNKNOWN not in shown


def test_edited_cell_is_named_below_answer(served):
    page = served("a", "b")
    page.run("a")
    page.cells[0] = ("a", ask("a, edited"))
    sent, shown = page.run("b")
    assert sent == [["a", "b"]]
    assert "cell [2] edited after it was answered: the older text was sent" in shown
    page.run("a")
    assert "edited after" not in page.run("b")[1]


@pytest.mark.parametrize("cells", [[], [("other", "%%qianfan\nother")]])
def test_report_without_running_cell_is_not_obeyed(served, cells):
    page = served("a", "b")
    page.run("a")
    page.kernel.report(cells, 0)
    sent, shown = page.run("b", reported=False)
    assert sent == [["a", "b"]]
    assert UNKNOWN in shown


def test_restored_turn_of_deleted_cell_stays(served):
    page = served("a", "b", "c")
    page.run("a")
    page.run("b")
    page.cells.pop(0)
    assert page.run("b")[0] == [["b"]]
    page.kernel.run("%qf restore 1")
    assert page.run("c")[0] == [["a", "b", "c"]]


def test_server_side_execution_is_matched_by_text(served):
    """Run All sends all reports before the second cell runs, and the requests have no metadata."""
    page = served("a", "b")
    page.cells.append(("twin", ask("a")))
    for at in range(3):
        page.kernel.report(page.cells, at)
    for _, source in page.cells:
        page.kernel.run(source)
    assert page.questions() == [["a"], ["a", "b"], ["a", "b", "a"]]
    page.cells.insert(0, page.cells.pop(1))
    page.kernel.report(page.cells)  # as a change of the page
    page.kernel.run(ask("b"))
    assert page.questions() == [["b"]]


def test_failed_cell_forgets_what_was_queued_behind_it(served):
    page = served("a", "b")
    page.cells.append(("twin", ask("a")))
    page.kernel.report(page.cells, 0)
    page.kernel.run("1 / 0")
    page.run("b")
    page.kernel.report(page.cells, 2)
    page.kernel.run(ask("a"))
    assert page.questions() == [["b", "a"]]


def test_cells_with_one_id_are_two_turns(served):
    page = served("a", "b")
    page.cells = [("same", ask("a")), ("same", ask("b")), ("c", ask("c"))]
    for at, (cell, source) in enumerate(page.cells):
        page.kernel.report(page.cells, at)
        page.kernel.run(source, cell)
    assert page.questions()[-1] == ["a", "b", "c"]


def test_console_is_outside_page(served):
    page = served("a", "b")
    page.run("a")
    page.kernel.run(ask("aside"), metadata={"cellId": "console-1"})
    assert page.questions() == [["a", "aside"]]
    sent, shown = page.run("b")
    assert sent == [["a", "b"]]
    assert "stale" not in shown
    page.kernel.run(ask("aside again"), metadata={"cellId": "console-2"})
    assert page.questions() == [["a", "b", "aside", "aside again"]]


def test_second_notebook_of_kernel_is_apart(served):
    first = served("a", "b")
    second = Page(first.kernel, first.server, "x", "y")
    first.run("a")
    assert second.run("x")[0] == [["x"]]
    assert first.run("b")[0] == [["a", "b"]]
    sent, shown = second.run("y")
    assert sent == [["x", "y"]]
    assert "left out" not in shown


def test_page_that_does_not_report_is_named_once(served, tmp_path):
    page = served("a", "b", "c")
    run = partial(page.run, reported=False)
    assert UNKNOWN not in run("a")[1]
    assert f"{UNKNOWN} of its cells: the order in which they were first run counts" in run("b")[1]
    assert UNKNOWN not in run("c")[1]


def test_saved_page_counts_where_it_is_newer(served, tmp_path):
    path = tmp_path / "talk.ipynb"
    page = served("a", "b", "c", JPY_SESSION_NAME=str(path))
    run = partial(page.run, reported=False)
    for cell in "abc":
        run(cell)
    page.cells = [page.cells[1], page.cells[0], page.cells[2], ("d", ask("d"))]
    page.save(path)
    sent, shown = run("d")
    assert sent == [["b", "a", "c", "d"]]
    page.cells.pop(0)
    page.save(path)
    sent, shown = run("d")
    assert sent == [["a", "c", "d"]]
    assert "left out" in shown
    page.cells.insert(0, ("new", ask("new")))
    page.kernel.run(ask("new"), "new")  # not saved: it is known to be there, but not where
    page.questions()
    sent, _ = run("d", deleted=["a"])
    assert sent == [["c", "d"]]  # deleted since, though it is in the file


def test_saved_page_does_not_bring_back_what_was_deleted_since(served, tmp_path):
    path = tmp_path / "talk.ipynb"
    page = served("a", "b", JPY_SESSION_NAME=str(path))
    page.save(path, at=time.time() - 10)
    page.run("a", reported=False)
    assert page.run("b", ["a"], reported=False)[0] == [["b"]]
    assert page.run("b", reported=False)[0] == [["b"]]


def test_vscode_cells_and_notebook_are_known(served, tmp_path):
    page = served("a", "b", "c")
    path = tmp_path / "talk.ipynb"

    def run(prompt):
        page.kernel.run(ask(prompt), metadata={"cellId": f"vscode-notebook-cell:{path}#{prompt}"})
        return page.questions()

    page.kernel.run(f"__vsc_ipynb_file__ = {str(path)!r}")
    assert run("a") == [["a"]]
    assert run("b") == [["a", "b"]]
    assert run("a") == [["a"]]
    page.cells = [page.cells[2], page.cells[1], page.cells[0]]
    page.cells = [(f"file-{name}", source) for name, source in page.cells]  # the file's IDs are others
    page.save(path, at=time.time() + 1)
    assert run("c") == [["c"]]
    assert run("a") == [["c", "b", "a"]]
    shown = page.kernel.run("%qf doctor", metadata={"cellId": f"vscode-notebook-cell:{path}#d"}).plain
    assert str(path) in shown
    assert "restart the kernel and run all cells" in shown


def test_resume_takes_own_notebook_and_names_others(served, tmp_path):
    """Two notebooks in one folder, as VS Code runs them: no notebook's name in the environment."""

    def kernel(name):
        page = served()
        page.kernel.run(f"__vsc_ipynb_file__ = {str(tmp_path / name)!r}")
        return page.kernel

    first, second = kernel("one.ipynb"), kernel("two.ipynb")
    first.run(ask("first"), metadata={"cellId": "vscode-notebook-cell:/x#1"})
    second.run(ask("second"), metadata={"cellId": "vscode-notebook-cell:/y#1"})
    again = kernel("one.ipynb")
    assert "1 turn restored" in again.run("%qf resume").plain
    assert "first" in again.run("%qf show 1").plain
    other = kernel("three.ipynb")
    error = other.run("%qf resume").error[1]
    assert "No earlier session of this notebook" in error
    assert "one.ipynb, two.ipynb" in error
    assert "1 turn restored" in other.run("%qf resume two").plain
    assert "second" in other.run("%qf show 1").plain
    unnamed = served().kernel
    unnamed.run(ask("x"))
    assert "one.ipynb, two.ipynb" in unnamed.run("%qf resume").error[1]
    assert "No single notebook 'four'" in unnamed.run("%qf resume four").error[1]


def test_resumed_turns_of_cells_that_are_gone_leave(served, tmp_path):
    environ = {"JPY_SESSION_NAME": str(tmp_path / "talk.ipynb")}
    page = served("a", "b", "c", **environ)
    for cell in "ab":
        page.run(cell)
    again = served("b", "c", **environ)
    again.kernel.run("%qf resume")
    sent, shown = again.run("c")
    assert sent == [["b", "c"]]
    assert "turn 1 left out" in shown


def test_colab_cell_is_known(served):
    page = served()
    for cell, prompt in [("A", "a"), ("B", "b"), ("A", "a again"), ("B", "b again")]:
        page.kernel.run(ask(prompt), metadata={"colab": {"cell_id": cell}, "another": 1})
    assert page.questions() == [["a"], ["a", "b"], ["a again"], ["a again", "b again"]]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, CellMetadata()),
        ({"cellId": 3, "deletedCells": []}, CellMetadata()),
        ({"cellId": "a", "deletedCells": ["b", 3]}, CellMetadata("a", ("b",), lab=True)),
        ({"cellId": "a"}, CellMetadata("a", outside=True)),
        ({"cellId": "vscode-notebook-cell:/x.ipynb#W1"}, CellMetadata("vscode-notebook-cell:/x.ipynb#W1")),
        ({"colab": {"cell_id": "a"}}, CellMetadata("a")),
        ({"colab": {"cell_id": None}}, CellMetadata()),
        ({"colab": "a"}, CellMetadata()),
    ],
)
def test_metadata_of_each_front_end_is_read(metadata, expected):
    assert CellMetadata.of(metadata) == expected


def test_notebook_is_named_by_variable_or_address(tmp_path):
    path = tmp_path / "我的 talk.ipynb"
    metadata = {"cellId": f"vscode-notebook-cell:{str(path).replace('我的 ', '%E6%88%91%E7%9A%84%20')}#W1"}
    assert notebook_of({}, metadata) is None  # on another machine
    path.write_text("{}")
    assert notebook_of({}, metadata) == path
    assert notebook_of({"__vsc_ipynb_file__": "/x/y.ipynb"}, metadata).name == "y.ipynb"
    assert notebook_of({"__vsc_ipynb_file__": 3}, {}) is None
    assert notebook_of({}, {"cellId": "vscode-notebook-cell:/c%3A/Users/x.ipynb#W1"}) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"cells": [], "texts": []},
        {"cells": ["a"], "texts": []},
        {"cells": ["a"], "texts": [1]},
        {"cells": [1], "texts": [None]},
        {"cells": "a", "texts": "a"},
    ],
)
def test_channel_ignores_what_is_not_a_report(data):
    channel = PageChannel()
    channel.receive(None, {"content": {"data": data}})
    assert channel.newest is None


@pytest.mark.parametrize("at", [-1, 1, "0", True, None])
def test_channel_takes_report_without_valid_cell_as_change(at):
    channel = PageChannel()
    channel.receive(None, {"content": {"data": {"cells": ["a"], "texts": ["1"], "at": at}}})
    assert channel.newest.cells == ("a",)
    assert channel.take("a", "1") is None


def test_channel_keeps_bounded_number_of_reports():
    channel = PageChannel()
    cells = [f"c{number}" for number in range(MAX_REPORTS + 1)]
    for at in range(len(cells)):
        channel.receive(None, {"content": {"data": {"cells": cells[: at + 1], "texts": ["1"] * (at + 1), "at": at}}})
    assert channel.take("c0", "1") is None
    assert channel.take("c1", "1").name == "c1"


@pytest.mark.parametrize(
    ("source", "ours"),
    [
        ("%%qianfan\nhi", True),
        ("x = 1\n%qianfan hi", True),
        ("a, b = %qianfan hi", True),
        ("  %qf history", True),
        ("%%qfx", False),
        ("%qianfan.x", False),
        ("print('%qianfan')", False),
        ("%qianfan？", True),
        ("", False),
    ],
)
def test_text_of_is_for_cells_with_magic_of_ours(source, ours):
    assert (text_of(source) is not None) is ours


def test_harness_takes_order_of_cells():
    with NotebookHarness() as notebook:
        for cell in "abc":
            notebook.run(ask(cell), cell)
        notebook.run(ask("b"), "b", order="cab")
        assert [message["content"] for message in notebook.bodies[-1]["messages"][::2]] == ["c", "a", "b"]
        notebook.run(ask("a"), "a", order="ac")
        assert len(notebook.bodies[-1]["messages"]) == 1
        assert "left out" in notebook.last.text


def test_reload_of_extension_goes_on_listening(served):
    page = served("a", "b")
    page.run("a")
    page.kernel.run("%reload_ext qfmagic")
    page.cells.reverse()
    assert page.run("b")[0] == [["b"]]
    page.kernel.run("%unload_ext qfmagic")
    assert page.kernel.value("'qfmagic' in get_ipython().kernel.comm_manager.targets") == "False"
