"""How an answer is shown: while it comes, and what stays in the cell."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.answer import Answer
from ...core.i18n import text
from ...core.models import registry
from ...core.safety import BANNED, NOTED
from ...core.terminal import printable, unmarked
from .formats import FORMATS
from .safe_markdown import safe_markdown
from .sources import source_lines, source_list
from .tables import Rendered, note_lines, short

Bundle = dict[str, str]


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
        ("note.empty", answer.complete and not answer.text.strip() and not answer.tool_calls),
        ("note.tool_calls", bool(answer.tool_calls)),
        ("note.filtered", answer.filtered),
        ("note.low_risk", answer.flag == NOTED),
        ("note.withheld", answer.withheld),
        (f"note.banned{apart}", answer.flag >= BANNED and not answer.withheld),
        ("note.clear_history", answer.need_clear_history),
        ("note.despite", bool(answer.despite)),
        ("note.repaired", bool(answer.rejected)),
        ("note.context", sent < available),
        ("note.unsent", bool(unsent)),
        ("note.stub", answer.transport == "stub"),
    ]
    retirement = registry().retirement(answer.model, answer.wire)
    values = {"sent": sent, "available": available, "names": list(unsent), "model": answer.model}
    values |= {"defects": [text(f"schema.despite.{key}", lang) for key in answer.despite]}
    values |= {"count": len(answer.rejected), "calls": [_name_of(call) for call in answer.tool_calls]}
    said = [text(key, lang, **values) for key, applies in found if applies]
    if retirement is None or not retirement.precedes(answer.created):
        return said
    return [retirement.said(answer.model).describe(lang).rstrip(".。"), *said]


def footer(answer: Answer, lang: str, *, sent: int = 0, available: int = 0) -> list[str]:
    """
    The model, the usage and the number of turns sent: the beginning of the line under an answer.

    How long it took isn't in it: that differs from run to run, and strict nbval compares the line. Turns that were
    left out are a note's matter (:func:`notes`).
    """
    served, usage = answer.served_model, answer.usage
    model = text("footer.served", lang, model=answer.model, served=short(served)) if served else answer.model
    known = usage.prompt_tokens is not None and usage.completion_tokens is not None
    counts = {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens}
    said = [
        (answer.model if served == answer.model else model, True),
        (text("footer.tokens", lang, **counts) if known else "", known),
        (text("footer.turns", lang, sent=sent, available=available), 0 < available == sent),
    ]
    return [phrase for phrase, applies in said if applies and phrase]


def _name_of(call: Mapping[str, Any]) -> str:
    """The name of the tool a call is for."""
    function = call.get("function")
    return str(function.get("name", "?")) if isinstance(function, Mapping) else "?"


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
    if FORMATS[style].framed:
        from .html_frame import html_frame, text_of_page  # noqa: PLC0415 - few answers are shown so

        frame = html_frame(answer.shown, [*source_lines(answer), *below], lang)
        extra = {"text/html": f"{frame}{text_of_page(answer.shown, lang)}"}
    marked, plain, note = body.markdown, body.plain, note_lines(Rendered.of(line))
    return {
        **extra,
        "text/markdown": f"{marked.rstrip()}\n\n{note[0]}" if line else marked,
        "text/plain": printable(f"{unmarked(plain)}\n\n{note[1]}" if line else unmarked(plain)),
    }


def answer_body(answer: Answer, style: str, lang: str) -> tuple[Rendered, list[str]]:
    """What the model wrote, in both forms, and what is to be said about the format it was asked for."""
    marked, shown, notes_about = FORMATS[style].render(answer.shown)
    if answer.reasoning and not answer.withheld:
        marked = f"{_folded(text('live.reasoning', lang), answer.reasoning)}\n\n{marked}"
    listed = source_list(answer)
    if listed.plain:
        marked, shown = f"{marked.rstrip()}\n\n{listed.markdown}", f"{shown}\n\n{listed.plain}"
    return Rendered(marked, shown), [] if answer.withheld else [text(note, lang) for note in notes_about]


def _folded(title: str, content: str) -> str:
    """Text the reader may unfold. The blank lines keep its Markdown Markdown, and keep it inside."""
    # Blanks decide what a line means, so it is judged without those it won't have.
    safe = safe_markdown(content.strip()).strip("\n")
    return f"<details><summary>{title}</summary>\n\n{safe}\n\n</details>"
