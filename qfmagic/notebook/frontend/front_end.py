"""The front end of a shell: the view that shows an answer there, and the running cell."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import IPython.display
from IPython.core.interactiveshell import InteractiveShell

from ...core.i18n import text
from ...core.plan import Plan
from ..conversation.cell_order import RunningCell
from ..output.bundle import Bundle
from ..output.views import MultiView, StaticView, TerminalView, View
from ..session.session import Session
from .page_channel import channel_of
from .running_cell import CellReader

if TYPE_CHECKING:
    from ..output.live import LiveView

display: Callable[..., Any] = IPython.display.display


class FrontEnd:
    """
    The front end that shows a shell's output.

    Args:
        shell: The shell.
        session: The session whose settings apply.
    """

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        self._shell: Any = shell
        self._session = session
        self._cells = CellReader(channel_of(shell))
        self._page: str | None = None  # the page that has the script of the live view

    @property
    def terminal(self) -> bool:
        """Whether there is no kernel: text is all that can be shown."""
        return not hasattr(self._shell, "kernel")

    @property
    def request(self) -> Mapping[str, Any]:
        """The request that runs the cell, as the front end sent it."""
        return request_of(self._shell)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata of that request."""
        metadata = self.request.get("metadata")
        return metadata if isinstance(metadata, Mapping) else {}

    def running_cell(self, source: str | None) -> RunningCell:
        """The cell that runs, and the page it is on; *source* is its text."""
        return self._cells.read(self.request, source)

    @property
    def live(self) -> bool:
        """
        Whether the front end keeps up with updates: one that names its cells does.

        nbval, nbclient and nbconvert name none, and nbval would compare the first update with the last.
        """
        wanted = self._session.preferences.setting("display").value
        return not self.terminal and (wanted == "live" or (wanted == "auto" and bool(self.metadata.get("cellId"))))

    def view(self, plan: Plan, style: str, *, whole_cell: bool) -> View:
        """The view of the answer to a request; *whole_cell*: whether its cell does nothing else."""
        if self.terminal:
            return TerminalView(write, self._session.lang)
        return self._live_view(plan, style, whole_cell=whole_cell) if self.live else StaticView(display)

    def beside(self, style: str, *, live: bool) -> MultiView:
        """The view of several answers side by side; *live*: while they stream, if the front end supports that."""
        if not (live and self.live):
            return MultiView(self.conclude)
        from ..output.live import Columns  # noqa: PLC0415 - as below

        return Columns(display, lambda plan: self._live_view(plan, style, whole_cell=False), self.conclude)

    def publish(self, bundle: Bundle) -> None:
        """Show a complete output."""
        if self.terminal:
            TerminalView(write).finish(bundle, {})
        else:
            display(bundle, raw=True)

    def conclude(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Show the final output of a cell."""
        if self.terminal:
            TerminalView(write).finish(bundle, metadata)
        else:
            display(bundle, raw=True, metadata=dict(metadata))

    def _live_view(self, plan: Plan, style: str, *, whole_cell: bool) -> "LiveView":
        from ..output.live import LiveView  # noqa: PLC0415 - brings ipywidgets; meanwhile the question is on its way

        lang, context = self._session.lang, plan.context
        along = text("live.context", lang, sent=context.sent, available=context.available) if context.available else ""
        warned = plan.target.warnings(lang)  # before the answer; the final form repeats it below the answer
        page = self._shell.kernel.get_parent()["header"].get("session")

        def sent() -> None:
            self._page = page

        features = self._shell.kernel.kernel_info.get("supported_features", ())
        return LiveView(
            display,
            # Of a cell that does more than ask, the other outputs stay.
            IPython.display.clear_output if whole_cell else None,
            model=plan.target.model,
            context=" · ".join(filter(None, (along, *warned))),
            lang=lang,
            style=style,
            # In Colab every output is a page of its own.
            script="stub.js" if page == self._page and "google.colab" not in sys.modules else "live.js",
            sent=sent,
            stoppable="kernel subshells" in features,
        )


def request_of(shell: Any) -> Mapping[str, Any]:
    """The request a shell's kernel is running; empty without a kernel."""
    kernel = getattr(shell, "kernel", None)
    return {} if kernel is None else kernel.get_parent() or {}


def write(shown: str) -> None:
    """Write to the terminal, at once."""
    sys.stdout.write(shown)
    sys.stdout.flush()
