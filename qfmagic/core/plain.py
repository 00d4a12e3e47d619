"""Plain text for terminals: nothing a terminal would obey, and columns that line up under Chinese characters."""

import re
from collections.abc import Sequence

# Everything a terminal could take for a command; a model's text is no command.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n?")


def printable(shown: str) -> str:
    """*shown* without the characters a terminal obeys, each made visible; tabs and line ends stay."""
    shown = _LINE_END.sub("\n", shown)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)


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
