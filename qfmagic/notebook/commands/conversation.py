"""The commands of ``%qf`` that show and edit conversations."""

from collections.abc import Callable
from pathlib import Path

from ...core.context import Context, choose_context, parse_policy
from ...core.conversation import Conversation
from ...core.errors import OptionError
from ...core.i18n import Text, text
from ...core.models import Target, did_you_mean, suggest
from ..conversation.export import exported, imported
from ..conversation.journal import Journal
from ..output.tables import Rendered, TextTable, code, heads, short
from ..parsing.line import parse_pairs
from ..parsing.option_table import help_table
from ..parsing.scanner import split_words
from ..session.session import Session

_MOST_NAMED = 20  # notebooks in an error


def _history(session: Session, words: str) -> Rendered:
    lang = session.lang
    given = parse_pairs(words, {"chat": help_table().options["chat"]}, "%qf history [chat=NAME]") if words else {}
    name = str(session.preferences.setting("chat", given).value)
    conversation = session.chats.get(name)
    if not conversation.turns:
        return Rendered.of(text("said.empty", lang, name=name))
    target, context, going, there = sending(session, conversation)
    rows = []
    for index, turn in enumerate(conversation.turns):
        key = id(turn.exchange)
        goes = "word.yes" if key in going else "word.cut" if key in there else "word.no"
        row = (index + 1, turn.label or "-", text(goes, lang), state_of(conversation, index, lang))
        rows.append((*row, turn.exchange.size.chars, short(turn.prompt), short(turn.answer.shown)))
    above = text(
        "said.history",
        lang,
        name=name,
        sent=context.sent,
        available=context.available,
        model=target.title,
        chars=context.size.chars,
        tokens=context.size.tokens,
        limit=target.limits.max_chars or text("word.none", lang),
    )
    return TextTable(heads("history.head", lang), rows, above).said()


def sending(session: Session, conversation: Conversation) -> tuple[Target, Context, set[int], set[int]]:
    """
    What would go along with a next question of no length: the identities of the exchanges that go, and of all there.

    Raises:
        InputError: The settings don't fit together, or leave no room.
    """
    preferences = session.preferences
    target = preferences.target()
    history = conversation.history
    context = choose_context(
        history,
        "",
        system=preferences.setting("system").value,
        limits=target.limits,
        policy=parse_policy(preferences.setting("context").value),
    )
    going = {id(exchange) for exchange in history[len(history) - context.sent :]}
    return target, context, going, {id(exchange) for exchange in history}


def state_of(conversation: Conversation, index: int, lang: str) -> str:
    """What has become of a turn, in a word or two."""
    turn = conversation.turns[index]
    if turn.removed is not None:
        return text(f"removed.{turn.removed}", lang)
    return text("state.stale" if index in conversation.stale else f"state.{turn.state}", lang)


def _show(session: Session, words: str) -> Rendered:
    conversation, index = _turn(session, words, "show TURN")
    turn, lang = conversation.turns[index], session.lang
    facts = [
        f"#{index + 1}",
        turn.answer.model,
        state_of(conversation, index, lang),
        text("word.versions", lang, count=len(turn.versions)) if turn.versions else "",
    ]
    head = " · ".join(filter(None, facts))
    plain = f"{head}\n\n{turn.prompt}\n\n---\n{turn.answer.shown}"
    return Rendered(f"{head}\n\n{code(turn.prompt, '')}\n\n{code(turn.answer.shown, 'markdown')}", plain)


def _last(session: Session, words: str) -> Rendered:
    if words:
        raise OptionError("command.usage", usage="%qf last")
    answer = session.last
    if answer is None:
        raise OptionError("command.no_answer")
    # Safe as every answer: shown by the same rules.
    from ..output.bundle import answer_bundle, notes  # noqa: PLC0415 - asked for rarely

    bundle = answer_bundle(answer, notes(answer, session.lang), lang=session.lang)
    return Rendered(bundle["text/markdown"], bundle["text/plain"])


def _undo(session: Session, words: str) -> Rendered:
    if words:
        raise OptionError("command.usage", usage="%qf undo")
    number, earlier = session.chats.undo(session.chat)
    key = "said.undone_version" if earlier else "said.dropped"
    return Rendered.of(text(key, session.lang, number=number, name=session.chat))


def _drop(session: Session, words: str) -> Rendered:
    conversation, index = _turn(session, words, "drop TURN")
    session.chats.put(conversation.mark(index, "dropped"))
    return Rendered.of(text("said.dropped", session.lang, number=index + 1, name=conversation.name))


def _restore(session: Session, words: str) -> Rendered:
    conversation, index = _turn(session, words, "restore TURN")
    turn, lang = conversation.turns[index], session.lang
    if turn.removed is None and not turn.versions:
        raise OptionError("command.nothing_to_restore", number=index + 1)
    restored = conversation.restore(index)
    session.chats.put(restored)
    if turn.removed is not None:
        return Rendered.of(text("said.restored", lang, number=index + 1, name=conversation.name))
    shown = short(restored.turns[index].answer.shown)
    return Rendered.of(text("said.restored_version", lang, number=index + 1, answer=shown))


def _fork(session: Session, words: str) -> Rendered:
    parts = split_words(words)
    if len(parts) not in (1, 2):
        raise OptionError("command.usage", usage="%qf fork NAME [TURN]")
    name, before = parts[0], session.chat
    if session.chats.get(name).turns:
        raise OptionError("command.name_taken", name=name)
    conversation = session.chats.get(before)
    count = _index(conversation, parts[1]) + 1 if len(parts) > 1 else len(conversation.turns)
    session.chats.put(conversation.fork(name, count))
    session.preferences.changed["chat"] = name
    return Rendered.of(text("said.forked", session.lang, name=name, count=count, before=before))


def _switch(session: Session, words: str) -> Rendered:
    (name,) = split_words(words) or [""]
    if not name:
        raise OptionError("command.usage", usage="%qf switch NAME")
    before = session.chat
    if name != "main":
        _known(session, name)
    session.preferences.changed["chat"] = name
    count = len(session.chats.get(name).turns)
    return Rendered.of(text("said.switched", session.lang, name=name, count=count, before=before))


def _reset(session: Session, words: str) -> Rendered:
    names = split_words(words)
    if len(names) > 1:
        raise OptionError("command.usage", usage="%qf reset [NAME]")
    name = names[0] if names else session.chat
    if names:
        _known(session, name)
    conversation = session.chats.get(name)
    if not conversation.turns:
        return Rendered.of(text("said.empty", session.lang, name=name))
    kept = session.chats.set_aside(name)
    return Rendered.of(text("said.reset", session.lang, name=name, count=len(conversation.turns), kept=kept))


def _resume(session: Session, words: str) -> Rendered:
    parts = split_words(words)
    if len(parts) > 1:
        raise OptionError("command.usage", usage="%qf resume [NOTEBOOK]")
    journal = session.open_journal()
    if journal is None:
        raise OptionError("command.no_journal", reason=session.journal_error or "")
    notebook = _journaled(session, journal, *parts)
    found = journal.last(notebook)
    if notebook == str(session.notebook):
        session.chats.belongs(turn for conversation in found for turn in conversation.turns)
    for conversation in found:
        if session.chats.get(conversation.name).turns:
            session.chats.set_aside(conversation.name)
        session.chats.put(conversation)
    turns = [turn for conversation in found for turn in conversation.turns]
    session.last = turns[-1].answer if turns else session.last
    partial = sum(turn.state == "interrupted" for turn in turns)
    names = [conversation.name for conversation in found]
    said = text("said.resumed", session.lang, count=len(turns), names=names, partial=partial)
    unread = text("said.unread", session.lang, count=journal.unread) if journal.unread else ""
    return Rendered.of(f"{said} {unread}".strip())


def _journaled(session: Session, journal: Journal, written: str | None = None) -> str:
    """
    What the notebook to resume is known by in the journal: this one; or the one that was *written*.

    Raises:
        OptionError: There is none; the error names those there are.
    """
    known = journal.notebooks()
    if written is None:
        if session.notebook is not None and str(session.notebook) in known:
            return str(session.notebook)
        beside = {Path(journal.notebook), Path(journal.notebook).parent, Path.cwd()}
        near = [_named(name) for name in known if beside & {Path(name), Path(name).parent}]
        if session.notebook is None and near:
            raise OptionError("command.resume_which", allowed=near)
        raise OptionError(
            "command.nothing_to_resume", others=Text("command.resume_others", {"names": near}) if near else None
        )
    found = [name for name in known if written in (name, _named(name), Path(name).name, Path(name).stem)]
    if len(found) == 1:
        return found[0]
    allowed = found or [_named(name) for name in known]
    raise OptionError("command.resume_unknown", name=written, allowed=allowed[:_MOST_NAMED])


def _named(notebook: str) -> str:
    """A notebook as a user would write it: as seen from the current folder."""
    path = Path(notebook)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else notebook


def _export(session: Session, words: str) -> Rendered:
    path = _path(words, "export PATH")
    conversation = session.chats.get(session.chat)
    content = exported(conversation, path.suffix, session.lang).encode("utf-8", "replace")
    from ...transport.cassette.whole_files import replace_file  # noqa: PLC0415 - few export

    try:
        replace_file(path, content)
    except OSError as error:
        raise OptionError("command.unwritten", path=path, reason=error.strerror or str(error)) from None
    return Rendered.of(text("said.exported", session.lang, count=len(conversation.turns), name=session.chat, path=path))


def _import(session: Session, words: str) -> Rendered:
    path = _path(words, "import PATH")
    try:
        content = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("command.file", path=path, reason=str(error)) from None  # the error itself has the content
    session.keys.check_not_in({"content": content})  # it would be shown, and written into the journal
    conversation = imported(content)
    kept = session.chats.set_aside(conversation.name) if session.chats.get(conversation.name).turns else None
    session.chats.put(conversation)
    count, name = len(conversation.turns), conversation.name
    said = text("said.imported", session.lang, count=count, name=name)
    return Rendered.of(f"{said} {text('said.kept', session.lang, kept=kept)}" if kept else said)


# ---- words


def _turn(session: Session, words: str, usage: str) -> tuple[Conversation, int]:
    parts = split_words(words)
    if len(parts) != 1:
        raise OptionError("command.usage", usage=f"%qf {usage}")
    conversation = session.chats.get(session.chat)
    return conversation, _index(conversation, parts[0])


def _index(conversation: Conversation, word: str) -> int:
    number = int(word) if word.isascii() and word.isdigit() else 0
    if not 1 <= number <= len(conversation.turns):
        raise OptionError("command.no_turn", word=word, name=conversation.name, count=len(conversation.turns))
    return number - 1


def _known(session: Session, name: str) -> None:
    names = session.chats.conversations
    if name not in names:
        hint = did_you_mean(suggest(name, names))
        raise OptionError("command.no_conversation", name=name, suggestions=hint)


def _path(words: str, usage: str) -> Path:
    parts = split_words(words)
    if len(parts) != 1:
        raise OptionError("command.usage", usage=f"%qf {usage}")
    return Path(parts[0]).expanduser()


COMMANDS: dict[str, Callable[[Session, str], Rendered]] = {
    "history": _history,
    "show": _show,
    "last": _last,
    "undo": _undo,
    "drop": _drop,
    "restore": _restore,
    "fork": _fork,
    "switch": _switch,
    "reset": _reset,
    "resume": _resume,
    "export": _export,
    "import": _import,
}
