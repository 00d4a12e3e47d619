"""The command ``%qf auth``: give keys by a hidden prompt, test them, drop them. Nothing here shows or keeps a key."""

import getpass
from concurrent.futures import Future

from ..client.credentials import Credential, Kind, available
from ..core.catalogue import text
from ..core.errors import OptionError
from ..core.models import WIRES
from .arguments import split_words
from .keys import FIELDS, fingerprints, read_kind, variable
from .session import Session
from .tables import Said, Table
from .verdict import Verdict, begin, untested

USAGE = "%qf auth [KIND], %qf auth check [KIND], %qf auth forget [KIND]"


def run(session: Session, words: str) -> Said:
    """Do ``auth``, ``auth check`` or ``auth forget``."""
    parts = split_words(words)
    action = parts.pop(0) if parts and parts[0] in ("check", "forget") else "give"
    if len(parts) > 1:
        raise OptionError("command.usage", usage=USAGE)
    kind = read_kind(parts[0]) if parts else None
    if action == "check":
        return _check(session, kind)
    if action == "forget":
        return _forget(session, kind)
    return _give(session, kind)


def _give(session: Session, kind: Kind | None) -> Said:
    chosen = kind or _needed(session)
    try:
        values = {name: getpass.getpass(f"{variable(name)}: ") for name in FIELDS[chosen]}
    except (EOFError, KeyboardInterrupt):
        return Said.of(text("auth.nothing", session.lang))
    except Exception:  # noqa: BLE001 - a traceback could show what was typed so far
        raise OptionError("auth.no_prompt", variables=Credential(chosen).variables) from None
    return give(session, chosen, values, "%qf auth")


def give(session: Session, kind: Kind, values: dict[str, str], source: str) -> Said:
    """Take keys over, and say which by their fingerprints."""
    session.keys.put(kind, values, source)
    session.verdicts.pop(kind, None)
    shown = fingerprints(session.keys.settings(), kind)
    return Said.of(text("auth.given", session.lang, variables=Credential(kind).variables, fingerprints=shown))


def _needed(session: Session) -> Kind:
    """The kind that the model in use needs."""
    return "bearer" if session.preferences.target().wire == "v2" else "iam"


def start_check(session: Session, kind: Kind) -> Future[Verdict]:
    """Begin to test the keys of that kind; the session keeps the verdict."""
    settings = session.keys.settings()
    if session.mode == "stub":
        future: Future[Verdict] = Future()
        future.set_result(untested(kind, settings))
    else:
        future = begin(settings, kind, session.loop)
    future.add_done_callback(lambda done: _note(session, done))
    return future


def _note(session: Session, done: Future[Verdict]) -> None:
    if done.exception() is None:
        session.verdicts[done.result().kind] = done.result()


def _check(session: Session, kind: Kind | None) -> Said:
    lang = session.lang
    settings = session.keys.settings()
    kinds = [kind] if kind else [one for one in FIELDS if fingerprints(settings, one)]
    if not kinds:
        return Said.of(text("auth.none", lang))
    checks = [start_check(session, one) for one in kinds]
    rows = []
    for one, check in zip(kinds, checks, strict=True):
        verdict = check.result()
        used = [wire.upper() for wire in WIRES if (found := available(settings, wire)) and found[0].kind == one]
        shown = " ".join(verdict.keys) or text("word.none", lang)
        rows.append((one, shown, source_of(session, one), ", ".join(used), verdict.said.describe(lang)))
    head = (
        ("种类", "指纹", "来源", "用于", "结论") if lang == "zh" else ("kind", "fingerprint", "from", "used", "verdict")
    )
    return Table(head, rows).said()


def source_of(session: Session, kind: Kind) -> str:
    """Where the keys of that kind come from."""
    sources = session.keys.settings().sources
    return ", ".join(dict.fromkeys(sources[name] for name in FIELDS[kind] if name in sources))


def _forget(session: Session, kind: Kind | None) -> Said:
    lang = session.lang
    kinds = [one for one in ([kind] if kind else FIELDS) if session.keys.given(one)]
    for one in kinds:
        session.keys.forget(one)
        session.verdicts.pop(one, None)
    said = text("auth.forgotten", lang, kinds=kinds) if kinds else text("auth.none_given", lang)
    left = [source_of(session, one) for one in ([kind] if kind else FIELDS) if source_of(session, one)]
    return Said.of(f"{said} {text('auth.left', lang, sources=left)}" if left else said)
