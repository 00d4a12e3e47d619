"""``%%qf compare``: several models beside each other, outside the conversation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..analysis.compare import check_fields
from ..analysis.schema import Schema
from ..core.errors import OptionError, PromptError
from .arguments import Arguments, check_no_key, parse_line
from .asking import Ask, prepare
from .comparing import Shower, raise_if_none
from .helptable import Row, help_table
from .several import FRAMED, Outcome, Several, names_of

if TYPE_CHECKING:
    from .engine import Engine

_BORROWED = ("api", "into", "format", "schema", "repairs", "stream", "timeout", "raw", "dry", "quiet")


def compare_cell(engine: "Engine", line: str, body: str) -> None:
    """
    Ask each of the models, ``n`` times; or with ``over=`` for each row of a table.

    A model that can't answer is told in its place, and the others are shown.

    Raises:
        InputError: It can't be asked like that; nothing was sent.
        QianfanError: None of the models answered.
    """
    arguments = _read(line, body)
    options = arguments.options if "raw" in arguments.flags else engine.rendered(arguments.options, _rows())
    names = names_of(options["models"], "models")
    given = {name: value for name, value in options.items() if name not in help_table().compare}
    if "schema" in given:
        check_fields(Schema.of(given["schema"], engine.namespace).names)
    shower = Shower(engine, given, quiet="quiet" in arguments.flags)
    if "over" in options:
        from .compare_rows import compare_rows  # noqa: PLC0415 - brings the work on many rows

        compare_rows(engine, shower, names, arguments._replace(options=options), body)
        return
    prompt = body.removesuffix("\n")
    if "raw" not in arguments.flags:
        prompt = engine.render(prompt)
    asks = [_ask(engine, prompt, {**given, "model": name}) for name in names]
    if "dry" in arguments.flags:
        for ask in asks:
            engine.show_request(ask.plan)
        return

    def show(outcomes: list[Outcome]) -> None:
        shower.show(outcomes, beside, ())

    beside = engine.front.beside(shower.style, live=not shower.quiet)
    raise_if_none(Several(engine.session, beside).run(asks, options.get("n", 1), show))


def _ask(engine: "Engine", prompt: str, given: Mapping[str, Any]) -> Ask:
    once = frozenset({"once"})
    if "schema" not in given:
        return prepare(engine.session, prompt, given, once)
    from .structuring import prepare_structured  # noqa: PLC0415 - few questions have a schema

    return prepare_structured(engine.session, prompt, given, once, engine.namespace)[1]


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
    if style in FRAMED:
        raise OptionError("compare.not_here", name=f"format={style}")
    return arguments


def _rows() -> dict[str, Row]:
    table = help_table()
    return table.compare | {name: table.options[name] for name in _BORROWED} | table.parameters
