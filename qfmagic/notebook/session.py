"""What a notebook holds: settings, conversations, and what answers. Knows nothing of IPython."""

import time
from collections.abc import Callable, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..client.client import Qianfan, Stream
from ..client.credentials import Kind
from ..client.loop import BackgroundLoop
from ..client.settings import Settings
from ..core.answer import Answer
from ..core.context import parse_policy
from ..core.errors import OptionError, QianfanError
from ..core.models import registry
from ..core.plan import Plan, plan_request
from ..core.turns import State, Turn
from .chats import Chats, Slot
from .display import TICK, View
from .document import Document, notebook_path
from .journal import Journal, journal_path
from .keys import Keys
from .preferences import Preferences
from .verdict import Verdict

KEEP_EVERY = 1.0  # seconds between two savings of an answer under way


class Ask(NamedTuple):
    """
    One question, with every option decided.

    Attributes:
        plan: The checked request and its context.
        prompt: The question as it is sent.
        slot: Its place in its conversation.
        joins: Whether the turn joins the conversation.
        fresh: Whether it starts the conversation afresh.
        timeout: Longest silence in seconds, or None for the settings' own.
        unsent: Parameters that are set for the notebook, and that this model doesn't take.
        parents: The hashes of the turns that go along.
    """

    plan: Plan
    prompt: str
    slot: Slot
    joins: bool
    fresh: bool
    timeout: float | None
    unsent: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


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
        self.keys = Keys(environ)
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
        mode = self._mode or self.environ.get("QFMAGIC_TRANSPORT") or "live"
        if mode not in ("live", "stub"):
            raise OptionError("command.transport", value=mode)
        return mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in ("live", "stub"):
            raise OptionError("command.transport", value=mode)
        self._mode = mode

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

    # ---- asking

    def prepare(self, prompt: str, given: Mapping[str, Any], flags: frozenset[str] = frozenset()) -> Ask:
        """
        Decide everything about a question. Nothing is sent or changed.

        Raises:
            InputError: It can't be asked like that.
        """
        preferences = self.preferences
        model = str(given.get("model", ""))
        if "," in model:
            raise OptionError("option.several_models", value=model)
        into = given.get("into")
        if into is not None and (not str(into).isidentifier() or iskeyword(str(into))):
            raise OptionError("option.into", value=into)
        slot = self.chats.slot(str(preferences.setting("chat", given).value))
        conversation = self.chats.get(slot.chat)
        alone = bool({"once", "new"} & flags)
        target = registry().target(*preferences.where(given))
        plan = plan_request(
            target,
            prompt,
            history=() if alone else self.chats.history(slot),
            parameters=preferences.parameters(given, target.parameters),
            policy=parse_policy(preferences.setting("context", given).value),
            stream=bool(preferences.setting("stream", given).value),
        )
        along: list[str] = []
        for turn in reversed(conversation.turns[: slot.at]):
            if len(along) == plan.context.sent:
                break
            if turn.in_history:
                along.append(turn.hash)
        timeout = preferences.setting("timeout", given).value
        joins, fresh = "once" not in flags, "new" in flags
        asked = plan.context.messages[-1].content
        return Ask(plan, asked, slot, joins, fresh, timeout, preferences.unsent(target), tuple(reversed(along)))

    def run(self, ask: Ask, view_of: Callable[[Ask], View], show: Callable[[Answer, Ask, View], None]) -> Answer:
        """
        Ask, show the answer while it comes, and let the turn join its conversation.

        The view is made when the question is on its way. *show* leaves the final form; it is called once, also for
        what came before an error or an interrupt, if anything came.

        Raises:
            QianfanError: No answer, or not all of it; what came is kept, and is no history.
            KeyboardInterrupt: The user stopped it; as with an error.
        """
        self.open_journal()
        stream = self.client().send(ask.plan, timeout=ask.timeout)
        view = View()
        try:
            with stream:
                view = view_of(ask)
                self._follow(ask, stream, view)
            answer = stream.answer
            self._keep(ask, answer, "answered" if answer.complete else "interrupted", show, view)
        except KeyboardInterrupt:
            answer = stream.answer  # whole, if the interrupt came when it was just being shown
            self._keep(ask, answer, "answered" if answer.complete else "interrupted", show, view)
            raise
        except QianfanError as error:
            partial = error.partial
            if partial is not None and partial.text:
                self._keep(ask, partial, "interrupted", show, view)
            else:
                self.failed(ask.slot, ask.prompt)
            raise
        finally:
            view.close()
        return answer

    def _follow(self, ask: Ask, stream: Stream, view: View) -> None:
        """Hand on what comes; and keep it, so that a killed kernel loses a second at most."""
        journal = self.journal if ask.joins else None
        due = time.monotonic() + KEEP_EVERY
        patience = TICK
        while (deltas := stream.drain(patience)) is not None:
            for delta in deltas:
                view.add(delta)
            patience = view.tick()
            if view.stopped:
                raise KeyboardInterrupt
            if journal is not None and time.monotonic() >= due:
                partial = self._turn(ask, stream.answer, "interrupted")
                journal.save_partial(ask.slot.chat, ask.slot.at, partial)
                due = time.monotonic() + KEEP_EVERY

    def _turn(self, ask: Ask, answer: Answer, state: State) -> Turn:
        # One that starts afresh does so with a whole answer: else what was there before stays.
        fresh = ask.fresh and state == "answered"
        return self.chats.turn(ask.slot, ask.prompt, answer, state, ask.plan.context, fresh=fresh)

    def _keep(
        self, ask: Ask, answer: Answer, state: State, show: Callable[[Answer, Ask, View], None], view: View
    ) -> None:
        self.last = answer
        if ask.joins:
            self.chats.record(ask.slot, self._turn(ask, answer, state))
        show(answer, ask, view)

    def failed(self, slot: Slot | None = None, prompt: str = "", *, chat: str | None = None) -> None:
        """
        Keep the place of a question that has no answer, where its cell is known.

        What its cell answered before is not on the screen any more, so it is no history; when the cell is run again,
        it finds its place among the cells that ran meanwhile.
        """
        slot = slot or self.chats.slot(chat or self.chat)
        if slot.cell is not None:
            self.chats.record(slot, self.chats.turn(slot, prompt, Answer(""), "failed", None, fresh=False))
