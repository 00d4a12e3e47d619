"""The models qfmagic knows, from ``data/models.toml``, and the choice of API and endpoint for a request."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from ..errors import ModelError
from ..i18n import Text, read_table
from .params import ANSWER_LIMITS, EXTRA, Parameter, Range
from .rows import WIRES, Api, Capabilities, DocumentedSource, Model, ModelLimits, Retirement, Target, Wire

# The parameters of models that think, and of those that call tools.
_THOUGHTS = ("thinking", "enable_thinking", "thinking_budget", "thinking_strategy", "reasoning_effort")
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")

# The part of the address behind /chat/; a whole URL or a query here would silently ask another place.
_ENDPOINT = re.compile(r"(?!\.)[A-Za-z0-9._~-]+(/(?!\.)[A-Za-z0-9._~-]+)*")


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
