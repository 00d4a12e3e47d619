"""The rows of the model table as values: a model, its APIs and limits, and the target of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from ..i18n import Text
from .params import Parameter

Wire = Literal["v1", "v2"]
WIRES: tuple[Wire, ...] = ("v1", "v2")
JsonWay = Literal["json_object", "json_schema"]

DEFAULT_MODEL = "ernie-5.1"  # asked where nothing else is named
FIRST_DAY = "2023-01-01"  # no answer is older: an earlier time stamp is a gateway's placeholder
UNDATED = "2026-11-28"  # a row whose day of retirement was not read was retired by this day


class ModelLimits(NamedTuple):
    """The limits of a model's input; None where no limit is stated."""

    max_chars: int | None = None
    max_tokens: int | None = None
    system_counts: bool = False


NO_LIMITS = ModelLimits()


class Api(NamedTuple):
    """How one API serves a model: the V1 endpoint (None: the user's own) and the parameters."""

    wire: Wire
    parameters: Mapping[str, Parameter]
    endpoint: str | None = None


class DocumentedSource(NamedTuple):
    """The source of a row."""

    key: str
    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """
    What V2's catalogue says of a model; None is not read.

    Attributes:
        context: The context as printed: "128k".
        max_input: The longest input as printed.
        max_output: Most output tokens.
        thinking: Whether the model thinks.
        thinking_switch: The parameter that turns thinking on and off: ``thinking`` or ``enable_thinking``.
        always_thinks: Thinking cannot be turned off.
        efforts: The values of ``reasoning_effort``.
        vision: Whether it reads images.
        tools: Whether it calls tools.
        json_schema: Whether ``response_format`` may hold a JSON Schema.
        web_search: Whether it searches the web.
        as_of: The day of the reading.
    """

    context: str | None = None
    max_input: str | None = None
    max_output: int | None = None
    thinking: bool | None = None
    thinking_switch: str | None = None
    always_thinks: bool = False
    efforts: tuple[str, ...] = ()
    vision: bool | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    web_search: bool | None = None
    as_of: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Capabilities":
        """Build from a row of ``models.toml``."""
        known = {name: row[name] for one in fields(cls) if (name := one.name) in row}
        if known.get("thinking_switch") or known.get("always_thinks"):
            known["thinking"] = True
        return cls(**{**known, "efforts": tuple(row.get("efforts", ()))})


class Retirement(NamedTuple):
    """
    When a model was retired.

    Attributes:
        retired: The day; "" where the day was not read.
        instead: A current model.
        announced: The day passed, and nobody confirmed the retirement.
    """

    retired: str
    instead: str
    announced: bool = False

    def said(self, model: str) -> Text:
        """The warning for a model: the day and the successor."""
        state = "announced" if self.announced else "dated" if self.retired else "undated"
        return Text(f"model.retired.{state}", {"model": model, "date": self.retired, "instead": self.instead})

    def precedes(self, created: int | None) -> bool:
        """Whether an answer's time stamp is later than the retirement; an answer without one counts as of today."""
        return created is None or created < _seconds(FIRST_DAY) or created >= _seconds(self.retired or UNDATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A row of the model table."""

    name: str
    title: str
    source: DocumentedSource
    apis: Mapping[Wire, Api]
    aliases: tuple[str, ...] = ()
    limits: ModelLimits = NO_LIMITS
    note: Mapping[str, str] = field(default_factory=dict)
    capabilities: Capabilities = Capabilities()
    retirement: Retirement | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All its names: the endpoints of V1 were names of models, too."""
        endpoints = [api.endpoint for api in self.apis.values() if api.endpoint]
        return self.name, self.title, *self.aliases, *endpoints

    def retirement_on(self, wire: Wire) -> Retirement | None:
        """The retirement as far as it concerns an API: rows are retired from the newest API that served them."""
        newest: Wire = "v2" if "v2" in self.apis else "v1"
        return self.retirement if wire == newest else None

    @property
    def wires(self) -> tuple[Wire, ...]:
        """The APIs that serve it, the default first."""
        return tuple(self.apis)

    @property
    def offered(self) -> bool:
        """Whether lists, completion and hints name it: not if its default API has retired it."""
        return self.retirement_on(self.wires[0]) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    What a request goes to, with the rules that hold there.

    ``model`` is the name sent on V2 and shown on V1; ``endpoint`` is set on V1 only.
    """

    wire: Wire
    model: str
    title: str
    endpoint: str | None
    parameters: Mapping[str, Parameter]
    limits: ModelLimits
    source: DocumentedSource
    known: bool
    capabilities: Capabilities = Capabilities()
    retirement: Retirement | None = None

    def warnings(self, lang: str) -> list[str]:
        """The warning for a model that its API has retired."""
        return [self.retirement.said(self.model).describe(lang)] if self.retirement else []

    @property
    def json_way(self) -> JsonWay | None:
        """How ``response_format`` asks for JSON, on V2 where the model has a row; None where only words do."""
        if not self.known or self.wire != "v2" or "response_format" not in self.parameters:
            return None
        return "json_schema" if self.capabilities.json_schema else "json_object"


def _seconds(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
