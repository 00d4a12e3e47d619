"""Plain text: nothing a terminal would obey, no character that hides, and columns aligned under Chinese characters."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

# Everything a terminal could take for a command; a model's text is no command.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n?")

# What changes how other characters are read and shows nothing itself: controls, separators some programs end a line
# at, directions and isolates, zero-width and filler characters, halves of characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\ud800-\udfff"
    "\U000e0000\U000e0001\U000e0080-\U000e0fff]+"
)
# Joiners, the styles of emoji, and the tags in flags: scripts and emoji need them in their places. No place needs many.
_SHAPING = re.compile("[\u200c\u200d\ufe0e\ufe0f\U000e0002-\U000e007f]")
_MOST = 20_000  # of them in a text whose every one is looked at
_MANY = re.compile(_SHAPING.pattern + "{12,}")
_JOINERS = "\u200c\u200d"
_EMOJI_STYLES = "\ufe0e\ufe0f"
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")  # of a region, such as Scotland
# Scripts whose letters joiners shape: Arabic and its relatives, the scripts of India and its neighbours, Mongolian.
_JOINED_SCRIPTS = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0e80-\u109f\u1780-\u18af\u1900-\u1aff\u1b00-\u1cff\ua840-\ua8ff\ua900-\uabff"
    "\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff\U0001e900-\U0001e95f]"
)


def visible(shown: str) -> str:
    """
    *shown* with every character that hides or turns others written out, as ``[U+202E]``.

    Tabs and line ends stay, and so do joiners and selectors where scripts and emoji need them.
    """
    if _HIDDEN.search(shown) is None and _SHAPING.search(shown) is None:
        return shown
    shown = _MANY.sub(_spelled, _HIDDEN.sub(_spelled, shown))
    if len(_SHAPING.findall(shown)) > _MOST:
        return _SHAPING.sub(_spelled, shown)
    flags = {at for flag in _FLAG.finditer(shown) for at in range(*flag.span())}

    def kept(found: re.Match[str]) -> str:
        at = found.start()
        needed = at in flags or _is_needed(found[0], shown[at - 1 : at], shown[at + 1 : at + 2])
        return found[0] if needed else _spelled(found)

    return _SHAPING.sub(kept, shown)


def _spelled(found: re.Match[str]) -> str:
    return "".join(map(_form, found[0]))


@cache
def _form(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _is_needed(character: str, before: str, after: str) -> bool:
    """Whether a joiner or selector does its work between the two characters beside it."""
    if character in _EMOJI_STYLES:
        return before != "" and (before in "#*0123456789" or unicodedata.category(before) in ("So", "Sm", "Po", "Pd"))
    if character not in _JOINERS or not before or not after:
        return False
    between_letters = bool(_JOINED_SCRIPTS.match(before) and _JOINED_SCRIPTS.match(after))
    emoji = character == "\u200d" and (before == "\ufe0f" or unicodedata.category(before) in ("So", "Sk"))
    return between_letters or (emoji and unicodedata.category(after) == "So")


# Begins each line of ours below an answer; in what a model writes it is spelled out, so no text passes for ours.
NOTE_MARK = "\u25c8"


def unmarked(shown: str) -> str:
    """A model's text, in which the mark of our notes is spelled out."""
    return shown.replace(NOTE_MARK, _form(NOTE_MARK))


def printable(shown: str) -> str:
    """*shown* with what a terminal obeys and what hides made visible; tabs and line ends stay."""
    shown = _LINE_END.sub("\n", shown)
    return visible(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", shown))


def width(content: str) -> int:
    """Columns *content* takes in a terminal; Chinese characters take two."""
    return sum(2 if "\u1100" <= character <= "\uffe6" else 1 for character in content)


def fitted(content: str, columns: int) -> str:
    """The beginning of *content*, on one line that takes so many columns at most."""
    line = " ".join(content.split())
    if width(line) <= columns:
        return line
    kept = len(line)
    while width(line[:kept]) > columns - 3:
        kept -= 1
    return f"{line[:kept]}..."


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of as many cells each, as lines whose cells stand under each other."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
