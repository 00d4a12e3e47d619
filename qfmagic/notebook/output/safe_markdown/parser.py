"""
Model text as a tree: CommonMark with GitHub's tables and strikethrough, and formulas.

Raw HTML, reference definitions and footnotes are text here; addresses other than of pages, mailboxes and headings make
no link.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from .flanking import EastAsianInline
from .formulas import CODE, formula_at, opens_display

MAX_CONTAINERS = 20  # quotations and lists inside each other
MAX_SPANS = 40  # emphasis and links inside each other
# The parser drops what is nested deeper; a list counts as two, and what is that deep is refused before.
_MAX_NESTING = 2 * MAX_CONTAINERS + 8
ADDRESS = re.compile(r"(?:https?://|mailto:|#)[^\s<>\x00-\x20\x7f]*", re.IGNORECASE)
_CONTAINERS = ("blockquote", "bullet_list", "ordered_list")

# Stands for a bar inside a formula of a table's row, which is not the end of a cell.
BAR = "\ue0ff"
_BARRED = re.compile(
    rf"{CODE.pattern}|(?P<formula>(?<![\\$])\$(?![\s\d$])[^$|`\n]*(?:\|[^$|`\n]+\|[^$|`\n]*)+(?<!\s)\$(?![\d$]))"
)
_FENCE = re.compile(r"`{3,}[^`]*\Z|~{3,}")


class TooDeepError(Exception):
    """A text nests deeper than renderers bear."""


class Node(NamedTuple):
    """A token of the parser, with what stands in it."""

    token: Token
    children: Sequence["Node"]

    @property
    def kind(self) -> str:
        """The token's type, without ``_open``."""
        return self.token.type.removesuffix("_open")


def parse(text: str) -> list[Node]:
    """
    Return the blocks of *text*.

    Raises:
        TooDeepError: They nest deeper than renderers bear.
    """
    text = text.replace(BAR, "\ufffd")
    if "|" in text and "$" in text:
        text = _BARRED.sub(_with_bars, text)
    tokens = iter(_parser().parse(text, {}))
    return _nodes(tokens, 0)


def _with_bars(found: re.Match[str]) -> str:
    """A formula with its bars put away; what only looks like one, and code, as it is."""
    formula = formula_at(found[0], 0) if found["formula"] else None
    return found[0].replace("|", BAR) if formula is not None and formula.end == len(found[0]) else found[0]


def spans(inline: Node) -> list[Node]:
    """
    Return what stands in a block's line of text.

    Raises:
        TooDeepError: It nests deeper than renderers bear.
    """
    return _nodes(iter(inline.token.children or ()), 0, MAX_SPANS)


def _nodes(tokens: Iterator[Token], depth: int, most: int = MAX_CONTAINERS) -> list[Node]:
    nodes: list[Node] = []
    for token in tokens:
        if token.nesting < 0:
            break
        if token.nesting == 0:
            if token.type in ("fence", "code_block"):
                token.content = token.content.replace(BAR, "|")
            nodes.append(Node(token, ()))
            continue
        deeper = depth + (most == MAX_SPANS or token.type.removesuffix("_open") in _CONTAINERS)
        if deeper > most:
            raise TooDeepError
        nodes.append(Node(token, _nodes(tokens, deeper, most)))
    return nodes


class _Parser(MarkdownIt):
    """The parser, with our view of addresses, which stay as they are written, and of emphasis."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.inline = EastAsianInline()
        self.configure(*args)

    def validateLink(self, url: str) -> bool:  # noqa: N802 - the parser's own name
        return ADDRESS.fullmatch(url) is not None

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        return link


@cache
def _parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    parser.enable(["table", "strikethrough"])
    parser.disable(["reference", "html_block", "html_inline", "text_join"])
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.block.ruler.before("lheading", "display_formula", _display_formula, {"alt": ["paragraph"]})
    return parser


def _formula(state: StateInline, silent: bool) -> bool:
    character = state.src[state.pos]
    if character not in "$\\":
        return False
    found = formula_at(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        state.push("formula", "", 0).content = found.written
    state.pos = found.end
    return True


def _display_formula(state: StateBlock, begin: int, end: int, silent: bool) -> bool:
    """
    Lines that hold a formula over several lines, as one paragraph.

    A line of a formula may look like the beginning of a list, or like what makes the lines above it a heading.
    """
    if state.is_code_block(begin):
        return False
    opening = opens_display(_line(state, begin))
    if opening is None:
        return False
    # Where this was looked for in vain it isn't looked for again: the time stays in proportion to the text.
    in_vain: dict[str, int] = state.env.setdefault("in_vain", {})
    closed, closing = begin, opening.closing
    while begin >= in_vain.get(opening.closing, 0) and _goes_on(state, closed + 1, end):
        closed += 1
        if closing in _line(state, closed):
            break
    else:
        in_vain[opening.closing] = max(closed + 1, in_vain.get(opening.closing, 0))
        return False
    content = state.getLines(begin, closed + 1, state.blkIndent, False).strip()
    found = formula_at(content, opening.at)
    if found is None or "\n" in content[found.end :]:
        return False
    if not silent:
        state.line = closed + 1
        state.push("paragraph_open", "p", 1).map = [begin, state.line]
        inline = state.push("inline", "", 0)
        inline.content = content
        inline.map, inline.children = [begin, state.line], []
        state.push("paragraph_close", "p", -1)
    return True


def _goes_on(state: StateBlock, number: int, end: int) -> bool:
    """Whether a line may belong to the formula of the one above it."""
    if number >= end or state.isEmpty(number) or state.sCount[number] < state.blkIndent:
        return False
    return _FENCE.match(_line(state, number)) is None


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
