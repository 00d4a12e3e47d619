"""
Reasoning inside the content: ``<think>...</think>`` in front of the answer, however it is cut into pieces.

Some gateways leave a model's tags in the text. The chat templates of some models hold the opening tag themselves, so
the content begins with reasoning and only its end is marked. Tags elsewhere are text: the answer may be about them.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

_OPEN, _CLOSE = "<think>", "</think>"
_TAG = re.compile(f"{_OPEN}|{_CLOSE}")
_TICKS = re.compile("`+")
_FENCE = re.compile(r"[\s>]*(?:[-*+]\s+|\d{1,9}[.)]\s+)?(`{3,}|~{3,})(.*)", re.DOTALL)
_LINE_START = 120  # characters of a line that tell whether it is a fence
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "「": "」", "『": "』", "«": "»"}


class Portion(NamedTuple):
    """
    New content, told apart.

    Attributes:
        text: Text of the answer.
        thought: Reasoning.
        moves: Whether all text before it was reasoning.
    """

    text: str = ""
    thought: str = ""
    moves: bool = False


_NOTHING = Portion()


@dataclass(slots=True)
class _Surroundings:
    """Whether a place in Markdown is code; fed with what stands before it."""

    fence: str = ""
    start: str = ""
    runs: int = 0
    last: str = ""

    def take(self, text: str) -> None:
        for number, part in enumerate(text.split("\n")):
            if number:
                self._end_line()
            self.start = (self.start + part)[:_LINE_START] if len(self.start) < _LINE_START else self.start
            self.runs += len(_TICKS.findall(part)) - (self.last == "`" and part.startswith("`"))
            self.last = part[-1:] or self.last

    def _end_line(self) -> None:
        found = _FENCE.match(self.start)
        if found is not None and not self.fence:
            self.fence = found[1]
        elif found is not None and found[1].startswith(self.fence) and not found[2].strip():
            self.fence = ""
        self.start, self.runs, self.last = "", 0, ""

    @property
    def is_code(self) -> bool:
        return bool(self.fence) or self.runs % 2 == 1


@dataclass(slots=True)
class ThinkTags:
    """
    Tell reasoning and text apart. Feed it the content as it comes, then close it.

    A lone ``</think>`` ends reasoning, unless it is in code or in quotation marks. So does the one that belongs to
    ``<think>``; there only quotation marks and backticks directly around it make it a mention, because reasoning may
    leave a fence open.

    Attributes:
        lone: Whether a closing tag without an opening one may end reasoning.
    """

    lone: bool = True
    _state: Literal["start", "inside", "blank", "text", "plain"] = "start"
    _held: str = ""
    _thought: bool = False
    _gap: str = ""
    _around: _Surroundings = field(default_factory=_Surroundings)
    _passed: list[str] = field(default_factory=list)

    def passes(self, piece: str) -> bool:
        """Accept the next piece if all of it is plain text: the usual case needs no :class:`Portion`."""
        if self._held:
            return False
        if self._state == "plain":
            return True
        if self._state == "text" and "<" not in piece:
            self._passed.append(piece)
            return True
        return False

    def feed(self, piece: str) -> Portion:
        """Take the next piece of the content."""
        data, self._held = self._held + piece, ""
        return self._read(data, last=False)

    def close(self) -> Portion:
        """End the content and return what was held back."""
        data, self._held = self._held, ""
        if self._state == "inside" and not self._thought and not data.strip():
            self._state = "plain"
            return Portion(_OPEN + data)  # the tag is all there is
        return self._read(data, last=True)

    def _read(self, data: str, *, last: bool) -> Portion:
        if self._state == "start":
            data = self._begin(data, last=last)
        if self._state == "start":
            return _NOTHING
        if self._state in ("inside", "blank"):
            return self._blocks(data, last=last)
        return self._text(data, last=last)

    def _blocks(self, data: str, *, last: bool, thought: str = "") -> Portion:
        """Read reasoning to its end; there may be several blocks of it, a line each."""
        while True:
            if self._state == "inside":
                found, data = self._inside(data, last=last)
                if found:
                    thought, self._gap = thought + self._gap + found, ""
                if not self._behind_block:
                    return Portion(thought=thought)
                self._gap = "\n" if self._thought or found else self._gap
            text, data = self._behind(data, last=last)
            if self._state != "inside":
                return Portion(text, thought)

    @property
    def _behind_block(self) -> bool:
        return self._state == "blank"

    def _begin(self, data: str, *, last: bool) -> str:
        """Decide what the content begins with; return what is left to be read, nothing if that is not known yet."""
        begun = data.lstrip()
        for tag, state in ((_OPEN, "inside"), (_CLOSE, "blank")):
            if begun.startswith(tag):
                self._state = state  # type: ignore[assignment]  # both are states
                return begun[len(tag) :]
        if not last and (_OPEN.startswith(begun) or _CLOSE.startswith(begun)):
            self._held = data
            return ""
        self._state = "plain" if begun.startswith("{") else "text"  # an object is no reasoning
        return data

    def _inside(self, data: str, *, last: bool) -> tuple[str, str]:
        """The reasoning in *data*, and the text after the closing tag, if there is one."""
        if not self._thought:
            data = data.lstrip()
        start = 0
        while (at := data.find(_CLOSE, start)) >= 0:
            end = at + len(_CLOSE)
            quote = _QUOTES.get(data[at - 1 : at]) if at else None
            if quote is not None and end == len(data) and not last:
                return self._thinking(data, at - 1)
            if quote is None or data[end : end + 1] != quote:
                self._state = "blank"
                return data[:at].rstrip(), data[end:]
            start = end
        if last:
            return data.rstrip(), ""
        kept = len(data) - _partial(data, _CLOSE)
        kept = len(data[:kept].rstrip())
        # The sign before a tag tells whether it is quoted.
        return self._thinking(data, kept - 1 if data[kept - 1 : kept] in _QUOTES else kept)

    def _thinking(self, data: str, end: int) -> tuple[str, str]:
        """Hand out reasoning up to *end*, and hold the rest back."""
        end = max(end, 0)
        self._held = data[end:]
        self._thought = self._thought or end > 0
        return data[:end], ""

    def _behind(self, data: str, *, last: bool) -> tuple[str, str]:
        """The text after the reasoning begins at its first character that is not blank, unless that opens a block."""
        text = data.lstrip()
        if text.startswith(_OPEN):
            self._state, self._thought = "inside", False
            return "", text[len(_OPEN) :]
        if not last and _OPEN.startswith(text):
            self._held = text
            return "", ""
        self._state = "plain" if text else self._state
        return text, ""

    def _text(self, data: str, *, last: bool) -> Portion:
        if self._state == "plain" or not self.lone:
            self._state = "plain"
            return Portion(data)
        start = 0
        for found in _TAG.finditer(data):
            self._passed.append(data[start : found.start()])
            start = found.start()
            self._around.take("".join(self._passed))
            self._passed.clear()
            quote = _QUOTES.get(self._around.last)
            if quote is not None and found.end() == len(data) and not last:
                self._held = data[start:]
                return Portion(data[:start])
            if self._around.is_code or (quote is not None and data[found.end() : found.end() + 1] == quote):
                continue
            if found[0] == _OPEN:
                self._state = "plain"
                return Portion(data)
            self._state = "blank"
            self._gap = "\n"
            behind = self._blocks(data[found.end() :], last=last, thought=data[: found.start()].rstrip())
            return behind._replace(moves=True)
        end = len(data) if last else len(data) - max(_partial(data[start:], _OPEN), _partial(data[start:], _CLOSE))
        self._passed.append(data[start:end])
        self._held = data[end:]
        return Portion(data[:end])


def _partial(data: str, tag: str) -> int:
    """How many signs at the end of *data* may begin *tag*."""
    return next((size for size in range(min(len(tag) - 1, len(data)), 0, -1) if data.endswith(tag[:size])), 0)
