"""Whatever is done to the page: what is sent is what it shows above the cell, in its order."""

import json

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply

MODEL = "model=yi_34b_chat stream=false"


def echo(request):
    """An answer that tells what it answers."""
    asked = json.loads(request.body)["messages"][-1]["content"]
    return Reply.of_json({"id": "x", "result": f"re: {asked}"})


def ask(prompt):
    return f"%%qianfan {MODEL}\n{prompt}"


# The page as a user sees it: of each cell its ID, its source and whether it shows an answer.
_CELLS = """() => window.qf.notebook.model.sharedModel.cells.map((cell) => ({
  id: cell.id, source: cell.source,
  answered: (cell.outputs ?? []).some((one) => one.metadata?.qfmagic?.state === "answered"),
}))"""


class Talk:
    """A notebook with a conversation, and what the service was sent."""

    def __init__(self, visit, server, *cells, **options):
        self.server = server
        self.answered = {}  # cell: the question it shows an answer to
        environ = {
            **server.environ,
            "QIANFAN_ACCESS_TOKEN": "t",
            "QFMAGIC_TRANSPORT": "live",
            "QFMAGIC_JOURNAL": "false",
        }
        setup = f"import os\nos.environ.update({environ!r})\n%load_ext qfmagic"
        self.page = visit("order.ipynb", setup, *cells, **options)

    @property
    def cells(self):
        return self.page.page.evaluate(_CELLS)

    def sent(self):
        """The messages of each request since this was last asked."""
        bodies = [json.loads(request.body) for request in self.server.requests if "chat" in request.path]
        self.server.requests.clear()
        return [[message["content"] for message in body["messages"]] for body in bodies]

    def shown(self, index):
        """The questions that the page shows answered above a cell, the cell's own, and the answers between them."""
        above = [self.answered[cell["id"]] for cell in self.cells[:index] if cell["answered"]]
        own = self.cells[index]["source"].split("\n", 1)[1]
        return [message for prompt in above for message in (prompt, f"re: {prompt}")] + [own]

    def run(self, *indices):
        """Run cells one after the other; each sends what the page shows above it."""
        for index in indices:
            expected = self.shown(index)
            self.page.run(index)
            assert self.sent() == [expected]
            cell = self.cells[index]
            self.answered[cell["id"]] = cell["source"].split("\n", 1)[1]

    def do(self, index, *commands):
        """Select a cell and execute commands of the notebook on it."""
        self.page.page.evaluate("index => window.qf.select(index)", index)
        for command in commands:
            self.page.command(f"notebook:{command}")

    def insert(self, index, prompt):
        """Insert a question below a cell."""
        self.do(index, "insert-cell-below")
        self.page.set_source(index + 1, ask(prompt))

    def notes(self, index):
        return self.page.output(index).inner_text()


@pytest.fixture
def server():
    with LoopbackServer(echo) as server:
        yield server


@pytest.fixture
def talk(visit, server):
    """A page with three answered questions, unsaved."""
    talk = Talk(visit, server, ask("a"), ask("b"), ask("c"))
    talk.page.run(0)
    talk.run(1, 2, 3)
    return talk


def test_inserted_moved_copied_and_pasted_cells_are_sent_where_they_are(talk):
    talk.insert(1, "between")
    talk.run(2)
    talk.do(4, "move-cell-up", "move-cell-up")
    talk.run(4)
    talk.do(2, "copy-cell")
    talk.do(4, "paste-cell-below")
    talk.run(5, 4)
    talk.do(1, "cut-cell")
    talk.do(4, "paste-cell-below")
    talk.run(4, 5, 3)
    assert "left out" not in talk.notes(4)


def test_deleted_cell_leaves_until_deletion_is_undone(talk):
    talk.do(2, "delete-cell")
    talk.run(2)
    assert "left out" in talk.notes(2)
    talk.do(2, "undo-cell-action")
    assert len(talk.cells) == 4
    talk.run(3)
    assert "left out" not in talk.notes(3)


def test_edited_cell_above_is_sent_as_answered_and_named(talk):
    talk.page.set_source(1, ask("a, edited"))
    talk.run(3)
    assert "cell [2] edited after it was answered: the older text was sent" in talk.notes(3)
    talk.run(1, 2, 3)
    assert "edited after" not in talk.notes(3)
    talk.do(2, "change-cell-to-markdown")
    talk.run(3)


def test_split_and_merged_cells_are_sent_as_shown(talk):
    page = talk.page.page
    talk.page.set_source(1, f"{ask('first')}\n{ask('second')}")
    talk.do(1)
    place = (
        "() => { const cell = window.qf.notebook.activeCell; cell.editor.setCursorPosition({ line: 2, column: 0 }); }"
    )
    page.evaluate(place)
    talk.page.command("notebook:split-cell-at-cursor")
    sources = [cell["source"] for cell in talk.cells]
    assert sources[1:3] == [ask("first"), ask("second")]
    talk.run(1, 2, 4)
    talk.do(1, "extend-marked-cells-below", "merge-cells")
    assert len(talk.cells) == 4
    talk.run(3)
    talk.page.set_source(1, ask("first and second"))
    talk.run(1, 3)


def test_run_all_sends_what_page_shows_also_after_restart(talk):
    page = talk.page.page
    talk.do(3, "move-cell-up", "move-cell-up")
    talk.insert(2, "new")
    run_all = [["c"], ["c", "re: c", "a"], ["c", "re: c", "a", "re: a", "new"]]
    run_all.append([*run_all[-1], "re: new", "b"])
    talk.page.command("notebook:run-all-cells")
    assert talk.sent() == run_all
    assert "stale" not in talk.notes(4)
    talk.page.begin_command("notebook:restart-run-all")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    talk.page.wait()
    assert talk.sent() == run_all
    talk.do(4, "move-cell-up")
    talk.answered = {cell["id"]: cell["source"].split("\n", 1)[1] for cell in talk.cells}
    talk.run(4, 3)
    assert "does not report" not in "".join(map(talk.notes, range(5)))
