"""
Keys that were saved where they must not be: by their form, and those of the environment by what they are.

A key is never repeated; what tells it is the fingerprint that ``%qf settings`` shows too.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from ...client.settings import fingerprint
from ...core.i18n import Text
from ...core.keys.forms import PLACEHOLDER
from ...core.keys.spellings import MASK, SHORTEST, spellings_of
from ...core.messages import whole_text
from ...core.terminal import fitted, printable
from ..notebook import joined
from ..report import AuditFinding, kind_of_key

_NAME = (
    r"(?:api_?key|access_?key|secret_?key|access_?token|bearer_?token|access_?code|client_?secret|client_?id"
    r"|qianfan_[as]k|[as]k)"
)
_QUOTE = r"""\\*["']"""  # in JSON in JSON, a quote has backslashes before it
# By its name: sk="...", "sk": "...", environ["QIANFAN_SK"] = "...", setenv("QIANFAN_SK", "..."), %env QIANFAN_SK=...
_ASSIGNED = re.compile(
    rf"(?<![a-z0-9])({_NAME})(?:{_QUOTE})?\]?(?:\s*:\s*str)?\s*"
    rf"(?:[:=,]\s*{_QUOTE}(?P<quoted>[^\"'\s\\]{{8,}}){_QUOTE}|[:=]\s*(?P<bare>[\w./+=-]{{16,}})(?![\w(\[]))",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"(?:\w*_)?{_NAME}", re.IGNORECASE)
# By its form. The group is the key, where it isn't all of it.
_FORMS = (
    ("api_key", re.compile(r"bce-v3/ALTAK-[\w-]{6,}(?:/\w{6,})?")),
    ("token", re.compile(r"(?<![\w.])2[45]\.[0-9a-f]{32}(?:\.[\w-]+)*")),
    ("header", re.compile(r"bce-auth-v1/\w{6,}/[^\s\"'\\]{8,}")),
    (
        "header",
        re.compile(
            rf"authorization(?:{_QUOTE})?\s*[:=]\s*(?:{_QUOTE})?(?:bearer|basic)\s+([^\s\"'\\]{{8,}})", re.IGNORECASE
        ),
    ),
)
_MOST = 500  # keys that are told; where there are more, these are enough
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")


class FoundSecret(NamedTuple):
    """A key in a text: where it begins and ends, and what kind it is."""

    start: int
    end: int
    value: str
    kind: Text


class Keyring:
    """
    What counts as a key.

    Args:
        known: Keys that are in use, and the variable each is set by.

    ``seen`` are those that were found so far.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = {
            key: kind_of_key("known", variable=variable) for key, variable in (known or {}).items() if "stub" not in key
        }
        self._spellings = spellings_of(frozenset(self._known))
        self.seen: set[str] = set()

    def find(self, content: str) -> list[FoundSecret]:
        """The keys in a text; none overlaps another."""
        found: list[FoundSecret] = []
        for one in islice(self._matches(content), _MOST):
            if not any(one.start < other.end and other.start < one.end for other in found):
                found.append(one)
                self.seen.add(content[one.start : one.end])
        return found

    def named(self, name: str, value: str) -> FoundSecret | None:
        """A key that is the value of something with a key's name, in a map."""
        if not (_NAMED.fullmatch(name) and _likely(value) and not re.search(r"\s", value)):
            return None
        self.seen.add(value)
        return FoundSecret(0, len(value), value, kind_of_key("assigned", name=name))

    def masked(self, content: str) -> str:
        """A text without the keys in it, those included that were found elsewhere."""
        for found in sorted(self.find(content), reverse=True):
            content = content[: found.start] + MASK + content[found.end :]
        for key in self.seen:
            content = content.replace(key, MASK)
        return content

    def _matches(self, content: str) -> Iterator[FoundSecret]:
        for start, end, key in self._spellings.hits(content):
            yield FoundSecret(start, end, key, self._known[key])
        for name, pattern in _FORMS:
            for match in pattern.finditer(content):
                group = match.lastindex or 0
                if not PLACEHOLDER.search(match[group]):
                    yield FoundSecret(*match.span(group), match[group], kind_of_key(name))
        for match in _ASSIGNED.finditer(content):
            part = "quoted" if match["quoted"] else "bare"
            if _likely(match[part]) and (match["quoted"] or re.search("[0-9]", match[part])):
                yield FoundSecret(*match.span(part), match[part], kind_of_key("assigned", name=match[1]))


def saved_keys(
    keyring: Keyring, content: Any, *, cell: int | None = None, ran: int | None = None
) -> list[AuditFinding]:
    """A finding for each key in a value of JSON, a cell of a notebook for example."""
    findings: dict[tuple[str, str], AuditFinding] = {}
    for place, one, other in _texts(content):
        if len(keyring.seen) >= _MOST:
            break
        name = place[-1] if place and isinstance(place[-1], str) else ""
        found = keyring.find(one) or (keyring.find(other) if other != one else [])
        if not found and (named := keyring.named(name, other)):
            found = [named]
        for key in found:
            mark = fingerprint(whole_text(key.value))
            shown = fitted(printable(keyring.masked(_path(place))), 60)
            values = {"kind": key.kind, "place": shown, "fingerprint": mark}
            findings.setdefault((shown, mark), AuditFinding("audit.secret", cell, ran, values))
    return list(findings.values())


def _likely(value: str) -> bool:
    """Whether it looks drawn at random, as keys are."""
    if len(value) < SHORTEST or PLACEHOLDER.search(value) or _VARIABLE.fullmatch(value):
        return False
    if re.search("[0-9]", value) and re.search("[A-Za-z]", value):
        return True
    return len(value) >= 20 and value.isalpha() and not (value.islower() or value.isupper())


def _texts(content: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """
    All texts in a value of JSON, names included: where each stands, the text, and how else it may be meant.

    A list of texts is one text in lines, or several. A name has no other meaning.
    """
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while pending:  # not by recursion: a file may nest as deep as it likes
        place, value = pending.pop()
        if isinstance(value, str):
            yield place, value, value
        elif isinstance(value, Mapping):
            pending += [((*place, str(name)), inner) for name, inner in reversed([*value.items()])]
            yield from ((place, str(name), "") for name in value if len(str(name)) >= SHORTEST)
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            yield place, joined(value), "\n".join(value)
        elif isinstance(value, list):
            pending += [((*place, index), inner) for index, inner in reversed([*enumerate(value)])]


def _path(place: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")
