"""
HTML's tokens, as browsers cut them, in time proportional to the length.

The standard library's parser takes quadratic time (20,000 times ``<a `` takes it over a minute) and raises on some
declarations. Nothing depends on both reading a text alike: what is shown is written anew from these tokens.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

_BLANK = "\t\n\f\r "
_TEXT = re.compile(r"(?:[^<]++|<(?![a-zA-Z/!?]))++")
_TAG = re.compile(rf"<(/?)([a-zA-Z][^{_BLANK}/>]*)")
_ATTRIBUTE = re.compile(
    rf"[{_BLANK}/]*+([^{_BLANK}/>][^{_BLANK}/>=]*+)"
    rf"(?:[{_BLANK}]*+=[{_BLANK}]*+(?:\"([^\"]*)\"|'([^']*)'|([^{_BLANK}>]++)|(?=>)))?"
)
_END = re.compile(rf"[{_BLANK}/]*+>")
_COMMENT_END = re.compile(r"--!?>")
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")  # no character, and too long for int()
# Elements whose content holds no tags. A frame runs no script, so noscript's content is read as any other.
RAW = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})
_RAW_END = {name: re.compile(rf"</{name}(?=[{_BLANK}/>])", re.IGNORECASE) for name in RAW}


class TextToken(NamedTuple):
    """Text, its character references resolved."""

    content: str


class Start(NamedTuple):
    """A start tag; of several attributes with one name the first counts."""

    name: str
    attributes: dict[str, str]
    closed: bool


class End(NamedTuple):
    """An end tag."""

    name: str


class Raw(NamedTuple):
    """An element that holds no tags, with its attributes left out."""

    name: str
    content: str


Token = TextToken | Start | End | Raw


def tokens(source: str) -> Iterator[Token]:
    """Cut *source* up; comments, declarations and what its end cuts short are left out."""
    at, size = 0, len(source)
    while at < size:
        if shown := _TEXT.match(source, at):
            yield TextToken(resolved(shown[0]))
            at = shown.end()
            continue
        tag = _TAG.match(source, at)
        if tag is None:
            at = _after_comment(source, at)
            continue
        name = tag[2].lower()
        attributes, end, closed = _attributes(source, tag.end())
        if end is None:
            return
        at = end
        if tag[1]:
            yield End(name)
        elif name == "plaintext":
            yield Raw(name, source[at:])
            return
        elif name in RAW:
            last = _RAW_END[name].search(source, at)
            content, at = (source[at : last.start()], last.start()) if last else (source[at:], size)
            yield Raw(name, content)
        else:
            yield Start(name, attributes, closed)


def _attributes(source: str, at: int) -> tuple[dict[str, str], int | None, bool]:
    """The attributes from *at* on, where the tag ends (None: it doesn't), and whether it closes itself."""
    found: dict[str, str] = {}
    while (end := _END.match(source, at)) is None:
        attribute = _ATTRIBUTE.match(source, at)
        if attribute is None:
            return found, None, False
        name, double, single, bare = attribute.groups()
        if bare is not None and bare[0] in "\"'":  # a quote that never closes
            return found, None, False
        found.setdefault(name.lower(), resolved(double or single or bare or ""))
        at = attribute.end()
    return found, end.end(), "/>" in end[0]


def _after_comment(source: str, at: int) -> int:
    """Where the comment, or what browsers take for one, ends."""
    if not source.startswith("<!--", at):
        end = source.find(">", at)
        return end + 1 if end >= 0 else len(source)
    if source.startswith((">", "->"), at + 4):
        return source.index(">", at + 4) + 1
    closing = _COMMENT_END.search(source, at + 4)
    return closing.end() if closing else len(source)


def resolved(content: str) -> str:
    """*content* with its character references resolved."""
    return unescape(_LONG_NUMBER.sub("\ufffd", content)) if "&" in content else content
