"""What a notebook holds: settings, conversations, and what answers. Knows nothing of IPython."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from keyword import iskeyword
from typing import Any, NamedTuple

from ..client.client import DEFAULT_MODEL, Qianfan, Stream
from ..client.loop import BackgroundLoop
from ..client.settings import Settings
from ..core.answer import Answer
from ..core.context import parse_policy
from ..core.errors import OptionError, QianfanError
from ..core.models import Target, registry
from ..core.params import check_parameters
from ..core.plan import Plan, plan_request
from ..core.turns import Conversation
from .display import View
from .helptable import help_table

TICK = 0.1  # seconds between two looks at a silent stream, so that an interrupt is seen on every system


class Setting(NamedTuple):
    """A value, and where it comes from."""

    value: Any
    source: str


class Ask(NamedTuple):
    """
    One question, with every option decided.

    Attributes:
        plan: The checked request and its context.
        prompt: The question as it is sent.
        chat: The conversation it belongs to.
        base: That conversation before it, empty with ``new`` and a whole answer.
        joins: Whether the turn joins the conversation.
        timeout: Longest silence in seconds, or None for the settings' own.
        unsent: Parameters that are set for the notebook, and that this model doesn't take.
    """

    plan: Plan
    prompt: str
    chat: str
    base: Conversation
    joins: bool
    timeout: float | None
    unsent: tuple[str, ...] = ()


class Session:
    """
    One notebook's state.

    Args:
        environ: The environment.
        config: The settings made with ``%config`` or in ``ipython_config.py``, read at each use.
    """

    def __init__(self, environ: Mapping[str, str], config: Callable[[], Mapping[str, Any]] = dict) -> None:
        self.environ = environ
        self._config = config
        self._loop = BackgroundLoop()
        self._client: Qianfan | None = None
        self._mode: str | None = None
        self.changed: dict[str, Any] = {}
        self.conversations: dict[str, Conversation] = {}
        self.last: Answer | None = None

    # ---- settings

    def setting(self, name: str, given: Mapping[str, Any] | None = None) -> Setting:
        """One setting's value and source: the line, ``%qf set``, ``%config``, the environment, the default."""
        row = help_table().settable.get(name) or help_table().on_line[name]
        if given and name in given:
            return Setting(given[name], "line")
        if name in self.changed:
            return Setting(self.changed[name], "%qf set")
        configured = self._config().get(name)
        if configured is not None:
            return Setting(configured, "%config")
        if row.env and self.environ.get(row.env):
            return Setting(row.parse(self.environ[row.env]), row.env)
        return Setting(row.default, "default")

    @property
    def lang(self) -> str:
        """``en`` or ``zh``."""
        chosen = self.setting("lang").value
        if chosen != "auto":
            return str(chosen)
        locale = next((self.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if self.environ.get(name)), "")
        return "zh" if locale.lower().startswith("zh") else "en"

    def change(self, values: Mapping[str, Any]) -> None:
        """
        Take settings over, all or none of them.

        Raises:
            InputError: They don't fit together, or not with the model that is set.
        """
        before = dict(self.changed)
        if "model" in values and "endpoint" not in values:
            self.changed.pop("endpoint", None)
        if "endpoint" in values and "model" not in values:
            self.changed.pop("model", None)
        self.changed |= values
        try:
            parse_policy(self.setting("context").value)
            target = self.target()
            given = {name: value for name, value in self._parameters({}, target.parameters).items() if name in values}
            check_parameters(given, target.parameters, model=target.title, source=target.source.title)
        except QianfanError:
            self.changed = before
            raise
        if self.setting("nest_asyncio").value:
            import nest_asyncio2  # noqa: PLC0415 - only for who asks for it

            nest_asyncio2.apply()

    def target(self) -> Target:
        """What a question without options would go to."""
        return registry().target(*self._where({}))

    def _where(self, given: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
        """Model, endpoint and API; a model on the line isn't asked at an endpoint that was set, or vice versa."""
        api = self.setting("api", given).value
        if "model" in given or "endpoint" in given:
            return given.get("model"), given.get("endpoint"), api
        model, endpoint = self.setting("model").value, self.setting("endpoint").value
        return (model if model or endpoint else DEFAULT_MODEL), endpoint, api

    def _parameters(self, given: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, Any]:
        """
        The parameters for a call: those on the line, and of those that are set, the ones the model takes.

        A parameter set for the notebook is a wish for every model that has it; one on the line is for this model, and
        wrong there if it doesn't.
        """
        found = {name: given[name] for name in help_table().parameters if name in given}
        settings = {name: self.setting(name).value for name in taken if name not in found}
        return found | {name: value for name, value in settings.items() if value is not None}

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
        if self.mode == "stub":
            if self._client is None or self._client.label != "stub":
                self._replace(self._stub())
        else:
            settings = Settings.from_env(self.environ)
            if self._client is None or self._client.label != "live" or self._client.settings != settings:
                self._replace(Qianfan(settings=settings, loop=self._loop))
        assert self._client is not None
        return self._client

    def _stub(self) -> Qianfan:
        from ..transport.stub import StubTransport  # noqa: PLC0415 - brings httpx

        transport = StubTransport(pace=float(self.environ.get("QFMAGIC_STUB_PACE") or 0))
        keys = transport.keys
        settings = Settings(ak=keys.ak, sk=keys.sk, bearer_token=keys.bearer_token)
        return Qianfan(settings=settings, transport=transport, label="stub", loop=self._loop)

    def _replace(self, client: Qianfan) -> None:
        if self._client is not None:
            self._client.close()
        self._client = client

    def close(self) -> None:
        """Close the connections and end the background thread."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._loop.close()

    # ---- asking

    def conversation(self, name: str) -> Conversation:
        """The conversation of that name, empty if there is none yet."""
        return self.conversations.get(name) or Conversation(name)

    def prepare(self, prompt: str, given: Mapping[str, Any], flags: frozenset[str] = frozenset()) -> Ask:
        """
        Decide everything about a question. Nothing is sent or changed.

        Raises:
            InputError: It can't be asked like that.
        """
        model = str(given.get("model", ""))
        if "," in model:
            raise OptionError("option.several_models", value=model)
        into = given.get("into")
        if into is not None and (not str(into).isidentifier() or iskeyword(str(into))):
            raise OptionError("option.into", value=into)
        chat = str(self.setting("chat", given).value)
        base = Conversation(chat) if "new" in flags else self.conversation(chat)
        target = registry().target(*self._where(given))
        plan = plan_request(
            target,
            prompt,
            history=() if "once" in flags else base.history,
            parameters=self._parameters(given, target.parameters),
            policy=parse_policy(self.setting("context", given).value),
            stream=bool(self.setting("stream", given).value),
        )
        timeout = self.setting("timeout", given).value
        unsent = tuple(
            name for name in help_table().parameters if name in self.changed and name not in target.parameters
        )
        return Ask(plan, prompt, chat, base, "once" not in flags, timeout, unsent)

    def run(self, ask: Ask, view: View, show: Callable[[Answer, Ask], None]) -> Answer:
        """
        Ask, show the answer while it comes, and let the turn join its conversation.

        *show* leaves the final form; it is called once, also for what came before an error or an interrupt, if
        anything came.

        Raises:
            QianfanError: No answer, or not all of it. The conversation is as it was, or has the partial turn, which
                is no history.
            KeyboardInterrupt: The user stopped it; as with an error.
        """
        stream = self.client().send(ask.plan, timeout=ask.timeout)
        try:
            self._follow(stream, view)
            answer = stream.answer
        except KeyboardInterrupt:
            self._keep(ask, stream.answer, show)
            raise
        except QianfanError as error:
            if error.partial is not None and error.partial.text:
                self._keep(ask, error.partial, show)
            raise
        self._keep(ask, answer, show)
        return answer

    def _follow(self, stream: Stream, view: View) -> None:
        with stream:
            while (deltas := stream.drain(TICK)) is not None:
                for delta in deltas:
                    view.add(delta)

    def _keep(self, ask: Ask, answer: Answer, show: Callable[[Answer, Ask], None]) -> None:
        self.last = answer
        if ask.joins:
            self.conversations[ask.chat] = ask.base.add(ask.prompt, answer)
        show(answer, ask)

    def reset(self, name: str) -> int:
        """Start a conversation afresh; return how many turns it had."""
        count = len(self.conversation(name).turns)
        self.conversations[name] = replace(self.conversation(name), turns=())
        return count
