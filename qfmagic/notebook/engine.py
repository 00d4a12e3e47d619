"""What the magics do: read the line, ask, show."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

from ..analysis.prompt import render
from ..client.redact import redact
from ..core.answer import Answer
from ..core.catalogue import text
from ..core.errors import InputError, OptionError, PromptError, QianfanError, SchemaError
from ..core.plain import printable
from ..core.plan import Plan
from .arguments import EXPRESSIONS, Arguments, check_no_key, parse_line
from .asking import Ask, failed, prepare, run, turn_of
from .display import Bundle, View, answer_bundle, code_blocks, notes
from .front import Front, display, write
from .helptable import Row, help_table
from .interrupts import Interrupted
from .keys import check_holds_none
from .looking import check_cell
from .provenance import provenance
from .session import Session

if TYPE_CHECKING:
    from .expect import Expectation

T = TypeVar("T")
# Where a question belongs that can't be asked, and perhaps not even be read.
_CHAT = re.compile(r"\bchat=['\"]?([^\s'\"]+)")


class Engine:
    """
    The magics' work in one IPython shell.

    Args:
        shell: The shell.
        environ: The environment.
        config: The settings made with ``%config``, read at each use.
        source: The cell that runs, as it is written.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        environ: Mapping[str, str],
        config: Callable[[], Mapping[str, Any]],
        source: str | None = None,
    ) -> None:
        self.shell: Any = shell
        self._config = config
        self.session = Session(environ, config)
        self.front = Front(shell, self.session)
        self._shown: tuple[Answer, int] | None = None
        self._offered: dict[tuple[str, int], str] = {}
        self._told: tuple[View, Bundle, dict[str, Any]] | None = None
        self.errors: Mapping[int, str] = {}
        self.begin_cell(source)
        formatters: Any = shell.display_formatter
        self._formatter = formatters.ipython_display_formatter
        self._formatter.for_type(Answer, self._show_result)

    def close(self) -> None:
        """Give back what was taken from the shell, and close what is open."""
        self._formatter.pop(Answer, None)
        self.session.close()

    def begin_cell(self, source: str | None) -> None:
        """A cell is about to run: *source* is what it says."""
        metadata = self.front.metadata
        deleted = metadata.get("deletedCells")
        self.session.begin_cell(metadata.get("cellId"), source, deleted if isinstance(deleted, list) else ())

    def end_cell(self) -> None:
        """The cell has run."""
        self.session.end_cell()

    def check(self, line: str, cell: str | None, around: Sequence[str]) -> None:
        """
        Check that no key is in a line, the *cell* below it, what is written *around* them, and what ``%config`` set,
        before all else.
        """

        def look() -> None:
            secrets = self.session.keys.secrets()
            check_cell(secrets, line, (cell or "", *around))
            check_holds_none(secrets, self._config())  # a conversation's name, for example, is kept and shown

        self._in_language(look)

    def ask(self, line: str, cell: str | None, around: Sequence[str] = ()) -> Answer | None:
        """Do ``%qianfan`` and, with a *cell*, ``%%qianfan``; *around* is as :meth:`check` takes it."""
        try:
            self.check(line, cell, around)
        except InputError:
            failed(self.session, chat=None)  # not the one it names: that may be the key
            raise
        return self._in_language(lambda: self._ask(line, cell))

    def steer(self, line: str) -> Answer | None:
        """Do ``%qf``; return the answer of a command that asks."""
        from . import again, commands  # noqa: PLC0415 - a first question doesn't need them

        name, _, words = line.strip().partition(" ")
        if name in again.COMMANDS:
            return self._in_language(lambda: self._ask_again(again.COMMANDS[name], words))
        said = self._in_language(lambda: commands.run(self.session, line))
        self.front.publish({"text/markdown": said.markdown, "text/plain": printable(said.plain)})
        if said.beside is not None and self.front.live:
            said.beside(display)
        return None

    def steer_cell(self, line: str, body: str) -> Any:
        """Do ``%%qf``."""
        from .cell_commands import run_cell  # noqa: PLC0415 - as above

        return self._in_language(lambda: run_cell(self, line, body))

    def _ask_again(self, decide: Callable[[Session, str], tuple[Ask, Mapping[str, Any]]], words: str) -> Answer:
        ask, given = decide(self.session, words)
        return self._run(ask, given, quiet=False, whole_cell=False)

    def _in_language(self, work: Callable[[], T]) -> T:
        """Do *work*; what ends it is told in the user's language, without our stack, and without keys."""
        try:
            return work()
        except QianfanError as error:
            redact(error, self.session.keys.secrets())  # a value that can't be read, or an expression's own error
            error.lang = self.session.lang
            raise
        except KeyboardInterrupt:
            raise Interrupted from None

    def _ask(self, line: str, cell: str | None) -> Answer | None:
        try:
            arguments, given, ask = self._prepared(line, cell)
            expected = self._expected(arguments, given)
        except InputError:
            named = _CHAT.search(line)
            failed(self.session, chat=named[1] if named else None)
            raise
        if "dry" in arguments.flags:
            self.session.chats.skip(ask.slot.chat)
            for one in (ask, *ask.others):
                self.show_request(one.plan)
            return None
        quiet = "quiet" in arguments.flags
        if ask.others:
            from .comparing import ask_several  # noqa: PLC0415 - most questions are for one model

            return ask_several(self, ask, given, expected, live=cell is not None and not quiet, quiet=quiet)
        answer = self._run(ask, given, quiet=quiet, whole_cell=cell is not None)
        if "into" in given:
            self.shell.user_ns[given["into"]] = answer if ask.wanted is None else answer.value
        if expected is not None:
            expected.check(answer, self.namespace, self.shell.displayhook.update_user_ns)
        return answer

    def _expected(self, arguments: Arguments, given: Mapping[str, Any]) -> "Expectation | None":
        written = arguments.options.get("expect")
        if written is None:
            return None
        from .expect import expectation  # noqa: PLC0415 - few questions expect something

        into, raw = given.get("into"), "raw" in arguments.flags
        return expectation(written, self.namespace, into=into, raw=raw)

    def _run(self, ask: Ask, given: Mapping[str, Any], *, quiet: bool, whole_cell: bool) -> Answer:
        style = str(self.session.preferences.setting("format", given).value)

        def view_of(ask: Ask) -> View:
            return View() if quiet else self.front.view(ask, style, whole_cell=whole_cell)

        try:
            answer = run(self.session, ask, view_of, lambda whole, asked, view: self._finish(whole, asked, view, style))
        except SchemaError as error:  # a cell that fails has no result to find the answer by
            self.shell.displayhook.update_user_ns(error.partial)
            raise
        if style == "code" and not quiet:
            self._offer_code(answer, ask)
        self.has_shown(answer)
        return answer

    def has_shown(self, answer: Answer) -> None:
        """The running cell has shown *answer*: as its result, it isn't shown again."""
        self._shown = answer, self.shell.execution_count

    def _prepared(self, line: str, cell: str | None) -> tuple[Arguments, Mapping[str, Any], Ask]:
        arguments = parse_line(line)
        prompt = _prompt_of(arguments, cell)
        given: Mapping[str, Any] = arguments.options
        if "raw" not in arguments.flags:
            prompt = self.render(prompt)
            given = self.rendered(given)
        if "schema" not in given:
            return arguments, given, prepare(self.session, prompt, given, arguments.flags)
        if "," in str(given.get("model", "")):
            from .several import prepare_several_structured  # noqa: PLC0415 - fewer still ask several

            ask = prepare_several_structured(self.session, prompt, given, arguments.flags, self.namespace)
            return arguments, given, ask
        from .structuring import prepare_structured  # noqa: PLC0415 - few questions have a schema

        return arguments, *prepare_structured(self.session, prompt, given, arguments.flags, self.namespace)

    def render(self, template: str) -> str:
        """The text with its ``{{ }}`` evaluated."""
        if "{{" not in template:
            return template
        from ..analysis.rendering import show  # noqa: PLC0415 - many questions hold no values

        return render(template, self.namespace, show)

    @property
    def namespace(self) -> dict[str, Any]:
        """What ``{{ }}`` sees: the user's names, and the errors."""
        return {**self.shell.user_ns, "Err": self.errors}

    def _offer_code(self, answer: Answer, ask: Ask) -> None:
        """Put the answer's code into a new cell below; once, however often this cell is run with the same answer."""
        blocks = code_blocks(answer.text)
        if not blocks:
            return
        offered = (ask.slot.cell, ask.slot.place) if ask.slot.cell is not None else None
        if offered is None or self._offered.get(offered) != blocks[0]:
            self.shell.set_next_input(blocks[0], replace=False)
        if offered is not None:
            self._offered[offered] = blocks[0]

    def rendered(self, given: Mapping[str, Any], rows: Mapping[str, Row] | None = None) -> dict[str, Any]:
        """The options with ``{{ }}`` in them evaluated, and then read as their kind; *rows* are a question's own."""
        rows = help_table().on_line if rows is None else rows
        later = [
            name
            for name, value in given.items()
            if isinstance(value, str) and "{{" in value and name not in EXPRESSIONS
        ]
        values = {
            name: render(value, self.namespace, _written) if name in later else value for name, value in given.items()
        }
        self.session.keys.check_not_in(values)  # some are sent in an address, or kept; and errors repeat them
        return {name: rows[name].parse(value) if name in later else value for name, value in values.items()}

    def _finish(self, answer: Answer, ask: Ask, view: View, style: str) -> None:
        """Leave the final form, with what the reader must know below it."""
        lang = self.session.lang
        context = ask.plan.context
        along = {"sent": context.sent, "available": context.available}
        below = notes(answer, lang, **along, unsent=ask.unsent, joins=ask.joins)
        below += self.session.take_notes()
        told = self.conversation_notes(ask)
        turn, source = turn_of(self.session, ask, answer), self.session.source

        def final(below: list[str]) -> tuple[Bundle, dict[str, Any]]:
            bundle = answer_bundle(answer, below, style, lang)
            return bundle, {"qfmagic": provenance(answer, ask, turn, bundle, source)}

        view.finish(*final(below + told))
        if told:
            self._told = view, *final(below)

    def conversation_notes(self, ask: Ask) -> list[str]:
        """What has become of the conversation's other turns; it stands below the newest answer alone."""
        self._take_back_notes()
        if not ask.joins:
            return []
        lang, chat = self.session.lang, ask.slot.chat
        found = []
        left_out = self.session.chats.take_left_out(chat)
        if left_out:
            found.append(text("note.left_out", lang, turns=left_out, first=left_out[0]))
        stale = [index + 1 for index in sorted(self.session.chats.get(chat).stale)]
        if stale:
            found.append(text("note.stale", lang, turns=stale))
        return found

    def _take_back_notes(self) -> None:
        """Take the notes on the conversation from the answer they stood below: they hold for the newest only."""
        told, self._told = self._told, None
        if told is not None and told[0].renewable:
            told[0].finish(told[1], told[2])

    def show_request(self, plan: Plan) -> None:
        """Show what would be sent (``dry``)."""
        said = text("said.dry", self.session.lang)
        body = json.dumps(plan.request.body, ensure_ascii=False, indent=2)
        from . import commands  # noqa: PLC0415 - as above
        from .tables import code  # noqa: PLC0415 - as above

        shown = f"POST {commands.address(self.session, plan)}\nContent-Type: application/json\n\n{body}"
        marked = f"{said}\n\n{code(shown, 'http')}"
        self.front.publish({"text/markdown": marked, "text/plain": f"{said}\n\n{shown}"})

    def _show_result(self, answer: Answer) -> None:
        """
        Show an answer that is a cell's result; IPython's display formatter calls this.

        The cell that asked has shown it already: there it only goes into ``_`` and ``Out``.
        """
        shown, self._shown = self._shown, None
        if shown is not None and shown[0] is answer and shown[1] == self.shell.execution_count:
            if self.front.terminal and sys.stdout.isatty():
                write("\r\x1b[K")  # IPython has written "Out[n]: " for what is shown above
            return
        bundle = answer_bundle(answer, notes(answer, self.session.lang), lang=self.session.lang)
        self.front.publish(bundle)


def _written(value: object) -> str:
    """A value as an option has it: lists and maps are JSON there."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, tuple, dict)) else str(value)


def _prompt_of(arguments: Arguments, cell: str | None) -> str:
    if cell is None:
        return arguments.text
    if arguments.text:
        word = arguments.text.split()[0]  # only this one: somebody may have put a key there
        check_no_key(word)
        error = OptionError("option.prompt_on_line", text=word)
        for name in ("expect", "schema"):
            if name in arguments.options:
                error = error.with_hint(f"{name}.quotes")
        raise error
    prompt = cell.removesuffix("\n")
    if not prompt.strip():
        raise PromptError("prompt.empty")
    return prompt
