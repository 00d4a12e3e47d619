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
from ...transport.cassette.whole_files import replace_file
from ..conversation.shown_answers import answers_beside
from ..output.tables import Rendered, TextTable, code, heads, short
from ..parsing.scanner import split_words
from ..session.session import Session
from ..session.transport_mode import user_path

if TYPE_CHECKING:
    from ...transport.cassette.tape import CassetteTape

USAGE = "%qf cassette [list | show N | prune [yes] | redact TEXT ...] [path=PATH]"


def transport(session: Session, words: str) -> Rendered:
    """Choose what answers; or say what does."""
    lang = session.lang
    if words:
        chosen = session.change_transport(words)
        said = text("said.transport", lang, mode=str(chosen))
        tape = session.tape if chosen.kind.taped and session.transport == chosen else None
        return Rendered.of(said if tape is None else " ".join((said, *_merged(tape, lang))))
    said = text("said.transport", lang, mode=str(session.transport))
    tape = session.tape
    if tape is not None:
        counts = {"all": len(tape.exchanges), "played": len(tape.played), "recorded": len(tape.recorded)}
        said = " ".join((said, text("cassette.state", lang, **counts), *_merged(tape, lang)))
    return Rendered.of(said)


def _merged(tape: "CassetteTape", lang: str) -> list[str]:
    """What a merge of two branches brought in beside other answers."""
    numbers = [number for number, key in enumerate(sorted(tape.exchanges), 1) if key in tape.merged]
    return [text("cassette.merged", lang, count=len(numbers), numbers=numbers)] if numbers else []


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
    """
    Show what no cell has asked in this session and no saved notebook beside the file shows; with ``yes``, delete it.

    Raises:
        CassetteError: Nothing was asked in this session; or a notebook that may use the file has cells without answers.
    """
    tape, lang = _in_use(session, path), session.lang
    if rest not in ([], ["yes"]) or tape is None:
        raise OptionError("command.usage", usage=USAGE)
    used = tape.played | tape.recorded
    if not used:
        raise CassetteError("cassette.prune_first", path=path.name)
    shown = answers_beside(path, session.notebook)
    if shown.unanswered:
        raise CassetteError("cassette.prune_unanswered", path=path.name, notebooks=sorted(shown.unanswered))
    unused = [one for one in _in_order(path) if one.key not in used and not shown.has(one)]
    if not rest:
        listed = [f"{one.model}, {one.hash}" for one in unused]
        return Rendered.of(text("cassette.prunable", lang, path=path.name, count=len(unused), exchanges=listed))
    gone = {one.key for one in unused}
    backup = path.with_name(f"{path.name}.bak")
    if gone:
        replace_file(backup, path.read_bytes())
    count = cassette.change(path, lambda one: None if one.key in gone else one)
    for key in gone:
        tape.exchanges.pop(key, None)
    values = {"path": path.name, "count": count, "kept": len(_in_order(path)), "backup": backup.name}
    return Rendered.of(text("cassette.pruned" if count else "cassette.nothing_pruned", lang, **values))


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
