"""The parse of a text, what is written from it, and whether it may be shown."""

import re
from collections.abc import Iterator, Sequence
from html import unescape

from .blocks import Writer
from .gate import is_safe
from .inlines import Surroundings
from .parser import Node, TooDeepError, parse

_MATH = re.compile(r"\$|\\\\?[(\[]|\\begin|@@")


def written(text: str, *, quoted: bool) -> list[str] | None:
    """Return the lines of *text* as Markdown that can't act; nothing if it can only be shown as code."""
    # A dollar may be written as an entity, too.
    dollars = unescape(text).count("$") if "&" in text else text.count("$")
    lone = dollars < 2 and "\\(" not in text and "\\[" not in text and "\\begin" not in text
    try:
        blocks = parse(text)
    except TooDeepError:
        return None
    writer = Writer(Surroundings(bool(_MATH.search(text)), lone), text.split("\n"))
    lines = writer.quotation(blocks) if quoted else writer.blocks(blocks)
    return lines if is_safe("\n".join(lines)) else None


def fences_of(text: str) -> list[str]:
    """Return the content of each fence."""
    try:
        return list(_fences(parse(text)))
    except TooDeepError:
        return []


def _fences(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        if node.kind == "fence":
            yield node.token.content
        yield from _fences(node.children)
