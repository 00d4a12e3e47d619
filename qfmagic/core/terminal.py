"""Plain text: nothing a terminal would obey, no character that hides, and columns aligned under Chinese characters."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import cache

from wcwidth import wcswidth, wcwidth

# Everything a terminal could take for a command; a model's text is no command.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n?")

# What changes how other characters are read and shows nothing itself: controls, separators some programs end a line
# at, directions and isolates, zero-width and filler characters, halves of characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe03-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000\U000e0001\U000e0080-\U000e00ff\U000e01f0-\U000e0fff]+"
)
# Joiners, variation selectors, and the tags in flags: scripts and emoji need them in their places, no place many.
_SHAPING = re.compile(
    "[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe02\ufe0e\ufe0f\U000e0002-\U000e007f\U000e0100-\U000e01ef]"
)
_MOST = 20_000  # of them in a text whose every one is looked at
_MANY = re.compile(_SHAPING.pattern + "{12,}")
_FLAG = re.compile(
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
)  # of a region, such as Scotland
# Blocks of scripts whose letters joiners shape: Arabic and its relatives, the scripts of India and its neighbours.
_LETTER = re.compile(
    "[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\u1b00-\u1b7f\ua840-\ua8ff\ua980-\ua9ff\ufb50-\ufdff\ufe70-\ufefc]"
)
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2"
_HAN = re.compile(
    "[\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
)
_CHARACTERS_PER_COLUMN = 8  # at most are looked at: an emoji of a family has seven in two columns
_MONGOLIAN = re.compile("[\u1820-\u18aa]")


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
        needed = at in flags or _is_needed(found[0], shown[max(0, at - 2) : at], shown[at + 1 : at + 2])
        return found[0] if needed else _spelled(found)

    return _SHAPING.sub(kept, shown)


def _spelled(found: re.Match[str]) -> str:
    return "".join(map(_form, found[0]))


@cache
def _form(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _is_needed(character: str, before: str, after: str) -> bool:
    """Whether a joiner or selector does its work between what stands before it and behind it."""
    last = before[-1:]
    if not last:
        return False
    if character in "\ufe0e\ufe0f":
        return last in "#*0123456789" or _is_emoji(last)
    if character in "\u180b\u180c\u180d\u180f":
        return _MONGOLIAN.match(last) is not None
    if character not in "\u200c\u200d":
        return _HAN.match(last) is not None
    if _is_letter(last) and _is_letter(after):
        return True
    joined = before[:-1] if last == "\ufe0f" else last
    return character == "\u200d" and (last in _VIRAMA or (_is_emoji(joined) and _is_emoji(after)))


def _is_letter(character: str) -> bool:
    return _LETTER.match(character) is not None and unicodedata.category(character)[0] in "LM"


def _is_emoji(character: str) -> bool:
    """Whether it may be drawn as a picture: symbols, and the tones of skin."""
    return character != "" and (unicodedata.category(character) in ("So", "Sk") or character in "\u203c\u2049\u3030")


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
    """Columns *content* takes in a terminal: two for Chinese characters and emoji, none for combining marks."""
    columns = wcswidth(content)
    return columns if columns >= 0 else sum(max(wcwidth(character), 0) for character in content)  # it has controls


def fitted(content: str, columns: int) -> str:
    """The beginning of *content*, on one line that takes so many columns at most."""
    line = " ".join(content.split())
    if width(line) <= columns:
        return line
    kept = min(len(line), _CHARACTERS_PER_COLUMN * columns)
    while width(line[:kept]) > columns - 3:
        kept -= 1
    return f"{line[:kept]}..."


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Rows of as many cells each, as lines whose cells stand under each other; in the columns *right*, at the right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            _padded(cell, wide, at in right) for at, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _padded(cell: str, wide: int, right: bool) -> str:
    blanks = " " * (wide - width(cell))
    return blanks + cell if right else cell + blanks
