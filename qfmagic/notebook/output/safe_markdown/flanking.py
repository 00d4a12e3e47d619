"""
Whether emphasis begins or ends beside a sign of Chinese, Japanese or Korean text.

CommonMark reads signs of punctuation as the ends of words that are set apart by spaces: ``**“长城”**是`` keeps its
asterisks, since a letter follows the closing ones. Where such a letter or sign is on either side, spaces alone decide
here. What is recognized so is written with an empty element beside it, and every renderer recognizes it.
The same rule as in ``js/src/flanking.js``, and the same cases: ``tests/data/emphasis.json``.
"""

import re
import unicodedata

from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline.state_inline import Scanned, StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

# Ideographs, kana, bopomofo and hangul with their own punctuation, and the quotes, dots and dashes Chinese shares.
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\u2fff\u3001-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff01-\uffee"
    "\U0001aff0-\U0001b16f\U0001f200-\U0001f2ff\U00020000-\U0003ffff\u00b7\u2014\u2018\u2019\u201c\u201d\u2026]"
)
_BRACKET = re.compile("[()\\[\\]{}\uff08\uff09\uff3b\uff3d\uff5b\uff5d]")
_OPENING = re.compile("[(\\[{\u2018\u201c\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\uff08\uff3b\uff5b]")
_CLOSING = re.compile(
    "[)\\]}\u2019\u201d\u3001\u3002\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019\u301b"
    "\uff01\uff09\uff0c\uff1a\uff1b\uff1f\uff3d\uff5d]"
)


def is_space(character: str) -> bool:
    """Whether *character* is a space to CommonMark; the end of a text is one too."""
    return not character or character in "\t\n\f\r" or unicodedata.category(character) == "Zs"


def is_mark(character: str) -> bool:
    """Whether *character* is a sign of punctuation to CommonMark."""
    return bool(character) and unicodedata.category(character)[0] in "PS"


def needs_mark(mark: str, letter: str) -> bool:
    """Whether delimiters between *mark*, inside the emphasis, and *letter*, outside it, are none to CommonMark."""
    return is_mark(mark) and not is_space(letter) and not is_mark(letter)


def begins(before: str, after: str, *, single: bool) -> bool:
    """Whether emphasis begins between these characters in East Asian text, and doesn't to CommonMark."""
    return needs_mark(after, before) and _applies(after, before, single=single) and not _CLOSING.match(after)


def ends(before: str, after: str, *, single: bool) -> bool:
    """Whether emphasis ends between these characters in East Asian text, and doesn't to CommonMark."""
    return needs_mark(before, after) and _applies(before, after, single=single) and not _OPENING.match(before)


def _applies(mark: str, letter: str, *, single: bool) -> bool:
    """Single asterisks around brackets are products: 单价*(1+税率)*数量."""
    if single and _BRACKET.match(mark):
        return False
    return _EAST_ASIAN.match(mark) is not None or _EAST_ASIAN.match(letter) is not None


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - the parser's own names
        can_open, can_close, length = super().scanDelims(start, canSplitWord)
        before, after = (
            self.src[start - 1 : start] if start else "",
            self.src[start + length : min(start + length + 1, self.posMax)],
        )
        single = length == 1
        return Scanned(
            can_open or begins(before, after, single=single), can_close or ends(before, after, single=single), length
        )


class EastAsianInline(ParserInline):
    """The parser of a block's text, with these rules for emphasis and strikethrough."""

    def parse(self, src: str, md: object, env: EnvType, tokens: list[Token]) -> list[Token]:
        """As the parser's own."""
        state = _State(src, md, env, tokens)  # type: ignore[arg-type]
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens
