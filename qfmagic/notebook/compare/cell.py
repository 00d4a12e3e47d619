"""``%%qf compare``: several models beside each other, outside the conversation."""

from ...core.errors import OptionError, PromptError
from ..ask.comparison import ComparisonView, raise_if_none
from ..ask.prepare import prepare_any
from ..ask.sending import turn_of
from ..ask.several import ModelOutcome, Several, names_of
from ..cell import CellContext
from ..output.formats import EXCLUSIVE
from ..parsing.key_guard import check_no_key
from ..parsing.line import Arguments, parse_line
from ..parsing.option_table import OptionRow, help_table

_BORROWED = (
    *("api", "into", "format", "schema", "repairs", "stream", "timeout", "retry_count", "backoff_factor"),
    *("raw", "dry", "quiet"),
)


def compare_cell(cell: CellContext, line: str, body: str) -> None:
    """
    Ask each of the models, ``n`` times; or with ``over=`` for each row of a table.

    A model that can't answer is told in its place, and the others are shown.

    Raises:
        InputError: It can't be asked like that; nothing was sent.
        QianfanError: None of the models answered.
    """
    arguments = _read(line, body)
    options = arguments.options if "raw" in arguments.flags else cell.rendered(arguments.options, _rows())
    names = names_of(options["models"], "models")
    given = {name: value for name, value in options.items() if name not in help_table().compare}
    shower = ComparisonView(cell, given, quiet="quiet" in arguments.flags)
    if "over" in options:
        from .rows import compare_rows  # noqa: PLC0415 - brings the work on many rows

        compare_rows(cell, shower, names, arguments._replace(options=options), body)
        return
    prompt = body.removesuffix("\n")
    if "raw" not in arguments.flags:
        prompt = cell.render(prompt)
    once, session = frozenset({"once"}), cell.session
    questions = [
        prepare_any(session, prompt, {**given, "model": name}, once, lambda: cell.namespace)[1] for name in names
    ]
    if "dry" in arguments.flags:
        for question in questions:
            cell.show_request(question.plan)
        return

    def show(outcomes: list[ModelOutcome]) -> None:
        turns = [turn_of(session, one.question, one.answer) for one in outcomes]
        shower.show(outcomes, turns, beside, ())

    beside = cell.front.beside(shower.style, live=not shower.quiet)
    raise_if_none(Several(session, beside).run(questions, options.get("n", 1), show))


def _read(line: str, body: str) -> Arguments:
    arguments = parse_line(line, _rows())
    if arguments.text:
        word = arguments.text.split()[0]
        check_no_key(word)
        raise OptionError("option.prompt_on_line", text=word)
    if "models" not in arguments.options:
        raise OptionError("compare.words")
    if not body.strip():
        raise PromptError("prompt.empty")
    if "over" in arguments.options and "raw" in arguments.flags:
        raise OptionError("compare.raw")
    style = arguments.options.get("format")
    if style in EXCLUSIVE:
        raise OptionError("compare.not_here", name=f"format={style}")
    return arguments


def _rows() -> dict[str, OptionRow]:
    table = help_table()
    return table.compare | {name: table.options[name] for name in _BORROWED} | table.parameters
