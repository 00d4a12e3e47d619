"""What commands show: sentences and tables, as Markdown and as plain text."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...core.i18n import text
from ...core.terminal import NOTE_MARK, aligned, unmarked, visible
from .safe_markdown import code_lines, no_directive

# What Markdown reads as more than itself. What may begin a formula (the first group) gets an element of its own:
# JupyterLab takes an escaped backslash before a bracket for one, and MathJax looks through the page's text too.
_SPECIAL = re.compile(r"(\\(?=[(\[]|begin)|\$)|[\\`*_{}\[\]<>#|!&~]")

# A number in a table: 1,234, -0.5, 12%, ¥0.30, 2/3, 1.2 s.
_NUMBER = re.compile(r"[+-]?[¥$]?\d[\d,]*(?:\.\d+)?(?:%|/\d+| s)?")
_ABSENT = ("", "-")


class Rendered(NamedTuple):
    """
    What a command shows.

    ``beside`` shows more in a front end that follows its kernel, and is handed IPython's ``display``; what stands in
    the other two stays in the document.
    """

    markdown: str
    plain: str
    beside: Callable[[Callable[..., Any]], None] | None = None

    @classmethod
    def of(cls, sentence: str) -> "Rendered":
        """A sentence, the same in both forms."""
        return cls(_literal(sentence), sentence)


@dataclass(frozen=True, slots=True)
class TextTable:
    """Rows under a head, as Markdown and as aligned text."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    above: str = ""

    def said(self) -> Rendered:
        """Both forms."""
        rows = [[str(cell) for cell in row] for row in self.rows]
        numbers = [at for at, column in enumerate(zip(*rows, strict=True)) if _are_numbers(column)]
        marked = [f"| {' | '.join(_literal(cell) for cell in row)} |" for row in (self.head, *rows)]
        marked.insert(1, f"|{'|'.join('---:' if at in numbers else '---' for at in range(len(self.head)))}|")
        lines = aligned((self.head, *([visible(cell) for cell in row] for row in rows)), numbers)
        above = [self.above, ""] if self.above else []
        markdown_above = [_literal(self.above), ""] if self.above else []
        return Rendered("\n".join((*markdown_above, *marked)), "\n".join((*above, *lines)))


def _are_numbers(column: Sequence[str]) -> bool:
    """Whether a column holds numbers, with a unit or a share perhaps, and nothing else."""
    given = [cell for cell in column if cell not in _ABSENT]
    return bool(given) and all(_NUMBER.fullmatch(cell) for cell in given)


def heads(key: str, lang: str) -> list[str]:
    """The heads of a table, from its text."""
    return text(key, lang).split(" | ")


def code(content: str, language: str) -> str:
    """*content* in a fence that it can't close."""
    return "\n".join(code_lines(content, language))


def note_lines(said: Rendered) -> tuple[str, str]:
    """A note of ours below an answer, as Markdown and as plain text, with the mark no text of a model has."""
    if not said.plain:
        return "", ""
    return f"{NOTE_MARK} *{said.markdown}*", f"[{NOTE_MARK} {said.plain}]"


def short(content: str) -> str:
    """The beginning of *content*, on one line, for a column."""
    line = " ".join(unmarked(content).split())
    return line if len(line) <= 40 else f"{line[:37]}..."


def _literal(content: str) -> str:
    """*content* as Markdown that shows just these characters, in a table too."""
    line = visible(" ".join(content.split()))
    lone = line.count("$") == 1  # it ends no formula

    def shown(found: re.Match[str]) -> str:
        if found[0] == "<":
            return "&lt;"  # nbconvert sees a tag behind a backslash, too
        apart = found[1] and not (lone and found[1] == "$")
        return f"<span>&#{ord(found[1])};</span>" if apart else rf"\{found[0]}"

    return no_directive(_SPECIAL.sub(shown, line))
