"""What the command of a cell needs: the user's names, ``{{ }}``, the front end, and what this cell has shown."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, MappingProxyType
from typing import Any, Protocol

from IPython.core.interactiveshell import InteractiveShell

from ..core.answer import Answer
from ..core.i18n import text
from ..core.plan import Plan
from ..prompts.template import render
from .conversation.conversations import TurnSlot
from .frontend.front_end import FrontEnd, write
from .local_names import local_names
from .output.bundle import Bundle, answer_bundle, notes
from .output.views import View
from .parsing.line import EXPRESSIONS
from .parsing.option_table import OptionRow, help_table
from .session.session import Session

# The local names of whoever called the magic that runs; each thread its own.
_LOCALS: ContextVar[Mapping[str, Any]] = ContextVar("qfmagic_locals", default=MappingProxyType({}))


class Asked(Protocol):
    """A prompt's place, and the number of earlier turns sent with it."""

    @property
    def slot(self) -> TurnSlot: ...  # noqa: D102 - as the class says

    @property
    def sent(self) -> int: ...  # noqa: D102 - as above


class CellContext:
    """
    Where a cell's command runs.

    Args:
        shell: The shell.
        session: Whose settings and conversations hold.

    Attributes:
        front: The front end.
        errors: The errors of earlier cells, by the cell's number; ``Err`` in prompts.
    """

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self.session = session
        self.front = FrontEnd(shell, session)
        self.errors: Mapping[int, str] = {}
        self._shell: Any = shell
        self._shown: tuple[Answer, int] | None = None
        self._told: tuple[View, Bundle, dict[str, Any]] | None = None
        formatters: Any = shell.display_formatter
        self._formatter = formatters.ipython_display_formatter
        self._formatter.for_type(Answer, self._show_result)

    def close(self) -> None:
        """Give back what was taken from the shell."""
        self._formatter.pop(Answer, None)

    # ---- the user's names

    @property
    def namespace(self) -> dict[str, Any]:
        """What ``{{ }}`` sees: the user's names, those of the function that asks first, and the errors."""
        return {**self._shell.user_ns, "Err": self.errors, **_LOCALS.get()}

    @contextmanager
    def called_from(self, frame: FrameType) -> Iterator[None]:
        """While a magic runs: *frame* is that of whoever called it."""
        before = _LOCALS.set(local_names(frame))
        try:
            yield
        finally:
            _LOCALS.reset(before)

    def render(self, template: str) -> str:
        """The text with its ``{{ }}`` evaluated."""
        if "{{" not in template:
            return template
        from ..prompts.rendering import show  # noqa: PLC0415 - many questions hold no values

        return render(template, self.namespace, show)

    def rendered(self, given: Mapping[str, Any], rows: Mapping[str, OptionRow] | None = None) -> dict[str, Any]:
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

    def bind(self, name: str, value: Any) -> None:
        """Give the user a value under a name (``into=``)."""
        self._shell.user_ns[name] = value

    def set_result(self, value: Any) -> None:
        """Put a value into ``_`` and its like, as if it were the cell's result."""
        self._shell.displayhook.update_user_ns(value)

    def offer_cell(self, code: str) -> None:
        """Put code into a new cell below."""
        self._shell.set_next_input(code, replace=False)

    # ---- what is shown

    def show_request(self, plan: Plan) -> None:
        """Show what would be sent (``dry``)."""
        said = " ".join([text("said.dry", self.session.lang), *plan.target.warnings(self.session.lang)])
        body = json.dumps(plan.request.body, ensure_ascii=False, indent=2)
        from .output.tables import code  # noqa: PLC0415 - a first question doesn't need it

        # A whole request line: highlighters show the rest of a request without it as an error.
        shown = f"POST {self.session.url_of(plan.request)} HTTP/1.1\nContent-Type: application/json\n\n{body}"
        marked = f"{said}\n\n{code(shown, 'http')}"
        self.front.publish({"text/markdown": marked, "text/plain": f"{said}\n\n{shown}"})

    def conversation_notes(self, chat: str | None, sent: int = 0) -> list[str]:
        """
        The notes about other turns of *chat* (None: there is none), shown below the newest answer only.

        *sent* is the number of earlier turns sent with that answer's prompt.
        """
        self._take_back_notes()
        if chat is None:
            return []
        lang = self.session.lang
        found = []
        left_out = self.session.chats.take_left_out(chat)
        if left_out:
            found.append(text("note.left_out", lang, count=len(left_out), turns=left_out, first=left_out[0]))
        stale = [index + 1 for index in self.session.chats.stale(chat)]
        if stale:
            found.append(text("note.stale", lang, count=len(stale), turns=stale))
        unknown = self.session.chats.take_unknown_order(sent)
        return [*found, text(f"note.order.{unknown}", lang)] if unknown else found

    def history_notes(self, question: "Asked") -> list[str]:
        """The notes about the earlier turns that were sent with a prompt."""
        lang = self.session.lang
        edited = self.session.chats.edited(question.slot, question.sent)
        if not edited:
            return []
        cells = [f"[{turn.count}]" for turn in edited if turn.count is not None]
        return [text("note.edited", lang, count=len(edited), cells=cells)]

    def has_told(self, view: View, bundle: Bundle, metadata: dict[str, Any]) -> None:
        """*view* shows such notes; *bundle* is what it shows without them, for when the next answer takes them back."""
        self._told = view, bundle, metadata

    def _take_back_notes(self) -> None:
        """Take the notes on the conversation from the answer they stood below: they hold for the newest only."""
        told, self._told = self._told, None
        if told is not None and told[0].renewable:
            told[0].finish(told[1], told[2])

    def has_shown(self, answer: Answer) -> None:
        """The running cell has shown *answer*: as its result, it isn't shown again."""
        self._shown = answer, self._shell.execution_count

    def _show_result(self, answer: Answer) -> None:
        """
        Show an answer that is a cell's result; IPython's display formatter calls this.

        The cell that asked has shown it already: there it only goes into ``_`` and ``Out``.
        """
        shown, self._shown = self._shown, None
        if shown is not None and shown[0] is answer and shown[1] == self._shell.execution_count:
            if self.front.terminal and sys.stdout.isatty():
                write("\r\x1b[K")  # IPython has written "Out[n]: " for what is shown above
            return
        bundle = answer_bundle(answer, notes(answer, self.session.lang), lang=self.session.lang)
        self.front.publish(bundle)


def _written(value: object) -> str:
    """A value as an option has it: lists and maps are JSON there."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, tuple, dict)) else str(value)
