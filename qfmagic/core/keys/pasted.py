"""Keys as users paste them: quotes, prefixes and invisible characters removed; the kind a key has by its form."""

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from .forms import holds_word

QUOTES = "\"'`“”„‟‘’‚‛«»‹›「」『』＂＇｀"  # ASCII, Chinese and European quotation marks
_ENDS = ",;，；、。"
_INVISIBLE = dict.fromkeys(map(ord, "\0\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"))
_PREFIX = re.compile(
    r"(?:(?:export|set|setx)\s+)?(?:\$env:)?(?:QIANFAN_[A-Z_]+|Authorization)[\"']?\s*[=:]\s*|Bearer[\s:=]+",
    re.IGNORECASE,
)


def unquoted(written: str) -> str:
    """A setting's text without surrounding blanks, invisible characters and a pair of quotation marks."""
    text = written.translate(_INVISIBLE).strip()
    if len(text) > 1 and text[0] in QUOTES and text[-1] in QUOTES:
        return text[1:-1].strip()
    return text


def read_key(written: str) -> str:
    """
    A key as the service expects it.

    Removes blanks around it, invisible characters, quotation marks, separators, ``Bearer`` and a variable's name before
    it, and reads full-width characters. Blanks inside stay: such a key is rejected where it is used.
    """
    folded = unicodedata.normalize("NFKC", written)
    key = folded if folded.isascii() else written
    before = None
    while key != before:
        before = key
        key = key.translate(_INVISIBLE).strip().strip(QUOTES).rstrip(_ENDS)
        prefix = _PREFIX.match(key)
        key = key[prefix.end() :] if prefix else key
    folded = unicodedata.normalize("NFKC", key)
    return folded if folded.isascii() else key


class KeyForm(NamedTuple):
    """
    A kind of key that is known by its form.

    Attributes:
        name: The kind, as in the texts ``keys.form.NAME``.
        pattern: The form.
        fields: The fields of the settings such a key belongs in.
        sure: Whether only a Qianfan key has this form; a gateway's own keys may have the others.
    """

    name: str
    pattern: re.Pattern[str]
    fields: tuple[str, ...] = ()
    sure: bool = True


FORMS = (
    KeyForm("v2", re.compile(r"bce-v3/ALTAK[\w-]*/\w+", re.ASCII), ("bearer_token",)),
    KeyForm("v2_part", re.compile(r"bce-v3(?:/(?:ALTAK[\w-]*/?)?)?|ALTAK\w*-[\w-]{6,}(?:/\w*)?", re.ASCII)),
    KeyForm("access_token", re.compile(r"2[45]\.[0-9a-f]{32}\.[0-9]+\.[0-9]{9,}\S*"), ("access_token",)),
    KeyForm("iam_id", re.compile(r"ALTAK[A-Za-z0-9]{10,}"), ("access_key",)),
    KeyForm("pair", re.compile(r"[A-Za-z0-9]{24}\s*[:/,;|]\s*[A-Za-z0-9]{32}|[0-9a-f]{32}\s*[:/,;|]\s*[0-9a-f]{32}")),
    KeyForm("studio", re.compile(r"[0-9a-f]{40}"), sure=False),
    KeyForm("iam", re.compile(r"[0-9a-f]{32}"), ("access_key", "secret_key"), sure=False),
    KeyForm("app", re.compile(r"[A-Za-z0-9]{24}(?:[A-Za-z0-9]{8})?"), ("ak", "sk"), sure=False),
)
_EXAMPLE = re.compile(  # no key is drawn with these: a key has letters, digits, "-", "_", "." and "/"
    r"[<>{}$…]|\.{3}|\*{3}|(?<![A-Za-z0-9])x{3,}(?![A-Za-z0-9])|(?<![A-Za-z0-9])your(?![A-Za-z0-9])|^changeme$",
    re.IGNORECASE,
)
_LENGTHS = {"ak": 24, "sk": 32}  # characters of an application's API key and secret key


def form_of(key: str) -> KeyForm | None:
    """The kind of a key by its form; None for any other text, and for what may be a word or a name."""
    found = next((form for form in FORMS if form.pattern.fullmatch(key)), None)
    return found if found is None or found.name != "app" or holds_word(key) else None


def misplaced(keys: Mapping[str, str], *, sure: bool = False) -> tuple[str, KeyForm] | None:
    """
    Find a key that is in the wrong field.

    Args:
        keys: Keys by the fields of the settings.
        sure: Only those that belong in no other field in any case. The others are then a gateway's own keys.

    Returns:
        The field and the kind of the key in it; None if all may be right.
    """
    for name, key in keys.items():
        form = form_of(key)
        if form is None or name in form.fields:
            continue
        if form.sure or (not sure and name in ("bearer_token", "access_token")):
            return name, form
    return None


def stands_for_key(written: str) -> bool:
    """Whether a text is an example's in place of a key: ``your_api_key``, ``<key>``, ``bce-v3/ALTAK-xxx/xxx``."""
    return _EXAMPLE.search(written) is not None


def swapped(keys: Mapping[str, str]) -> bool:
    """Whether an application's API key and secret key are in each other's place."""
    lengths = {name: len(keys.get(name, "")) for name in _LENGTHS}
    drawn = all(holds_word(keys.get(name, "")) for name in _LENGTHS)
    return drawn and lengths == {"ak": _LENGTHS["sk"], "sk": _LENGTHS["ak"]}
