"""
The magics: what IPython sees. The work is done by the engine, which is imported with the first call.

``%load_ext`` is in the first cell of every notebook; this module imports only what IPython has loaded anyway.
"""

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from IPython.core.completer import context_matcher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Any as Anything
from traitlets import Bool, Dict, Enum, Float, HasTraits, Int, List, TraitType, Unicode

from ..client.kernel_session import follow, leave
from ..core.i18n import read_table
from .frontend.page_channel import channel_of, listen, stop_listening

if TYPE_CHECKING:
    from ..core.answer import Answer
    from ..core.conversation import Conversation
    from .engine import Engine
    from .session.python_calls import PythonCalls

ERRORS_KEPT = 100
CELLS_KEPT = 20  # cells that run one within the other

_TRAITS: dict[str, Callable[..., TraitType[Any, Any]]] = {
    "bool": Bool,
    "float": Float,
    "int": Int,
    "string": Unicode,
    "list": List,
    "map": Dict,
    "object": Anything,  # or one of its words
    "array": List,
    "switch": Anything,
}


_TABLE = read_table("help.toml")


def _traits() -> dict[str, TraitType[Any, Any]]:
    """The settings as traits, for ``%config`` and ``ipython_config.py``."""
    rows = [row for row in _TABLE["option"] if row.get("set")] + _TABLE["parameter"] + _TABLE["setting"]
    return {row["name"]: _trait(row) for row in rows}


def _trait(row: Mapping[str, Any]) -> TraitType[Any, Any]:
    if "choices" in row:
        return Enum(row["choices"], None, allow_none=True, help=row["en"]).tag(config=True)
    return _TRAITS[row["kind"]](default_value=None, allow_none=True, help=row["en"]).tag(config=True)


# Made from the table, so that a setting can't be missing here or differ in its help.
_metaclass: Any = type(HasTraits)
_Traits: Any = _metaclass("QianfanTraits", (HasTraits,), _traits())


@magics_class
class QianfanMagics(Magics, _Traits):  # type: ignore[misc]  # the base is made above
    """``%qianfan``, ``%%qianfan`` and ``%qf``."""

    def __init__(self, shell: InteractiveShell, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(shell)
        self._shell = shell
        self._environ = os.environ if environ is None else environ
        self._engine: Engine | None = None
        self._errors: dict[int, str] = {}
        self._seen: dict[str, None] = {}
        self._cells: list[str] = []  # the cells that run, one within the other, as they were written
        self._withheld = 0  # how many of them were taken out of IPython's memory
        self._ran = 1  # cells since loading, the one that loads included
        self.completing = _completing(shell, self)
        self.observe(self._nest, "nest_asyncio")
        self._nest()

    def _nest(self, _: object = None) -> None:
        if self.nest_asyncio:
            import nest_asyncio2  # noqa: PLC0415 - only for who asks for it

            nest_asyncio2.apply()

    @property
    def engine(self) -> "Engine":
        """What does the work."""
        if self._engine is None:
            from .engine import Engine  # noqa: PLC0415 - see above

            self._engine = Engine(self._shell, self._environ, self._configured, self._running)
            self._engine.cell.errors = self._errors
            chats = self._engine.session.chats
            chats.seen = {**self._seen, **chats.seen}
            chats.count = self._count
            chats.conversations.update(_KEPT.pop(self._shell, {}))
        return self._engine

    @property
    def _running(self) -> str | None:
        """The running cell, as it was written; None while the one that loads this runs."""
        return self._cells[-1] if self._cells else None

    def before_cell(self, info: Any) -> None:
        """IPython is about to run a cell."""
        self._ran += 1
        follow(self.python_calls)
        self._cells.append(info.raw_cell or "")
        del self._cells[:-CELLS_KEPT]
        cell = getattr(info, "cell_id", None)
        if self._engine is None and cell is not None:
            self._seen.setdefault(cell)
        if self._engine is not None:
            self._engine.begin_cell(info.raw_cell)

    def after_cell(self, result: Any) -> None:
        """IPython has run a cell: what failed is kept for ``Err`` in prompts."""
        if self._cells:
            self._cells.pop()
        if self._withheld > len(self._cells):
            from .key_scrubber import forget_run  # noqa: PLC0415 - as the engine

            self._withheld = len(self._cells)
            forget_run(result)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            channel_of(self._shell).forget_queued()
        if error is not None and result.execution_count is not None:
            self._errors[result.execution_count] = _told(error)
            while len(self._errors) > ERRORS_KEPT:
                del self._errors[next(iter(self._errors))]
        if self._engine is not None:
            self._engine.end_cell()

    def _count(self) -> int:
        """The running cell's number; nbval has cells leave no history, so there they are counted from the loading."""
        recorded = len(self._shell.user_ns.get("In", ())) - 1
        return recorded if recorded > 0 else self._ran

    def _configured(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.trait_names(config=True)}

    @no_var_expand
    @line_cell_magic
    def qianfan(self, line: str, cell: str | None = None) -> "Answer | None":
        """Ask a Qianfan model. ``%qf help`` shows the options."""
        with self._withholding(), self.engine.cell.called_from(sys._getframe(1)):  # noqa: SLF001 - as inspect does
            return self.engine.ask(line, cell, self._written)

    @no_var_expand
    @line_cell_magic
    def qf(self, line: str, cell: str | None = None) -> Any:
        """Steer qfmagic: ``%qf COMMAND``. ``%qf help`` shows the commands."""
        with self._withholding(), self.engine.cell.called_from(sys._getframe(1)):  # noqa: SLF001 - as above
            self.engine.check(line, cell, self._written)
            return self.engine.steer(line) if cell is None else self.engine.steer_cell(line, cell)

    @property
    def _written(self) -> list[str]:
        """What is written around a call: the cells that run."""
        return self._cells or [*self._shell.user_ns.get("In", [])[-1:]]

    @contextmanager
    def _withholding(self) -> Iterator[None]:
        """A cell that is refused because it holds a key is taken out of IPython's memory too."""
        try:
            yield
        except ValueError as error:
            from .parsing.key_guard import REFUSALS  # noqa: PLC0415 - as the engine

            if getattr(error, "key", None) in REFUSALS:
                from .key_scrubber import withhold  # noqa: PLC0415 - as the engine

                self._withheld = len(self._cells) or 1
                cells: list[str | None] = [*self._cells]
                for written in cells or [None]:
                    with suppress(Exception):  # whatever has changed in IPython: the refusal must be what is told
                        withhold(self._shell, written)
            raise

    def python_calls(self) -> "PythonCalls":
        """The session, as clients of the Python API follow it."""
        return self.engine.session.python_calls

    def close(self) -> None:
        """Close what is open."""
        if self._engine is not None:
            _KEPT[self._shell] = self._engine.session.chats.conversations  # for a reload of the extension
            self._engine.close()


def _completing(shell: InteractiveShell, magics: QianfanMagics) -> Any:
    """Completion in our cells; what does it is imported with the first of them."""

    def complete(context: Any) -> Any:
        if "%q" not in context.full_text:
            return {"completions": []}
        from .completion import matcher  # noqa: PLC0415 - as the engine

        return matcher(shell, lambda: magics.engine.cell)(context)

    marked: Any = context_matcher(identifier="qfmagic")
    return marked(complete)


def _told(error: BaseException) -> str:
    """The traceback of a cell's error, from the cell on."""
    trace = error.__traceback__
    while trace is not None and "IPython" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


# Names end at any character beyond ASCII too: a Chinese keyboard's blank or bracket.
_CELL = re.compile(r"%%(qianfan|qf)(?![\w.?])", re.ASCII)
_BELOW = re.compile(r"\s*%%(qianfan|qf)(?![\w.?])", re.ASCII)
_LINE = re.compile(r"(\s*(?:[\w., ]+=\s*)?)%(qianfan|qf)([^\x00-\x7f].*)")
# A line that IPython would take for a question about its last word, where it is one to the model.
_QUESTION = re.compile(r"(\s*(?:[\w., ]+=\s*)?)%qianfan\s+(.*\?)\s*")


def _taken_literally(lines: list[str]) -> list[str]:
    """
    Keep IPython's own syntax out of questions.

    The body of a ``%%qianfan`` or ``%%qf`` cell is taken as it stands: IPython would take pasted prompts (``>>>``,
    ``In [1]:``) and the blanks of blank lines out of it, and refuse an empty one with a UsageError that nbval,
    papermill and Run All pass over. A question mark at the end of a ``%qianfan`` line asks the model, not IPython's
    help.
    """
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if lines and lines[first].startswith("%%"):
        ours = _CELL.match(lines[first])
        if not ours:
            return lines
        head, body = lines[first][ours.end(1) :].strip(), "".join(lines[first + 1 :]) or "\n"
        return [f"get_ipython().run_cell_magic({ours[1]!r}, {head!r}, {body!r})\n"]
    if below := _magic_below(lines):
        # The whole cell as a body: it is checked for keys, then refused.
        return [f"get_ipython().run_cell_magic({below!r}, '%%', {''.join(lines)!r})\n"]
    return [_as_call(line) for line in lines]


def _magic_below(lines: list[str]) -> str | None:
    """The name of a cell magic of ours below the first line, where IPython would only print a message and go on."""
    if not any(map(_BELOW.match, lines)):
        return None
    from IPython.core.inputtransformer2 import make_tokens_by_line  # noqa: PLC0415 - few cells have one

    for tokens in make_tokens_by_line(lines):  # not within a string or a bracket: there it is Python's
        start = next((token for token in tokens if token.string.strip()), None)
        if start is not None and start.string.startswith("%"):
            found = _BELOW.match(lines[start.start[0] - 1])
            if found:
                return found[1]
    return None


def _as_call(line: str) -> str:
    named = _LINE.match(line)
    if named:
        return f"{named[1]}get_ipython().run_line_magic({named[2]!r}, {named[3].strip()!r})\n"
    question = _QUESTION.fullmatch(line)
    if question is None:
        return line
    return f"{question[1]}get_ipython().run_line_magic('qianfan', {question[2]!r})\n"


def _listed(*groups: str) -> str:
    """Groups of the table as lines, in both languages: what ``%qianfan?`` and ``%qf?`` show."""
    rows = [row for group in groups for row in _TABLE[group]]
    return "\n".join(f"{row.get('syntax', row['name'] + '='):34} {row['en']} / {row['zh']}" for row in rows)


QianfanMagics.qianfan.__doc__ = f"""Ask a Qianfan model.

%%qianfan [key=value | flag]...     the prompt is the cell's body
%qianfan [key=value | flag]... prompt      on one line; -- ends the options

{_listed("option", "parameter")}
"""
QianfanMagics.qf.__doc__ = f"""Steer qfmagic: %qf COMMAND.

{_listed("command")}
"""

_KEPT: WeakKeyDictionary[InteractiveShell, "dict[str, Conversation]"] = WeakKeyDictionary()
_LOADED: WeakKeyDictionary[InteractiveShell, QianfanMagics] = WeakKeyDictionary()


def load(shell: InteractiveShell, environ: Mapping[str, str] | None = None) -> None:
    """Register the magics; *environ* is ``os.environ`` when not given."""
    magics = QianfanMagics(shell, environ)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.insert(0, _taken_literally)
    shell.Completer.custom_matchers.append(magics.completing)
    shell.events.register("pre_run_cell", magics.before_cell)
    shell.events.register("post_run_cell", magics.after_cell)
    listen(shell)
    follow(magics.python_calls)
    _LOADED[shell] = magics


def unload(shell: InteractiveShell) -> None:
    """Take out what :func:`load` put in, and close what is open."""
    magics = _LOADED.pop(shell, None)
    if magics is None:
        return
    stop_listening(shell)
    leave(magics.python_calls)
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.input_transformers_cleanup.remove(_taken_literally)
    shell.Completer.custom_matchers.remove(magics.completing)
    shell.events.unregister("pre_run_cell", magics.before_cell)
    shell.events.unregister("post_run_cell", magics.after_cell)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    magics.close()
