"""
Words taken out of a recording, wherever they stand in what was asked and answered.

A stream cuts a word apart, so the pieces of an answer's text are searched as one.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.wire import ChatRequest
from .recording import Recorded

MARK = "[…]"
_PREFIX = b"data:"
Path = tuple[str | int, ...]


def redacted(recorded: Recorded, words: Sequence[str]) -> Recorded:
    """
    Return the recording without *words*; the very same value where none of them stands in it.

    The hash stays that of the request as it was sent, so that it still answers a notebook that wasn't changed.
    """
    body = _without(recorded.body, words)
    events = _events(recorded, words)
    if body == recorded.body and events == recorded.events:
        return recorded
    return recorded._replace(body=body, events=events, redacted=True)


def fits(recorded: Recorded, request: ChatRequest) -> bool:
    """Whether a request is the recorded one, whatever was taken out of that."""
    if not recorded.redacted:
        return False
    same = (recorded.wire, recorded.model, recorded.endpoint) == (request.wire, request.model, request.endpoint)
    return same and _alike(recorded.body, request.body)


def _alike(kept: Any, asked: Any) -> bool:
    if isinstance(kept, str) and isinstance(asked, str):
        parts = map(re.escape, kept.split(MARK))
        return re.fullmatch(".*".join(parts), asked, re.DOTALL) is not None
    if isinstance(kept, Mapping) and isinstance(asked, Mapping):
        return kept.keys() == asked.keys() and all(_alike(kept[name], asked[name]) for name in kept)
    if isinstance(kept, list) and isinstance(asked, list):
        return len(kept) == len(asked) and all(map(_alike, kept, asked))
    return bool(kept == asked)


def _events(recorded: Recorded, words: Sequence[str]) -> tuple[tuple[float, bytes], ...]:
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


def _cut_out(pieces: Sequence[str], words: Sequence[str]) -> list[str]:
    """The pieces of one text, each without its part of the words; the mark stands where a word began."""
    for word in words:
        whole = "".join(pieces)
        start, spans = whole.find(word), []
        while start >= 0:
            spans.append((start, start + len(word)))
            start = whole.find(word, start + len(word))
        pieces = _without_spans(pieces, spans)
    return list(pieces)


def _without_spans(pieces: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[str]:
    found: list[str] = []
    offset = 0
    for piece in pieces:
        kept, position, end = "", offset, offset + len(piece)
        for first, last in spans:
            if last <= offset or first >= end:
                continue
            kept += piece[max(position, offset) - offset : max(first, offset) - offset]
            kept += MARK if first >= offset else ""
            position = last
        found.append(kept + piece[max(position, offset) - offset :])
        offset = end
    return found


def _without(value: Any, words: Sequence[str]) -> Any:
    if isinstance(value, str):
        for word in words:
            value = value.replace(word, MARK)
        return value
    if isinstance(value, dict):
        return {_without(name, words): _without(inner, words) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, words) for inner in value]
    return value


def _plainly(data: bytes, words: Sequence[str]) -> bytes:
    for word in words:
        data = data.replace(word.encode(), MARK.encode())
    return data


def _parsed(data: bytes) -> Any:
    """The JSON of an event or a body; None for anything else."""
    try:
        payload = json.loads(data.strip().removeprefix(_PREFIX))
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _written(data: bytes, payload: Any) -> bytes:
    """The event with that payload, as it was written if nothing of it changed."""
    if payload == _parsed(data):
        return data
    text = json.dumps(payload, ensure_ascii=False).encode()
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
