"""The static form of the panel: what a headless run shows, and what stays in the document."""

from collections.abc import Callable
from typing import Any

from ...core.i18n import text
from ...core.transport_modes import MODES
from ..output.tables import Rendered, TextTable, heads
from ..parsing.option_table import help_table
from ..session.session import Session
from . import command_lines

# What shapes the answers. Where the journal is, or how answers appear, would differ from one machine to the next.
_SHOWN = ("model", "endpoint", "api", "chat", "context", "format", "stream", "timeout")


def settings_table(session: Session) -> Rendered:
    """
    The settings at this moment, as a table; beside it, in a live front end, the panel.

    Raises:
        InputError: The settings don't fit together.
    """
    lang, setting = session.lang, session.preferences.setting
    target = session.preferences.target()
    source = _source(session.mode_source, lang)
    rows: list[tuple[object, ...]] = [("transport", str(session.transport), ", ".join(MODES), source)]
    settable = help_table().settable
    for name in (*_SHOWN, *target.parameters):
        found, row, parameter = setting(name), settable[name], target.parameters.get(name)
        value = found.value
        if name == "model":
            value = target.title
        elif value is None and parameter is None:
            continue
        allowed = parameter.describe(lang) if parameter else ", ".join(row.choices)
        rows.append(
            (name, "-" if value is None else command_lines.written(value), allowed, _source(found.source, lang))
        )
    said = TextTable(heads("panel.head", lang), rows, text("said.panel", lang)).said()
    return said._replace(beside=lambda publish: _open(session, publish))


def _source(source: str, lang: str) -> str:
    return text("source.default", lang) if source == "default" else source


def _open(session: Session, publish: Callable[..., Any]) -> None:
    from .widget import Panel  # noqa: PLC0415 - brings ipywidgets, for a live front end alone

    Panel(session, publish)
