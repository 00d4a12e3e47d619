"""
The answer in the page, while it comes.

A widget gets the new text alone, as messages; the page renders it (frontend/src/live.js). At the end its place is taken
by the static bundle, and its models are closed: nothing of the widget stays in the document.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from ipywidgets import Box, Layout, Widget

from ...core.answer import Delta
from ...core.callbacks import ignore
from ...core.i18n import text
from .bundle import Bundle
from .views import TICK, MultiView, View

STATIC = Path(__file__).parents[1] / "static"
LABELS = ("waiting", "characters", "tokens", "seconds", "reasoning", "gap", "image", "stop", "stopping", "region")


@cache
def _script(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _view_of(widget: Widget, plain: str) -> Bundle:
    """A widget's place in an output; *plain* is what a document has there that was saved meanwhile."""
    view: Any = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"application/vnd.jupyter.widget-view+json": view, "text/plain": plain}


class LiveAnswer(anywidget.AnyWidget):
    """What the page draws; see live.js for the messages."""

    # A layout would be a model of its own: two messages more for each answer, and one more thing to close.
    layout = traitlets.Any(None, allow_none=True).tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)
    model = traitlets.Unicode().tag(sync=True)
    context = traitlets.Unicode().tag(sync=True)
    elapsed = traitlets.Float().tag(sync=True)
    lang = traitlets.Unicode("en").tag(sync=True)
    format = traitlets.Unicode("markdown").tag(sync=True)  # "style" would be taken for ipywidgets' own
    _esm = traitlets.Unicode().tag(sync=True)
    stop = traitlets.Unicode().tag(sync=True)


class StopSignal(Widget):  # type: ignore[misc]
    """
    Takes the Stop button's clicks; it has no view.

    The page sends clicks over a comm to a subshell, where they are handled while the cell runs. ipykernel 7.4 sends
    the messages of a comm to the shell that published on it last, so this comm must not be the one that streams, and
    must forget that the cell opened it. Where there are no subshells nothing arrives: then the page shows no button.
    """

    _model_module = traitlets.Unicode("@jupyter-widgets/base").tag(sync=True)
    _model_module_version = traitlets.Unicode("2.0.0").tag(sync=True)
    _model_name = traitlets.Unicode("WidgetModel").tag(sync=True)

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.pressed = threading.Event()
        super().__init__()
        getattr(self.comm, "__dict__", {}).pop("_reply_subshell_id", None)
        self.on_msg(self._take)

    def _take(self, _widget: Widget, content: Mapping[str, Any], _buffers: object) -> None:
        """Take a message; this may run in another thread, and only sets events."""
        if content.get("do") == "stop":
            self.pressed.set()
        self.reached.set()


class LiveView(View):
    """
    Shows one answer in the page as it comes.

    Args:
        publish: IPython's ``display``.
        clear: IPython's ``clear_output``, to take away the view of a question that was not answered; without it,
            nothing is left in its place.
        lang: The language.
        model: What is asked.
        context: What goes along, in words.
        style: ``format=``.
        script: ``live.js`` for a page that hasn't got it, else ``stub.js``.
        sent: Called when the page has got the script: a question that is soon answered or refused needs no view.
        stoppable: Whether the kernel has subshells, so that clicks may arrive.
        now: Seconds of a clock that never jumps.
    """

    renewable = True
    EVERY = 0.06  # seconds between two messages
    PATIENCE = 0.25  # seconds without text before the view is shown
    GRACE = 0.008  # seconds from the first text to the view: an answer that is whole by then needs none

    def __init__(
        self,
        publish: Callable[..., Any],
        clear: Callable[[], Any] | None,
        *,
        lang: str,
        model: str,
        context: str = "",
        style: str = "markdown",
        script: str = "live.js",
        sent: Callable[[], object] = ignore,
        stoppable: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._clear = clear
        self._state = {"model": model, "context": context, "lang": lang, "format": style}
        self._script = script
        self._script_sent = sent
        self._stoppable = stoppable
        self._now = now
        self._began = now()
        self._next = self._first = 0.0
        self._sent = 0
        self._new: list[Delta] = []
        self._handle: Any = None
        self._answer: LiveAnswer | None = None
        self._stop: StopSignal | None = None
        self._offered = self._waiting = False

    @property
    def stopped(self) -> bool:  # type: ignore[override]  # it is read only
        """Whether the reader pressed Stop."""
        return self._stop is not None and self._stop.pressed.is_set()

    def add(self, delta: Delta) -> None:
        """Take what is new; :meth:`tick` shows it."""
        if not self._new:
            self._first = self._now()
        self._new.append(delta)

    def place(self) -> LiveAnswer:
        """Leave it to the caller where the view is shown; it is made now, whatever has come."""
        self._answer = self._made(self._now())
        self._script_sent()
        return self._answer

    def tick(self) -> float:
        """Show what is new, if the last message is long enough ago."""
        now = self._now()
        if self._answer is None:
            since = self._first if self._new else self._began
            patience = self.GRACE if self._new else self.PATIENCE
            if now - since < patience:
                return min(TICK, since + patience - now)
            self._open(now)
        offer = self._stop is not None and self._stop.reached.is_set() and not self._offered
        if not (self._new or offer):
            return TICK
        if now < self._next:
            return min(TICK, self._next - now)
        self._next = now + self.EVERY
        self._send(offer=offer)
        return TICK

    def end(self, said: str = "") -> None:
        """Show what is left to be shown, and rest; the view stays."""
        if self._answer is not None:
            self._send(end=True, said=said)

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Put the final form in the view's place; later calls replace it."""
        if self._handle is None:
            self._handle = self._publish(bundle, raw=True, metadata=dict(metadata), display_id=True)
        else:
            self._handle.update(bundle, raw=True, metadata=dict(metadata))
        self._close_models()

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._answer is not None:
            placed = self._handle is None  # by somebody else, who takes it away too
            if not placed and self._clear is not None:
                self._clear()
            elif not placed:
                self._handle.update({"text/plain": ""}, raw=True)
            self._close_models()

    def _open(self, now: float) -> None:
        self._answer = self._made(now)
        unfinished = text("live.unfinished", self._state["lang"])
        self._handle = self._publish(_view_of(self._answer, unfinished), raw=True, display_id=True)
        self._script_sent()

    def _made(self, now: float) -> LiveAnswer:
        labels = {name: text(f"live.{name}", self._state["lang"]) for name in LABELS}
        if self._stoppable:
            self._stop = StopSignal()
        stop = self._stop.model_id if self._stop else ""
        esm = _script(self._script)
        return LiveAnswer(labels=labels, elapsed=now - self._began, stop=stop, _esm=esm, **self._state)

    def _send(self, *, offer: bool = False, end: bool = False, said: str = "") -> None:
        assert self._answer is not None
        message: dict[str, Any] = {"n": self._sent}
        if offer:
            message["stop"] = self._offered = True
        if end:
            message["end"] = True
        answer, thought, back = _summed(self._new)
        message |= {key: value for key, value in (("b", back), ("t", answer), ("r", thought)) if value}
        if self._new:
            doing = _doing(self._new[-1], self._state["lang"])
            if doing or self._waiting:
                message["wait"] = doing
            self._waiting = bool(doing)
        if said:
            message["wait"] = said
        self._answer.send(message)
        self._new.clear()
        self._sent += 1

    def _close_models(self) -> None:
        for widget in (self._answer, self._stop):
            if widget is not None:
                widget.close()
        self._answer = self._stop = None


def _doing(delta: Delta, lang: str) -> str:
    """What is said in place of text, or about text that was taken back."""
    if delta.takes_back == "all":
        return text("note.withheld", lang)
    return delta.wait.describe(lang) if delta.wait is not None else delta.status


def _summed(deltas: Sequence[Delta]) -> tuple[str, str, str | None]:
    """The text and the reasoning of deltas, and what of earlier ones they take back."""
    answer = thought = ""
    back: str | None = None
    for delta in deltas:
        if delta.takes_back is not None:
            back = "all" if "all" in (back, delta.takes_back) else "text"
            answer, thought = "", "" if delta.takes_back == "all" else thought
        answer, thought = answer + delta.text, thought + delta.reasoning
    return answer, thought, back


class Columns(MultiView):
    """
    Live answers beside each other, in one output; below each other where the page is narrow.

    Args:
        publish: IPython's ``display``.
        view_of: Makes a question's view.
        conclude: Shows the final form where there was nothing to see before.
    """

    MOST, LEAST = 3, "20em"  # columns beside each other, and the width of one below which a row breaks

    def __init__(
        self,
        publish: Callable[..., Any],
        view_of: Callable[[Any], LiveView],
        conclude: Callable[[Bundle, Mapping[str, Any]], object],
    ) -> None:
        super().__init__(conclude)
        self._display, self._view_of = publish, view_of
        self._views: list[LiveView] = []
        self._answers: list[LiveAnswer] = []
        self._box: Box | None = None
        self._handle: Any = None

    def add(self, asked: Any) -> View:
        """As :meth:`MultiView.add`."""
        view = self._view_of(asked)
        self._views.append(view)
        self._answers.append(view.place())
        return view

    def show(self) -> None:
        """As :meth:`MultiView.show`."""
        if self._box is not None:  # of a round before
            self._box.children = self._answers
            return
        share = f"calc({100 / min(len(self._answers), self.MOST):.2f}% - 1em)"
        layout = Layout(
            display="grid",
            grid_template_columns=f"repeat(auto-fit, minmax(max({self.LEAST}, {share}), 1fr))",
            grid_gap="1em",
            overflow="visible",
        )
        self._box = Box(children=self._answers, layout=layout)
        unfinished = text("live.unfinished", self._answers[0].lang)
        self._handle = self._display(_view_of(self._box, unfinished), raw=True, display_id=True)

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Put the final form in their place."""
        if self._handle is None:
            super().finish(bundle, metadata)
        else:
            self._handle.update(bundle, raw=True, metadata=dict(metadata))
            self._handle = None

    def close(self) -> None:
        """As :meth:`MultiView.close`."""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
            self._handle = None
        for view in self._views:
            view.close()
        box, self._box = self._box, None
        if box is not None:
            box.layout.close()
            box.close()
