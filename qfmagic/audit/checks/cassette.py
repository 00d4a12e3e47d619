"""Whether the answers are those of the cassette."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.context import Exchange
from ...core.conversation import chain, chain_of
from ...core.fingerprint import of_text
from ...core.safe_json import read_json
from ...core.safety import WITHHELD
from ...core.terminal import printable, unmarked
from ...transport.cassette.file import Cassette
from ...transport.cassette.recording import Played, Recorded
from ..cell_calls import CellCall
from ..notebook import Batch, Cell, CellOutput, Exchanges, Provenance
from ..report import AuditFinding

_REPLAYED = ("record", "replay")


def check_recorded(cells: Sequence[tuple[Cell, CellCall]], cassette: Cassette | None) -> Iterator[AuditFinding]:
    """What is wrong between the document and its cassette."""
    answers = [(cell, output, given) for cell, _ in cells for output, given in cell.answers if given.request]
    batches = [(cell, batch) for cell, _ in cells for _, batch in cell.batches]
    if cassette is None:
        used = {given.transport for _, _, given in answers}.union(*(batch.transports for _, batch in batches))
        if used.intersection(_REPLAYED):
            yield AuditFinding("audit.cassette.absent")
        return
    tape = _Tape(cassette)
    # First each answer that is the recorded one: what is then left may be that of an answer that isn't.
    others = [(cell, given) for cell, output, given in answers if not tape.take(output, given)]
    faults = dict.fromkeys((tape.fault(given), cell.number, cell.ran) for cell, given in others)
    yield from (AuditFinding(key, number, ran) for key, number, ran in faults if key is not None)
    for cell, batch in batches:
        if batch.transports and set(batch.transports) <= set(_REPLAYED) and not tape.has_all(batch):
            yield AuditFinding("audit.missing.fewer", cell.number, cell.ran)
    unplayed = tape.left([one for _, batch in batches for one in batch.exchanges])
    unseen = sum(asked.unseen for cell, asked in cells if cell.ran is not None)
    if len(unplayed) > unseen:
        first = unplayed[0]
        values = {"count": len(unplayed), "model": first.model, "hash": first.hash}
        # Where cells have no answers, what is recorded may be the only copy of them.
        whole = all(any(cell.answers) or any(cell.batches) for cell, asked in cells if asked.answered and not asked.dry)
        key = "audit.cassette.unplayed" if (answers or batches) and whole else "audit.cassette.unshown"
        yield AuditFinding(key, None, None, values)


class _Tape:
    """A cassette's exchanges by request, each used once."""

    def __init__(self, cassette: Cassette) -> None:
        self._left: dict[str, list[tuple[Recorded, Played]]] = {}
        for recorded in cassette.exchanges.values():
            self._left.setdefault(recorded.hash, []).append((recorded, recorded.play()))
        self._known = set(self._left)
        self._whole = Counter(_who(recorded) for recorded in self._not_taken())

    def take(self, output: CellOutput, given: Provenance) -> bool:
        """Use the exchange of an answer; whether there is one."""
        there = self._left.get(given.request or "", [])
        for index, (recorded, played) in enumerate(there):
            if _is_it(recorded, played, output, given):
                del there[index]
                for rejected in given.rejected:
                    del self._left.get(rejected, [])[:1]
                return True
        return False

    def fault(self, given: Provenance) -> str | None:
        """What is wrong with an answer whose exchange isn't there."""
        request = given.request or ""
        if given.incomplete:  # nothing of it is kept
            return None
        if request not in self._known:
            return None if given.transport == "stub" or self._take_redacted(given) else "audit.missing"
        if not self._left[request]:
            return "audit.missing.fewer"
        del self._left[request][0]  # it isn't unplayed as well: one thing is wrong here, not two
        return "audit.missing.other"

    def _take_redacted(self, given: Provenance) -> bool:
        """Use an exchange out of which something was taken; it may be the one, for a notebook that was redacted too."""
        for there in self._left.values():
            for index, (recorded, _) in enumerate(there):
                if recorded.redacted and (recorded.wire, recorded.model) == (given.wire, given.model):
                    del there[index]
                    return True
        return False

    def has_all(self, batch: Batch) -> bool:
        """Whether there are as many answers by its models as a batch has."""
        return all(self._whole[one.wire, one.model] >= one.least for one in batch.exchanges)

    def left(self, batches: Sequence[Exchanges]) -> list[Recorded]:
        """The whole answers that were not used, without as many of them as are the batches'; which, nobody knows."""
        theirs: Counter[tuple[str | None, str | None]] = Counter()
        for one in batches:
            theirs[one.wire, one.model] += one.most
        found = []
        for recorded in self._not_taken():
            if theirs[_who(recorded)]:
                theirs[_who(recorded)] -= 1
            else:
                found.append(recorded)
        return found

    def _not_taken(self) -> list[Recorded]:
        return [recorded for there in self._left.values() for recorded, played in there if played.complete]


def _who(recorded: Recorded) -> tuple[str | None, str | None]:
    return recorded.wire, recorded.model


def _is_it(recorded: Recorded, played: Played, output: CellOutput, given: Provenance) -> bool:
    """Whether a recorded answer is the one that is shown, as far as that can be told."""
    if recorded.redacted:
        return True
    text = played.outcome.text
    if given.answer is not None:
        return given.answer == of_text(text)
    if given.hash is None and played.outcome.flag >= WITHHELD:
        return True
    if given.hash is None:  # it joined no conversation
        return _shows(output, text)
    said = _said(recorded.body)
    if not said:
        return True
    if given.hash == _hash(said[:-1], said[-1], text):
        return True
    # One that was asked for again: an answer that didn't fit its schema, and what was wrong with it, went along.
    if given.rejected and len(said) > 2 and given.hash == _hash(said[:-3], said[-3], text):
        return True
    # Or a blank one, which can't go along: then only that stands behind the question.
    if given.rejected and given.hash == _hash(said[:-1], said[-1].rpartition("\n\n")[0], text):
        return True
    # One that was continued: what there was of it, and a word to go on, went along.
    return len(said) > 2 and given.hash == _hash(said[:-3], said[-3], said[-2] + text)


def _hash(history: Sequence[str], prompt: str, answer: str) -> str:
    before = (Exchange.of(*pair) for pair in zip(history[::2], history[1::2], strict=False))
    return chain(chain_of(before), Exchange.of(prompt, answer))


def _said(body: Mapping[str, Any]) -> list[str]:
    """What was said in turn; nothing where it can't be read."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return []
    said = [message.get("content") for message in messages if message.get("role") in ("user", "assistant")]
    return [one for one in said if isinstance(one, str)] if all(isinstance(one, str) for one in said) else []


def _shows(output: CellOutput, text: str) -> bool:
    shown = output.plain
    # What hides is spelled out; older versions left it as it was.
    if printable(unmarked(shown)).startswith(printable(unmarked(text))):
        return True
    for _ in range(3):  # format=json lays it out anew; sources and notes follow
        try:
            read_json(shown)
        except ValueError:
            shown = shown.rpartition("\n\n[")[0]
        else:
            return True
    return False
