"""``%qf transport`` and ``%qf cassette``: what answers, and what was recorded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import CassetteError, OptionError
from ...core.i18n import text
from ...core.messages import text_of
from ...transport.cassette import file as cassette
from ...transport.cassette.recording import Key, Recorded
from ...transport.cassette.redaction import redacted
from ..output.tables import Rendered, TextTable, code, heads, short
from ..parsing.scanner import split_words
from ..session.session import Session
from ..session.transport_mode import user_path

if TYPE_CHECKING:
    from ...transport.cassette.tape import CassetteTape

USAGE = "%qf cassette [list | show N | prune | redact TEXT ...] [path=PATH]"


def transport(session: Session, words: str) -> Rendered:
    """Choose what answers; or say what does."""
    lang = session.lang
    if words:
        chosen = session.change_transport(words)
        return Rendered.of(text("said.transport", lang, mode=str(chosen)))
    said = text("said.transport", lang, mode=str(session.transport))
    tape = session.tape
    if tape is not None:
        counts = {"all": len(tape.exchanges), "played": len(tape.played), "recorded": len(tape.recorded)}
        said = f"{said} {text('cassette.state', lang, **counts)}"
    return Rendered.of(said)


def run(session: Session, words: str) -> Rendered:
    """
    Do ``%qf cassette``.

    Raises:
        OptionError: The words are wrong, or no cassette is named or in use.
        CassetteError: The file can't be read or written.
    """
    given = split_words(words)
    action, *rest = [word for word in given if not word.startswith("path=")] or ["list"]
    paths = [word.removeprefix("path=") for word in given if word.startswith("path=")]
    if action not in _ACTIONS or len(paths) > 1:
        raise OptionError("command.usage", usage=USAGE)
    return _ACTIONS[action](session, _path(session, paths), rest)


def _path(session: Session, paths: Sequence[str]) -> Path:
    if paths:
        return user_path(paths[0])
    tape = session.tape
    if tape is None:
        raise OptionError("command.no_cassette")
    tape.tidy()
    return tape.path


def _in_use(session: Session, path: Path) -> "CassetteTape | None":
    """The tape that plays or records this file, by whatever name; None for none."""
    tape = session.tape
    return tape if tape is not None and tape.path.resolve() == path.resolve() else None


def _in_order(path: Path) -> list[Recorded]:
    return list(cassette.read(path).exchanges.values())


def _list(session: Session, path: Path, rest: Sequence[str]) -> Rendered:
    if rest:
        raise OptionError("command.usage", usage=USAGE)
    lang = session.lang
    head = heads("cassette.head", lang)
    rows = []
    tape = _in_use(session, path)
    for number, one in enumerate(_in_order(path), 1):
        played = one.play()
        answer = played.error.message(lang) if played.error else played.outcome.text
        state = "" if tape is None else _state(one, tape.played, tape.recorded, lang)
        rows.append(
            (number, one.hash, one.model, _question(one), short(answer), played.outcome.usage.total_tokens or "", state)
        )
    return TextTable(head, rows, text("cassette.list", lang, path=path.name, count=len(rows))).said()


def _state(one: Recorded, played: set[tuple[str, int]], recorded: set[tuple[str, int]], lang: str) -> str:
    key = "played" if one.key in played else "recorded" if one.key in recorded else "unplayed"
    return text(f"cassette.is_{key}", lang)


def _question(one: Recorded) -> str:
    messages = one.body.get("messages") or [{}]
    return short(text_of(messages[-1].get("content")))


def _show(session: Session, path: Path, rest: Sequence[str]) -> Rendered:
    if len(rest) != 1:
        raise OptionError("command.usage", usage=USAGE)
    exchanges = _in_order(path)
    found = [one for number, one in enumerate(exchanges, 1) if rest[0] in (str(number), one.hash)]
    if not found:
        raise OptionError("command.no_exchange", word=rest[0], count=len(exchanges))
    import json  # noqa: PLC0415 - asked for rarely

    body = json.dumps(found[0].body, ensure_ascii=False, indent=2)
    played = found[0].play()
    answer = played.error.message(session.lang) if played.error else played.outcome.text
    return Rendered(f"{code(body, 'json')}\n\n{code(answer, '')}", f"{body}\n\n{answer}")


def _prune(session: Session, path: Path, rest: Sequence[str]) -> Rendered:
    """Drop what the notebook no longer asks; only after it was run, or everything would go."""
    tape = _in_use(session, path)
    if rest or tape is None:
        raise OptionError("command.usage", usage=USAGE)
    used = tape.played | tape.recorded
    if not used:
        raise CassetteError("cassette.prune_first", path=path.name)
    kept: list[Recorded] = []

    def keep_used(one: Recorded) -> Recorded | None:
        if one.key not in used:
            tape.exchanges.pop(one.key, None)
            return None
        kept.append(one)
        return one

    count = cassette.change(path, keep_used)
    return Rendered.of(text("cassette.pruned", session.lang, path=path.name, count=count, kept=len(kept)))


def _redact(session: Session, path: Path, words: Sequence[str]) -> Rendered:
    if not words or not all(words):
        raise OptionError("command.usage", usage=USAGE)
    changed: dict[Key, Recorded] = {}

    def take_out(one: Recorded) -> Recorded:
        changed[one.key] = redacted(one, words)
        return changed[one.key]

    count = cassette.change(path, take_out)
    tape = _in_use(session, path)
    if tape is not None:
        tape.exchanges.update(changed)
    return Rendered.of(text("cassette.redacted", session.lang, path=path.name, count=count))


_ACTIONS: dict[str, Callable[[Session, Path, Sequence[str]], Rendered]] = {
    "list": _list,
    "show": _show,
    "prune": _prune,
    "redact": _redact,
}
