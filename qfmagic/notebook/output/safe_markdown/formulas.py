"""
Formulas in model text: where they begin and end, and what may stand in them.

A formula reaches TeX itself when a notebook becomes a PDF, and TeX reads files and runs programs; in the page MathJax
passes addresses and styles on. So a formula is read as TeX reads it, and only commands of mathematics keep their
backslash.
"""

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

MAX_LENGTH = 8_000  # characters
MAX_DEPTH = 24  # braces and environments inside each other
_ENVIRONMENTS = frozenset(
    [
        "align",
        "aligned",
        "alignat",
        "alignedat",
        "array",
        "bmatrix",
        "Bmatrix",
        "cases",
        "dcases",
        "eqnarray",
        "equation",
        "flalign",
        "gather",
        "gathered",
        "matrix",
        "multline",
        "multlined",
        "pmatrix",
        "rcases",
        "smallmatrix",
        "split",
        "subarray",
        "vmatrix",
        "Vmatrix",
        "CD",
    ]
)
# What JupyterLab and nbconvert take for the begin and end of an environment, whatever stands before it.
_ENVIRONMENT = re.compile(r"\\(begin|end)\{([A-Za-z]*\*?)\}")
CODE = re.compile(r"(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)")
_TO_DOLLAR = re.compile(r"(?:\\[\s\S]|[^$\\])*+")
# A blank line; signs renderers look for before formulas; a character by its number, which may be a backslash; columns
# without number.
_NO_FORMULA = re.compile(r"\n[^\S\n]*\n|`|@@|\^\^|(?:\*|\\multicolumn|\\cline)\s*\{[^}]*\d{3}")
_SIGNS = frozenset(",;:!>{}|\\#%&_$ -/'=.~*+\n\ue0ff")  # that may stand behind a backslash
_LABEL = re.compile(r"\\label\s*\{[^{}]*\}")
_LENGTH = re.compile(r"\s*\{?\s*-?\d{0,2}(?:\.\d*)?\s*(?:em|ex|pt|mu|cm|mm)\b\s*\}?")
_SPACES = frozenset(("hspace", "kern", "mkern", "hskip", "mskip"))
_COMMENT = re.compile(r"(\\.)|%[^\n]*(?=\n)")
_TOKEN = re.compile(r"\\(?P<word>[A-Za-z]+)|\\(?P<sign>[\s\S]?)|(?P<brace>[{}])")
_NOT_BEHIND = ("{", "}", "(", ")", "]", "\\", "b", "e")  # two backslashes, which end a row
_COLOR = re.compile(r"\s*\{(?:[A-Za-z]{1,20}|\#[0-9A-Fa-f]{3,6})\}")
_FAR = re.compile(r"(\\\\\*?)\s*\[(?!\s*-?\d{0,2}(?:\.\d*)?\s*(?:pt|em|ex|mm|cm|px)\s*\])")  # rows that far apart
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"([\]!])(?=[(:\[])")


class Formula(NamedTuple):
    """
    A formula in a text.

    Attributes:
        written: How it is written for every renderer: on one line, between delimiters they know.
        end: Where the text goes on.
    """

    written: str
    end: int


def formula_at(source: str, at: int) -> Formula | None:
    """Return the formula that begins at a dollar or backslash of *source*, if one does."""
    if source[at] == "$":
        return _between_dollars(source, at)
    for delimiter in ("\\\\(", "\\\\[", "\\(", "\\["):
        if source.startswith(delimiter, at):
            return _between_brackets(source, at, delimiter)
    end = environments(source).get(at) if source.startswith("\\begin{", at) else None
    if end is None or end - at > MAX_LENGTH:
        return None
    return _formula("", source[at:end], "", end)


class Opening(NamedTuple):
    """
    A formula that a line begins and doesn't end.

    Attributes:
        at: Where it begins.
        closing: What would end it.
    """

    at: int
    closing: str


def opens_display(line: str) -> Opening | None:
    """Return the formula that *line* begins and doesn't end, if it does; code is passed over."""
    rest = CODE.sub(lambda found: "x" * len(found[0]), line)
    for opening, closing in (("$$", "$$"), ("\\[", "\\]"), ("\\\\[", "\\\\]")):
        begin = rest.find(opening)
        while begin >= 0:
            end = rest.find(closing, begin + len(opening))
            if end < 0:
                return Opening(begin, closing)
            begin = rest.find(opening, end + len(closing))
    begun: list[Opening] = []
    for found in _ENVIRONMENT.finditer(rest):
        if found[1] == "begin":
            begun.append(Opening(found.start(), f"\\end{{{found[2]}}}"))
        elif begun:
            begun.pop()
    return begun[0] if begun else None


@lru_cache(maxsize=4)
def environments(source: str) -> dict[int, int]:
    r"""Where each ``\begin`` of *source* stands, and where what it begins ends."""
    begun: list[tuple[int, str]] = []
    ends: dict[int, int] = {}
    for found in _ENVIRONMENT.finditer(source):
        if found[1] == "begin":
            begun.append((found.start(), found[2]))
        elif begun and begun[-1][1] == found[2]:
            ends[begun.pop()[0]] = found.end()
        else:
            begun.clear()
    return ends


def _between_dollars(source: str, at: int) -> Formula | None:
    """By Pandoc's rule, so that prices stay prices: nothing blank inside the dollars, no digit behind them."""
    dollars = "$$" if source.startswith("$$", at) else "$"
    begin = at + len(dollars)
    found = _TO_DOLLAR.match(source, begin, begin + MAX_LENGTH)
    end = found.end() if found else begin
    content, behind = source[begin:end], source[end + len(dollars) : end + len(dollars) + 1]
    if not source.startswith(dollars, end) or not content.strip() or behind == "$" or source[at - 1 : at] == "$":
        return None
    if dollars == "$" and (content[0].isspace() or content[-1].isspace() or behind.isdigit() or behind == "{"):
        return None
    if dollars == "$" and '"' in content and "\\text" not in content:
        return None  # a string in a program, rather
    return _formula(dollars, content, dollars, end + len(dollars))


def _between_brackets(source: str, at: int, opening: str) -> Formula | None:
    closing = opening.replace("(", ")").replace("[", "]")
    begin = at + len(opening)
    end = source.find(closing, begin, begin + MAX_LENGTH)
    content = source[begin : max(end, begin)]
    if end < 0 or not content.strip() or opening in content or "$" in content:
        return None
    # JupyterLab, nbconvert and GitHub know dollars, and the first two the doubled backslash.
    delimiters = (opening, closing) if len(opening) == 3 else ("$", "$") if "(" in opening else ("$$", "$$")
    inside = content if len(opening) == 3 else content.strip()
    return _formula(delimiters[0], inside, delimiters[1], end + len(closing))


def _formula(opening: str, content: str, closing: str, end: int) -> Formula | None:
    if len(content) > MAX_LENGTH or _NO_FORMULA.search(content):
        return None
    safe = _safe(_LABEL.sub("", _COMMENT.sub(lambda found: found[1] or "", content)))
    if safe is None or _TAG.search(safe) or "^^" in safe or (closing and safe.endswith("\\")):
        return None
    one_line = re.sub(r"\s*\n\s*", " ", safe)
    # In a table a bar would end the cell: the parser has put a sign in its place.
    return Formula(f"{opening}{one_line}{closing}", end)


def _safe(content: str) -> str | None:
    """The formula with only commands of mathematics in it; nothing if TeX would read on behind its end."""
    parts: list[str] = []
    begun: list[str] = []
    position = 0
    while found := _TOKEN.search(content, position):
        between = content[position : found.start()]
        part, position = _token(found, content, begun)
        if part is None or _unbound(between):
            return None
        parts += _plain(between), part
    rest = content[position:]
    return None if begun or _unbound(rest) else _FAR.sub(r"\1 {}[", "".join((*parts, _plain(rest))))


def _unbound(between: str) -> bool:
    """Whether a dollar would end the formula."""
    return "$" in between


def _token(found: re.Match[str], content: str, begun: list[str]) -> tuple[str | None, int]:
    """A brace or a command as it may be written, if it may, and where the formula goes on."""
    sign, word, end = found["sign"], found["word"], found.end()
    if found["brace"]:
        right = _nests(begun, "{" if found["brace"] == "{" else "", "{")
        return (found["brace"] if right else None), end
    if word in ("begin", "end"):
        named = _ENVIRONMENT.match(content, found.start())
        if named is None or named[2].rstrip("*") not in _ENVIRONMENTS:
            return None, end
        right = _nests(begun, named[2] if word == "begin" else "", named[2])
        return (named[0] if right else None), named.end()
    if word:
        return _command(word, content, end), end
    if sign not in _SIGNS:
        return None, end
    # A space, so that no reader takes the second backslash with what follows it.
    apart = sign == "\\" and content[end : end + 1] in _NOT_BEHIND
    return f"\\{sign}" + (" " if apart else ""), end


def _nests(begun: list[str], begins: str, name: str) -> bool:
    """Begin or end something; whether that is right."""
    if begins:
        begun.append(begins)
        return len(begun) <= MAX_DEPTH
    return bool(begun) and begun.pop() == name


def _command(word: str, content: str, end: int) -> str:
    bounded = _COLOR if word in ("color", "textcolor") else _LENGTH if word in _SPACES else None
    known = word in _commands() or (bounded is not None and bounded.match(content, end) is not None)
    return f"\\{word}" if known else f"\\ {word}"


def _plain(content: str) -> str:
    """What stands between commands, so that it is nothing of Markdown's or HTML's where formulas aren't known."""
    content = _TAG.sub(r"\\lt ", content).replace('"', "''").replace("%", "\\%")
    return _LINK.sub(r"\1 ", content)


@cache
def _commands() -> frozenset[str]:
    return frozenset((files("qfmagic") / "data" / "tex_commands.txt").read_text(encoding="ascii").split())
