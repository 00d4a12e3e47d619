"""``%qf doctor``: what stands in the way of an answer, and what to do about it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from ...client.checks.diagnosis import Level
from ...core.errors import OptionError, QianfanError
from ...core.i18n import text
from ...version import __version__
from ..output.tables import Rendered, TextTable
from ..session.session import Session
from .settings import key_rows

SHOWN_PACKAGES = ("ipython", "ipykernel", "ipywidgets", "anywidget", "httpx", "jupyterlab", "notebook")
MARKS: Mapping[Level, str] = {"ok": "✓", "warning": "!", "error": "✗"}
# The folders a page takes widgets from, where it is served from this environment.
WIDGETS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")
STOP = {"ipykernel": (7, 0), "jupyterlab": (4, 4)}  # from here on, clicks reach a kernel that runs
Installed = Callable[[str], str | None]


class DoctorFinding(NamedTuple):
    """One thing the doctor has to say: its level, the key of its text, and the text's values."""

    level: Level
    key: str
    values: Mapping[str, object] = {}


def doctor(session: Session, words: str) -> Rendered:
    """Look at everything; say what is wrong first, then what is there."""
    if words:
        raise OptionError("command.usage", usage="%qf doctor")
    lang = session.lang
    own = [*_journal(session), *front_end(installed, _extensions()), *page(session, installed, _extensions())]
    said = [(found.level, text(found.key, lang, **found.values)) for found in own]
    said += _service(session, lang)
    order: list[Level] = ["error", "warning", "ok"]
    rows = [(MARKS[level], what) for one in order for level, what in said if level == one]
    facts = TextTable(("", ""), [*_facts(session, lang)]).said()
    findings = TextTable(("", ""), rows).said()
    return Rendered(f"{findings.markdown}\n\n{facts.markdown}", f"{findings.plain}\n\n{facts.plain}")


def installed(name: str) -> str | None:
    """The version of a package, None if it isn't installed here."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def front_end(installed: Installed, extensions: list[Path]) -> Iterator[DoctorFinding]:
    """
    What the live view and the panel need.

    A kernel isn't told what page it serves; it can look at the packages of its own environment, and in most
    installations those are the page's.
    """
    for name, least in STOP.items():
        found = installed(name)
        if found is not None and _numbers(found) < least:
            yield DoctorFinding(
                "warning", "doctor.old", {"name": name, "version": found, "least": ".".join(map(str, least))}
            )
    if installed("jupyterlab") or installed("notebook"):
        missing = [name for name in WIDGETS if not any((folder / name).is_dir() for folder in extensions)]
        if missing:
            yield DoctorFinding("warning", "doctor.widgets", {"names": missing})


def page(session: Session, installed: Installed, extensions: list[Path]) -> Iterator[DoctorFinding]:
    """Whether the page reports the order of its cells; nothing where there is no page."""
    if session.chats.reported:
        yield DoctorFinding("ok", "doctor.page")
    elif session.chats.paged:
        if session.chats.lab and _extension(extensions) is None and (installed("jupyterlab") or installed("notebook")):
            yield DoctorFinding("warning", "doctor.extension", {"folder": "share/jupyter/labextensions/qfmagic"})
        else:
            yield DoctorFinding("warning", "doctor.page_silent")


def _extension(folders: list[Path]) -> Path | None:
    """Where our extension of JupyterLab is installed."""
    return next((folder / "qfmagic" for folder in folders if (folder / "qfmagic" / "package.json").is_file()), None)


def _journal(session: Session) -> Iterator[DoctorFinding]:
    session.open_journal()
    error = session.journal.error if session.journal else None
    if session.journal_error or error:
        yield DoctorFinding("warning", "doctor.journal", {"reason": session.journal_error or error})


def _service(session: Session, lang: str) -> list[tuple[Level, str]]:
    try:
        if session.transport.kind.keyless:
            return [("ok", text("doctor.mode", lang, mode=session.mode))]
        client = session.client()
        found = [(finding.level, finding.describe(lang)) for finding in client.check()]
        # What can't be reached has been said.
        tried = [verdict for verdict in client.verify() if verdict.status not in ("unreachable", "unchecked")]
        for verdict in tried:
            if verdict.models:
                session.keep_list(client.settings, verdict.models)
        return found + [("ok" if one.status == "ok" else "error", one.describe(lang)) for one in tried]
    except QianfanError as error:  # a setting that can't be read, say
        return [("error", error.message(lang))]


def _facts(session: Session, lang: str) -> Iterator[tuple[str, object]]:
    yield "qfmagic", __version__
    yield from ((name, found) for name in SHOWN_PACKAGES if (found := installed(name)))
    yield text("word.journal", lang), session.journal.path if session.journal else text("word.off", lang)
    yield text("word.notebook", lang), session.notebook or text("word.unknown", lang)
    yield text("word.extension", lang), _extension(_extensions()) or text("word.not_installed", lang)
    with suppress(QianfanError):  # a setting that can't be read is among the findings
        yield from ((name, value) for name, value, _ in key_rows(session))


def _extensions() -> list[Path]:
    try:
        from jupyter_core.paths import jupyter_path  # noqa: PLC0415 - a plain IPython comes without it
    except ImportError:
        return []
    return [Path(folder) for folder in jupyter_path("labextensions")]


def _numbers(written: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", written)[:2])
