"""
Keys found in a text however they are spelled there: escaped, split, cut, reversed, in another case, in base64 or hex.

A text is compared without its escapes, and without all that is no letter or digit of ASCII; what remains is searched
for parts of the keys. A part of :data:`PART` characters tells a key. Time is in proportion to the text's length.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from .escapes import Layer, undone

SHORTEST = 8  # characters; what is shorter is no key, and may be a word
PART = 16  # letters and digits of a key that tell it
MASK = "***"
_WHOLE = 12  # letters and digits from which on a key is told from words whatever separates them
_GRAM, _STRIDE = 6, 7  # any part of _WHOLE characters holds one of the samples of a text whole
_CHANCE = 2  # characters that may go on like a key by chance
_CUT = 6  # characters of a key at the end of a text that was cut there
_PUBLIC = "bce-v3/ALTAK-"  # how everybody's keys begin
_SURE = 20  # letters and digits of a part from which on it need not look drawn at random
_DROPPED = bytes(code for code in range(128) if not chr(code).isalnum())
_RUN = re.compile(rb"[0-9a-z]+")


class Hit(NamedTuple):
    """Where a text spells a key, and the key."""

    start: int
    end: int
    secret: str


class _Form(NamedTuple):
    """
    A way to spell a key in letters and digits.

    Attributes:
        secret: The key.
        text: How it is spelled, in lower case.
        least: The length of a part that tells it.
        public: The characters that say nothing of the key begin and end here.
        cased: The same in the case it is written in, where a part has to look drawn at random; else "".
        shared: How many characters before and after it hold some of the key too, beside something else.
    """

    secret: str
    text: bytes
    least: int
    public: tuple[int, int]
    cased: str = ""
    shared: tuple[int, int] = (0, 0)

    def tells(self, start: int, end: int) -> bool:
        """Whether the part from *start* to *end* tells the key."""
        if end - start < self.least:
            return False
        if end - start == len(self.text):
            return True
        known = max(0, min(end, self.public[1]) - max(start, self.public[0]))
        if end - start - known < self.least // 3:
            return False
        return not self.cased or end - start >= _SURE or _random(self.cased[start:end])


class Spellings:
    """
    The spellings of some keys.

    Args:
        secrets: The keys. What is too short to be one is passed over.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._grams: dict[bytes, list[tuple[_Form, int]]] = {}
        self._literals: dict[bytes, str] = {}
        self._ends: list[_Form] = []
        for secret in sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True):
            self._add(secret)

    def __bool__(self) -> bool:
        return bool(self._ends)

    def __repr__(self) -> str:
        return "<Spellings>"

    def hits(self, text: str) -> list[Hit]:
        """Where the text spells a key, in order; none overlaps another."""
        if not self:
            return []
        found = [*self._spelled(text)]
        layers: list[Layer] = []
        for layer in undone(text):
            layers.append(layer)
            for start, end, secret in self._spelled(layer.text):
                for one in reversed(layers):
                    start, end = one.origin(start, end)  # noqa: PLW2901 - traced back, layer by layer
                found.append(Hit(start, end, secret))
        return _merged(found)

    def find(self, text: str) -> str | None:
        """A key that the text spells, None if it spells none."""
        found = self.hits(text)
        return found[0].secret if found else None

    def masked(self, text: str, mask: str = MASK) -> str:
        """The text with each key masked."""
        parts: list[str] = []
        done = 0
        for start, end, _ in self.hits(text):
            parts += [text[done:start], mask]
            done = end
        return "".join([*parts, text[done:]])

    def masked_message(self, text: str) -> str:
        """The text of an error with each key masked; of one that was cut short, what is left of a key there too."""
        text = self.masked(text)
        whole = text.removesuffix("...").removesuffix("…")
        size = self._cut_at_end(whole)
        if size:
            return whole[:-size] + MASK
        for dots in ("...", "…"):
            if text.startswith(dots) and (size := self._cut_at_end(text[len(dots) :][::-1], -1)):
                return MASK + text[len(dots) + size :]
        return text

    def _cut_at_end(self, text: str, step: int = 1) -> int:
        """How many characters at the end of the text are the beginning of a key; with *step* -1 all is reversed."""
        # No more of the text can be part of a key; separators may make it longer than the key.
        folded = _folded(text[-1000:])
        stream = folded.translate(None, _DROPPED)
        for form in self._ends:
            spelled = form.text[::step]
            known = form.public[1] if step == 1 else 0
            for size in range(min(len(spelled), len(stream)), max(_CUT, known + 1) - 1, -1):
                if stream.endswith(spelled[:size]):
                    runs = _runs(folded)
                    return len(folded) - _place(runs, len(stream) - size)
        return 0

    # ---- the search

    def _spelled(self, text: str) -> Iterator[Hit]:
        folded = _folded(text)
        for literal, secret in self._literals.items():
            start = folded.find(literal)
            while start >= 0:
                yield Hit(start, start + len(literal), secret)
                start = folded.find(literal, start + len(literal))
        if not self._grams:
            return
        runs: list[tuple[int, int]] = []
        for start, begin, size, form in self._parts(folded.translate(None, _DROPPED)):
            runs = runs or _runs(folded)
            whole = begin == 0, begin + size == len(form.text)
            first, last = _trimmed(runs, start, start + size, whole)
            first -= form.shared[0] * (whole[0] and first > 0)
            last += form.shared[1] * (whole[1] and last < len(text))
            yield Hit(*_with_edges(text, first, last, form.secret), form.secret)

    def _parts(self, stream: bytes) -> Iterator[tuple[int, int, int, _Form]]:
        """Parts of keys in a text of letters and digits: where they begin there and in their form, and how long."""
        grams = self._grams
        done = 0
        for at in range(0, len(stream) - _GRAM + 1, _STRIDE):
            places = grams.get(stream[at : at + _GRAM])
            if places is None or at < done:
                continue
            for form, offset in places:
                start, size = _extended(stream, at, form.text, offset)
                begin = offset - (at - start)
                if form.tells(begin, begin + size):
                    done = max(done, start + size)
                    yield start, begin, size, form

    # ---- the forms

    def _add(self, secret: str) -> None:
        cased = _plain(secret)
        text = cased.lower().encode()
        public = (0, len(_plain(_PUBLIC)) if secret.lower().startswith(_PUBLIC.lower()) else 0)
        form = _Form(secret, text, min(PART, len(text)), public, cased)
        self._ends.append(form)
        if len(text) < _WHOLE:
            for literal in _written(secret):
                self._literals.setdefault(_folded(literal), secret)
            return
        size = len(text)
        self._learn(form)
        self._learn(_Form(secret, text[::-1], form.least, (size - public[1], size), cased[::-1]))
        known = len(_PUBLIC) if public[1] else 0
        digits = secret.encode("utf-8", "replace").hex()
        self._learn(_Form(secret, digits.encode(), min(2 * PART, len(digits)), (0, 2 * known)))
        for before in range(3):
            self._learn(_in_base64(secret, before, known))

    def _learn(self, form: _Form) -> None:
        for at in range(len(form.text) - _GRAM + 1):
            places = self._grams.setdefault(form.text[at : at + _GRAM], [])
            if sum(one is form for one, _ in places) < 3:  # a key that repeats itself
                places.append((form, at))


@lru_cache(maxsize=16)
def spellings_of(secrets: frozenset[str]) -> Spellings:
    """The spellings of these keys; made once."""
    return Spellings(secrets)


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isascii() and character.isalnum())


def _folded(text: str) -> bytes:
    """The text in lower case, a byte for each character."""
    return text.encode("ascii", "replace").lower()


def _runs(folded: bytes) -> list[tuple[int, int]]:
    """Of each run of letters and digits: where it begins among these alone, and where in the text."""
    runs: list[tuple[int, int]] = []
    size = 0
    for run in _RUN.finditer(folded):
        runs.append((size, run.start()))
        size += run.end() - run.start()
    return runs


def _place(runs: list[tuple[int, int]], at: int) -> int:
    start, place = runs[bisect_right(runs, at, key=itemgetter(0)) - 1]
    return place + at - start


def _trimmed(runs: list[tuple[int, int]], start: int, end: int, whole: tuple[bool, bool]) -> tuple[int, int]:
    """
    Where a part is in the text. A letter or two of the words around it that happen to go on like the key are no part of
    it, unless it is *whole* at that side.
    """
    number = bisect_right(runs, start, key=itemgetter(0))
    if not whole[0] and number < len(runs) and runs[number][0] - start <= _CHANCE < end - runs[number][0] - _CUT:
        after = runs[number + 1][0] if number + 1 < len(runs) else end
        start = runs[number][0] if min(after, end) - runs[number][0] > _CUT else start
    number = bisect_right(runs, end - 1, key=itemgetter(0)) - 1
    if not whole[1] and end - runs[number][0] <= _CHANCE and runs[number][0] - max(start, runs[number - 1][0]) > _CUT:
        end = runs[number][0]
    return _place(runs, start), _place(runs, end - 1) + 1


def _extended(stream: bytes, at: int, spelled: bytes, offset: int) -> tuple[int, int]:
    """Where the text around *at* begins to be what is spelled around *offset*, and for how long."""
    back = 0
    most = min(at, offset)
    while back < most and stream[at - back - 1] == spelled[offset - back - 1]:
        back += 1
    size = _GRAM
    most = min(len(stream) - at, len(spelled) - offset)
    while size < most and stream[at + size] == spelled[offset + size]:
        size += 1
    return at - back, size + back


def _with_edges(text: str, start: int, end: int, secret: str) -> tuple[int, int]:
    """The span with what stands around the letters and digits of the key, where it stands there too."""
    plain = [at for at, character in enumerate(secret) if character.isascii() and character.isalnum()]
    head, tail = secret[: plain[0]], secret[plain[-1] + 1 :]
    if head and text.endswith(head, 0, start):
        start -= len(head)
    if tail and text.startswith(tail, end):
        end += len(tail)
    return start, end


def _in_base64(secret: str, before: int, known: int) -> _Form:
    """The key in base64 where *before* more bytes than a multiple of three come first: what is its own of that."""
    data = secret.encode("utf-8", "replace")
    written = base64.b64encode(bytes(before) + data).decode()
    first, last = -(-8 * before // 6), 8 * (before + len(data)) // 6
    own = written[first:last]
    public = len(_plain(own[: 8 * known // 6])) if known else 0
    text = _plain(own).lower().encode()
    shared = (int(before > 0), int(last < len(written.rstrip("="))))
    return _Form(secret, text, min(PART, len(text)), (0, public), shared=shared)


def _written(secret: str) -> Iterator[str]:
    """How a short key may be written, where nothing separates its characters."""
    data = secret.encode("utf-8", "replace")
    yield from (secret, secret[::-1], quote(secret), quote(secret, safe=""), quote_plus(secret), data.hex())
    yield from (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode())


def _random(part: str) -> bool:
    """Whether a part of a key looks drawn at random; else it may be words, or digits counted up."""
    kinds = re.search("[0-9]", part) and re.search("[A-Za-z]", part)
    steps = sum(abs(ord(one) - ord(other)) <= 1 for one, other in pairwise(part))
    return bool(kinds or re.search("[a-z][A-Z]", part)) and 2 * steps < len(part)


def _merged(found: list[Hit]) -> list[Hit]:
    """The same without overlaps."""
    merged: list[Hit] = []
    for hit in sorted(found):
        if merged and hit.start < merged[-1].end:
            last = merged[-1]
            merged[-1] = Hit(last.start, max(last.end, hit.end), last.secret)
        else:
            merged.append(hit)
    return merged
