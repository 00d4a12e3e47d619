"""
Whether the document's order is that in which its answers came about, and each answer's history is what it shows.

An answer names the turns that went along with it by their hashes, each of which covers those before it. Here they are
looked up among the answers above: one that isn't there was changed, taken out, or moved.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..cell_calls import AGAIN, CellCall, editing_commands
from ..notebook import Cell, Provenance
from ..report import AuditFinding


class SavedTurn(NamedTuple):
    """An answer that joined a conversation, in its cell; ``at`` is its index among them, in the document's order."""

    cell: Cell
    asked: CellCall
    given: Provenance
    at: int


class DocumentTurns(NamedTuple):
    """
    The document's turns, and what stands between them that can't be followed.

    Attributes:
        turns: All turns of all conversations.
        edits: The numbers of the cells that edit a conversation by command.
        quiet: For each cell number with questions that leave no output, how many.
        brought: The number of the first cell that brings turns from elsewhere.
        opaque: The numbers of cells that may ask without a trace: in another magic, a branch, a loop, a call.
    """

    turns: tuple[SavedTurn, ...]
    edits: tuple[int, ...]
    quiet: tuple[tuple[int, int], ...]
    brought: float
    opaque: tuple[int, ...] = ()

    @classmethod
    def of(cls, cells: Sequence[tuple[Cell, CellCall]]) -> "DocumentTurns":
        """Find them."""
        found = [(cell, asked, given) for cell, asked in cells for _, given in cell.answers if given.chat is not None]
        ran = [(cell, asked) for cell, asked in cells if cell.ran is not None]
        return cls(
            tuple(SavedTurn(*one, at) for at, one in enumerate(found)),
            tuple(cell.number for cell, asked in cells if asked.commands & editing_commands()),
            tuple((cell.number, asked.quiet) for cell, asked in ran if asked.quiet),
            min((cell.number for cell, asked in cells if "import" in asked.commands), default=float("inf")),
            tuple(cell.number for cell, asked in ran if asked.opaque),
        )

    def edited(self, first: SavedTurn, last: SavedTurn) -> bool:
        """Whether a conversation was edited by command between two turns."""
        return any(first.cell.number <= number <= last.cell.number for number in self.edits)

    def unseen(self, turn: SavedTurn) -> float:
        """How many turns above one may be there that can't be recognised: without an output, or by an old version."""
        if self.brought <= turn.cell.number:
            return float("inf")
        old = sum(above.given.hash is None for above in self.turns[: turn.at])
        return old + sum(count for number, count in self.quiet if number <= turn.cell.number)


def check_chain(cells: Sequence[tuple[Cell, CellCall]]) -> Iterator[AuditFinding]:
    """What is wrong with the order and the history of the answers."""
    yield from _counts([cell for cell, _ in cells])
    page = DocumentTurns.of(cells)
    yield from _numbers(page)
    above = _Above(page)
    for turn in page.turns:
        yield from above.check(turn)
        above.add(turn)


def _finding(at: SavedTurn, key: str, **values: object) -> AuditFinding:
    return AuditFinding(key, at.cell.number, at.cell.ran, values)


def _counts(cells: Sequence[Cell]) -> Iterator[AuditFinding]:
    """Cells that were run before the one above them."""
    before: Cell | None = None
    for cell in cells:
        if cell.ran is None or not (any(cell.answers) or any(cell.batches)):
            continue
        if before is not None and before.ran is not None and cell.ran <= before.ran:
            yield AuditFinding("audit.order.counts", cell.number, cell.ran, {"above": before.number})
        before = cell


def _numbers(page: DocumentTurns) -> Iterator[AuditFinding]:
    """Turns that stand below later ones."""
    before: dict[str | None, SavedTurn] = {}
    for turn in page.turns:
        if turn.given.turn is None or turn.asked.commands & AGAIN:  # a turn asked again stands where it likes
            continue
        last = before.get(turn.given.chat)
        if last is not None and turn.given.turn < (last.given.turn or 0) and not page.edited(last, turn):
            yield _finding(turn, "audit.order.turns", turn=turn.given.turn, above=last.given.turn)
        before[turn.given.chat] = turn


class _Above:
    """The turns above the one that is looked at: by hash, the newest of each number, and each conversation's."""

    def __init__(self, page: DocumentTurns) -> None:
        self._page = page
        self._all = {turn.given.hash: turn for turn in page.turns if turn.given.hash}
        self._known: dict[str, SavedTurn] = {}
        self._newest: dict[tuple[str | None, int | None], SavedTurn] = {}
        self._chats: dict[str | None, list[SavedTurn]] = {}

    def add(self, turn: SavedTurn) -> None:
        """The next one is looked at."""
        given = turn.given
        self._chats.setdefault(given.chat, []).append(turn)
        if given.hash:
            self._known[given.hash] = turn
            self._newest[given.chat, given.turn] = turn

    def check(self, turn: SavedTurn) -> Iterator[AuditFinding]:
        """Whether what went along with a turn is what stands above it."""
        lost = [parent for parent in turn.given.parents if parent not in self._known]
        moved = [self._all[parent] for parent in lost if parent in self._all and self._all[parent].at > turn.at]
        if moved:
            yield _finding(turn, "audit.order.below", below=moved[0].cell.number)
        gone = len(lost) - len(moved)
        if gone and gone > self._page.unseen(turn):
            opaque = [number for number in self._page.opaque if number < turn.cell.number]
            key = "audit.unfollowed" if opaque else "audit.stale"
            yield _finding(turn, key, count=gone, cells=opaque)
            return
        again = next(filter(self._asked_again(turn), turn.given.parents), None)
        if again is not None:
            yield _finding(turn, "audit.stale.again", turn=self._known[again].given.turn)
            return
        yield from self._between(turn)

    def _asked_again(self, turn: SavedTurn) -> Callable[[str], bool]:
        """Tells of a hash whether it is that of a turn which has a newer answer, by command, above this one."""

        def tell(parent: str) -> bool:
            old = self._known.get(parent)
            if old is None:
                return False
            new = self._newest[old.given.chat, old.given.turn]
            return new.at > old.at and bool(new.asked.commands & AGAIN) and not self._page.edited(old, turn)

        return tell

    def _between(self, turn: SavedTurn) -> Iterator[AuditFinding]:
        """Whether a turn above it was asked after it, and so didn't go along."""
        given = turn.given
        alone = not given.sent and given.available
        if not given.hash or turn.cell.ran is None or alone or any("new" in one for one in turn.asked.questions):
            return
        for above in reversed(self._chats.get(given.chat, ())):
            later = above.cell.ran is not None and above.cell.ran > turn.cell.ran
            moved = (above.given.turn or 0) > (given.turn or 0)  # that is a matter of order
            if not later or moved or above.given.incomplete or above.given.hash in given.parents:
                continue
            if not self._page.edited(above, turn):
                yield _finding(turn, "audit.stale.between", above=above.cell.number)
                return
