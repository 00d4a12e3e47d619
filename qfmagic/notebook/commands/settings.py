"""``%qf set``, ``unset`` and ``settings``; and which keys there are."""

from ...client.auth.credentials import available
from ...client.settings import fingerprint
from ...core.errors import OptionError
from ...core.i18n import text
from ...core.models import WIRES
from ..output.tables import Rendered, TextTable, heads
from ..parsing.line import known, parse_pairs
from ..parsing.option_table import help_table
from ..session.keys import SECRETS
from ..session.session import Session


def set_settings(session: Session, words: str) -> Rendered:
    """Do ``%qf set``."""
    if not words:
        raise OptionError("command.usage", usage="%qf set key=value ...")
    values = parse_pairs(words, help_table().settable, "%qf set key=value ...")
    session.preferences.change(values)
    said = [text("said.set", session.lang, line=words)]
    if "model" in values:
        said += session.preferences.target().warnings(session.lang)
    return Rendered.of(" ".join(said))


def unset_settings(session: Session, words: str) -> Rendered:
    """Do ``%qf unset``."""
    if not words:
        raise OptionError("command.usage", usage="%qf unset key ...")
    names = words.split()
    for name in names:
        known(name, help_table().settable, missing="settings.unknown")
    for name in names:
        session.preferences.changed.pop(name, None)
    return Rendered.of(text("said.unset", session.lang, names=names))


def show_settings(session: Session, words: str) -> Rendered:
    """Do ``%qf settings``."""
    if words:
        raise OptionError("command.usage", usage="%qf settings")
    lang = session.lang
    rows: list[tuple[str, object, str]] = [("transport", str(session.transport), _source(session.mode_source, lang))]
    target = session.preferences.target()
    for name in help_table().settable:
        setting = session.preferences.setting(name)
        if name in help_table().parameters and setting.value is None and name not in target.parameters:
            continue
        value = setting.value
        if name == "model" and value is None and not session.preferences.setting("endpoint").value:
            value = target.model
        rows.append((name, "-" if value is None else value, _source(setting.source, lang)))
    rows += key_rows(session)
    return TextTable(heads("settings.head", lang), rows).said()


def _source(source: str, lang: str) -> str:
    return text("source.default", lang) if source == "default" else source


def key_rows(session: Session) -> list[tuple[str, object, str]]:
    """Which keys are there, by fingerprint; never a key."""
    settings = session.keys.settings()
    rows: list[tuple[str, object, str]] = [
        (name, f"#{fingerprint(getattr(settings, name))}", settings.sources[name])
        for name in SECRETS
        if getattr(settings, name)
    ]
    for wire in WIRES:
        kinds = available(settings, wire)
        if wire == "v1" and not kinds:  # V1 has ended: most users need no keys for it
            continue
        used = kinds[0].variables if kinds else text("word.none", session.lang)
        rows.append((text("word.keys", session.lang, wire=wire.upper()), used, ""))
    if session.keys.trouble:
        rows.append((text("word.saved", session.lang), session.keys.trouble.message(session.lang), ""))
    return rows
