"""
Conversations as files: what ``%qf export`` writes and ``%qf import`` reads, as functions of text.

``.jsonl`` keeps everything and can be read back; ``.md`` is for readers; ``.py`` and ``.ipynb`` ask the same again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...core.answer import Answer
from ...core.conversation import Conversation, Turn, persona_of
from ...core.errors import InputError, OptionError
from ...core.i18n import Text, text
from ...core.messages import whole_text
from ...core.models import registry
from ...core.models.params import EXTRA, FIXED_FIELDS
from ...core.safe_json import escaped_halves, read_json, write_json
from ...core.serialization import VERSION, turn_from_record, turn_to_record
from ...core.terminal import NOTE_MARK
from ...core.wire.request import STREAM_OPTIONS
from ..output.safe_markdown import quoted_markdown, safe_markdown
from ..output.sources import source_list
from ..output.tables import Rendered, note_lines
from ..parsing.option_table import help_table

_NAME = "conversation"  # in the header

_BREAKS = "\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"  # where str.splitlines, and so IPython, ends a line
_BREAK = re.compile(f"[{_BREAKS}]")
_PLAIN = re.compile(r"[\w.:/,@%+=-]+")
# What would read as an expression or a quotation mark inside single quotes on a magic's line.
_IN_QUOTES = re.compile(r"'|(?<=\{)\{")
_IN_JSON = re.compile(r"(?<=\{)\{|[\x85\u2028\u2029]")
# What IPython strips from a magic's cell too: the prompts of a pasted session, and lines of blanks alone.
_STRIPPED = rf"(?<![^{_BREAKS}])[^\S{_BREAKS}]*(?:>>>|\.{{3,}}:|(?:\[(?:nav|ins)\] )?In \[)|(?<![^\n])[^\S\n]+(?![^\n])"
_NOT_LITERAL = re.compile(rf"\{{{{2,}}|{_STRIPPED}")


def exported(conversation: Conversation, suffix: str, lang: str = "en") -> str:
    """
    Return the conversation as the text of a file of that kind.

    Args:
        conversation: The conversation.
        suffix: ``.md``, ``.jsonl``, ``.py`` or ``.ipynb``.
        lang: Language of what is said around the turns.

    Raises:
        OptionError: There is no such kind.
    """
    if suffix in (".md", ".py"):
        return (_markdown if suffix == ".md" else _script)(conversation, lang)
    if suffix in (".jsonl", ".ipynb"):
        return (_records if suffix == ".jsonl" else _notebook)(conversation)
    raise OptionError("option.value", name="export", value=suffix, allowed=[".md", ".jsonl", ".py", ".ipynb"])


def imported(text: str) -> Conversation:
    """
    Return the conversation that ``.jsonl`` text holds, equal to the one it was made from.

    Raises:
        OptionError: It holds none; the error names the line.
    """
    # Not splitlines: an answer may hold line ends of other kinds, which JSON leaves as they are.
    lines = text.split("\n")
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    header = _object(1, lines[0])
    if not _fits(header.get("qfmagic"), int) or header["qfmagic"] != VERSION or not _fits(header.get(_NAME), str):
        raise _refused(1, "import.header")
    return Conversation(header[_NAME], tuple(_turn(number, line) for number, line in enumerate(lines[1:], 2)))


def _json(value: Any, **options: Any) -> str:
    return escaped_halves(write_json(value, ensure_ascii=False, **options))


def _records(conversation: Conversation) -> str:
    records = ({"qfmagic": VERSION, _NAME: conversation.name}, *map(turn_to_record, conversation.turns))
    return "".join(f"{_json(record, sort_keys=True)}\n" for record in records)


def _refused(line: int, key: str, **values: object) -> OptionError:
    return OptionError("import.line", line=line, reason=Text(key, values))


def _object(number: int, line: str) -> Mapping[str, Any]:
    try:
        value = read_json(line)
    except ValueError as error:
        raise _refused(number, "import.json", detail=getattr(error, "msg", error)) from None
    if not isinstance(value, dict):
        raise _refused(number, "import.header" if number == 1 else "import.turn")
    version = value.get("qfmagic" if number == 1 else "version")
    if type(version) is int and version > VERSION:
        raise _refused(number, "import.newer", version=version)
    return value


def _turn(number: int, line: str) -> Turn:
    record = _object(number, line)
    try:
        turn = turn_from_record(record)
        if _fits(turn, Turn):
            return turn
    except (ValueError, TypeError, AttributeError):
        pass  # told below, like a field of a wrong kind
    raise _refused(number, "import.turn")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a field's annotation says, all the way down."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind is Literal:
        return value in inside
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inside)
    if kind is Mapping:
        return isinstance(value, Mapping) and all(_fits(item, inside[1]) for item in value.values())
    if kind is tuple:
        return isinstance(value, tuple) and all(_fits(item, inside[0]) for item in value)
    if is_dataclass(hint) and type(value) is hint:
        hints = get_type_hints(hint)
        return all(_fits(getattr(value, item.name), hints[item.name]) for item in fields(hint) if item.init)
    return hint is Any or type(value) is hint or (hint is float and type(value) is int)


def _markdown(conversation: Conversation, lang: str) -> str:
    parts = [safe_markdown(f"# {' '.join(conversation.name.split())}")]
    for number, turn in enumerate(conversation.turns, 1):
        if turn.in_history:
            parts += ["---"] if turn.fresh else []
            parts += (
                f"## {NOTE_MARK} {number}",
                quoted_markdown(turn.prompt),
                safe_markdown(turn.answer.text).strip("\n"),
            )
            listed = source_list(turn.answer).markdown
            parts += [listed] if listed else []
            tokens = turn.answer.usage.total_tokens
            facts = [turn.answer.model, "" if tokens is None else text("word.tokens", lang, count=tokens)]
            below = " · ".join(" ".join(fact.split()) for fact in facts if fact)
            parts += [note_lines(Rendered.of(below))[0]] if below else []
    left_out = [f"- {said}" for _, said in _left_out(conversation, lang) if said]
    parts += [f"## {NOTE_MARK} {text('export.left_out', lang)}", "\n".join(left_out)] if left_out else []
    return whole_text("\n\n".join(parts) + "\n")


def _left_out(conversation: Conversation, lang: str) -> Iterator[tuple[Turn, str]]:
    """Every turn, with a line on why it is not in the history, if it isn't."""
    for number, turn in enumerate(conversation.turns, 1):
        key = f"state.{turn.state}" if turn.state != "answered" else "note.empty"
        why = text(f"removed.{turn.removed}" if turn.removed else key, lang)
        yield turn, "" if turn.in_history else text("export.turn", lang, number=number, why=why)


def _places(answer: Answer) -> list[dict[str, Any]]:
    """What may name the model that was asked; V1 answers don't tell an endpoint alone from a model of that name."""
    row = registry().find(answer.model)
    usual = row.wires[0] if row else "v2"
    place: dict[str, Any] = {"model": answer.model, **({"api": answer.wire} if answer.wire not in (usual, "") else {})}
    if answer.wire != "v1":
        return [place]
    if row is None or "v1" not in row.apis or row.apis["v1"].endpoint != answer.endpoint:
        place = {"model": answer.model, "endpoint": answer.endpoint}
    return [place, {"endpoint": answer.endpoint}]


def _asked(place: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """
    The place with the request's parameters, by the names they have there, and its further fields as ``extra``; nothing
    where it is no place.
    """
    try:
        target = registry().target(place.get("model"), place.get("endpoint"), place.get("api"))
    except InputError:
        return {}
    persona = persona_of(request)
    body = {**request, "system": persona} if isinstance(persona, str) else request
    found: dict[str, Any] = {}
    rest = {name: value for name, value in body.items() if name not in FIXED_FIELDS}
    if rest.get("stream_options") == STREAM_OPTIONS:
        del rest["stream_options"]
    for name, known in target.parameters.items():
        value = rest.get(known.wire_name)
        if value is not None and known.accepts(value):
            found[name] = rest.pop(known.wire_name)
    return {**place, **found, **({EXTRA.name: rest} if rest else {})}


def options_of(turn: Turn) -> dict[str, Any]:
    """What the question was asked with."""
    found = (_asked(place, turn.answer.request) for place in _places(turn.answer))
    options = max(found, key=lambda one: len(one.keys() - {EXTRA.name}))
    return options if turn.window is None else {**options, "context": turn.window}


def _literal(content: str) -> str:
    lines = [repr(line) for line in re.findall(r"[^\n]*\n|[^\n]+", content)]
    return lines[0] if len(lines) == 1 else "".join(("(", *(f"\n    {line}" for line in lines or ["''"]), "\n)"))


def _script(conversation: Conversation, lang: str) -> str:
    parts = [
        f"# {text('export.script', lang)}\n\nfrom qfmagic import Conversation, Qianfan, Settings\n",
        "client = Qianfan(settings=Settings.from_env())",
        f"conversation = Conversation({conversation.name!r})\n",
    ]
    for turn, left_out in _left_out(conversation, lang):
        if left_out:
            parts.append(f"# {left_out}\n# {turn.prompt!r}\n")
            continue
        options = "".join(f", {name}={value!r}" for name, value in options_of(turn).items())
        parts += [f"conversation = Conversation({conversation.name!r})"] if turn.fresh else []
        parts += (
            f"question = {_literal(turn.prompt)}",
            f"answer = client.ask(question, history=conversation{options})",
            "conversation = conversation.add(question, answer)",
            'print(question, answer, sep="\\n\\n", end="\\n\\n")\n',
        )
    return "\n".join((*parts, "client.close()\n"))


def _notebook(conversation: Conversation) -> str:
    asking = [(number, turn) for number, turn in enumerate(conversation.turns, 1) if turn.in_history]
    sources = {"load": "%load_ext qfmagic"}
    sources |= {f"turn-{number}": asking_cell(turn.prompt, options_of(turn), new=turn.fresh) for number, turn in asking}
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [{**cell, "id": name, "source": source.splitlines(keepends=True)} for name, source in sources.items()]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return _json(notebook, indent=1, sort_keys=True) + "\n"


def asking_cell(prompt: str, options: Mapping[str, Any], *, new: bool = False) -> str:
    """
    Return a ``%%qianfan`` cell that sends exactly *prompt*, with these options.

    What can't stand on the line or in the body as it is stands there as a ``{{ }}`` expression; where nothing does,
    ``raw`` keeps a ``{{`` from being taken for one.
    """
    written = {name: _written(name, value) for name, value in options.items()}
    evaluated = bool(re.search(_STRIPPED, prompt)) or any(_BREAK.search(value) for value in written.values())
    literal = not evaluated and any("{{" in value for value in (prompt, *written.values()))
    words = [f"{name}={_on_line(value, evaluated=evaluated)}" for name, value in written.items()]
    line = " ".join(("%%qianfan", *words, *(["new"] if new else []), *(["raw"] if literal else [])))
    body = _NOT_LITERAL.sub(lambda found: f"{{{{ {found[0]!r} }}}}", prompt) if evaluated else prompt
    return f"{line}\n{body}" + ("\n" if prompt.endswith("\n") else "")


def _written(name: str, value: Any) -> str:
    """A value as text of its kind, before any quoting."""
    kind = help_table().on_line[name].kind
    if kind in ("list", "map", "json", "object", "array", "switch"):
        return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", _json(value))
    return str(value).lower() if kind == "bool" else str(value)


def _on_line(written: str, *, evaluated: bool) -> str:
    if evaluated and (_BREAK.search(written) or "{{" in written):
        return "{{ " + repr(written).replace("{", "\\x7b").replace("}", "\\x7d") + " }}"
    if _PLAIN.fullmatch(written) and written.isascii():  # without quotes, others may be read as punctuation
        return written
    return "'" + _IN_QUOTES.sub(lambda found: "'\\" + found[0] + "'", written) + "'"
