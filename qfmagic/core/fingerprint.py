"""Fingerprints of what a notebook holds, 16 hex digits: the same wherever it was saved and read again."""

import hashlib
import json


def of_json(value: object) -> str:
    """The fingerprint of a JSON value, such as the data of an output."""
    return of_text(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def of_source(source: str) -> str:
    """The fingerprint of a cell's source, without the line ends behind it, which some editors keep and some don't."""
    return of_text(source.rstrip("\n"))


def of_text(text: str) -> str:
    """The fingerprint of a text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
