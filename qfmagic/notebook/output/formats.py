"""The output formats of ``format=``, a row each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from ...core.safe_json import TooDeep, escaped_halves, read_json, write_json
from ...core.terminal import unmarked
from .safe_markdown import fences, safe_markdown
from .tables import code

_SPREAD = 20  # times as long as the answer, at most, is JSON that is laid out in lines


class FormattedText(NamedTuple):
    """
    A model's text in a format.

    Attributes:
        markdown: The text as inert Markdown.
        plain: The text as it is read in a terminal.
        notes: The keys of notes about the format.
    """

    markdown: str
    plain: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """
    A value of ``format=``.

    Attributes:
        name: The value.
        render: Formats a model's text.
        framed: Whether the answer is also shown as HTML, in a frame.
        source_view: Whether the text is shown as it is written while it streams (``js/src/view.js``).
        offers_code: Whether the code in the answer is put into a new cell.
    """

    name: str
    render: Callable[[str], FormattedText]
    framed: bool = False
    source_view: bool = False
    offers_code: bool = False

    @property
    def exclusive(self) -> bool:
        """Whether an output can hold one answer only."""
        return self.framed or self.offers_code


def code_blocks(markdown: str) -> list[str]:
    """The fenced code in an answer, in lists and quotations too."""
    return [content.rstrip("\n") for content in fences(markdown)]


def pretty_json(content: str) -> tuple[str, str]:
    """JSON laid out in lines, or as it was written where that would change it; and the key of a note, or ""."""
    inside = code_blocks(content)
    candidate = inside[0] if len(inside) == 1 else content
    twice: list[str] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        twice.extend("name" for _ in range(len(pairs) - len(found)))
        return found

    try:
        value = read_json(candidate, parse_constant=_no_json, object_pairs_hook=keep)
    except ValueError as error:
        return content, "note.json_deep" if isinstance(error, TooDeep) else "note.json"
    try:
        shown = "" if twice else escaped_halves(write_json(value, ensure_ascii=False, indent=2, allow_nan=False))
    except ValueError:  # a number beyond all bounds
        shown = ""
    # Blanks in front of what is nested deeply can be hundreds of times as long as all the rest.
    as_written = not shown or len(shown) > _SPREAD * (len(candidate) + _SPREAD)
    return (candidate.strip() if as_written else shown), ""


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's own, no other reader of JSON takes them


def _markdown(written: str) -> FormattedText:
    return FormattedText(safe_markdown(written), written)


def _text(written: str) -> FormattedText:
    return FormattedText(code(unmarked(written), ""), written)


def _json(written: str) -> FormattedText:
    shown, note = pretty_json(written)
    return FormattedText(code(unmarked(shown), "json"), shown, (note,) if note else ())


def _code(written: str) -> FormattedText:
    return FormattedText(safe_markdown(written), written, () if code_blocks(written) else ("note.no_code",))


_ROWS = (
    OutputFormat(name="markdown", render=_markdown),
    OutputFormat(name="text", render=_text, source_view=True),
    OutputFormat(name="json", render=_json, source_view=True),
    OutputFormat(name="code", render=_code, offers_code=True),
    OutputFormat(name="html", render=_markdown, framed=True, source_view=True),
)
FORMATS: Mapping[str, OutputFormat] = {row.name: row for row in _ROWS}
EXCLUSIVE = frozenset(row.name for row in _ROWS if row.exclusive)
