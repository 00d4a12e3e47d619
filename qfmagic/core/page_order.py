"""The order of a page's cells, and a conversation in that order."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from zlib import crc32

from .conversation import Conversation, Turn

_HALVES = re.compile("[\ud800-\udfff]")


def fingerprint(text: str) -> str:
    """
    The fingerprint of a cell's text, which a page can compute too: CRC-32 of its UTF-8, 8 hex digits.

    >>> fingerprint("%qianfan 你好")
    '5f9fef09'
    """
    # A page encodes half of a surrogate pair as U+FFFD.
    return f"{crc32(_HALVES.sub(chr(0xFFFD), text).encode()):08x}"


@dataclass(frozen=True, slots=True)
class PageOrder:
    """
    The code cells of a page, from top to bottom.

    Attributes:
        cells: Their IDs, each once.
        texts: The fingerprint of the text of each cell that has a magic of ours, by ID.
        ranks: The index of each cell.
    """

    cells: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", {cell: rank for rank, cell in enumerate(self.cells)})

    def __contains__(self, cell: object) -> bool:
        return cell in self.ranks

    @classmethod
    def of(cls, cells: Iterable[tuple[str, str | None]]) -> "PageOrder":
        """
        Build from IDs and fingerprints (None for a cell without a magic of ours).

        A repeated ID (in a notebook that was merged by hand) gets a number.

        >>> PageOrder.of([("a", None), ("a", "12345678")])
        PageOrder(cells=('a', 'a#2'), texts={'a#2': '12345678'})
        """
        found = list(cells)
        names = tuple(_each_once(cell for cell, _ in found))
        return cls(names, {name: text for name, (_, text) in zip(names, found, strict=True) if text is not None})

    def edited(self, turn: Turn) -> bool:
        """Whether the text of the turn's cell has changed since its answer, as far as both texts are known."""
        cell = turn.cell
        return cell is not None and cell in self and turn.text is not None and self.texts.get(cell) != turn.text


def _each_once(names: Iterable[str]) -> Iterator[str]:
    count: dict[str, int] = {}
    for name in names:
        count[name] = count.get(name, 0) + 1
        yield name if count[name] == 1 else f"{name}#{count[name]}"


def arranged(conversation: Conversation, page: PageOrder, outside: Collection[str] = ()) -> Conversation:
    """
    Return the conversation in the order of the page; the same value where nothing changes.

    A turn whose cell was deleted is back once the page has the cell again. A turn without a cell on the page (imported,
    or restored by command) stays after the turn it follows. The turns of cells *outside* any page of this order (a
    console, another notebook of the same kernel) come last: they are never history of a cell of the page.
    """
    turns = [_back(turn, page) for turn in conversation.turns]
    keys: list[tuple[bool, int]] = []
    rank = -1
    for turn in turns:
        beyond = turn.cell in outside and turn.cell not in page
        if not beyond:
            rank = rank if turn.cell is None else page.ranks.get(turn.cell, rank)
        keys.append((beyond, 0 if beyond else rank))
    found = tuple(turns[index] for index in sorted(range(len(turns)), key=keys.__getitem__))
    unchanged = all(new is old for new, old in zip(found, conversation.turns, strict=True))
    return conversation if unchanged else Conversation(conversation.name, found)


def _back(turn: Turn, page: PageOrder) -> Turn:
    return replace(turn, removed=None) if turn.removed == "deleted" and turn.cell in page else turn
