"""What has the form of a key, though nobody here knows it; long and varied enough that it stands for none."""

import re
import unicodedata
from collections.abc import Iterator

from .escapes import undone

# What stands for a key in examples; and the names of variables.
PLACEHOLDER = re.compile(r"your|example|placeholder|x{4}|\*\*\*|\.\.\.|…|stub|<|\{|\$|dummy|changeme", re.IGNORECASE)
_FORMS = (
    re.compile(r"bce-v3/ALTAK-[\w-]{6,}/\w{10,}", re.ASCII | re.IGNORECASE),
    re.compile(r"bce-v3/ALTAK-[A-Za-z0-9]{16,}(?![\w/])", re.IGNORECASE),
    re.compile(r"(?<![\w.])2[45]\.[0-9a-f]{32}\.[0-9]+\.[0-9]{9,}"),
    re.compile(
        r"QIANFAN_(?:[AS]K|ACCESS_KEY|SECRET_KEY|ACCESS_TOKEN|BEARER_TOKEN)[\"']?\]?\s{0,3}[=:,]\s{0,3}[\"'“”‘’「]?"
        r"(?P<key>[A-Za-z0-9]{16,})(?![\w.(\[])"
    ),
)
_WORD = re.compile(r"(?<![\w./+-])[A-Za-z0-9]{24}(?:[A-Za-z0-9]{8})?(?![\w./+=-])")
_VARIED = 8  # different characters


def holds_form(text: str) -> bool:
    """Whether the text holds what has the form of a key, escaped or not."""
    return any(_likely(found) for view in _views(text) for found in _matches(view))


def holds_word(line: str) -> bool:
    """Whether a word of a line is drawn at random as an application's keys are: letters of both cases and digits."""
    return any(_drawn(found[0]) for found in _WORD.finditer(line))


def _views(text: str) -> Iterator[str]:
    yield text
    if not text.isascii():
        yield unicodedata.normalize("NFKC", text)  # options are read without full-width characters
    yield from (layer.text for layer in undone(text))


def _matches(text: str) -> Iterator[str]:
    for form in _FORMS:
        for found in form.finditer(text):
            yield found["key"] if "key" in form.groupindex else found[0].rpartition("ALTAK-")[2]


def _likely(key: str) -> bool:
    varied = len(set(key)) >= _VARIED and re.search("[0-9]", key)
    return bool(varied) and not PLACEHOLDER.search(key)


def _drawn(word: str) -> bool:
    kinds = "".join("0" if one.isdigit() else "a" if one.islower() else "A" for one in word)
    changes = sum(kinds[at] != kinds[at + 1] for at in range(len(kinds) - 1))
    return len(set(kinds)) == 3 and 3 * changes >= len(word) and _likely(word)
