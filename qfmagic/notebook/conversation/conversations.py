"""The notebook's conversations: which turn a cell's question is, and what becomes of the others."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from ...core.answer import Answer
from ...core.context import Exchange
from ...core.conversation import Conversation, Removal, Turn, TurnState, chain_of
from ...core.errors import OptionError


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
        order: The ids of the document's cells in their order, as far as they are known; asked when a cell is new.
            Where it doesn't know the cell, ``seen`` counts: the cells in the order in which they were first run.
        recorder: Keeps the turns; None keeps them nowhere.
    """

    def __init__(self, order: Callable[[], Sequence[str]] = tuple, recorder: Recorder | None = None) -> None:
        self.order = order
        self.recorder = recorder
        self.count: Callable[[], int | None] = lambda: None  # the number the front end shows beside the cell that runs
        self.conversations: dict[str, Conversation] = {}
        self._cell: str | None = None
        self.seen: dict[str, None] = {}
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
        return self._cell

    @property
    def label(self) -> str:
        """The cell that runs, as the front end shows it: ``In 3``; nothing where that isn't known."""
        count = self.count()
        return "" if count is None else f"In {count}"

    def begin_cell(self, cell: str | None, deleted: Iterable[str] = ()) -> None:
        """A cell is about to run; the front end names it, and those deleted since the last run."""
        self._cell, self._asked = cell, {}
        if cell is not None:
            self.seen.setdefault(cell)
        for one in set(deleted) - {cell}:
            for name in list(self.conversations):
                self._leave_out(name, self.of_cell(name, one), "deleted")

    def end_cell(self) -> None:
        """The cell has run: what it asked before and no longer does is no longer in the notebook."""
        cell, asked = self._cell, self._asked
        self._cell, self._asked = None, {}
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
        place = self._asked.get(chat, 0)
        conversation = self.get(chat)
        own = self.of_cell(chat, self._cell) if self._cell is not None else []
        index = next((index for index in own if conversation.turns[index].place == place), None)
        if index is not None:
            return TurnSlot(chat, self._cell, place, index, over=True)
        if own:
            return TurnSlot(chat, self._cell, place, own[-1] + 1, over=False)
        return TurnSlot(chat, self._cell, place, self._place(conversation), over=False)

    def _place(self, conversation: Conversation) -> int:
        """Where a cell's first turn belongs: by the document's order, else by that in which cells were first run."""
        if self._cell is None or not conversation.turns:
            return len(conversation.turns)
        order = self.order()
        return conversation.place_for(self._cell, order if self._cell in order else tuple(self.seen))

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
        return Turn(prompt, answer, state, slot.cell, slot.place, window, parent, fresh, count=self.count())

    def record(self, slot: TurnSlot, turn: Turn) -> None:
        """Let the turn join its conversation, and do what the service asks for."""
        if slot.cell == self._cell:  # a turn may be asked again from another cell
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
