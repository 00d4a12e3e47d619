"""How far a map has come, while it runs: tqdm's bar, of which the saved notebook keeps nothing."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ...batch.results import Tally
from ...core.i18n import text
from ..output.bundle import Bundle


class Progress:
    """Shows nothing: where a front end doesn't keep up, or tqdm isn't there."""

    def __init__(self, publish: Callable[[Bundle, Mapping[str, Any]], object]) -> None:
        self._publish = publish

    def warn(self, said: str) -> None:
        """Show a warning before the first row is sent."""

    def tell(self, tally: Tally) -> None:
        """Another row is done."""

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Leave the final form."""
        self.close()
        self._publish(bundle, metadata)

    def close(self) -> None:
        """Leave nothing behind."""


class Bar(Progress):
    """
    A bar with rate, tokens, failures and the time that is left.

    Args:
        publish: Shows the final form.
        bar: tqdm's.
        lang: The language.
    """

    def __init__(self, publish: Callable[[Bundle, Mapping[str, Any]], object], bar: Any, lang: str) -> None:
        super().__init__(publish)
        self._bar, self._lang = bar, lang
        bar.unit = f" {text('map.bar', lang)}"

    def warn(self, said: str) -> None:
        """Show the warning before the bar."""
        self._bar.set_description(said.rstrip(".。"))

    def tell(self, tally: Tally) -> None:
        """Show how far it has come; tqdm decides how often."""
        counts = {text("map.bar_tokens", self._lang): f"{tally.tokens:,}"}
        if tally.failed:
            counts[text("map.bar_failed", self._lang)] = f"{tally.failed:,}"
        self._bar.set_postfix(counts, refresh=False)
        self._bar.update(tally.rows - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


class LiveBar(Bar):
    """The same in the page; the final form takes its place, and its models are closed."""

    def __init__(
        self,
        publish: Callable[[Bundle, Mapping[str, Any]], object],
        bar: Any,
        lang: str,
        display: Callable[..., Any],
    ) -> None:
        super().__init__(publish, bar, lang)
        self._handle = display(bar.container, display_id=True)

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Put the final form in the bar's place."""
        self._handle.update(bundle, raw=True, metadata=dict(metadata))
        self._handle = None
        self.close()

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
            self._handle = None
        super().close()
        for widget in (*self._bar.container.children, self._bar.container):
            for part in (widget, getattr(widget, "style", None), getattr(widget, "layout", None)):
                if part is not None:
                    part.close()


def progress(
    publish: Callable[[Bundle, Mapping[str, Any]], object],
    total: int | None,
    lang: str,
    *,
    display: Callable[..., Any] | None,
    terminal: bool,
) -> Progress:
    """
    Choose what shows how far it has come.

    Args:
        publish: Shows the final form.
        total: How many rows there are, where that is known.
        lang: The language.
        display: IPython's, where the front end keeps up with updates; else None.
        terminal: Whether there is no kernel.
    """
    if display is None and not (terminal and sys.stderr.isatty()):
        return Progress(publish)
    try:
        if display is None:
            from tqdm import tqdm  # noqa: PLC0415 - an extra

            return Bar(publish, _quiet(tqdm)(total=total, leave=False, dynamic_ncols=True, file=sys.stderr), lang)
        from tqdm.notebook import tqdm_notebook  # noqa: PLC0415 - as above
    except ImportError:
        return Progress(publish)
    return LiveBar(publish, _quiet(tqdm_notebook)(total=total, display=False), lang, display)


def _quiet(kind: Any) -> Any:
    """Without tqdm's thread, which outlives its bars."""
    return type(kind.__name__, (kind,), {"monitor_interval": 0})
