"""What the magics do: read the line, ask, show."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import IPython.display
from IPython.core.interactiveshell import InteractiveShell

from ..core.answer import Answer
from ..core.catalogue import text
from ..core.errors import OptionError, PromptError, QianfanError
from .arguments import Arguments, parse_line
from .display import (
    Bundle,
    LiveView,
    QuietView,
    StaticView,
    TerminalView,
    View,
    answer_bundle,
    code_blocks,
    notes,
    printable,
)
from .helptable import help_table
from .prompt import render
from .provenance import provenance
from .session import Ask, Session

T = TypeVar("T")
display: Callable[..., Any] = IPython.display.display


class Engine:
    """
    The magics' work in one IPython shell.

    Args:
        shell: The shell.
        environ: The environment.
        config: The settings made with ``%config``, read at each use.
    """

    def __init__(
        self, shell: InteractiveShell, environ: Mapping[str, str], config: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._shell: Any = shell
        self.session = Session(environ, config)
        self._shown: tuple[Answer, int] | None = None
        formatters: Any = shell.display_formatter
        self._formatter = formatters.ipython_display_formatter
        self._formatter.for_type(Answer, self._show_result)

    def close(self) -> None:
        """Give back what was taken from the shell, and close what is open."""
        self._formatter.pop(Answer, None)
        self.session.close()

    def ask(self, line: str, cell: str | None) -> Answer | None:
        """Do ``%qianfan`` and, with a *cell*, ``%%qianfan``."""
        return self._in_language(lambda: self._ask(line, cell))

    def steer(self, line: str) -> None:
        """Do ``%qf``."""
        from . import commands  # noqa: PLC0415 - a first question doesn't need them

        said = self._in_language(lambda: commands.run(self.session, line))
        self._publish({"text/markdown": said.markdown, "text/plain": printable(said.plain)})

    def _in_language(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except QianfanError as error:
            error.lang = self.session.lang
            raise

    def _ask(self, line: str, cell: str | None) -> Answer | None:
        arguments = parse_line(line)
        prompt = _prompt_of(arguments, cell)
        given: Mapping[str, Any] = arguments.options
        if "raw" not in arguments.flags:
            prompt = render(prompt, self._shell.user_ns)
            given = self._rendered(given)
        ask = self.session.prepare(prompt, given, arguments.flags)
        if "dry" in arguments.flags:
            self._show_request(ask)
            return None
        style = str(self.session.setting("format", given).value)
        quiet = "quiet" in arguments.flags
        view = QuietView() if quiet else self._view(style)
        try:
            answer = self.session.run(ask, view, lambda answer, asked: self._finish(answer, asked, view, style))
        except KeyboardInterrupt:
            raise Interrupted from None
        if "into" in given:
            self._shell.user_ns[given["into"]] = answer
        if style == "code" and not quiet:
            for block in code_blocks(answer.text)[:1]:
                self._shell.set_next_input(block, replace=False)
        self._shown = answer, self._shell.execution_count
        return answer

    def _rendered(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options with ``{{ }}`` in them evaluated, and then read as their kind."""
        rows = help_table().on_line
        return {
            name: rows[name].parse(render(value, self._shell.user_ns))
            if isinstance(value, str) and "{{" in value
            else value
            for name, value in given.items()
        }

    def _view(self, style: str) -> View:
        if self._terminal:
            return TerminalView(_write)
        wanted = self.session.setting("display").value
        # Only a front end that names its cells keeps up with updates: nbval, nbclient and nbconvert name none, and
        # nbval would compare the first update with the last.
        live = wanted == "live" or (wanted == "auto" and bool(self._metadata().get("cellId")))
        return LiveView(display) if live and style == "markdown" else StaticView(display)

    def _metadata(self) -> Mapping[str, Any]:
        """What the front end says about the cell that runs."""
        parent = self._shell.kernel.get_parent() or {}
        metadata = parent.get("metadata")
        return metadata if isinstance(metadata, Mapping) else {}

    def _finish(self, answer: Answer, ask: Ask, view: View, style: str) -> None:
        context = ask.plan.context
        below = notes(answer, self.session.lang, sent=context.sent, available=context.available, unsent=ask.unsent)
        view.finish(answer_bundle(answer, below, style, self.session.lang), {"qfmagic": provenance(answer, ask)})

    def _show_request(self, ask: Ask) -> None:
        said = text("said.dry", self.session.lang)
        body = json.dumps(ask.plan.request.body, ensure_ascii=False, indent=2)
        from . import commands  # noqa: PLC0415 - as above

        shown = f"POST {commands.address(self.session, ask)}\nContent-Type: application/json\n\n{body}"
        marked = f"{said}\n\n{commands.code(shown, 'http')}"
        self._publish({"text/markdown": marked, "text/plain": f"{said}\n\n{shown}"})

    def _show_result(self, answer: Answer) -> None:
        """
        Show an answer that is a cell's result; IPython's display formatter calls this.

        The cell that asked has shown it already: there it only goes into ``_`` and ``Out``.
        """
        shown, self._shown = self._shown, None
        if shown is not None and shown[0] is answer and shown[1] == self._shell.execution_count:
            if self._terminal and sys.stdout.isatty():
                _write("\r\x1b[K")  # IPython has written "Out[n]: " for what is shown above
            return
        bundle = answer_bundle(answer, notes(answer, self.session.lang), lang=self.session.lang)
        self._publish(bundle)

    def _publish(self, bundle: Bundle) -> None:
        """Show something that is whole."""
        if self._terminal:
            TerminalView(_write).finish(bundle, {})
        else:
            display(bundle, raw=True)

    @property
    def _terminal(self) -> bool:
        return not hasattr(self._shell, "kernel")


class Interrupted(KeyboardInterrupt):
    """The user stopped a question; told without our stack."""

    def _render_traceback_(self) -> list[str]:
        return ["KeyboardInterrupt"]


Interrupted.__name__ = "KeyboardInterrupt"  # what front ends and nbclient know an interrupt by


def _write(shown: str) -> None:
    sys.stdout.write(shown)
    sys.stdout.flush()


def _prompt_of(arguments: Arguments, cell: str | None) -> str:
    if cell is None:
        return arguments.text
    if arguments.text:
        # Only its first word: somebody may have put a key there.
        raise OptionError("option.prompt_on_line", text=arguments.text.split()[0])
    prompt = cell.removesuffix("\n")
    if not prompt.strip():
        raise PromptError("prompt.empty")
    return prompt
