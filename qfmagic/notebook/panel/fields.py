"""The settings a panel shows as fields: the model's own parameters, and what else holds for every question."""

from typing import Any

from ...core.i18n import text
from ...core.models import Target
from ...core.models.params import Parameter
from ..parsing.option_table import OptionRow, help_table
from ..session.session import Session
from . import command_lines

# The settings that are no parameters, in the order in which they are shown.
OTHERS = ("context", "format", "stream", "timeout", "lang")

Field = dict[str, Any]
# How the page shows what has no field of its own kind.
_KINDS = {"object": "json", "array": "json"}
# In the panel these are not written as on a line.
_HINTS = {"stop": "panel.hint.stop", "metadata": "panel.hint.metadata"}


def field_rows(session: Session, target: Target | None) -> dict[str, Any]:
    """The parameters, the other settings, and the parameters that are set but not taken by this model."""
    settable = help_table().settable
    parameters = target.parameters if target else {}
    return {
        "parameters": [_field(session, settable[name], parameter) for name, parameter in parameters.items()],
        "others": [_field(session, settable[name], None) for name in OTHERS],
        "unsent": list(session.preferences.unsent(target)) if target else [],
    }


def _field(session: Session, row: OptionRow, parameter: Parameter | None) -> Field:
    setting, lang = session.preferences.setting(row.name), session.lang
    value = setting.value if parameter is None else parameter.expanded(setting.value)
    shown = parameter.word_of(value) if parameter and parameter.type == "switch" else value
    choices = parameter.words if parameter and parameter.type in ("string", "switch") else row.choices
    kind = "choice" if choices else _KINDS.get(parameter.type, parameter.type) if parameter else row.kind
    return {
        "name": row.name,
        "kind": kind,
        "help": text(_HINTS[row.name], lang) if row.name in _HINTS else row.help(lang).replace("`", ""),
        "allowed": _allowed(row, parameter, lang),
        "written": "" if value is None else command_lines.written(shown),
        "value": list(value) if kind == "list" and value else None,
        "default": "" if parameter is None or parameter.default is None else command_lines.written(parameter.default),
        "choices": list(choices),
        "changed": row.name in session.preferences.changed,
        "source": "" if setting.source == "default" else setting.source,
        "items": parameter.max_items if parameter else None,
        "length": parameter.max_length if parameter else None,
        **_range(parameter),
    }


def _allowed(row: OptionRow, parameter: Parameter | None, lang: str) -> str:
    """What is allowed, where the field itself doesn't show it."""
    if parameter is not None:
        described = parameter.describe(lang)
        return "" if described == parameter.type else described
    return "" if row.choices or row.kind == "bool" else row.syntax.partition("=")[2]


def _range(parameter: Parameter | None) -> Field:
    """The two ends and the step of a slider, where the model states both ends; an open end is one step further in."""
    if parameter is None or parameter.type not in ("float", "int"):
        return {}
    limits, step = parameter.range, 1 if parameter.type == "int" else 0.01
    low = limits.low + step if limits.low is not None and limits.low_open else limits.low
    high = limits.high - step if limits.high is not None and limits.high_open else limits.high
    return {"low": low, "high": high, "step": step, "slider": low is not None and high is not None}
