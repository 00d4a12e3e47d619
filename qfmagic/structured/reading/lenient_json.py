"""
JSON with defects that leave one meaning: written again as JSON.

Trailing commas, full-width punctuation, the literals of Python, comments, blanks of other kinds, lone backslashes:
nothing of these loses a value. Text that is cut, or that could be read in two ways, is refused.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from unicodedata import normalize

from ...core.safe_json import DEEPEST, TooDeep
from .latex import literal_backslashes

_OPENING = {"{": "{", "｛": "{", "[": "[", "［": "["}
_CLOSING = {"}": "{", "｝": "{", "]": "[", "］": "["}
_CLOSED_BY = {"{": "}", "[": "]"}
_COMMAS, _COLONS = ",，、", ":："
_LITERALS: Mapping[str, str] = {
    **dict.fromkeys(("true", "True", "TRUE"), "true"),
    **dict.fromkeys(("false", "False", "FALSE"), "false"),
    **dict.fromkeys(("null", "Null", "NULL", "None"), "null"),
}
_BLANKS = re.compile(r"[\s\u200b-\u200d\u2060\ufeff]+")
_COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*(?:[^*]|\*(?!/))*\*/")
_WORD = re.compile(r"[^\W\d]\w*")
_NAME = re.compile(r"[^\W\d]\w*|[0-9]+")
_NUMBER = re.compile(r"[+\-−－]?[0-9０-９.．_]+(?:[eE][+-]?[0-9]+)?(?![\w.])")
_STRICT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# A string, by what opens it. A quotation mark of another kind inside would leave open where the string ends.
_STRINGS = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    "“": re.compile(r'“((?:[^“”"\\]|\\.)*)[”"]', re.DOTALL),
    "‘": re.compile(r"‘((?:[^‘’'\\]|\\.)*)[’']", re.DOTALL),
    "＂": re.compile(r'＂((?:[^＂"\\]|\\.)*)＂', re.DOTALL),
}
_QUOTES = "".join(_STRINGS)


@dataclass(frozen=True)
class Transcript:
    """
    What was read, as JSON.

    Attributes:
        written: The JSON; its numbers are spelled as they were.
        end: The index after it.
        defects: What had to be mended; none where it was JSON.
    """

    written: str
    end: int
    defects: frozenset[str]


def transcribe(text: str, start: int = 0) -> Transcript:
    """
    Read the JSON that begins at *start*, in spite of defects.

    Raises:
        ValueError: It is cut, has other defects, or more than one meaning.
    """
    reader = _LenientReader(text, start)
    reader.value()
    while reader.open:
        reader.step()
    return Transcript("".join(reader.out), reader.position, frozenset(reader.defects))


@dataclass
class _LenientReader:
    """The place in the text, and what was written so far."""

    text: str
    position: int
    out: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    defects: set[str] = field(default_factory=set)

    def step(self) -> None:
        """Read one member of the innermost object or list, or its end."""
        begun = self.out[-1] in "{["
        if self._closes():
            return
        if not begun:
            self._take(_COMMAS, ",")
            if self._closes():
                self.defects.add("comma")
                return
            self.out.append(",")
        if self.open[-1] == "{":
            self._name()
            self._take(_COLONS, ":")
            self.out.append(":")
        self.value()

    def value(self) -> None:
        """Read a value, or the opening bracket of one."""
        sign = self._next()
        if sign in _OPENING:
            if len(self.open) == DEEPEST:
                raise TooDeep
            self._punctuated(sign, _OPENING[sign])
            self.open.append(_OPENING[sign])
            self.out.append(_OPENING[sign])
        elif sign in _QUOTES:
            self.out.append(self._string(sign))
        elif word := _WORD.match(self.text, self.position):
            self._literal(word)
        else:
            self._number()

    def _closes(self) -> bool:
        sign = self._next()
        if sign not in _CLOSING:
            return False
        closes = self.open.pop()
        if _CLOSING[sign] != closes:
            raise self._wrong()
        self._punctuated(sign, _CLOSED_BY[closes])
        self.out.append(_CLOSED_BY[closes])
        return True

    def _take(self, signs: str, usual: str) -> None:
        sign = self._next()
        if sign not in signs:
            raise self._wrong()
        self._punctuated(sign, usual)

    def _punctuated(self, sign: str, usual: str) -> None:
        self.position += 1
        if sign != usual:
            self.defects.add("punctuation")

    def _name(self) -> None:
        sign = self._next()
        if sign in _QUOTES:
            self.out.append(self._string(sign))
            return
        name = _NAME.match(self.text, self.position)
        if name is None:
            raise self._wrong()
        self.defects.add("quotes")
        self.out.append(json.dumps(name[0], ensure_ascii=False))
        self.position = name.end()

    def _literal(self, word: re.Match[str]) -> None:
        literal = _LITERALS.get(word[0])
        if literal is None:
            raise self._wrong()
        if literal != word[0]:
            self.defects.add("literal")
        self.out.append(literal)
        self.position = word.end()

    def _number(self) -> None:
        found = _NUMBER.match(self.text, self.position)
        if found is None:
            raise self._wrong()
        number = found[0]
        if not _STRICT.fullmatch(number):
            number = normalize("NFKC", number).replace("−", "-").removeprefix("+")
            number = re.sub(r"(?<=[0-9])_(?=[0-9])", "", number)
            number = re.sub(r"^(-?)\.(?=[0-9])", r"\g<1>0.", number)
            number = re.sub(r"(?<=[0-9])\.(?![0-9])", ".0", number)
            if not _STRICT.fullmatch(number):
                raise self._wrong()
            self.defects.add("number")
        self.out.append(number)
        self.position = found.end()

    def _string(self, quote: str) -> str:
        found = _STRINGS[quote].match(self.text, self.position)
        if found is None:
            raise self._wrong("unclosed string")
        body, literal = literal_backslashes(found[1], quoted="'" if quote in "'‘" else '"')
        if quote != '"':
            self.defects.add("quotes")
        if literal:
            self.defects.add("backslash")
        self.position = found.end()
        return f'"{body}"'

    def _next(self) -> str:
        """The next sign that is neither blank nor comment."""
        while True:
            if blank := _BLANKS.match(self.text, self.position):
                if blank[0].strip(" \t\r\n"):
                    self.defects.add("blank")
                self.position = blank.end()
            elif comment := _COMMENT.match(self.text, self.position):
                self.defects.add("comment")
                self.position = comment.end()
            else:
                break
        sign = self.text[self.position : self.position + 1]
        if not sign:
            raise self._wrong("cut")
        return sign

    def _wrong(self, reason: str = "unexpected character") -> ValueError:
        return ValueError(f"{reason}: char {self.position}")
