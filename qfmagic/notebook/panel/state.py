"""What a panel shows, as one value: read from the session, in the user's language, without any key."""

from typing import Any

from ...client.auth.credentials import Kind, choose
from ...client.auth.key_store import KEYRING
from ...client.bases import base_of
from ...client.settings import Settings
from ...core.errors import QianfanError
from ...core.i18n import messages, text
from ...core.models import Api, Model, Target, registry
from ..commands import auth
from ..commands.models import capability_facts
from ..session.keys import FIELDS, fingerprints, variable
from ..session.session import Session
from . import command_lines
from .conversation import talk_state
from .fields import field_rows

PanelState = dict[str, Any]


def fixed(session: Session) -> PanelState:
    """What changes with the language and the key only: the labels, and the models that can be chosen."""
    lang = session.lang
    prefix = "panel."
    labels = {key.removeprefix(prefix): text(key, lang) for key in messages() if key.startswith(prefix)}
    return {"lang": lang, "labels": labels, "models": _choices(session)}


def _choices(session: Session) -> list[PanelState]:
    """The rows that are not retired, then further models the service listed for the key."""
    rows = [_choice(model) for model in registry().offered()]
    names = {row["name"] for row in rows}
    listed = [one.name for one in session.listed() if one.chats and one.name not in names]
    return rows + [_choice(registry().generic(name)) for name in listed]


def _choice(model: Model) -> PanelState:
    wire, api = next(iter(model.apis.items()))
    return {
        "name": model.name,
        "title": model.title,
        "group": "own" if _own(api) else wire,
        "wires": list(model.wires),
    }


def _own(api: Api) -> bool:
    """Whether the users deploy the model themselves."""
    return api.wire == "v1" and api.endpoint is None


def panel_state(session: Session) -> PanelState:
    """Everything else but what was used; a problem in it is part of it, and never an exception."""
    problem = ""
    target: Target | None = None
    try:
        target = session.preferences.target()
        session.preferences.check()
        if not session.transport.kind.keyless:
            choose(session.keys.settings(), target.wire)
    except QianfanError as error:
        problem = session.keys.explained(error).message(session.lang)
    return {
        "mode": _mode(session),
        "problem": problem,
        "line": command_lines.cell(
            (name, command_lines.written(value)) for name, value in session.preferences.changed.items()
        ),
        "keys": _keys(session),
        "model": _model(session, target),
        "fields": field_rows(session, target),
        "talk": talk_state(session),
    }


def _mode(session: Session) -> PanelState:
    try:
        return {"value": session.mode, "source": session.mode_source}
    except QianfanError as error:
        return {"value": "", "source": error.message(session.lang)}


def _model(session: Session, target: Target | None) -> PanelState:
    lang, setting = session.lang, session.preferences.setting
    endpoint, api = setting("endpoint").value, setting("api").value
    changed = [name for name in ("model", "endpoint", "api") if name in session.preferences.changed]
    shown: PanelState = {
        "changed": changed,
        "value": setting("model").value or "",
        "endpoint": endpoint or "",
        "api": api or "",
        "title": "",
    }
    if target is None:
        return shown
    row = registry().find(target.model)
    limits = [
        text("word.chars", lang, count=target.limits.max_chars) if target.limits.max_chars else "",
        text("word.tokens", lang, count=target.limits.max_tokens) if target.limits.max_tokens else "",
    ]
    limit = ", ".join(filter(None, [*limits, *capability_facts(target.capabilities, lang)]))
    facts = (target.wire.upper(), limit, row.note.get(lang, "") if row else "", *target.warnings(lang))
    shown |= {"title": target.title, "wire": target.wire, "facts": [fact for fact in facts if fact]}
    shown |= {"value": (row.name if row else target.model) if target.known or not endpoint else ""}
    return shown | {"source": f"{target.source.title} {target.source.url}".strip()}


# ---- keys


def _keys(session: Session) -> PanelState:
    lang = session.lang
    try:
        settings = session.keys.settings()
    except QianfanError as error:
        return {"problem": error.message(lang), "kinds": _kinds(session, Settings())}
    return {"problem": "", "kinds": _kinds(session, settings)}


def _kinds(session: Session, settings: Settings) -> list[PanelState]:
    """The kinds of keys; the token of an address only where it counts, or is there."""
    token = base_of(settings.base).token or settings.aistudio_token
    return [_kind(session, settings, kind) for kind in FIELDS if kind != "aistudio" or token]


def _kind(session: Session, settings: Settings, kind: Kind) -> PanelState:
    lang = session.lang
    shown = fingerprints(settings, kind)
    used = auth.used_for(settings, kind)
    source = auth.source_of(session, kind) if shown else ""
    verdict = session.verdicts.get(kind)
    if verdict is not None and verdict.keys != tuple(shown):
        verdict = None  # it was on other keys
    return {
        "kind": kind,
        "title": text(f"keys.title.{kind}", lang),
        "purpose": text(f"keys.purpose.{kind}", lang),
        "cost": text("verify.free", lang),
        "fields": [{"name": name, "label": variable(name)} for name in FIELDS[kind]],
        "fingerprints": shown,
        "source": source,
        "used": used,
        "given": session.keys.given(kind) or source in (KEYRING, str(session.keys.vault.path)),  # what it can drop
        "verdict": {"state": verdict.state, "said": verdict.said.describe(lang)} if verdict else None,
    }
