"""
Words taken out of a recording, wherever they stand in what was asked and answered.

A stream cuts a word apart, so the pieces of an answer's text are searched as one.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ...core.keys.spellings import MASK, Spellings, spellings_of
from ...core.safe_json import read_json
from ...core.wire import ChatRequest
from .recording import Recorded, canonical

MARK = "[…]"
_PREFIX = b"data:"
_DONE = b"data: [DONE]"
# Names are the API's own, and so is what some of them say: without those nothing could be read. Not so in these.
_FREE = ("metadata", "response_format")
_SAYING = frozenset(("role", "object", "model", "finish_reason"))
_NAME = re.compile("[a-z_]*")  # the API's own
Path = tuple[str | int, ...]


def redacted(recorded: Recorded, words: Sequence[str]) -> Recorded:
    """
    Return the recording without *words*; the very same value where none of them stands in it.

    The hash stays that of the request as it was sent, so that it still answers a notebook that wasn't changed.
    """
    made = _taken_out(recorded, _Given(words))
    return recorded if made == recorded else replace(made, redacted=True)


def hidden(recorded: Recorded, keys: Sequence[str]) -> Recorded:
    """Return the recording without *keys*, however a service spells them; the same value if it has none."""
    spellings = spellings_of(frozenset(keys))
    if not spellings:
        return recorded
    words = _Keys(spellings)
    headers = {name: words.out_of(value) for name, value in recorded.headers.items()}
    made = replace(_taken_out(recorded, words), cut=words.out_of(recorded.cut), headers=headers)
    made = replace(made, endpoint=recorded.endpoint and words.out_of(recorded.endpoint))
    return replace(made, redacted=recorded.redacted or made.body != recorded.body)


class _Words(Protocol):
    """
    What is to be taken out.

    Attributes:
        mark: What replaces it.
    """

    @property
    def mark(self) -> str: ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where it is in a text, in order."""
        ...

    def out_of(self, text: str) -> str:
        """The text without it."""
        ...

    def may_be(self, name: str) -> bool:
        """Whether a name, or a text that is one of the API's own, is searched at all."""
        ...


class _Given:
    """Words that the user names."""

    mark = MARK

    def __init__(self, words: Sequence[str]) -> None:
        self._pattern = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._pattern.finditer(text)]

    def out_of(self, text: str) -> str:
        return self._pattern.sub(lambda _: self.mark, text)

    def may_be(self, name: str) -> bool:  # noqa: ARG002 - users may name any word, that of the API too
        return False


class _Keys:
    """Keys, in every spelling."""

    mark = MASK

    def __init__(self, spellings: Spellings) -> None:
        self._spellings = spellings

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [(hit.start, hit.end) for hit in self._spellings.hits(text)]

    def out_of(self, text: str) -> str:
        return self._spellings.masked(text, self.mark)

    def may_be(self, name: str) -> bool:
        return not _NAME.fullmatch(name)


def _taken_out(recorded: Recorded, words: _Words) -> Recorded:
    return replace(recorded, body=_without(recorded.body, words), events=_events(recorded, words))


def may_be_redacted(request: ChatRequest) -> bool:
    """Whether there is anything in a request that says so."""
    return MARK in canonical(request.body)


def fits(recorded: Recorded, request: ChatRequest) -> bool:
    """
    Whether a request is the recorded one, whatever was taken out of that.

    Something was taken out of the request too, or out of an answer that goes along with it: else it has the hash it
    was recorded with, or it is another.
    """
    if not recorded.redacted or not may_be_redacted(request):
        return False
    same = (recorded.wire, recorded.model, recorded.endpoint) == (request.wire, request.model, request.endpoint)
    return same and _alike(recorded.body, request.body)


def _alike(kept: Any, asked: Any) -> bool:
    if isinstance(kept, str) and isinstance(asked, str):
        return _covers(kept, asked)
    if isinstance(kept, Mapping) and isinstance(asked, Mapping):
        return kept.keys() == asked.keys() and all(_alike(kept[name], asked[name]) for name in kept)
    if isinstance(kept, list) and isinstance(asked, list):
        return len(kept) == len(asked) and all(map(_alike, kept, asked))
    return bool(kept == asked)


def _covers(kept: str, asked: str) -> bool:
    """Whether *asked* is *kept* with anything in place of the marks."""
    first, *others = kept.split(MARK)
    if not others:
        return kept == asked
    *between, last = others
    at, end = len(first), len(asked) - len(last)
    if at > end or not (asked.startswith(first) and asked.endswith(last)):
        return False
    for part in between:
        found = asked.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _events(recorded: Recorded, words: _Words) -> tuple[tuple[float, bytes], ...]:
    parsed = [_parsed(data) for _, data in recorded.events]
    for find in (_texts, _thoughts):
        places = [(payload, path) for payload in parsed if payload is not None for path in find(payload)]
        pieces = [_get(payload, path) for payload, path in places]
        for (payload, path), new in zip(places, _cut_out(pieces, words), strict=True):
            _get(payload, path[:-1])[path[-1]] = new
    return tuple(
        (at, _plainly(data, words) if payload is None else _written(data, _without(payload, words)))
        for (at, data), payload in zip(recorded.events, parsed, strict=True)
    )


def _cut_out(pieces: Sequence[str], words: _Words) -> list[str]:
    """The pieces of one text, each without its part of the words; the mark stands where a word began."""
    spans = words.spans("".join(pieces))
    found: list[str] = []
    offset = over = 0  # how many of the spans end before the piece
    for piece in pieces:
        kept, position, end = "", offset, offset + len(piece)
        while over < len(spans) and spans[over][1] <= offset:
            over += 1
        for at in range(over, len(spans)):
            first, last = spans[at]
            if first >= end:
                break
            kept += piece[max(position, offset) - offset : max(first, offset) - offset]
            kept += words.mark if first >= offset else ""
            position = last
        found.append(kept + piece[max(position, offset) - offset :])
        offset = end
    return found


def _without(value: Any, words: _Words, *, named: bool = False) -> Any:
    """The value without the words; *named* by the user, the names in it too."""
    if isinstance(value, str):
        return words.out_of(value)
    if isinstance(value, dict):
        return {
            words.out_of(name) if named or words.may_be(name) else name: inner
            if name in _SAYING and not named and not (isinstance(inner, str) and words.may_be(inner))
            else _without(inner, words, named=named or name in _FREE)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without(inner, words, named=named) for inner in value]
    return value


def _plainly(data: bytes, words: _Words) -> bytes:
    if data.strip() == _DONE:
        return data
    # Bytes that are no text pass unchanged.
    return words.out_of(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _parsed(data: bytes) -> Any:
    """The JSON of an event or a body; None for anything else."""
    try:
        payload = read_json(data.strip().removeprefix(_PREFIX))
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _written(data: bytes, payload: Any) -> bytes:
    """The event with that payload, as it was written if nothing of it changed."""
    if payload == _parsed(data):
        return data
    try:
        text = json.dumps(payload, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a character, written as an escape
        text = json.dumps(payload).encode()
    return b"data: " + text + b"\n\n" if data.lstrip().startswith(_PREFIX) else text


def _texts(payload: Any) -> Iterator[Path]:
    """Where an event holds a piece of the answer's text, on either API."""
    return _found(payload, "result", "content")


def _thoughts(payload: Any) -> Iterator[Path]:
    return _found(payload, "reasoning_content", "reasoning_content")


def _found(payload: Any, v1: str, v2: str) -> Iterator[Path]:
    if isinstance(payload.get(v1), str):
        yield (v1,)
    choices = payload.get("choices")
    for index, choice in enumerate(choices if isinstance(choices, list) else ()):
        for part in ("delta", "message"):
            inner = choice.get(part) if isinstance(choice, dict) else None
            if isinstance(inner, dict) and isinstance(inner.get(v2), str):
                yield ("choices", index, part, v2)


def _get(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value
