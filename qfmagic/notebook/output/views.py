"""Where an answer appears while it comes, and what is left of it."""

from collections.abc import Callable, Mapping
from typing import Any

from ...core.answer import Delta
from ...core.terminal import printable, unmarked
from .bundle import Bundle

TICK = 0.1  # seconds between two looks at a silent stream, so that an interrupt is seen on every system


class View:
    """
    Where an answer appears. ``add`` gets what is new, ``finish`` the whole with what stays of it.

    Attributes:
        renewable: Whether a later ``finish`` replaces the first.
        stopped: Whether the reader asked to stop the answer.
    """

    renewable = False
    stopped = False

    def add(self, delta: Delta) -> None:
        """Take what is new."""

    def end(self, said: str = "") -> None:
        """It is whole, or failed as *said*, while others beside it are not."""

    def tick(self) -> float:
        """Show what is new; called when something came, and after the seconds it returned if nothing did."""
        return TICK

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Leave the final form."""

    def close(self) -> None:
        """Leave nothing else behind; called once, whether there was an answer or not."""


class MultiView:
    """
    Where several answers are shown; this shows nothing before all of them are there.

    Args:
        publish: Shows the final form.
    """

    def __init__(self, publish: Callable[[Bundle, Mapping[str, Any]], object]) -> None:
        self._publish = publish

    def add(self, asked: Any) -> View:  # noqa: ARG002 - it matters where there is something to see
        """Another answer, behind those there are: the view of a question's."""
        return View()

    def show(self) -> None:
        """Show those there are, whatever has come for each."""

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Leave the final form."""
        self._publish(bundle, metadata)

    def close(self) -> None:
        """Leave nothing else behind, whatever happened."""


class StaticView(View):
    """Shows the final form, once: what headless runs record and nbval compares."""

    def __init__(self, publish: Callable[..., Any]) -> None:
        self._publish = publish

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Show it."""
        self._publish(bundle, raw=True, metadata=dict(metadata))


class TerminalView(View):
    """Prints the text as it arrives; at the end, what the reader must know."""

    def __init__(self, write: Callable[[str], Any], lang: str = "en") -> None:
        self._write = write
        self._lang = lang
        self._shown = ""

    def add(self, delta: Delta) -> None:
        """Print more."""
        if delta.wait is not None:
            self._write(f"[{printable(delta.wait.describe(self._lang))}]\n")
        if delta.status and not self._shown:
            self._write(f"[{printable(delta.status)}]\n")
        if delta.takes_back is not None and self._shown:  # what is printed stays; the whole follows below it
            self._write("\n")
            self._shown = ""
        shown = printable(unmarked(delta.text))
        self._shown += shown
        self._write(shown)

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:  # noqa: ARG002 - no place for it here
        """Print what was not printed yet."""
        plain = bundle["text/plain"]
        rest = plain.removeprefix(self._shown) if self._shown else plain
        if self._shown and not plain.startswith(self._shown):
            rest = f"\n{plain}"
        self._write(f"{rest}\n")
