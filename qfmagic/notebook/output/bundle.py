"""How an answer is shown: while it comes, and what stays in the cell."""

from collections.abc import Sequence
from typing import Any, NoReturn

from ...core.answer import Answer
from ...core.i18n import text
from ...core.models import registry
from ...core.safe_json import TooDeep, escaped_halves, read_json, write_json
from ...core.terminal import printable, unmarked
from .safe_markdown import fences, safe_markdown
from .tables import Rendered, code, note_lines

Bundle = dict[str, str]

_SPREAD = 20  # times as long as it came, at most, is JSON that is laid out in lines


def notes(
    answer: Answer,
    lang: str,
    *,
    sent: int = 0,
    available: int = 0,
    unsent: Sequence[str] = (),
    joins: bool = True,
) -> list[str]:
    """
    What the reader must know about an answer, in one phrase each.

    Args:
        answer: The answer.
        lang: The language.
        sent: How many turns of history went along.
        available: How many there were.
        unsent: Parameters set for the notebook that the model doesn't take.
        joins: Whether it is a turn of a conversation, which can go on.
    """
    apart = "" if joins else ".apart"
    found = [
        (f"note.interrupted{apart}", answer.finish_reason == "interrupted"),
        (f"note.incomplete{apart}", answer.finish_reason == "incomplete"),
        (f"note.truncated{apart}", answer.truncated),
        ("note.empty", answer.complete and not answer.text.strip()),
        ("note.clear_history", answer.need_clear_history),
        ("note.repaired", bool(answer.rejected)),
        ("note.context", sent < available),
        ("note.unsent", bool(unsent)),
        ("note.stub", answer.transport == "stub"),
    ]
    retirement = registry().retirement(answer.model, answer.wire)
    values = {"sent": sent, "available": available, "names": list(unsent), "model": answer.model}
    values |= {"count": len(answer.rejected)}
    said = [text(key, lang, **values) for key, applies in found if applies]
    if retirement is None or not retirement.precedes(answer.created):
        return said
    return [retirement.said(answer.model).describe(lang).rstrip(".。"), *said]


def answer_bundle(answer: Answer, below: Sequence[str], style: str = "markdown", lang: str = "en") -> Bundle:
    """
    The saved form of an answer: the text, and the notes in a line below it.

    Args:
        answer: The answer.
        below: The notes.
        style: ``format=``.
        lang: Language of what is said about the format.
    """
    body, about = answer_body(answer, style, lang)
    line = " · ".join((*about, *below))
    extra = {}
    if style == "html":
        from .html_frame import html_frame  # noqa: PLC0415 - few answers are shown so

        extra = {"text/html": html_frame(answer.text, below, lang)}
    marked, plain, note = body.markdown, body.plain, note_lines(Rendered.of(line))
    return {
        **extra,
        "text/markdown": f"{marked.rstrip()}\n\n{note[0]}" if line else marked,
        "text/plain": printable(f"{unmarked(plain)}\n\n{note[1]}" if line else unmarked(plain)),
    }


def answer_body(answer: Answer, style: str, lang: str) -> tuple[Rendered, list[str]]:
    """What the model wrote, in both forms, and what is to be said about the format it was asked for."""
    shown, about = answer.text, []
    if style == "text":
        marked = code(unmarked(shown), "")
    elif style == "json":
        shown, note = _pretty_json(shown)
        about = [text(note, lang)] if note else []
        marked = code(unmarked(shown), "json")
    else:
        marked = safe_markdown(shown)
        about = [text("note.no_code", lang)] if style == "code" and code_blocks(shown) == [] else []
    if answer.reasoning:
        marked = f"{_folded(text('live.reasoning', lang), answer.reasoning)}\n\n{marked}"
    return Rendered(marked, shown), about


def _folded(title: str, content: str) -> str:
    """Text the reader may unfold. The blank lines keep its Markdown Markdown, and keep it inside."""
    # Blanks decide what a line means, so it is judged without those it won't have.
    safe = safe_markdown(content.strip()).strip("\n")
    return f"<details><summary>{title}</summary>\n\n{safe}\n\n</details>"


def code_blocks(markdown: str) -> list[str]:
    """The fenced code in an answer, in lists and quotations too."""
    return [content.rstrip("\n") for content in fences(markdown)]


def _pretty_json(content: str) -> tuple[str, str]:
    """JSON laid out in lines, and "" or what to say about it; what would change in that is shown as it was written."""
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
