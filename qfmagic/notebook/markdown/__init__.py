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
- what hides is spelled out (:func:`~qfmagic.core.plain.visible`), and nothing begun in a text is left open.

What was written is read again (:mod:`.gate`); a text that doesn't pass, nests too deep or is too much work is shown as
code.
"""

import re
from html import unescape

from .blocks import Writer, code_lines
from .gate import is_safe
from .inlines import Surroundings
from .parser import TooDeepError, parse

# Signs and lines a text may have to be parsed: an answer of the longest a model gives has a tenth. About two seconds.
MAX_WORK = 60_000
MAX_LENGTH = 400_000  # characters
_WORK = re.compile(r"[\n*_`~<>&$\\|!@{}\"\].:#+=^%-]|(\[)")
_BRACKET_WORK = 12  # as much as other signs: each is looked at as the beginning of a link, inside the others
_LINE_END = re.compile(r"\r\n?")
_MATH = re.compile(r"\$|\\\\?[(\[]|\\begin|@@")


def safe_markdown(text: str) -> str:
    """Return *text*, which a model wrote, so that rendering it runs and fetches nothing and leaves nothing open."""
    text = _LINE_END.sub("\n", text)  # renderers end a line at a lone CR too
    if _is_too_much(text):
        return "\n".join(code_lines(text))
    # A dollar may be written as an entity, too.
    dollars = unescape(text).count("$") if "&" in text else text.count("$")
    lone = dollars < 2 and "\\(" not in text and "\\[" not in text and "\\begin" not in text
    try:
        written = Writer(Surroundings(bool(_MATH.search(text)), lone), text.split("\n")).blocks(parse(text))
    except TooDeepError:
        return "\n".join(code_lines(text))
    markdown = "\n".join(written)
    return markdown if is_safe(markdown) else "\n".join(code_lines(text))


def _is_too_much(text: str) -> bool:
    if len(text) > MAX_LENGTH:
        return True
    work = 0
    for found in _WORK.finditer(text):
        work += _BRACKET_WORK if found[1] else 1
        if work > MAX_WORK:
            return True
    return False
