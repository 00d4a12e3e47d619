"""The models qfmagic knows, from ``data/models.toml``, and the choice of API and endpoint for a request."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from .errors import ModelError
from .i18n import Text, read_table
from .params import ANSWER_LIMITS, EXTRA, Parameter, Range

Wire = Literal["v1", "v2"]
WIRES: tuple[Wire, ...] = ("v1", "v2")
JsonWay = Literal["json_object", "json_schema"]

# The parameters of models that think, and of those that call tools.
_THOUGHTS = ("thinking", "enable_thinking", "thinking_budget", "thinking_strategy", "reasoning_effort")
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")

DEFAULT_MODEL = "ernie-5.1"  # asked where nothing else is named
FIRST_DAY = "2023-01-01"  # no answer is older: an earlier time stamp is a gateway's placeholder
UNDATED = "2026-11-28"  # a row whose day of retirement was not read was retired by this day

# The part of the address behind /chat/; a whole URL or a query here would silently ask another place.
_ENDPOINT = re.compile(r"(?!\.)[A-Za-z0-9._~-]+(/(?!\.)[A-Za-z0-9._~-]+)*")


class ModelLimits(NamedTuple):
    """What the model takes at most; None is no stated limit."""

    max_chars: int | None = None
    max_tokens: int | None = None
    system_counts: bool = False


class Api(NamedTuple):
    """How one API serves a model: the V1 endpoint (None: the user's own) and the parameters."""

    wire: Wire
    parameters: Mapping[str, Parameter]
    endpoint: str | None = None


class DocumentedSource(NamedTuple):
    """Where a row comes from."""

    key: str
    title: str
    url: str


class Capabilities(NamedTuple):
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
        known = {name: row[name] for name in cls._fields if name in row}
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


class Model(NamedTuple):
    """A row of the model table."""

    name: str
    title: str
    source: DocumentedSource
    apis: Mapping[Wire, Api]
    aliases: tuple[str, ...] = ()
    limits: ModelLimits = ModelLimits()
    note: Mapping[str, str] = MappingProxyType({})
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


class Target(NamedTuple):
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


class Registry:
    """The model table: look a name up, and choose where a request goes."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._sources = {key: DocumentedSource(key, row["title"], row["url"]) for key, row in table["sources"].items()}
        self._sets = {
            key: {name: Parameter.from_row(name, row) for name, row in rows.items()}
            for key, rows in table["parameters"].items()
        }
        self._rows = table["parameters"]
        self._switches = {key: Parameter.from_row("thinking", row) for key, row in table["switches"].items()}
        self._excluded = tuple((row["names"], row["models"]) for row in table["excluded"])
        self.models: dict[str, Model] = {row["name"]: self._model(row) for row in table["model"]}
        self._names: dict[str, Model] = {}
        for spelled in (_spelled_out, _loose):  # an exact name comes before what looks like one
            for model in self.models.values():
                for alias in model.names:
                    self._names.setdefault(spelled(alias), model)
        self._custom = self._model({"name": "", "wires": ["v1"], **table["custom"]})
        self._unknown = {"wires": ["v2"], **table["unknown"]}

    def _model(self, row: Mapping[str, Any]) -> Model:
        return Model(
            name=row["name"],
            title=row["title"],
            source=self._sources[row["source"]],
            apis={wire: self._api(wire, row) for wire in row["wires"]},
            aliases=tuple(row.get("aliases", ())),
            limits=ModelLimits(row.get("max_chars"), row.get("max_tokens"), row.get("system_counts", False)),
            note={lang: row[f"note_{lang}"] for lang in ("en", "zh") if f"note_{lang}" in row},
            capabilities=Capabilities.from_row(row),
            retirement=(
                Retirement(row["retired"], row["instead"], row.get("announced", False)) if "retired" in row else None
            ),
        )

    def _api(self, wire: Wire, model: Mapping[str, Any]) -> Api:
        row = model[wire]
        known = self._sets[row["parameters"]]
        parameters = {name: known[name] for name in row.get("names", known)}
        for name, change in row.get("change", {}).items():
            parameters[name] = Parameter.from_row(name, {**self._rows[row["parameters"]][name], **change})
        if wire == "v2":
            parameters = self._narrowed(parameters, model["name"], Capabilities.from_row(model))
        return Api(wire, parameters, row.get("endpoint"))

    def _narrowed(
        self, parameters: Mapping[str, Parameter], name: str, capabilities: Capabilities
    ) -> dict[str, Parameter]:
        """V2's parameters as one model takes them: without those it is known not to take, within its own limits."""
        switch_name = "always" if capabilities.always_thinks else capabilities.thinking_switch or ""
        most, switch = capabilities.max_output, self._switches.get(switch_name)
        found = dict(parameters)
        if most is not None:
            limit = Range.parse(f"[1, {most}]")
            found |= {one: replace(found[one], range=limit) for one in ANSWER_LIMITS}
        if capabilities.efforts:
            found["reasoning_effort"] = replace(found["reasoning_effort"], choices=capabilities.efforts)
        if switch is not None:
            found["thinking"] = switch
        without = [*_THOUGHTS] if capabilities.thinking is False else []
        without += [*_TOOLS] if capabilities.tools is False else []
        without += ["web_search"] if capabilities.web_search is False else []
        without += [one for names, models in self._excluded if _matches(name.lower(), models) for one in names]
        for one in without:
            outer, _, inner = one.partition(".")
            taken = found.pop(outer, None)
            if inner and taken is not None:
                fields = {key: field for key, field in taken.fields.items() if key != inner}
                found[outer] = replace(taken, fields=fields)
        return found

    def find(self, name: str) -> Model | None:
        """The row of that name, title, alias or V1 endpoint, whatever its case, dashes and dots; None without one."""
        return self._names.get(_spelled_out(name)) or self._names.get(_loose(name))

    def name_of(self, name: str) -> str:
        """The one name of a model that is known by several; of one without a row, what is given."""
        row = self.find(name)
        return row.name if row else name

    def offered(self) -> list[Model]:
        """The rows that are not retired."""
        return [model for model in self.models.values() if model.offered]

    def retirement(self, name: str, wire: str) -> Retirement | None:
        """The retirement of a model from an API."""
        row = self.find(name)
        return row.retirement_on("v1" if wire == "v1" else "v2") if row else None

    def generic(self, name: str) -> Model:
        """The row for a V2 model that is not in the table."""
        return self._model({**self._unknown, "name": name, "title": name})

    def suggest(self, name: str, listed: Iterable[str] = (), wire: Wire | None = None) -> list[str]:
        """
        Names that look like *name*, best first: of models that are not retired, and not *name* itself.

        Args:
            name: The name.
            listed: Further names: those of the service's own list.
            wire: The API; None for both.
        """
        rows = [model for model in self.offered() if wire is None or wire in model.apis]
        known = {alias.lower(): model.name for model in rows for alias in model.names}
        known |= {one.lower(): one for one in listed}
        return [near for near in suggest(name, known, key=known.__getitem__) if near != name]

    def _v1_names(self, name: str) -> Text | str:
        names = self.suggest(name, wire="v1")
        return Text("model.did_you_mean", {"suggestions": names}) if names else ""

    def parameter_names(self) -> dict[str, str]:
        """Every parameter any model takes, with its type; those of the four pages first, ``extra`` last."""
        names = {name: parameter.type for rows in self._sets.values() for name, parameter in rows.items()}
        return names | {EXTRA.name: EXTRA.type}

    def target(self, model: str | None, endpoint: str | None = None, api: str | None = None) -> Target:
        """
        Choose where a request goes.

        Args:
            model: A row's name or alias, or any V2 model name; None with *endpoint* alone.
            endpoint: A self-deployed V1 service, as it stands behind ``/chat/`` in its address.
            api: ``"v1"`` or ``"v2"`` in place of the row's own.

        Raises:
            ModelError: They don't fit together.
        """
        if api is not None and api not in WIRES:
            raise ModelError("model.api", api=api, allowed=list(WIRES))
        if endpoint is not None:
            return self._custom_target(model, endpoint, api)
        if not model:
            raise ModelError("model.missing")
        row = self.find(model)
        wire: Wire = "v1" if (api or (row.wires[0] if row else "v2")) == "v1" else "v2"
        if wire == "v1":
            if row is None or "v1" not in row.apis:
                raise ModelError("model.not_on_v1", model=model, suggestions=self._v1_names(model))
            if row.apis["v1"].endpoint is None:
                raise ModelError("model.needs_endpoint", model=row.name, source=row.source.title)
        chosen = row if row and wire in row.apis else self.generic(row.name if row else model)
        return Target(
            wire=wire,
            model=row.name if row else model,
            title=row.title if row else model,
            endpoint=chosen.apis[wire].endpoint,
            parameters=chosen.apis[wire].parameters,
            limits=row.limits if row else ModelLimits(),
            source=chosen.source,
            known=row is not None,
            capabilities=row.capabilities if row else Capabilities(),
            retirement=row.retirement_on(wire) if row else None,
        )

    def _custom_target(self, model: str | None, endpoint: str, api: str | None) -> Target:
        if api == "v2":
            raise ModelError("model.endpoint_v2", endpoint=endpoint)
        if not _ENDPOINT.fullmatch(endpoint):
            raise ModelError("model.endpoint_form", endpoint=endpoint)
        row = self.find(model) if model else self._custom
        if row is None or "v1" not in row.apis:
            raise ModelError("model.endpoint_model", model=model, suggestions=self._v1_names(model or ""))
        return Target(
            wire="v1",
            model=row.name or endpoint,
            title=row.title if model else endpoint,
            endpoint=endpoint,
            parameters=row.apis["v1"].parameters,
            limits=row.limits,
            source=row.source,
            known=bool(model),
        )


def _seconds(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _spelled_out(name: str) -> str:
    return name.strip().lower()


def _loose(name: str) -> str:
    """A name as it may be written elsewhere: ERNIE_5.1, ernie 5.1, yi-34b-chat."""
    return re.sub(r"[-_.\s]+", "-", _spelled_out(name))


def suggest(name: str, known: Iterable[str], *, key: Any = str) -> list[str]:
    """Return up to three of *known* that look like *name*, as *key* shows them, without repeats."""
    import difflib  # noqa: PLC0415 - only mistakes need it

    close = difflib.get_close_matches(name.lower(), list(known), n=6, cutoff=0.6)
    return list(dict.fromkeys(key(match) for match in close))[:3]


def did_you_mean(names: Sequence[str]) -> Text | str:
    """The near misses as part of an error; nothing where there are none."""
    return Text("option.did_you_mean", {"names": list(names)}) if names else ""


@cache
def registry() -> Registry:
    """Return the shipped table, read once."""
    return Registry(read_table("models.toml"))
