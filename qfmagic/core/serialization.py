"""Turns as JSON objects, without loss: what the journal and ``%qf export`` write."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .answer import Answer
from .conversation import Turn
from .usage import Usage

VERSION = 1


def turn_to_record(turn: Turn) -> dict[str, Any]:
    """A turn as a JSON object, without the object a schema made of it, which may be anything, and the raw response."""
    answer = {item.name: getattr(turn.answer, item.name) for item in fields(Answer) if item.name not in _UNSAVED}
    usage = turn.answer.usage
    answer["usage"] = {item.name: getattr(usage, item.name) for item in fields(Usage)}
    answer |= {name: dict(answer[name]) for name in ("request", "headers", "extra")}
    plain = {name: getattr(turn, name) for name in _PLAIN}
    versions = [turn_to_record(version) for version in turn.versions]
    return {"version": VERSION, **plain, "answer": answer, "versions": versions}


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
        return Turn(answer=Answer(**answer), versions=versions, **{name: record[name] for name in _PLAIN})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a turn: {error}") from error


_UNSAVED = ("value", "raw_json")
_PLAIN = ("prompt", "state", "cell", "place", "window", "parent", "fresh", "removed", "id", "count")
