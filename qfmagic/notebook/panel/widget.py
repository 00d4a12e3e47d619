"""The panel in a page: one widget, whose state follows the session and whose messages are actions on it."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython

from ...core.errors import QianfanError
from ..commands import auth
from ..session.key_check import SessionVerdict
from ..session.keys import read_kind
from ..session.session import Session
from . import command_lines
from .actions import ActionOutcome, act
from .state import fixed, panel_state
from .usage import usage_state

STATIC = Path(__file__).parents[1] / "static"
VIEW = "application/vnd.jupyter.widget-view+json"
MASK = 2048  # bytes; keys are shorter
# While a cell runs, what was used is sent for so many answers at once, and then once in so many seconds: a map has
# thousands of rows. Not for the first alone, as nothing else sends the last before the cell has ended.
AT_ONCE = 16
EVERY = 0.5


@cache
def _script() -> str:
    return (STATIC / "panel.js").read_text(encoding="utf-8")


class PanelWidget(anywidget.AnyWidget):
    """What the page draws; see panel.js. None of its traits ever holds a key."""

    layout = traitlets.Any(None, allow_none=True).tag(sync=True)  # one would be one more model to close
    fixed = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    usage = traitlets.Dict().tag(sync=True)  # by itself: it is sent while a map runs, and the rest isn't
    mask = traitlets.Unicode().tag(sync=True)
    _esm = traitlets.Unicode().tag(sync=True)


class Panel:
    """
    One open panel.

    Args:
        session: What it shows and changes.
        publish: IPython's ``display``.
        now: Seconds of a clock that never jumps.
    """

    def __init__(
        self, session: Session, publish: Callable[..., Any], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._now = now
        self._next = 0.0  # what was used is sent again when this has passed
        self._waiting = False
        self.cell = session.chats.cell
        for other in tuple(session.watchers):
            if isinstance(other, Panel) and self.cell is not None and other.cell == self.cell:
                other.close()  # the cell is run again: its output is gone from the page
        self._widget: PanelWidget | None = PanelWidget(_esm=_script(), mask=secrets.token_hex(MASK))
        self.follow()
        self._widget.on_msg(self._take)
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        # Nothing but the view: the table above it is the document's, and nbval passes over a view.
        self._handle = publish({VIEW: view}, raw=True, display_id=True)
        session.watchers.append(self)

    def follow(self) -> None:
        """Show what has become of the session; sends nothing where nothing has changed."""
        self._show(fixed=self._fixed, state=panel_state, usage=usage_state)

    def count(self) -> None:
        """Show what was used, unless that was done too often."""
        _in_main(self._count)

    def _count(self) -> None:
        now = self._now()
        if self._next <= now:
            self._next = max(self._next, now - (AT_ONCE - 1) * EVERY) + EVERY
            self._show(usage=usage_state)
        elif not self._waiting and (loop := _loop()) is not None:  # of what is asked without a cell, the last
            self._waiting = True
            loop.call_later(self._next - now, self._look)

    def _look(self) -> None:
        self._waiting = False
        self._count()

    def _fixed(self, session: Session) -> Mapping[str, Any]:
        assert self._widget is not None
        return {**fixed(session), "id": self._widget.model_id}

    def _show(self, **made: Callable[[Session], Mapping[str, Any]]) -> None:
        if self._widget is None:
            return
        try:
            values = {name: make(self._session) for name, make in made.items()}
        except Exception as error:  # noqa: BLE001 - told in the panel, and the cell that ran is not to blame
            self._widget.state = {"broken": f"{type(error).__name__}: {error}"}
            return
        with self._widget.hold_sync():
            for name, value in values.items():
                setattr(self._widget, name, value)

    def close(self) -> None:
        """Leave nothing of the panel in the document, nor in the page: the table above it stays."""
        widget, self._widget = self._widget, None
        if widget is None:
            return
        self._session.watchers.remove(self)
        self._handle.update({}, raw=True, metadata={"qfmagic_panel": "closed"})
        widget.close()

    # ---- messages

    def _take(self, _widget: PanelWidget, content: Mapping[str, Any], _buffers: object) -> None:
        _in_main(lambda: self._answer(content))

    def _answer(self, content: Mapping[str, Any]) -> None:
        if self._widget is None:
            return
        match content.get("do"):
            case "close":
                self.close()
            case "check":
                self._check(content)
            case "key":
                plain, self._widget.mask = self._unmasked(content), secrets.token_hex(MASK)
                self._reply(content, act(self._session, plain))
            case _:
                self._reply(content, act(self._session, content))

    def _reply(self, content: Mapping[str, Any], outcome: ActionOutcome) -> None:
        """Tell every panel of the change, and this one what came of its message."""
        self._session.changed()
        if self._widget is not None:
            self._widget.send({"reply": content.get("id"), **outcome._asdict()})

    def _unmasked(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        The message with the keys in it.

        At its level DEBUG ipykernel logs every message it gets, so the page adds the panel's mask to the keys, which
        the kernel has sent it before and renews after each use. That hides them from logs; it is no encryption.
        """
        assert self._widget is not None
        try:
            hidden, mask = bytes.fromhex(str(content.get("hidden"))), bytes.fromhex(self._widget.mask)
            values = json.loads(bytes(one ^ other for one, other in zip(hidden, mask, strict=False)))
        except ValueError:
            values = {}
        return {"do": "key", "kind": content.get("kind"), "values": values}

    def _check(self, content: Mapping[str, Any]) -> None:
        """Test keys; the kernel goes on meanwhile."""
        try:
            kind = read_kind(str(content.get("kind")))
            line = command_lines.magic(f"auth check {kind}")
            check = auth.start_check(self._session, kind)
        except QianfanError as error:
            self._reply(content, ActionOutcome(error=error.message(self._session.lang)))
            return

        def tell(done: Future[SessionVerdict]) -> None:
            failed = done.exception()
            lang = self._session.lang
            said = type(failed).__name__ if failed else done.result().said.describe(lang)
            bad = bool(failed) or done.result().state == "bad"
            outcome = ActionOutcome(line, "" if bad else said, said if bad else "")
            _in_main(lambda: self._reply(content, outcome))

        check.add_done_callback(tell)


def _in_main(work: Callable[[], None]) -> None:
    """
    Run *work* in the main thread, between cells.

    Messages of widgets may arrive in a subshell's thread while a cell runs; the session is not made for two threads.
    """
    loop = _loop()
    if threading.current_thread() is threading.main_thread() or loop is None:
        work()
    else:
        loop.add_callback(work)


def _loop() -> Any:
    """The main thread's, where there is a kernel."""
    return getattr(getattr(get_ipython(), "kernel", None), "io_loop", None)
