"""
CSS that fetches nothing: what is kept is written anew, token by token, from lists of what may stand there.

An address can stand in a url token, in a function that takes one (``src``, ``image-set``, ``-webkit-cross-fade``, ...)
and in an at-rule. Tokens of the first kind and escapes are not read at all; functions, at-rules and properties are kept
if they are known. A declaration or rule with anything else is left out, as browsers leave out what they don't know.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


_IDENT = r"[a-zA-Z_\u00b7-\U0010ffff][\w\u00b7-\U0010ffff-]*"
_TOKEN = re.compile(
    rf"""(?P<space>(?:[ \t\n\f\r]|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))++)
    |(?P<string>"[^"\\\n\r\f<&]*"|'[^'\\\n\r\f<&]*')
    |(?P<function>-{{0,2}}{_IDENT}\()
    |(?P<at>@-?{_IDENT})
    |(?P<name>-{{0,2}}{_IDENT})
    |(?P<hash>\#[\w\u00b7-\U0010ffff-]+)
    |(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:%|[a-zA-Z]+)?)
    |(?P<mark>[:;,.>+~*/=!|^$%(){{}}\[\]-])
    |(?P<unknown>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
# A value's functions: colours, arithmetic, gradients, shapes of movement, grids. None of them takes an address.
FUNCTIONS = _words(
    "rgb rgba hsl hsla hwb lab lch oklab oklch color-mix var calc min max clamp linear-gradient "
    "radial-gradient conic-gradient repeating-linear-gradient repeating-radial-gradient translate "
    "translatex translatey scale scalex scaley rotate skew skewx skewy matrix minmax fit-content repeat "
    "cubic-bezier steps counter"
)
SELECTORS = frozenset({"not", "is", "where", "nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type", "lang"})
# A property is known by the first of its words: of these none reorders characters, runs on by itself or takes a file.
FAMILIES = _words(
    "accent align aspect background border bottom box break caption clear color column columns content "
    "counter display dominant empty fill flex float font gap grid height hyphens inset justify left "
    "letter line list margin max min object opacity order outline overflow padding place position quotes "
    "right row stop stroke tab table text top transform transition vertical visibility white width word z"
)
_REPEATED = re.compile(r"repeat\( ?(?!auto-fi)(?![0-9]{1,2} ?,)", re.IGNORECASE)
_LONG = re.compile(r"[0-9]{7}|[0-9][eE]\+?[0-9]")  # sizes no page needs, and an engine may work on for long
_CALLED = re.compile(r"(?<![^\s(),:;{}\[\]+*/'\"=])([^\s(),:;{}\[\]+*/'\"=]*+)\(")
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
_PAIRS = {"(": ")", "[": "]"}


class Token(NamedTuple):
    """A piece of CSS."""

    kind: str
    text: str


class Sheet(NamedTuple):
    """The rules that are kept, and how many they are."""

    text: str
    rules: int


def stylesheet(source: str) -> Sheet:
    """The rules of *source* that fetch nothing; those within ``@media`` too."""
    rules = list(_rules(_tokens(source), within=False))
    return Sheet("\n".join(rules), sum(rule.count("{") for rule in rules))


def declarations(source: str) -> str:
    """What is kept of a ``style`` attribute."""
    return _declarations(list(_tokens(source)))


def value(source: str) -> bool:
    """Whether *source*, as a value of a presentation attribute, fetches nothing."""
    return _written(list(_tokens(source)), FUNCTIONS, frozenset("!:;{}[]=")) is not None


def _tokens(source: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(source):
        kind = found.lastgroup or "unknown"
        yield Token(kind, " " if kind == "space" else found[0])


def _rules(pieces: Iterator[Token] | list[Token], *, within: bool) -> Iterator[str]:
    prelude: list[Token] = []
    block: list[Token] = []
    depth = 0
    for piece in pieces:
        depth += (piece.text == "{") - (piece.text == "}" and depth > 0)
        if depth == 0 and piece.text == "}" and block:
            yield from _rule(prelude, block[1:], within=within)
            prelude, block = [], []
        elif depth:
            block.append(piece)
        elif piece.text == ";" and any(first.kind == "at" for first in prelude[:2]):
            prelude = []  # a rule without a block: @import, @charset, @namespace
        else:
            prelude.append(piece)
    if block:  # the end of the text closes it
        yield from _rule(prelude, block[1:], within=within)


def _rule(prelude: list[Token], block: list[Token], *, within: bool) -> Iterator[str]:
    prelude = _trimmed(prelude)
    if not prelude:
        return
    if prelude[0].kind == "at":
        condition = _written(prelude[1:], frozenset(), frozenset("!;{}[]*+~|^$%"))
        if prelude[0].text.lower() == "@media" and not within and condition is not None:
            inner = "".join(_rules(block, within=True))
            if inner:
                yield f"@media{condition}{{{inner}}}"
        return
    selector = _written(prelude, SELECTORS, frozenset("!;{}%/"))
    kept = _declarations(block)
    if selector is not None and kept:
        yield f"{selector}{{{kept}}}"


def _declarations(pieces: list[Token]) -> str:
    found: list[str] = []
    one: list[Token] = []
    depth = 0
    for piece in (*pieces, Token("mark", ";")):
        depth += (piece.text in "([{" or piece.kind == "function") - (piece.text in ")]}" and depth > 0)
        if piece.text == ";" and depth == 0:
            found.append(_declaration(_trimmed(one)))
            one = []
        else:
            one.append(piece)
    return ";".join(filter(None, found))


def _declaration(pieces: list[Token]) -> str:
    names = [piece for piece in pieces[:3] if piece.kind != "space"]
    if len(names) < 2 or names[0].kind != "name" or names[1].text != ":":
        return ""
    name = names[0].text.lower() if not names[0].text.startswith("--") else names[0].text
    if not name.startswith("--") and name.split("-")[0] not in FAMILIES:
        return ""
    written = _written(_trimmed(pieces[pieces.index(names[1]) + 1 :]), FUNCTIONS, frozenset(":;{}[]="))
    return f"{name}:{written}" if written else ""


def _written(pieces: list[Token], functions: frozenset[str], refused: frozenset[str]) -> str | None:
    """The pieces as text, if each is known, brackets close, and no other call appears in what is written."""
    closing = []
    for kind, shown in pieces:
        if kind in ("unknown", "at") or shown in refused:
            return None
        if (kind == "function" and shown[:-1].lower() not in functions) or (kind == "number" and _LONG.search(shown)):
            return None
        if kind == "function" or shown in _PAIRS:
            closing.append(_PAIRS.get(shown, ")"))
        elif shown in (")", "]") and (not closing or closing.pop() != shown):
            return None
    written = "".join(piece.text for piece in pieces)
    # A second look, at the text: nothing in front of a bracket but the names of these functions.
    calls = {call.lower().lstrip(":-.") for call in _CALLED.findall(_STRING.sub('""', written))} - {""}
    known = functions | {"and", "not", "or", "only"}
    return None if closing or _REPEATED.search(written) or not calls <= known else written


def _trimmed(pieces: list[Token]) -> list[Token]:
    begin = 1 if pieces and pieces[0].kind == "space" else 0
    end = len(pieces) - (len(pieces) > begin and pieces[-1].kind == "space")
    return pieces[begin:end]
