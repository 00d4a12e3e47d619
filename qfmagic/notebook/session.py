"""What a notebook holds: settings, conversations, and what answers. Knows nothing of IPython."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..client.client import Qianfan
from ..client.credentials import Kind
from ..client.loop import BackgroundLoop
from ..client.settings import Settings
from ..core.answer import Answer
from ..core.errors import OptionError
from .chats import Chats
from .document import Document, notebook_path
from .journal import Journal, journal_path
from .keys import Keys
from .preferences import Preferences
from .verdict import Verdict


class Watcher(Protocol):
    """Who shows the session: an open panel."""

    def follow(self) -> None:
        """Show what has become of the session."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class Session:
    """
    One notebook's state.

    Args:
        environ: The environment.
        config: The settings made with ``%config`` or in ``ipython_config.py``, read at each use.
    """

    def __init__(self, environ: Mapping[str, str], config: Callable[[], Mapping[str, Any]] = dict) -> None:
        self.environ = environ
        self.preferences = Preferences(environ, config)
        self.chats = Chats(Document(notebook_path(environ)))
        self.journal: Journal | None = None
        self.journal_error: str | None = None
        self.last: Answer | None = None
        self.keys = Keys(environ, lambda: self._asked == "live")
        self.verdicts: dict[Kind, Verdict] = {}
        self.watchers: list[Watcher] = []
        self.loop = BackgroundLoop()
        self._client: Qianfan | None = None
        self._chosen: Mapping[str, Any] = {}
        self._mode: str | None = None

    @property
    def lang(self) -> str:
        """``en`` or ``zh``."""
        return self.preferences.lang

    @property
    def chat(self) -> str:
        """The conversation a question without ``chat=`` belongs to."""
        return str(self.preferences.setting("chat").value)

    def changed(self) -> None:
        """Tell the open panels that something may have changed."""
        for watcher in tuple(self.watchers):
            watcher.follow()

    # ---- what answers

    @property
    def mode_source(self) -> str:
        """Where the mode comes from."""
        if self._mode:
            return "%qf transport"
        return "QFMAGIC_TRANSPORT" if self.environ.get("QFMAGIC_TRANSPORT") else "default"

    @property
    def mode(self) -> str:
        """``live`` or ``stub``."""
        mode = self._asked
        if mode not in ("live", "stub"):
            raise OptionError("command.transport", value=mode)
        return mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in ("live", "stub"):
            raise OptionError("command.transport", value=mode)
        self._mode = mode

    @property
    def _asked(self) -> str:
        return self._mode or self.environ.get("QFMAGIC_TRANSPORT") or "live"

    def client(self) -> Qianfan:
        """The client for the mode and the keys of this moment; made anew when they changed."""
        chosen = self.preferences.client()
        if self.mode == "stub":
            if self._client is None or self._client.label != "stub" or self._chosen != chosen:
                self._replace(self._stub(chosen))
                self._chosen = chosen
        else:
            settings = self.keys.settings(**chosen)
            if self._client is None or self._client.label != "live" or self._client.settings != settings:
                self._replace(Qianfan(settings=settings, loop=self.loop))
        assert self._client is not None
        return self._client

    def _stub(self, chosen: Mapping[str, Any]) -> Qianfan:
        from ..transport.stub import StubTransport  # noqa: PLC0415 - brings httpx

        transport = StubTransport(pace=float(self.environ.get("QFMAGIC_STUB_PACE") or 0))
        keys = transport.keys
        settings = Settings(ak=keys.ak, sk=keys.sk, bearer_token=keys.bearer_token, **chosen)
        return Qianfan(settings=settings, transport=transport, label="stub", loop=self.loop)

    def _replace(self, client: Qianfan) -> None:
        if self._client is not None:
            self._client.close()
        self._client = client

    def close(self) -> None:
        """Close the panels, the connections and the journal, and end the background thread."""
        for watcher in tuple(self.watchers):
            watcher.close()
        if self._client is not None:
            self._client.close()
            self._client = None
        if self.journal is not None:
            self.journal.close()
            self.chats.recorder = self.journal = None
        self.loop.close()

    # ---- the journal

    def open_journal(self) -> Journal | None:
        """The journal, unless it is switched off or can't be written; then ``journal_error`` says why."""
        wanted = bool(self.preferences.setting("journal").value)
        if not wanted or self.journal is not None:
            self.chats.recorder = self.journal if wanted else None
            return self.journal if wanted else None
        path = notebook_path(self.environ) or Path.cwd()
        try:
            self.journal = Journal(journal_path(self.environ), str(path), time.time)
        except Exception as error:  # noqa: BLE001 - a disk that is full or not ours must not stop a question
            self.journal_error = f"{type(error).__name__}: {error}"
        self.chats.recorder = self.journal
        return self.journal
