"""Several answers in one output: a table of what each came to, and below it each in full."""

from collections.abc import Sequence
from textwrap import indent

from ...batch.agreement import Agreement, Compared, Summary, summaries
from ...core.i18n import text
from ...core.terminal import printable, unmarked
from ..output.bundle import Bundle, answer_body, notes
from ..output.tables import Rendered, TextTable, note_lines

_COLUMNS = ("model", "answers", "characters", "prompt", "completion", "finish", "agreement")


def side_by_side(
    compared: Sequence[Compared], agreed: Agreement, below: Sequence[str], *, style: str, lang: str
) -> Bundle:
    """
    The saved form of several answers to one question.

    How long they took isn't in it: that differs from run to run.

    Args:
        compared: The answers.
        agreed: How alike they are.
        below: What the reader must know besides.
        style: ``format=``.
        lang: The language.
    """
    table = summary_table(compared, agreed, lang)
    shared = shared_notes(compared, lang)
    notes_below = Rendered.of(" · ".join((*agreement_notes(agreed, lang), *shared, *below)))
    parts = [_part(one, compared, shared, style, lang) for one in compared]
    marked, plain = note_lines(notes_below)
    return {
        "text/markdown": "\n\n".join(filter(None, (table.markdown, marked, *(part.markdown for part in parts)))),
        "text/plain": printable("\n\n".join(filter(None, (table.plain, plain, *(part.plain for part in parts))))),
    }


def summary_table(compared: Sequence[Compared], agreed: Agreement, lang: str) -> Rendered:
    """What each model's answers come to, as a table."""
    rows = summaries(compared, agreed.each)
    absent = {
        "answers": all(row.asked == 1 for row in rows),
        "agreement": all(row.agreement is None for row in rows),
    }
    columns = [name for name in _COLUMNS if not absent.get(name)]
    head = [text(f"compare.column.{name}", lang) for name in columns]
    return TextTable(head, [_row(row, columns) for row in rows]).said()


def _row(row: Summary, columns: Sequence[str]) -> list[object]:
    cells = {
        "model": row.model,
        "answers": f"{row.answered}/{row.asked}",
        "characters": row.characters,
        "prompt": row.prompt_tokens,
        "completion": row.completion_tokens,
        "finish": ", ".join(row.finish),
        "agreement": None if row.agreement is None else f"{row.agreement:.2f}",
    }
    return ["-" if cells[name] is None else cells[name] for name in columns]


def agreement_notes(agreed: Agreement, lang: str) -> list[str]:
    """What the agreement says."""
    if not agreed.pairs:
        return []
    identical = text("compare.identical", lang, same=agreed.same, pairs=agreed.pairs)
    return [text("compare.agreement", lang), identical]


def _notes(one: Compared, lang: str) -> list[str]:
    return notes(one.answer, lang, joins=one.joins) if one.answered or one.problem is None else []


def shared_notes(compared: Sequence[Compared], lang: str) -> list[str]:
    """What is to be said of every answer: it is said once."""
    each = [_notes(one, lang) for one in compared if one.answered]
    return [note for note in each[0] if all(note in others for others in each[1:])] if each else []


def _part(one: Compared, compared: Sequence[Compared], shared: Sequence[str], style: str, lang: str) -> Rendered:
    """
    One answer under its heading.

    The answer stands in a quotation, or indented: neither can it end, so nothing in it passes for the next heading.
    """
    many = any(other.n > 1 for other in compared)
    name = Rendered.of(f"{one.model} · {one.n}" if many else one.model)
    marked, plain = [f"---\n\n**{name.markdown}**"], [f"--- {name.plain}"]
    about: list[str] = []
    if one.answered or one.problem is None:
        body, about = answer_body(one.answer, style, lang)
        content = body.markdown.strip("\n")
        marked += [f"<blockquote>\n\n{content}\n\n</blockquote>"] if content else []
        plain += [indent(printable(unmarked(body.plain.strip("\n"))), "  ")] if body.plain else []
    line = Rendered.of(" · ".join((*about, *(note for note in _notes(one, lang) if note not in shared))))
    marked += [note_lines(line)[0]] if line.plain else []
    plain += [f"\n{note_lines(line)[1]}"] if line.plain else []
    if one.problem is not None:
        message = one.problem.message(lang)
        why = Rendered.of(message if one.answered else text("compare.failed", lang, message=message))
        marked.append(why.markdown)
        plain.append(f"\n{why.plain}" if one.answered else why.plain)
    return Rendered("\n\n".join(marked), "\n".join(plain))
