"""
A conversation as a value: turns in the order of the notebook, and the history they make.

Nothing here changes in place, and nothing is ever destroyed: a turn that is replaced stays as an earlier version of
its successor, one that is taken out stays where it was, marked. The history is made of whole question-and-answer pairs
only, so every request built on it keeps the service's rule of alternating roles, whatever happened to the turns.

A turn knows by a hash what went along with it. Where that is no longer what stands before it, it is stale.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .answer import Answer
from .context import Exchange
from .safety import flagged_rounds

TurnState = Literal["answered", "interrupted", "failed"]
# Why a turn is left out: its cell was deleted, or no longer asks; the user dropped or undid it; the service flagged it.
Removal = Literal["deleted", "gone", "dropped", "undone", "flagged"]


@dataclass(frozen=True, slots=True)
class Turn:
    """
    A prompt and its answer.

    Attributes:
        prompt: The text that was sent.
        answer: The answer, whole or as far as it came; its ``request`` without the messages, but for a persona.
        state: ``answered``; or ``interrupted`` or ``failed``, and then not part of the history.
        cell: The id of the cell that asked, where the front end gives one.
        place: Which question of the cell it is, from 0.
        window: How many turns went along, where there were more than that; None: all there were.
        parent: The hash of what went along, None for nothing.
        fresh: Whether it started the conversation afresh: what stands before it is no history behind it.
        removed: Why it is left out, None if it isn't.
        versions: What stood here before, oldest first.
        id: The number of its slot in the conversation; kept through new versions and moves.
        count: The number the front end shows beside the cell that asked, ``In [n]``.
        text: The fingerprint of the text of the cell that asked, where that is known.
    """

    prompt: str
    answer: Answer
    state: TurnState = "answered"
    cell: str | None = None
    place: int = 0
    window: int | None = None
    parent: str | None = None
    fresh: bool = False
    removed: Removal | None = None
    versions: "tuple[Turn, ...]" = ()
    id: int = 0
    count: int | None = None
    text: str | None = None
    exchange: Exchange = field(init=False, repr=False, compare=False)
    in_history: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        answered = self.state == "answered" and self.removed is None and bool(self.answer.shown.strip())
        object.__setattr__(self, "exchange", Exchange.of(self.prompt, self.answer.text))
        object.__setattr__(self, "in_history", answered)

    @property
    def label(self) -> str:
        """The cell as the front end shows it; the same in every run of the notebook, unlike its id."""
        return "" if self.count is None else f"In {self.count}"

    @property
    def hash(self) -> str:
        """A fingerprint of question, answer and all that went along, 16 hex digits."""
        return chain(self.parent, self.exchange)


def chain(parent: str | None, exchange: Exchange) -> str:
    """The hash of a history that ends with *exchange* behind one with the hash *parent*."""
    text = "\0".join((parent or "", exchange.prompt, exchange.answer))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def chain_of(exchanges: Iterable[Exchange]) -> str | None:
    """The hash of a history; None for an empty one."""
    result: str | None = None
    for exchange in exchanges:
        result = chain(result, exchange)
    return result


@dataclass(frozen=True, slots=True)
class Conversation:
    """
    A named conversation. Turns are numbered from 1 where users see them, from 0 here.

    What follows from the turns is carried along, so that a new turn costs the same behind a thousand turns as behind
    ten: ``chains`` (the hash of the history up to each turn), ``stale`` (the indices of turns that something else went
    along with than stands before them now), ``history`` (what goes along with a question behind all turns, before any
    limit) and ``top`` (the largest id).

    >>> Conversation().add("hi", Answer("Hello!")).add("bye", Answer("Bye!")).history[0].answer
    'Hello!'
    """

    name: str = "main"
    turns: tuple[Turn, ...] = ()
    chains: tuple[str | None, ...] = field(default=(), repr=False, compare=False)
    stale: frozenset[int] = field(default=frozenset(), repr=False, compare=False)
    history: tuple[Exchange, ...] = field(default=(), repr=False, compare=False)
    top: int = field(default=0, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.chains) == len(self.turns):
            return
        chains: list[str | None] = []
        stale: set[int] = set()
        history: list[Exchange] = []
        for index, turn in enumerate(self.turns):
            before = chains[-1] if chains else None
            if turn.in_history:
                if turn.parent != _expected(turn, before, history):
                    stale.add(index)
                if turn.fresh:
                    history.clear()
                history.append(turn.exchange)
            chains.append(_after(turn, before))
        object.__setattr__(self, "chains", tuple(chains))
        object.__setattr__(self, "stale", frozenset(stale))
        object.__setattr__(self, "history", tuple(history))
        object.__setattr__(self, "top", max(turn.id for turn in self.turns))

    def _appended(self, turn: Turn) -> "Conversation":
        before, history, stale = self.head, self.history, self.stale
        if turn.in_history:
            if turn.parent != _expected(turn, before, history):
                stale |= {len(self.turns)}
            history = (turn.exchange,) if turn.fresh else (*history, turn.exchange)
        chains = (*self.chains, _after(turn, before))
        return Conversation(self.name, (*self.turns, turn), chains, stale, history, max(self.top, turn.id))

    # ---- what is there

    def before(self, index: int) -> tuple[Exchange, ...]:
        """The history made by the turns before the one at *index*, from the last that started afresh."""
        if index == len(self.turns):
            return self.history
        found: list[Exchange] = []
        for turn in reversed(self.turns[:index]):
            if turn.in_history:
                found.append(turn.exchange)
                if turn.fresh:
                    break
        found.reverse()
        return tuple(found)

    @property
    def head(self) -> str | None:
        """The hash of the history."""
        return self.chains[-1] if self.chains else None

    def find(self, cell: str | None, place: int) -> int | None:
        """The index of that cell's turn; None if there is none, or no cell is named."""
        if cell is None:
            return None
        return next((i for i, turn in enumerate(self.turns) if turn.cell == cell and turn.place == place), None)

    def place_for(self, cell: str | None, order: Sequence[str] = (), outside: Collection[str] = ()) -> int:
        """
        Where a cell's new turn belongs.

        Behind the cell's other turns; else where the document *order* of the cells puts it, as far as that is known;
        else at the end, but before the turns of cells *outside* the document.
        """
        own = [index for index, turn in enumerate(self.turns) if cell is not None and turn.cell == cell]
        if own:
            return own[-1] + 1
        later = {*outside, *(order[order.index(cell) + 1 :] if cell in order else ())} - {cell}
        if not later:
            return len(self.turns)
        return next((i for i, turn in enumerate(self.turns) if turn.cell in later), len(self.turns))

    # ---- what can be done

    def add(self, prompt: str, answer: Answer) -> "Conversation":
        """Return the conversation with one more turn at its end, as after a question with all of the history."""
        state: TurnState = "answered" if answer.complete else "interrupted"
        index = len(self.turns)
        return self.put(Turn(prompt, answer, state, parent=self.head), index).without_flagged(index)

    def put(self, turn: Turn, index: int, *, over: bool = False) -> "Conversation":
        """Return the conversation with *turn* at *index*: in front of what is there, or *over* it, as a new version."""
        turn = replace(turn, answer=_without_history(turn.answer))
        if over:
            old = self.turns[index]
            return self._with(index, replace(turn, versions=(*old.versions, replace(old, versions=())), id=old.id))
        turn = replace(turn, id=self.top + 1)
        if index == len(self.turns):
            return self._appended(turn)
        return Conversation(self.name, (*self.turns[:index], turn, *self.turns[index:]))

    def _with(self, index: int, turn: Turn) -> "Conversation":
        return Conversation(self.name, (*self.turns[:index], turn, *self.turns[index + 1 :]))

    def mark(self, index: int, removed: Removal | None) -> "Conversation":
        """Return the conversation with the turn left out for that reason, or, with None, back in its place."""
        return self._with(index, replace(self.turns[index], removed=removed))

    def without_flagged(self, index: int) -> "Conversation":
        """Return the conversation without the turns that leave it because the service flagged the one at *index*."""
        turn, answer = self.turns[index], self.turns[index].answer
        sent: list[int] = []
        for place in range(index - 1, -1, -1) if not turn.fresh else ():
            if self.turns[place].in_history:
                sent.insert(0, place)
                if self.turns[place].fresh:
                    break
        rounds = [*(sent if turn.window is None else sent[len(sent) - turn.window :]), index]
        clears = answer.need_clear_history
        leaving = flagged_rounds(rounds, ban_round=answer.ban_round, flag=answer.flag, clears=clears)
        found = self
        for place in range(len(self.turns)) if leaving is None else leaving:
            found = found.mark(place, "flagged")
        return found

    def restore(self, index: int) -> "Conversation":
        """
        Return the conversation with the turn back, if it was left out; else with its version before this one.

        The version that stood there takes its turn in the line, so restoring goes round through all of them.
        """
        turn = self.turns[index]
        if turn.removed is not None:
            return self.mark(index, None)
        if not turn.versions:
            return self
        *older, last = turn.versions
        versions = (replace(turn, versions=()), *older)
        return self._with(index, replace(last, removed=None, versions=versions, id=turn.id))

    def fork(self, name: str, count: int | None = None) -> "Conversation":
        """Return a conversation of that name with the first *count* turns, or all of them."""
        if count is None:
            return replace(self, name=name)
        return Conversation(name, self.turns[:count])


def _expected(turn: Turn, before: str | None, history: Sequence[Exchange]) -> str | None:
    """The hash of what would go along with *turn* behind this history, whose hash is *before*."""
    if turn.fresh or turn.window == 0:
        return None
    return before if turn.window is None else chain_of(history[-turn.window :])


def _after(turn: Turn, before: str | None) -> str | None:
    """The hash of the history behind *turn*."""
    if not turn.in_history:
        return before
    return chain(None if turn.fresh else before, turn.exchange)


def persona_of(request: Mapping[str, Any]) -> Any:
    """The persona of a V2 request, which stands before its messages; None if there is none."""
    messages = request.get("messages")
    first = messages[0] if isinstance(messages, Sequence) and messages else None
    return first.get("content") if isinstance(first, Mapping) and first.get("role") == "system" else None


def _without_history(answer: Answer) -> Answer:
    """
    The answer as a conversation keeps it.

    The messages of a request are the turns before it; kept with each turn they would grow with the square. The raw
    response is many times as long as the answer.
    """
    answer = replace(answer, raw_json="") if answer.raw_json else answer
    if "messages" not in answer.request:
        return answer
    kept: dict[str, Any] = {name: value for name, value in answer.request.items() if name != "messages"}
    if persona_of(answer.request) is not None:
        kept["messages"] = [answer.request["messages"][0]]
    return replace(answer, request=kept)
