"""What a notebook holds: settings, conversations, and what answers. Knows nothing of IPython."""

import time
from collections import ChainMap
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...accounting.meter import Meter
from ...accounting.prices import Prices
from ...accounting.totals import Call
from ...client.auth.credentials import Kind
from ...client.background_loop import BackgroundLoop
from ...client.client import Qianfan
from ...client.settings import Settings
from ...core.answer import Answer
from ...core.errors import QianfanError
from ...core.i18n import Text, text
from ...core.plan import Plan
from ...core.transport_modes import TransportMode
from ...core.wire import ChatRequest
from ...core.wire.model_list import ListedModel
from ...home import HomeError
from ..conversation.cell_order import NOTEBOOK, CellOrder, RunningCell, notebook_path
from ..conversation.conversations import Conversations
from ..conversation.journal import Journal, journal_path
from .key_check import SessionVerdict
from .keys import Keys
from .model_lists import ModelLists
from .preferences import ADDRESSES, Preferences
from .python_calls import PythonCalls
from .transport_mode import FORCED, VARIABLE, Transport, from_variable, here, read_transport, tape_of

if TYPE_CHECKING:
    import httpx

    from ...transport.cassette.tape import CassetteTape


class Watcher(Protocol):
    """Who shows the session: an open panel."""

    def follow(self) -> None:
        """Show what has become of the session."""
        ...

    def count(self) -> None:
        """Show that a call was counted, while the cell that made it may still run; in whatever thread."""
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
        notebook: The notebook's file, where the front end names it other than in the environment; asked at each use.

    Attributes:
        network: A transport that requests are sent through instead of the network, and instead of the stub; None for
            those. A cassette is asked first.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        config: Callable[[], Mapping[str, Any]] = dict,
        notebook: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self._environ = environ
        self._named_notebook = notebook
        self.preferences = Preferences(environ, config)
        self.chats = Conversations(CellOrder(lambda: self.notebook))
        self.journal: Journal | None = None
        self.journal_error: str | None = None
        self._journal_told = False
        self._home: list[Text] = []  # what is to be said of the folder of our own
        self.last: Answer | None = None
        self.source: str | None = None  # the cell that runs, as it is written
        self.keys = Keys(environ, self._keys_needed, self.preferences.addresses)
        self.verdicts: dict[Kind, SessionVerdict] = {}
        self._lists = ModelLists(environ, time.time)
        self.watchers: list[Watcher] = []
        self.loop = BackgroundLoop()
        self.network: httpx.AsyncBaseTransport | None = None
        self._client: Qianfan | None = None
        self._client_is_for: object = None
        self._transport: Transport | None = None
        self._folder = here()  # what the environment names is seen from where the kernel began
        self._named: tuple[str, Transport] | None = None
        self._tape: CassetteTape | None = None
        self._tape_is_for: Transport | None = None
        self._asked_here = 0
        self._prices: tuple[tuple[Path, int], Prices] | None = None
        self.python_calls = PythonCalls(self)
        self.meter = Meter(
            time.time,
            budget=self.preferences.budget,
            prices=lambda: self.prices,
            keep=self._keep_call,
            where=lambda: (self.chats.cell, self.chats.label),
            free=lambda: self.transport.kind.keyless,
        )

    @property
    def notebook(self) -> Path | None:
        """The notebook's file; None where the front end doesn't name it."""
        return self._named_notebook() or notebook_path(self._environ)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment, which names the notebook as JupyterLab does, whatever the front end."""
        named = self._named_notebook()
        return self._environ if named is None else ChainMap({NOTEBOOK: str(named)}, dict(self._environ))

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

    # ---- cells

    def begin_cell(self, running: RunningCell, source: str | None) -> None:
        """Begin a cell that is about to run; *source* is its text."""
        self.source, self._asked_here = source, 0
        self.python_calls.begin_cell()
        self.chats.begin_cell(running)

    def end_cell(self) -> None:
        """The cell has run."""
        self.chats.end_cell()
        if self._tape is not None:
            self._tape.tidy()
        self.changed()

    def asker(self) -> Hashable:
        """Who asks now, for a tape: the cell that runs, and which of its questions it is; None if it has no name."""
        self._asked_here += 1
        return None if self.chats.cell is None else (self.chats.cell, self._asked_here)

    def recorded(self, plan: Plan, slot: Hashable) -> bool:
        """Whether a question is answered by the cassette in any case, and so costs nothing; *slot* is who asks."""
        tape = self.tape
        return tape is not None and tape.has(plan.request, slot)

    def url_of(self, request: ChatRequest) -> str:
        """Where a request goes, without what authorises it."""
        settings = Settings() if self.transport.kind.keyless else self.keys.settings()
        return "".join(settings.place_of(request.wire, request.endpoint, custom=settings.use_custom_endpoint))

    # ---- models

    def listed(self) -> tuple[ListedModel, ...]:
        """The models the service listed for the key in use, as last read; empty where it was not asked today."""
        try:
            return self._lists.known(self._addressed())
        except QianfanError:  # keys or addresses that can't be read are reported where they are used
            return ()

    def list_models(self) -> tuple[ListedModel, ...]:
        """
        Ask the service which models the key in use may use.

        Raises:
            QianfanError: No key, no list, or the service was not reached.
        """
        models = self.client().models()
        self.keep_list(self._addressed(), models)
        return models

    def keep_list(self, settings: Settings, models: Iterable[ListedModel]) -> None:
        """Keep a list the service sent for the key in *settings*."""
        self._lists.keep(settings, tuple(models), saved=not self.transport.kind.keyless)

    def _addressed(self) -> Settings:
        return Settings() if self.transport.kind.keyless else self.keys.settings()

    # ---- what answers

    @property
    def mode_source(self) -> str:
        """Where the mode comes from."""
        if FORCED in self.environ:
            return FORCED
        if self._transport:
            return "%qf transport"
        return VARIABLE if self.environ.get(VARIABLE) else "default"

    @property
    def transport(self) -> Transport:
        """
        What answers.

        Raises:
            OptionError: The environment names what can't.
        """
        written = self.environ.get(FORCED)
        if written is None and self._transport is None:
            written = self.environ.get(VARIABLE) or None
        if written is None:
            return self._transport or Transport()
        if self._named is None or self._named[0] != written:
            self._named = written, from_variable(written, self.environ, self._folder)
        return self._named[1]

    @property
    def mode(self) -> str:
        """The name of the mode; raises as :attr:`transport`."""
        return self.transport.mode

    def change_transport(self, written: str) -> Transport:
        """
        Have something else answer from now on; a cassette starts at its beginning.

        Raises:
            OptionError: There is no such mode, or it needs a path.
            CassetteError: The cassette can't be read or written.
        """
        transport = read_transport(written, self.environ)
        if FORCED in self.environ:
            return transport
        self._put_in(transport)
        self._transport = transport
        return transport

    @property
    def tape(self) -> "CassetteTape | None":
        """The cassette in use; made when it is first asked for. Raises as :meth:`change_transport`."""
        transport = self.transport
        if self._tape_is_for != transport:
            self._put_in(transport, self._folder)
        return self._tape

    @property
    def trouble(self) -> QianfanError | None:
        """What kept the last exchange off the cassette; None for nothing, and where there is none."""
        return self._tape.trouble if self._tape is not None else None

    def _put_in(self, transport: Transport, folder: Path | None = None) -> None:
        tape = tape_of(transport, self.environ, folder) if transport.kind.taped else None
        if self._tape is not None:
            self._tape.tidy()
        self._tape, self._tape_is_for = tape, transport

    def _keys_needed(self) -> bool:
        try:
            return not self.transport.kind.keyless
        except QianfanError:  # is told where something is asked
            return False

    def client(self) -> Qianfan:
        """The client for the mode and the keys of this moment; made anew when they changed."""
        transport, tape = self.transport, self.tape
        chosen = self.preferences.client()
        if transport.kind.keyless:  # nothing is sent to an address
            chosen = {name: value for name, value in chosen.items() if name not in ADDRESSES}
        settings = Settings(**chosen) if transport.kind.keyless else self.keys.settings(**chosen)
        wanted = transport.mode, settings, tape, self.network
        if self._client is None or self._client_is_for != wanted:
            self._replace(self._made(transport.kind, settings, tape))
            self._client_is_for = wanted
        assert self._client is not None
        return self._client

    def _made(self, mode: TransportMode, settings: Settings, tape: "CassetteTape | None") -> Qianfan:
        if mode.simulated:
            return self._stub(settings)
        if mode.keyless:
            from ...transport.cassette.tape import NoNetwork  # noqa: PLC0415 - brings httpx

            return Qianfan(settings=settings, transport=NoNetwork(), tape=tape, label=mode.label, loop=self.loop)
        return Qianfan(settings=settings, transport=self.network, tape=tape, label=mode.label, loop=self.loop)

    def _stub(self, settings: Settings) -> Qianfan:
        from ...transport.stub.service import StubKeys  # noqa: PLC0415 - brings httpx
        from ...transport.stub.transport import StubTransport  # noqa: PLC0415 - brings httpx

        transport = self.network or StubTransport(pace=float(self.environ.get("QFMAGIC_STUB_PACE") or 0))
        settings = replace(settings, **StubKeys()._asdict())
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
        if self._tape is not None:
            self._tape.tidy()
        if self.journal is not None:
            self.journal.close()
            self.chats.recorder = self.journal = None
        self.loop.close()

    # ---- what it costs

    @property
    def prices(self) -> Prices:
        """
        The prices the user has set; read again when their file has changed.

        Raises:
            OptionError: They can't be read.
        """
        path = self.preferences.prices_path()
        if path is None:
            return Prices()
        try:
            read = path, path.stat().st_mtime_ns
        except OSError:
            return Prices.of_toml(path)  # says what is wrong
        if self._prices is None or self._prices[0] != read:
            self._prices = read, Prices.of_toml(path)
        return self._prices[1]

    def take_notes(self) -> list[str]:
        """
        What is to be said below an answer: that it isn't on the cassette; and once, that the budget is passed, and what
        others could get at.
        """
        passed = self.meter.take_overshoot()
        trouble = [self.trouble.message(self.lang)] if self.trouble else []
        trouble += [one.describe(self.lang) for one in (*self._home, *self.keys.vault.repaired)]
        self._home.clear()
        self.keys.vault.repaired.clear()
        return [*trouble, *self._journal_note(), *([passed.describe(self.lang)] if passed else [])]

    def _journal_note(self) -> list[str]:
        """That the journal lacks something: once, as it stays so for most who can't write it."""
        failed = self.journal.error if self.journal is not None else self.journal_error
        if failed is None or self._journal_told or not self.preferences.setting("journal").value:
            return []
        self._journal_told = True
        return [text("note.journal", self.lang)]

    def _keep_call(self, call: Call) -> None:
        self.python_calls.add(call)
        if self.journal is not None:
            self.journal.save_call(call)
        for watcher in tuple(self.watchers):
            watcher.count()

    # ---- the journal

    def open_journal(self) -> Journal | None:
        """The journal, unless it is switched off or can't be written; then ``journal_error`` says why."""
        wanted = bool(self.preferences.setting("journal").value)
        if not wanted or self.journal is not None:
            self.chats.recorder = self.journal if wanted else None
            return self.journal if wanted else None
        path = self.notebook or Path.cwd()
        try:
            self.journal = Journal(journal_path(self.environ), str(path), time.time)
            self._home += self.journal.repaired
        except HomeError as error:
            if self.journal_error is None:
                self._home.append(Text(error.key, error.values))
            self.journal_error = error.message(self.lang)
        except Exception as error:  # noqa: BLE001 - a disk that is full or not ours must not stop a question
            self.journal_error = f"{type(error).__name__}: {error}"
        else:
            self.journal_error = None
        self.chats.recorder = self.journal
        return self.journal
