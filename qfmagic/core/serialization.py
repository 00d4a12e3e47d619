"""Turns as JSON objects, without loss: what the journal and ``%qf export`` write."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .answer import Answer
from .conversation import Turn
from .usage import DETAILS, Usage

VERSION = 1


def turn_to_record(turn: Turn) -> dict[str, Any]:
    """A turn as a JSON object, without the object a schema made of it, which may be anything, and the raw response."""
    answer = _record(turn.answer)
    answer["usage"] = _record(turn.answer.usage)
    answer |= {name: dict(answer[name]) for name in ("request", "headers", "extra")}
    plain = {name: getattr(turn, name) for name in _PLAIN}
    later = {} if turn.text is None else {"text": turn.text}  # omitted, so that turns of 0.1 are written as before
    versions = [turn_to_record(version) for version in turn.versions]
    return {"version": VERSION, **plain, **later, "answer": answer, "versions": versions}


def turn_from_record(record: Mapping[str, Any]) -> Turn:
    """
    The turn of a JSON object.

    Raises:
        ValueError: It is none, or one of a newer version.
    """
    if record.get("version") != VERSION:
        raise ValueError(f"version {record.get('version')!r}")
    try:
        answer = dict(record["answer"])
        answer["usage"] = Usage(**answer["usage"])
        answer["rejected"] = tuple(answer.get("rejected", ()))
        versions = tuple(turn_from_record(version) for version in record["versions"])
        plain = {name: record[name] for name in _PLAIN}
        text = record.get("text")
        return Turn(answer=Answer(**answer), versions=versions, text=text if isinstance(text, str) else None, **plain)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a turn: {error}") from error


def _record(value: Answer | Usage) -> dict[str, Any]:
    """The fields; without those of later versions that say nothing, so that a file stays as it was."""
    found = {item.name: getattr(value, item.name) for item in fields(value) if item.name not in _UNSAVED}
    return {name: kept for name, kept in found.items() if name not in _LATER or kept != _default(value, name)}


def _default(value: Answer | Usage, name: str) -> object:
    return next(item.default for item in fields(value) if item.name == name)


_LATER = ("flag", "served_model", *DETAILS)
_UNSAVED = ("value", "despite", "raw_json")
_PLAIN = ("prompt", "state", "cell", "place", "window", "parent", "fresh", "removed", "id", "count")
