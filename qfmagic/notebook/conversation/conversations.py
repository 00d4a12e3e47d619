"""The notebook's conversations: which turn a cell's question is, and what becomes of the others."""

import time
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

from ...core.answer import Answer
from ...core.context import Exchange
from ...core.conversation import Conversation, Removal, Turn, TurnState, chain_of
from ...core.errors import OptionError
from ...core.page_order import PageOrder, arranged
from .cell_order import RunningCell, SavedPage
from .documents import Documents


class Recorder(Protocol):
    """Where turns are kept beyond the kernel's life."""

    def save(self, before: Conversation, after: Conversation) -> None:
        """Keep what changed."""
        ...


class TurnSlot(NamedTuple):
    """
    The place of a question in its conversation.

    ``at`` is the turn's index there; ``over`` tells whether a turn of the same cell stands there already. Without a
    cell's id a question is always new.
    """

    chat: str
    cell: str | None
    place: int
    at: int
    over: bool


class Conversations:
    """
    All conversations of a notebook.

    Args:
        saved: The notebook's page as it was last saved; asked where the page doesn't report its order.
        recorder: Keeps the turns; None keeps them nowhere.
        now: Seconds since 1970.

    Attributes:
        page: The order of the page for the cell that runs; None where it is unknown. Then ``seen`` counts: the cells in
            the order in which they were first run.
        reported: Whether the page itself reported that order.
        said_order: Whether the user was told that it doesn't.
    """

    def __init__(
        self,
        saved: Callable[[], SavedPage | None] = lambda: None,
        recorder: Recorder | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.saved = saved
        self.recorder = recorder
        self.now = now
        self.count: Callable[[], int | None] = lambda: None  # the number the front end shows beside the cell that runs
        self.conversations: dict[str, Conversation] = {}
        self.page: PageOrder | None = None
        self.reported = self.said_order = False
        self.seen: dict[str, None] = {}
        self._running = RunningCell()
        self._documents = Documents()
        self._asked: dict[str, int] = {}
        self._recent: dict[str, list[int]] = {}
        self._left_out: dict[str, list[int]] = {}
        self._cells: dict[str, tuple[Conversation, dict[str | None, list[int]]]] = {}

    def get(self, name: str) -> Conversation:
        """The conversation of that name, empty if there is none yet."""
        return self.conversations.get(name) or Conversation(name)

    def put(self, conversation: Conversation) -> None:
        """Take a new value of a conversation over."""
        before = self.get(conversation.name)
        self.conversations[conversation.name] = conversation
        if self.recorder is not None:
            self.recorder.save(before, conversation)

    def of_cell(self, name: str, cell: str) -> list[int]:
        """The indices of a cell's turns; looked up, since it is asked with every cell that runs."""
        conversation = self.get(name)
        kept, indices = self._cells.get(name, (None, {}))
        if kept is None or kept is not conversation:
            old = kept.turns if kept is not None else ()
            if conversation.turns[: len(old)] == old and len(old) <= len(conversation.turns):
                start = len(old)  # only new turns behind the old ones
            else:
                start, indices = 0, {}
            for index in range(start, len(conversation.turns)):
                indices.setdefault(conversation.turns[index].cell, []).append(index)
            self._cells[name] = conversation, indices
        return indices.get(cell, [])

    # ---- cells

    @property
    def cell(self) -> str | None:
        """The id of the cell that runs, where the front end names it."""
        return self._running.id

    @property
    def label(self) -> str:
        """The cell that runs, as the front end shows it: ``In 3``; nothing where that isn't known."""
        count = self.count()
        return "" if count is None else f"In {count}"

    @property
    def paged(self) -> bool:
        """Whether the cell that runs is one of a page, as far as the front end tells."""
        return self.cell is not None and not self._running.outside

    @property
    def lab(self) -> bool:
        """Whether that page is JupyterLab or Notebook 7, which can report its order."""
        return self._running.lab

    def begin_cell(self, running: RunningCell) -> None:
        """A cell is about to run: every conversation is brought into the order of the page, as far as it is known."""
        self._running, self._asked = running, {}
        self._documents = self._documents.begin(running, self.now())
        self.reported = running.page is not None and running.id in running.page
        self.page = running.page if self.reported else None
        saved = None
        if running.id is not None and not running.outside:
            self.seen.setdefault(running.id)
            if running.page is None:  # a page without the running cell is not this one
                self._delete(set(running.deleted) - {running.id})
                saved = self.saved()
                self.page = self._documents.saved(saved, running.id)
        if self.page is not None:
            self._documents, deleted = self._documents.show(self.page, saved and self._documents.saved_since(saved))
            self._delete(deleted)
            self._arrange(self.page)

    def _arrange(self, page: PageOrder) -> None:
        for name in list(self.conversations):
            conversation = self.get(name)
            found = arranged(conversation, page, self._documents.outside)
            if found is not conversation:
                self.put(found)

    def _delete(self, cells: Iterable[str]) -> None:
        for cell in cells:
            for name in list(self.conversations):
                self._leave_out(name, self.of_cell(name, cell), "deleted")

    def belongs(self, turns: Iterable[Turn]) -> None:
        """These turns are of this notebook, from an earlier kernel: those whose cells are not on the page leave."""
        self._documents = self._documents.with_loose(turn.cell for turn in turns)

    def stale(self, name: str) -> list[int]:
        """The indices of the turns whose history differs from the turns above; turns of consoles are not counted."""
        conversation, outside = self.get(name), self._documents.outside
        return [index for index in sorted(conversation.stale) if conversation.turns[index].cell not in outside]

    def take_unknown_order(self, sent: int) -> Literal["saved", "seen"] | None:
        """The source of the cells' order, once, if earlier turns were sent and the page doesn't report the order."""
        if self.said_order or self.reported or not sent or not self.paged:
            return None
        self.said_order = True
        return "seen" if self.page is None and self.saved() is None else "saved"

    def edited(self, slot: TurnSlot, sent: int) -> list[Turn]:
        """Of the *sent* turns that are sent with a prompt, those whose cell's text has changed since."""
        if self.page is None or not sent:
            return []
        along = [turn for turn in self.get(slot.chat).turns[: slot.at] if turn.in_history][-sent:]
        return [turn for turn in along if self.page.edited(turn)]

    def end_cell(self) -> None:
        """The cell has run: what it asked before and no longer does is no longer in the notebook."""
        cell, asked = self.cell, self._asked
        self._running, self._asked = RunningCell(), {}
        if cell is None:
            return
        for name in list(self.conversations):
            turns = self.get(name).turns
            left = [index for index in self.of_cell(name, cell) if turns[index].place >= asked.get(name, 0)]
            self._leave_out(name, left, "gone")

    def _leave_out(self, name: str, indices: Iterable[int], why: Removal) -> None:
        conversation = self.get(name)
        for index in indices:
            turn = conversation.turns[index]
            if turn.removed is None:
                if turn.in_history:
                    self._left_out.setdefault(name, []).append(turn.id)
                conversation = conversation.mark(index, why)
        if conversation is not self.get(name):
            self.put(conversation)

    def take_left_out(self, chat: str) -> list[int]:
        """The numbers of the turns left out since this was last asked, that still are; told once."""
        ids = self._left_out.pop(chat, [])
        if not ids:
            return []
        return [number for number, turn in enumerate(self.get(chat).turns, 1) if turn.id in ids and turn.removed]

    # ---- questions

    def slot(self, chat: str) -> TurnSlot:
        """Where the next question of the running cell belongs in *chat*."""
        place, cell = self._asked.get(chat, 0), self.cell
        conversation = self.get(chat)
        own = self.of_cell(chat, cell) if cell is not None else []
        index = next((index for index in own if conversation.turns[index].place == place), None)
        if index is not None:
            return TurnSlot(chat, cell, place, index, over=True)
        if own:
            return TurnSlot(chat, cell, place, own[-1] + 1, over=False)
        return TurnSlot(chat, cell, place, self._place(conversation), over=False)

    def _place(self, conversation: Conversation) -> int:
        """Where a cell's first turn belongs: by the page's order, else by that in which cells were first run."""
        if self._running.outside:
            return len(conversation.turns)
        order = tuple(self.seen) if self.page is None else self.page.cells
        return conversation.place_for(self.cell, order, self._documents.outside)

    def skip(self, chat: str) -> None:
        """The running cell has looked at its question without asking it (``dry``): its turn stays."""
        self._asked[chat] = self._asked.get(chat, 0) + 1

    def history(self, slot: TurnSlot) -> tuple[Exchange, ...]:
        """What goes along with a question there, before any limit."""
        return self.get(slot.chat).before(slot.at)

    def turn(self, slot: TurnSlot, prompt: str, answer: Answer, state: TurnState, sent: int, *, fresh: bool) -> Turn:
        """The turn a question became; *sent* turns of history went along."""
        history = self.history(slot)
        parent = chain_of(history[len(history) - sent :])
        window = None if fresh or sent == len(history) else sent
        parent = None if fresh else parent
        own = slot.cell == self.cell  # a turn may be asked again from another cell
        text = self._running.text if own else self.get(slot.chat).turns[slot.at].text
        count = self.count()
        return Turn(prompt, answer, state, slot.cell, slot.place, window, parent, fresh, count=count, text=text)

    def record(self, slot: TurnSlot, turn: Turn) -> None:
        """Let the turn join its conversation, and do what the service asks for."""
        if slot.cell == self.cell:  # a turn may be asked again from another cell
            self._asked[slot.chat] = slot.place + 1
        conversation = self.get(slot.chat).put(turn, slot.at, over=slot.over)
        self._recent.setdefault(slot.chat, []).append(conversation.turns[slot.at].id)
        self.put(conversation.without_flagged(slot.at))

    # ---- editing

    def undo(self, chat: str) -> tuple[int, bool]:
        """
        Take the last question back: its earlier version returns, or it is left out.

        Returns:
            The turn's number, and whether an earlier version stands there now.

        Raises:
            OptionError: There is nothing to take back.
        """
        conversation = self.get(chat)
        recent = self._recent.get(chat, []) or [turn.id for turn in conversation.turns]
        while recent:
            last = recent.pop()
            index = next((i for i, turn in enumerate(conversation.turns) if turn.id == last), None)
            if index is not None and conversation.turns[index].removed is None:
                earlier = bool(conversation.turns[index].versions)
                self.put(conversation.restore(index) if earlier else conversation.mark(index, "undone"))
                self._recent[chat] = recent
                return index + 1, earlier
        raise OptionError("command.nothing_to_undo", name=chat)

    def set_aside(self, chat: str) -> str:
        """Start a conversation afresh; return the name the old one is kept under."""
        kept = next(
            name for n in range(1, len(self.conversations) + 2) if (name := f"{chat}~{n}") not in self.conversations
        )
        self.put(self.get(chat).fork(kept))
        self.put(Conversation(chat))
        self._recent.pop(chat, None)
        return kept
