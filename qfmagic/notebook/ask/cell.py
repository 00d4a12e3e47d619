"""``%%qianfan`` and ``%qianfan``: the question of a cell, asked and shown."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...core.answer import Answer
from ...core.conversation import Turn
from ...core.errors import InputError, OptionError, PromptError, SchemaError
from ..cell import CellContext
from ..output.bundle import Bundle, answer_bundle, footer, notes
from ..output.formats import FORMATS, code_blocks
from ..output.views import View
from ..parsing.key_guard import check_no_key
from ..parsing.line import Arguments, parse_line
from ..parsing.loose import model_named
from ..session.session import Session
from .prepare import prepare_any
from .provenance import provenance
from .question import Question
from .sending import failed
from .single import run

if TYPE_CHECKING:
    from .expect import Expectation

# Where a question belongs that can't be asked, and perhaps not even be read.
_CHAT = re.compile(r"\bchat=['\"]?([^\s'\"]+)")

Decide = Callable[[Session, str], tuple[Question, Mapping[str, Any]]]


class Asking:
    """
    Asks the questions of cells.

    Args:
        cell: Where they are asked.
    """

    def __init__(self, cell: CellContext) -> None:
        self._cell = cell
        self._offered: dict[tuple[str, int], str] = {}  # the code that was put into a cell below, by question

    def ask_cell(self, line: str, body: str | None) -> Answer | None:
        """
        Do ``%qianfan`` and, with a *body*, ``%%qianfan``.

        Raises:
            InputError: It can't be asked like that; nothing was sent.
            QianfanError: No answer, or not all of it.
        """
        cell, session = self._cell, self._cell.session
        try:
            arguments, given, question = self._prepared(line, body)
            expected = self._expected(arguments, given)
        except InputError:
            named = _CHAT.search(line)
            failed(session, chat=named[1] if named else None)
            raise
        if "dry" in arguments.flags:
            session.chats.skip(question.slot.chat)
            for one in (question, *question.others):
                cell.show_request(one.plan)
            return None
        quiet = "quiet" in arguments.flags
        if question.others:
            from .comparison import ask_several  # noqa: PLC0415 - most questions are for one model

            return ask_several(cell, question, given, expected, live=body is not None and not quiet, quiet=quiet)
        answer = self._run(question, given, quiet=quiet, whole_cell=body is not None)
        if "into" in given:
            cell.bind(given["into"], answer if question.expected is None else answer.value)
        if expected is not None:
            expected.check(answer, cell.namespace, cell.set_result)
        return answer

    def ask_again(self, decide: Decide, words: str) -> Answer:
        """
        Do a command that asks a turn again.

        Raises:
            InputError: It can't be asked like that; nothing was sent.
            QianfanError: No answer, or not all of it.
        """
        question, given = decide(self._cell.session, words)
        return self._run(question, given, quiet=False, whole_cell=False)

    def _prepared(self, line: str, body: str | None) -> tuple[Arguments, Mapping[str, Any], Question]:
        arguments, cell = parse_line(line), self._cell
        prompt = _prompt_of(arguments, body)
        given: Mapping[str, Any] = arguments.options
        if "raw" not in arguments.flags:
            prompt = cell.render(prompt)
            given = cell.rendered(given)
        return arguments, *prepare_any(cell.session, prompt, given, arguments.flags, lambda: cell.namespace)

    def _expected(self, arguments: Arguments, given: Mapping[str, Any]) -> "Expectation | None":
        written = arguments.options.get("expect")
        if written is None:
            return None
        from .expect import expectation  # noqa: PLC0415 - few questions expect something

        into, raw = given.get("into"), "raw" in arguments.flags
        return expectation(written, self._cell.namespace, into=into, raw=raw)

    def _run(self, question: Question, given: Mapping[str, Any], *, quiet: bool, whole_cell: bool) -> Answer:
        cell = self._cell
        style = str(cell.session.preferences.setting("format", given).value)

        def view_of(question: Question) -> View:
            return View() if quiet else cell.front.view(question.plan, style, whole_cell=whole_cell)

        def show(answer: Answer, asked: Question, turn: Turn, view: View) -> None:
            self._finish(answer, asked, turn, view, style)

        try:
            answer = run(cell.session, question, view_of, show)
        except SchemaError as error:  # a cell that fails has no result to find the answer by
            cell.set_result(error.partial)
            raise
        if FORMATS[style].offers_code and not quiet:
            self._offer_code(answer, question)
        cell.has_shown(answer)
        return answer

    def _finish(self, answer: Answer, question: Question, turn: Turn, view: View, style: str) -> None:
        """Leave the final form, with what the reader must know below it."""
        cell, session = self._cell, self._cell.session
        context = question.plan.context
        along = {"sent": context.sent, "available": context.available}
        has_footer = session.preferences.setting("footer").value and not cell.front.terminal
        below = footer(answer, session.lang, **along) if has_footer else []
        below += notes(answer, session.lang, **along, unsent=question.unsent, joins=question.joins)
        below += cell.history_notes(question) + session.take_notes()
        told = cell.conversation_notes(question.slot.chat if question.joins else None, question.sent)

        def final(below: list[str]) -> tuple[Bundle, dict[str, Any]]:
            bundle = answer_bundle(answer, below, style, session.lang)
            return bundle, {"qfmagic": provenance(answer, question, turn, bundle, session.source)}

        view.finish(*final(below + told))
        if told:
            cell.has_told(view, *final(below))

    def _offer_code(self, answer: Answer, question: Question) -> None:
        """Put the answer's code into a new cell below; once, however often this cell is run with the same answer."""
        blocks = code_blocks(answer.shown)
        if not blocks:
            return
        slot = question.slot
        offered = (slot.cell, slot.place) if slot.cell is not None else None
        if offered is None or self._offered.get(offered) != blocks[0]:
            self._cell.offer_cell(blocks[0])
        if offered is not None:
            self._offered[offered] = blocks[0]


def _prompt_of(arguments: Arguments, body: str | None) -> str:
    if body is None:
        if arguments.unsure:
            raise OptionError("option.flag_or_prompt", flag=arguments.unsure, text=arguments.text)
        return arguments.text
    if arguments.text:
        word = arguments.text.split()[0]  # only this one: somebody may have put a key there
        check_no_key(word)
        error = OptionError("option.prompt_on_line", text=word).with_hint("option.example", name=model_named(word))
        for name in ("expect", "schema"):
            if name in arguments.options:
                error = error.with_hint(f"{name}.quotes")
        raise error
    prompt = body.removesuffix("\n")
    if not prompt.strip():
        raise PromptError("prompt.empty")
    return prompt
