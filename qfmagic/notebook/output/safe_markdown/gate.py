"""
A second look at what was written, as the most obliging renderer would read it.

The writer leaves nothing that acts; this doesn't rely on that. It knows which elements, addresses and languages the
writer uses, and whoever finds another shows the text as code.
"""

import re
from collections.abc import Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .fence import language
from .parser import ADDRESS

_OURS = re.compile(
    r'\s*(?:</?(?:span|code|ul|ol|li|blockquote)>|<ol start="\d{1,9}">|<pre><code>[^<>]*</code></pre>)\s*'
)
_FORMULA = re.compile(r"\$\$?[^$\n]+\$\$?|\\\\[(\[][^\n]*?\\\\[)\]]|\\begin\{[^\n]*\\end\{[a-zA-Z]*\*?\}")


def is_safe(markdown: str) -> bool:
    """Whether *markdown* holds only what the writer writes, with the formulas in it and without them."""
    without = _FORMULA.sub("x", markdown)
    texts = (markdown,) if without == markdown else (markdown, without)
    return all(_is_ours(token) for text in texts for token in _flat(_reader().parse(text)))


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


def _is_ours(token: Token) -> bool:
    match token.type:
        case "image":
            return False
        case "html_block" | "html_inline":
            return all(_OURS.fullmatch(line) for line in token.content.splitlines() if line.strip())
        case "link_open":
            return ADDRESS.fullmatch(str(token.attrs.get("href", ""))) is not None
        case "fence":
            return token.info == language(token.info)
        case _:
            return True


class _Reader(MarkdownIt):
    """A reader that takes every address for a link."""

    def validateLink(self, url: str) -> bool:  # noqa: ARG002, N802 - the parser's own name
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url


@cache
def _reader() -> MarkdownIt:
    return _Reader("commonmark", {"html": True, "maxNesting": 100}).enable(["table", "strikethrough"])
