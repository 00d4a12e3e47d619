"""What the magics do: each line and cell goes to the room that does it, and what ends it is told."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

from ..client.auth.redact import redact
from ..core.answer import Answer
from ..core.errors import InputError, OptionError, QianfanError
from ..core.models import did_you_mean, suggest
from ..core.terminal import printable
from .ask.cell import Asking
from .ask.sending import failed
from .cell import CellContext
from .frontend.front_end import display, request_of
from .frontend.metadata import notebook_of
from .interrupts import Interrupted
from .output.tables import Rendered
from .parsing.cell_guard import check_cell, check_magics
from .parsing.key_guard import check_no_key
from .parsing.option_table import help_table
from .parsing.scanner import first_word
from .session.keys import check_holds_none
from .session.session import Session

T = TypeVar("T")
CellCommand = Callable[[CellContext, str, str], Any]


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
        self._config = config
        self._shell: Any = shell
        self.session = Session(environ, config, self._notebook)
        self.cell = CellContext(shell, self.session)
        self._asking = Asking(self.cell)
        self.begin_cell(source)

    def close(self) -> None:
        """Give back what was taken from the shell, and close what is open."""
        self.cell.close()
        self.session.close()

    def begin_cell(self, source: str | None) -> None:
        """A cell is about to run: *source* is what it says."""
        self.session.begin_cell(self.cell.front.running_cell(source), source)

    def _notebook(self) -> Path | None:
        """The notebook's file, where the front end names it other than in the environment."""
        return notebook_of(self._shell.user_ns, request_of(self._shell).get("metadata") or {})

    def end_cell(self) -> None:
        """The cell has run: what its Python asked is said below it."""
        calls = self.session.python_calls.take()
        if calls:
            from .session.python_calls import python_note  # noqa: PLC0415 - few cells ask so

            self.cell.front.conclude(*python_note(calls, self.session))
        self.session.end_cell()

    def check(self, line: str, body: str | None, around: Sequence[str]) -> None:
        """
        Check that no key is in a line, the *body* below it, what is written *around* them, and what ``%config`` set,
        before all else.
        """

        def look() -> None:
            secrets = self.session.keys.secrets()
            check_cell(secrets, line, (body or "", *around))
            check_holds_none(secrets, self._config())  # a conversation's name, for example, is kept and shown

        self._in_language(look)

    def ask(self, line: str, body: str | None, around: Sequence[str] = ()) -> Answer | None:
        """Do ``%qianfan`` and, with a *body*, ``%%qianfan``; *around* is as :meth:`check` takes it."""
        try:
            self.check(line, body, around)
        except InputError:
            failed(self.session, chat=None)  # not the one it names: that may be the key
            raise
        return self._in_language(lambda: self._asked(line, body))

    def _asked(self, line: str, body: str | None) -> Answer | None:
        check_magics(line, body)
        return self._asking.ask_cell(line, body)

    def steer(self, line: str) -> Answer | None:
        """Do ``%qf``; return the answer of a command that asks."""
        from .ask import retry  # noqa: PLC0415 - a first question doesn't need it

        name, words = first_word(line)
        if name in retry.COMMANDS:
            return self._in_language(lambda: self._asking.ask_again(retry.COMMANDS[name], words))
        said = self._in_language(lambda: self._commanded(line))
        front = self.cell.front
        front.publish({"text/markdown": said.markdown, "text/plain": printable(said.plain)})
        if said.beside is not None and front.live:
            said.beside(display)
        return None

    def _commanded(self, line: str) -> Rendered:
        from .commands.registry import run  # noqa: PLC0415 - as above

        return run(self.session, line, line_commands())

    def steer_cell(self, line: str, body: str) -> Any:
        """Do ``%%qf``."""
        name, rest = first_word(line)

        def work() -> Any:
            check_magics(line, body)
            return self._cell_command(name)(self.cell, rest, body)

        return self._in_language(work)

    def _cell_command(self, name: str) -> CellCommand:
        """
        Return what does ``%%qf NAME ...``: it is given the rest of its line, and the cell's body as it stands.

        Raises:
            OptionError: There is no such command, or it takes no cell.
        """
        if name in CELL_COMMANDS:
            return CELL_COMMANDS[name]()
        check_no_key(name)
        allowed = [f"%%qf {known}" for known in CELL_COMMANDS]
        if name in help_table().commands:
            raise OptionError("command.no_cell", name=name, allowed=allowed)
        hint = did_you_mean(suggest(name, CELL_COMMANDS))
        raise OptionError("command.unknown_cell", suggestions=hint, allowed=allowed)

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


def line_commands() -> Mapping[str, Callable[[Session, str], Rendered]]:
    """The commands of ``%qf`` that send no prompt."""
    from .commands.registry import COMMANDS  # noqa: PLC0415 - as above

    return {**COMMANDS, "panel": _panel}


def _panel(session: Session, words: str) -> Rendered:
    from .panel.command import panel  # noqa: PLC0415 - asked for rarely

    return panel(session, words)


def _map() -> CellCommand:
    from .map.cell import map_cell  # noqa: PLC0415 - only who maps

    return map_cell


def _compare() -> CellCommand:
    from .compare.cell import compare_cell  # noqa: PLC0415 - only who compares

    return compare_cell


CELL_COMMANDS: Mapping[str, Callable[[], CellCommand]] = {"map": _map, "compare": _compare}
