"""The command ``%qf auth``: give keys by a hidden prompt, test them, save them, drop them. Nothing here shows a key."""

import getpass
import re
from collections.abc import Mapping
from concurrent.futures import Future

from ...client.auth.credentials import Credential, Kind, available
from ...client.auth.key_store import KEYRING
from ...client.bases import DEFAULT_BASE, base_of
from ...client.settings import Settings
from ...core.errors import CredentialError, OptionError
from ...core.i18n import text
from ...core.models import WIRES
from ..output.tables import Rendered, TextTable, heads
from ..parsing.scanner import split_words
from ..session.key_check import SessionVerdict, begin, untested
from ..session.keys import FIELDS, Secret, fingerprints, read_kind, variable
from ..session.session import Session

USAGE = "%qf auth [KIND], %qf auth check [KIND], %qf auth save [KIND], %qf auth forget [KIND]"
_NAME = re.compile("[a-z_]{1,14}")  # what may be meant for a kind of keys; anything else may be a key


def run(session: Session, words: str) -> Rendered:
    """Do ``auth``, ``auth check``, ``auth save`` or ``auth forget``."""
    if not all(map(_NAME.fullmatch, words.split())):
        raise OptionError("auth.on_line")
    parts = split_words(words)
    action = _ACTIONS[parts.pop(0)] if parts and parts[0] in _ACTIONS else _give
    if len(parts) > 1:
        raise OptionError("command.usage", usage=USAGE)
    session.keys.vault.ask_again()
    return action(session, read_kind(parts[0]) if parts else None)


def _give(session: Session, kind: Kind | None) -> Rendered:
    chosen = kind or _needed(session)
    try:
        values = {name: Secret(getpass.getpass(f"{variable(name)}: ")) for name in FIELDS[chosen]}
    except (EOFError, KeyboardInterrupt):
        return Rendered.of(text("auth.nothing", session.lang))
    except Exception:  # noqa: BLE001 - a traceback could show what was typed so far
        raise OptionError("auth.no_prompt", variables=Credential(chosen).variables) from None
    return give(session, chosen, values, "%qf auth")


def give(session: Session, kind: Kind, values: Mapping[str, str], source: str) -> Rendered:
    """Take keys over, and say which by their fingerprints."""
    session.keys.put(kind, values, source)
    session.verdicts.pop(kind, None)
    shown = fingerprints(session.keys.settings(), kind)
    return Rendered.of(text("auth.given", session.lang, variables=Credential(kind).variables, fingerprints=shown))


def _needed(session: Session) -> Kind:
    """The kind that the model in use needs."""
    if base_of(session.keys.settings().base).token:
        return "aistudio"
    return "bearer" if session.preferences.target().wire == "v2" else "iam"


def start_check(session: Session, kind: Kind) -> Future[SessionVerdict]:
    """Begin to test the keys of that kind; the session keeps the verdict."""
    settings = session.keys.settings()
    if session.transport.kind.keyless:
        future: Future[SessionVerdict] = Future()
        future.set_result(untested(kind, settings))
    else:
        future = begin(settings, kind, session.loop)
    future.add_done_callback(lambda done: _note(session, settings, done))
    return future


def _note(session: Session, settings: Settings, done: Future[SessionVerdict]) -> None:
    if done.exception() is None:
        verdict = done.result()
        session.verdicts[verdict.kind] = verdict
        if verdict.models:
            session.keep_list(settings, verdict.models)


def _check(session: Session, kind: Kind | None) -> Rendered:
    lang = session.lang
    settings = session.keys.settings()
    kinds = [kind] if kind else [one for one in FIELDS if fingerprints(settings, one)]
    if not kinds:
        trouble = session.keys.trouble
        return Rendered.of(f"{text('auth.none', lang)} {trouble.message(lang) if trouble else ''}".strip())
    checks = [start_check(session, one) for one in kinds]
    rows = []
    for one, check in zip(kinds, checks, strict=True):
        verdict = check.result()
        used = used_for(settings, one)
        shown = " ".join(verdict.keys) or text("word.none", lang)
        rows.append((one, shown, source_of(session, one), ", ".join(used), verdict.said.describe(lang)))
    return TextTable(heads("auth.head", lang), rows).said()


def used_for(settings: Settings, kind: Kind) -> list[str]:
    """The APIs that keys of that kind are sent to; V2 with its address, where that is not the usual one."""
    base = settings.named_base
    named = f" base={base.name}" if base is not None and base.name != DEFAULT_BASE else ""
    wires = [wire for wire in WIRES if (found := available(settings, wire)) and found[0].kind == kind]
    return [wire.upper() + (named if wire == "v2" else "") for wire in wires]


def source_of(session: Session, kind: Kind) -> str:
    """Where the keys of that kind come from."""
    sources = session.keys.settings().sources
    return ", ".join(dict.fromkeys(sources[name] for name in FIELDS[kind] if name in sources))


def _save(session: Session, kind: Kind | None) -> Rendered:
    lang, keys = session.lang, session.keys
    kinds = [one for one in ([kind] if kind else FIELDS) if keys.given(one)]
    if not kinds:
        return Rendered.of(text("auth.none_given", lang))
    places = {one: keys.save(one) for one in kinds}
    shown = [f"{one} ({place.source})" for one, place in places.items()]
    said = [text("auth.saved", lang, kinds=shown)]
    said += list(dict.fromkeys(place.problem.message(lang) for place in places.values() if place.problem))
    if any(place.source != KEYRING for place in places.values()):
        said.append(text("auth.saved_file", lang))
    return Rendered.of(" ".join(said))


def _forget(session: Session, kind: Kind | None) -> Rendered:
    lang, keys = session.lang, session.keys
    kinds: list[Kind] = [kind] if kind else list(FIELDS)
    dropped: list[str] = []
    troubles: list[str] = []
    for one in kinds:
        places = [keys.source(one)] if keys.given(one) else []
        keys.forget(one)
        session.verdicts.pop(one, None)
        try:
            places += filter(None, [keys.vault.forget(one)])
        except CredentialError as error:
            troubles.append(error.message(lang))
        if places:
            dropped.append(f"{one} ({', '.join(places)})")
    said = [text("auth.forgotten", lang, kinds=dropped) if dropped else text("auth.none_given", lang)]
    left = [source for one in kinds if (source := source_of(session, one))]
    said += [text("auth.left", lang, sources=left)] if left and not troubles else []
    return Rendered.of(" ".join([*said, *dict.fromkeys(troubles)]))


_ACTIONS = {"check": _check, "save": _save, "forget": _forget}
