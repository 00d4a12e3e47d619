"""The conversation is what the notebook shows: whatever was run, a final Run All sends what a fresh kernel sends."""

import copy
import hashlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qfmagic.core.answer import Answer, Delta
from qfmagic.core.errors import InputError, QianfanError, UnavailableError
from qfmagic.core.page_order import PageOrder, fingerprint
from qfmagic.notebook.ask.question import prepare
from qfmagic.notebook.ask.sending import failed
from qfmagic.notebook.ask.single import run
from qfmagic.notebook.conversation.cell_order import RunningCell
from qfmagic.notebook.output.views import View
from qfmagic.notebook.session.session import Session


class Service:
    """A client whose answers follow from what is sent, and which notes it."""

    def __init__(self):
        self.sent = []
        self.outcome = "answered"

    def send(self, plan, call, *, slot=None):
        messages = [message.content for message in plan.context.messages]
        self.sent.append(messages)
        text = "answer " + hashlib.sha256("\0".join(messages).encode()).hexdigest()[:6]
        return Played(text, self.outcome)


class Played:
    def __init__(self, text, outcome):
        self.outcome, self.pieces = outcome, [text[:4], text[4:]]
        finish = "stop" if outcome == "answered" else "interrupted"
        self.answer = Answer(text if outcome == "answered" else text[:4], finish_reason=finish)

    def drain(self, _):
        if len(self.pieces) == 1 and self.outcome == "interrupted":
            raise KeyboardInterrupt
        if self.outcome == "failed":
            raise UnavailableError(code=1)
        return [Delta(self.pieces.pop(0))] if self.pieces else None

    def stop(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Notebook:
    """Cells with questions, and a kernel that runs them."""

    def __init__(self, *, knows_order):
        self.cells = []
        self.questions = {}
        self.deleted = []
        self.edited = []
        self.knows_order = knows_order
        self.start()

    def start(self):
        self.session = Session({"QFMAGIC_JOURNAL": "false"})
        self.service = Service()
        self.session.client = lambda: self.service

    def text(self, cell):
        """What the cell says, as a page reports it; None for one that asks nothing."""
        return fingerprint(repr(self.questions[cell])) if self.questions[cell] else None

    def running(self, cell):
        page = PageOrder.of((one, self.text(one)) for one in self.cells) if self.knows_order else None
        return RunningCell(cell, self.text(cell), tuple(self.deleted), page)

    def run(self, cell, outcome="answered"):
        """Run a cell; the outcome is that of its last question. An error or an interrupt ends it."""
        chats = self.session.chats
        chats.begin_cell(self.running(cell))
        self.deleted = []
        questions = self.questions[cell]
        try:
            for number, (prompt, options, flags) in enumerate(questions):
                self.service.outcome = outcome if number == len(questions) - 1 else "answered"
                if outcome == "refused" and number == len(questions) - 1:
                    failed(self.session, chat=options.get("chat"))
                    raise InputError("prompt.empty")
                ask = prepare(self.session, prompt, {"model": "ernie-5.1", **options}, frozenset(flags))
                self.edited = [turn.cell for turn in chats.edited(ask.slot, ask.sent)]
                run(self.session, ask, lambda _: View(), lambda *_: None)
        except (QianfanError, KeyboardInterrupt):
            pass
        chats.end_cell()

    def run_all(self):
        """Run All; return what was sent."""
        self.service.sent = []
        for cell in self.cells:
            self.run(cell)
        return self.service.sent

    @property
    def stale(self):
        return any(conversation.stale for conversation in self.session.chats.conversations.values())


QUESTION = st.tuples(
    st.sampled_from("abcde"),
    st.sampled_from([{}, {}, {}, {"context": "none"}, {"context": 1}, {"chat": "other"}]),
    st.sampled_from([(), (), (), ("once",), ("new",)]),
)
QUESTIONS = st.lists(QUESTION, min_size=1, max_size=2)
OUTCOME = st.sampled_from(["answered", "answered", "answered", "failed", "interrupted", "refused"])


class KnownOrder(RuleBasedStateMachine):
    """With the document's order known, cells may be run in any order, and new ones come anywhere."""

    knows_order = True

    @initialize(questions=st.lists(QUESTIONS, min_size=1, max_size=4))
    def open(self, questions):
        self.notebook = Notebook(knows_order=self.knows_order)
        self.ran = set()
        self.count = 0
        for one in questions:
            self.insert(1.0, one)

    @rule(where=st.floats(0, 1), questions=QUESTIONS)
    def insert(self, where, questions):
        cells = self.notebook.cells
        self.count += 1
        cell = f"cell-{self.count}"
        cells.insert(self.position(where), cell)
        self.notebook.questions[cell] = questions

    def position(self, where):
        return round(where * len(self.notebook.cells))

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99), outcome=OUTCOME)
    def run(self, which, outcome):
        cell = self.runnable()[which % len(self.runnable())]
        self.ran.add(cell)
        self.notebook.run(cell, outcome)

    def runnable(self):
        return self.notebook.cells

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99), questions=st.lists(QUESTION, max_size=2))
    def edit(self, which, questions):
        self.notebook.questions[self.notebook.cells[which % len(self.notebook.cells)]] = questions

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99))
    def delete(self, which):
        self.notebook.deleted.append(self.notebook.cells.pop(which % len(self.notebook.cells)))

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99))
    def cut_and_paste(self, which):
        """JupyterLab reports the cell as deleted, and it is there with its id."""
        self.notebook.deleted.append(self.notebook.cells[which % len(self.notebook.cells)])

    @precondition(lambda self: self.notebook.cells and self.knows_order)
    @rule(which=st.integers(0, 99), where=st.floats(0, 1))
    def move(self, which, where):
        cell = self.notebook.cells.pop(which % len(self.notebook.cells))
        self.notebook.cells.insert(self.position(where), cell)

    @precondition(lambda self: self.notebook.deleted and self.knows_order)
    @rule(where=st.floats(0, 1))
    def undo_delete(self, where):
        """A deleted cell is back, above or below where it was; the page still reports it as deleted."""
        cell = self.notebook.deleted[-1]
        if cell not in self.notebook.cells:
            self.notebook.cells.insert(self.position(where), cell)

    @invariant()
    def run_all_sends_what_a_fresh_kernel_sends(self):
        if not getattr(self, "notebook", None) or self.notebook.stale:
            return
        lived, fresh = copy.copy(self.notebook), copy.copy(self.notebook)
        lived.session = Session({"QFMAGIC_JOURNAL": "false"})
        lived.session.client = lambda: self.notebook.service
        lived.session.chats = copy.deepcopy(self.notebook.session.chats)
        fresh.deleted = []
        fresh.start()
        kept, self.notebook.service.sent = self.notebook.service.sent, []
        self.notebook.service.outcome = "answered"
        assert lived.run_all() == fresh.run_all()
        self.notebook.service.sent = kept


class Page(RuleBasedStateMachine):
    """
    What is sent with a question is exactly what the page shows above it, whatever was done to the page before.

    The model: each cell remembers the text it last ran and what came back. That is what a user sees.
    """

    def __init__(self):
        super().__init__()
        self.notebook = Notebook(knows_order=True)
        self.shown = {}  # cell: (questions as answered, [question, answer])
        self.deleted = []
        self.count = 0

    def position(self, where):
        return round(where * len(self.notebook.cells))

    def pick(self, which):
        return self.notebook.cells[which % len(self.notebook.cells)]

    @initialize(prompts=st.lists(st.sampled_from("abcde"), min_size=2, max_size=5))
    def open(self, prompts):
        for prompt in prompts:
            self.insert(1.0, prompt)
        for cell in list(self.notebook.cells):
            self.ask(cell, "answered")

    @rule(where=st.floats(0, 1), prompt=st.sampled_from("abcde"))
    def insert(self, where, prompt):
        self.count += 1
        cell = f"cell-{self.count}"
        self.notebook.cells.insert(self.position(where), cell)
        self.notebook.questions[cell] = [(prompt, {}, ())]

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99), outcome=OUTCOME)
    def run(self, which, outcome):
        self.ask(self.pick(which), outcome)

    def ask(self, cell, outcome):
        """Run a cell; what was sent is what the cells above it show, and the edited ones are named."""
        notebook = self.notebook
        above = notebook.cells[: notebook.cells.index(cell)]
        seen = [one for one in above if self.shown.get(one)]
        notebook.service.sent, notebook.edited = [], []
        notebook.run(cell, outcome)
        self.shown.pop(cell, None)
        if not notebook.questions[cell]:
            return
        (prompt, _, _) = notebook.questions[cell][0]
        if outcome != "refused":
            expected = [text for one in seen for text in self.shown[one][1]]
            assert notebook.service.sent == [[*expected, prompt]]
            assert notebook.edited == [one for one in seen if self.shown[one][0] != notebook.questions[one]]
        if outcome == "answered":
            turn = next(turn for turn in notebook.session.chats.get("main").turns if turn.cell == cell)
            self.shown[cell] = (list(notebook.questions[cell]), (prompt, turn.answer.text))

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99), prompt=st.sampled_from(["a", "b", ""]))
    def edit(self, which, prompt):
        self.notebook.questions[self.pick(which)] = [(prompt, {}, ())] if prompt else []

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99), where=st.floats(0, 1))
    def move(self, which, where):
        cell = self.pick(which)
        self.notebook.cells.remove(cell)
        self.notebook.cells.insert(self.position(where), cell)

    @precondition(lambda self: self.notebook.cells)
    @rule(which=st.integers(0, 99))
    def delete(self, which):
        cell = self.pick(which)
        self.notebook.cells.remove(cell)
        self.notebook.deleted.append(cell)
        self.deleted.append(cell)

    @precondition(lambda self: self.deleted)
    @rule(where=st.floats(0, 1))
    def undo_delete(self, where):
        """The page may still report it as deleted, as it does of what is cut and pasted."""
        self.notebook.cells.insert(self.position(where), self.deleted.pop())

    @precondition(lambda self: self.notebook.cells)
    @rule()
    def run_all(self):
        for cell in list(self.notebook.cells):
            self.ask(cell, "answered")


class UnknownOrder(KnownOrder):
    """Without it, a cell is first run behind those above it, as a notebook grows; then anything goes."""

    knows_order = False

    def position(self, where):
        return len(self.notebook.cells)

    def runnable(self):
        cells = self.notebook.cells
        first = next((index for index, cell in enumerate(cells) if cell not in self.ran), len(cells))
        return cells[: first + 1]

    @precondition(lambda self: all(cell in self.ran for cell in self.notebook.cells) and self.notebook.cells)
    @rule(which=st.integers(0, 99), questions=st.lists(QUESTION, max_size=2))
    def edit(self, which, questions):
        self.notebook.questions[self.notebook.cells[which % len(self.notebook.cells)]] = questions


RUNS = settings(max_examples=settings.default.max_examples // 4, stateful_step_count=20, deadline=None)
KnownOrder.TestCase.settings = RUNS
UnknownOrder.TestCase.settings = RUNS
Page.TestCase.settings = RUNS
TestKnownOrder = pytest.mark.timeout(600)(KnownOrder.TestCase)
TestUnknownOrder = pytest.mark.timeout(600)(UnknownOrder.TestCase)
TestPage = pytest.mark.timeout(600)(Page.TestCase)
