"""
Model text as Markdown that can't act.

JupyterLab doesn't sanitise the outputs of cells a user ran: raw HTML in ``text/markdown`` executes, ``javascript:``
links come out live, remote images are fetched (measured with 4.6). So a text is parsed, and what is saved is written
anew from the parse, in one plain form that every renderer reads alike:

- text holds no sign that would be more than itself; raw HTML, images and definitions of links are text;
- links keep only addresses of pages, mailboxes and headings;
- code stands in fences with a known language, or none; inside the marks of a list or quotation only code that would do
  no harm if a renderer took it for text, else the list or quotation is written with tags, and the fence stands free;
- formulas stand on one line and hold only commands of mathematics;
- what hides is spelled out (:func:`~qfmagic.core.terminal.visible`), and nothing begun in a text is left open.

What was written is read again (:mod:`.gate`); a text that doesn't pass, nests too deep or is too much work is shown as
code.
"""

import re

from ....core.terminal import unmarked, visible
from .fence import code_lines, no_directive

# The work a text may be to be parsed: an answer of the longest a model gives is a tenth. About two seconds.
MAX_WORK = 60_000
MAX_LENGTH = 400_000  # characters
MAX_COLUMNS = 64  # of a table: each row is filled up to as many cells
_WORK = re.compile(r"[*_`~<>&$\\|!@{}\"\].:#+=^%-]|(\n)|(\[)")
_LINE_WORK, _BRACKET_WORK = 4, 12  # as much as other signs: a bracket is looked at inside all others that are open
_HEAD = re.compile(r"^[^\S\n>]*[>\s]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)+$", re.MULTILINE)
_LINE_END = re.compile(r"\r\n?")


__all__ = ["code_lines", "fences", "no_directive", "quoted_markdown", "safe_markdown"]


def safe_markdown(text: str) -> str:
    """Return *text*, which a model wrote, so that rendering it runs and fetches nothing and leaves nothing open."""
    return "\n".join(_written(text, quoted=False))


def quoted_markdown(text: str) -> str:
    """Return *text* as :func:`safe_markdown`, in a quotation that nothing in it can end."""
    return "\n".join(_written(text, quoted=True))


def fences(text: str) -> list[str]:
    """Return the content of each fence in *text*, wherever it stands; none of a text that is too much work."""
    from .written import fences_of  # noqa: PLC0415 - the parser is loaded with the first answer

    text = _LINE_END.sub("\n", text)
    return [] if _is_too_much(text) else fences_of(text)


def _written(text: str, *, quoted: bool) -> list[str]:
    from .written import written  # noqa: PLC0415 - as above

    text = unmarked(visible(_LINE_END.sub("\n", text)))  # renderers end a line at a lone CR too
    lines = None if _is_too_much(text) else written(text, quoted=quoted)
    if lines is not None:
        return lines
    code = code_lines(text)
    return ["<blockquote>", "", *code, "", "</blockquote>"] if quoted else code


def _is_too_much(text: str) -> bool:
    if len(text) > MAX_LENGTH:
        return True
    columns = max((found[0].count("|") for found in _HEAD.finditer(text)), default=0) if "|" in text else 0
    if columns > MAX_COLUMNS:
        return True
    work, of_line = 0, _LINE_WORK + columns // 2
    for found in _WORK.finditer(text):
        work += of_line if found[1] else _BRACKET_WORK if found[2] else 1
        if work > MAX_WORK:
            return True
    return False
