"""The commands of ``%qf``: each reads its words, does one thing to the session, and returns what to show."""

from collections.abc import Callable

from ..client.credentials import available
from ..client.settings import Settings, fingerprint
from ..core.catalogue import Text, text
from ..core.errors import OptionError
from ..core.models import WIRES, Model, registry, suggest
from ..core.plan import Plan
from . import auth_commands, cassette_commands, chat_commands, usage_commands
from .arguments import check_no_key, known, parse_pairs
from .doctor import doctor
from .helptable import help_table, markdown_table
from .keys import SECRETS
from .session import Session
from .tables import Said, Table


def run(session: Session, line: str) -> Said:
    """
    Run a command line of ``%qf``.

    Raises:
        OptionError: There is no such command, or its words are wrong.
        InputError: As the command says.
    """
    name, _, rest = line.strip().partition(" ")
    command = _COMMANDS.get(name or "help")
    if command is None:
        check_no_key(name)
        if name in help_table().cell_commands:
            raise OptionError("command.cell_only", name=name)
        close = suggest(name, _COMMANDS)
        hint = Text("option.did_you_mean", {"names": close}) if close else ""
        raise OptionError("command.unknown", name=name, suggestions=hint)
    return command(session, rest.strip())


def address(session: Session, plan: Plan) -> str:
    """Where a request goes, without what authorises it."""
    settings = Settings() if session.transport.keyless else session.keys.settings()
    request = plan.request
    if request.wire == "v2":
        return f"{settings.console_base_url}{settings.chat_v2_route}"
    chat = "" if settings.use_custom_endpoint else "/chat"
    return f"{settings.base_url}{settings.model_api_prefix}{chat}/{request.endpoint}"


# ---- the commands


def _models(session: Session, words: str) -> Said:
    lang = session.lang
    if words:
        row = registry().find(words)
        if row is None:
            names = registry().suggest(words)
            hint = Text("option.did_you_mean", {"names": names}) if names else ""
            raise OptionError("command.no_model", name=words, suggestions=hint)
        return _one_model(row, lang)
    head = ("模型", "接口", "上限", "参数") if lang == "zh" else ("model", "API", "limit", "parameters")
    rows = []
    for model in registry().models.values():
        api = next(iter(model.apis.values()))
        endpoint = "" if any(api.endpoint or wire == "v2" for wire, api in model.apis.items()) else " + endpoint="
        shown = ", ".join(api.parameters) if api.wire == "v1" else "V2"
        rows.append((model.name, ", ".join(model.wires) + endpoint, _limits(model, lang), shown))
    return Table(head, rows, text("said.models", lang)).said()


def _one_model(model: Model, lang: str) -> Said:
    head = ("接口", "参数", "允许", "默认") if lang == "zh" else ("API", "parameter", "allowed", "default")
    rows = [
        (wire, name, parameter.describe(lang), "" if parameter.default is None else parameter.default)
        for wire, api in model.apis.items()
        for name, parameter in api.parameters.items()
    ]
    facts = [
        f"{model.title} ({', '.join((model.name, *model.aliases))})",
        f"{_limits(model, lang)}",
        model.note.get(lang, ""),
        f"{model.source.title} {model.source.url}".strip(),
    ]
    return Table(head, rows, " · ".join(filter(None, facts))).said()


def _limits(model: Model, lang: str) -> str:
    limits = model.limits
    parts = []
    if limits.max_chars:
        parts.append(text("word.chars", lang, count=limits.max_chars))
    if limits.max_tokens:
        parts.append(text("word.tokens", lang, count=limits.max_tokens))
    if limits.system_counts and parts:
        parts.append(text("word.system", lang))
    return ", ".join(parts) or text("word.none", lang)


def _set(session: Session, words: str) -> Said:
    if not words:
        raise OptionError("command.usage", usage="%qf set key=value ...")
    values = parse_pairs(words, help_table().settable, "%qf set key=value ...")
    session.preferences.change(values)
    return Said.of(text("said.set", session.lang, line=words))


def _unset(session: Session, words: str) -> Said:
    if not words:
        raise OptionError("command.usage", usage="%qf unset key ...")
    names = words.split()
    for name in names:
        known(name, help_table().settable, missing="settings.unknown")
    for name in names:
        session.preferences.changed.pop(name, None)
    return Said.of(text("said.unset", session.lang, names=names))


def _settings(session: Session, words: str) -> Said:
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
    head = ("设置", "值", "来源") if lang == "zh" else ("setting", "value", "from")
    return Table(head, rows).said()


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
        used = kinds[0].variables if kinds else text("word.none", session.lang)
        rows.append((text("word.keys", session.lang, wire=wire.upper()), used, ""))
    if session.keys.trouble:
        rows.append((text("word.saved", session.lang), session.keys.trouble.message(session.lang), ""))
    return rows


def _panel(session: Session, words: str) -> Said:
    if words:
        raise OptionError("command.usage", usage="%qf panel")
    from .panel.table import settings_table  # noqa: PLC0415 - asked for rarely

    return settings_table(session)


def _help(session: Session, words: str) -> Said:
    lang = session.lang
    table = help_table()
    if words:
        row = table.commands.get(words) or table.cell_commands.get(words)
        row = row or table.on_line.get(words) or table.settings.get(words)
        if row is None:
            close = suggest(words, table.commands | table.cell_commands | table.on_line | table.settings)
            hint = Text("option.did_you_mean", {"names": close}) if close else ""
            raise OptionError("command.unknown", name=words, suggestions=hint)
        prefix = {"command": "%qf ", "cell_command": "%%qf "}.get(row.group, "")
        return Said(f"`{prefix}{row.syntax}`: {row.help(lang)}", f"{prefix}{row.syntax}: {row.help(lang)}")
    sections = [
        ("help.usage", ""),
        ("help.options", markdown_table(table.options, lang)),
        ("help.parameters", markdown_table(table.parameters, lang)),
        ("help.commands", markdown_table(table.commands, lang, prefix="%qf ")),
        ("help.cell_commands", markdown_table(table.cell_commands, lang, prefix="%%qf ")),
        ("help.compare", markdown_table(table.compare, lang)),
        ("help.settings", markdown_table(table.settings, lang, prefix="%qf set ")),
    ]
    shown = "\n\n".join(f"{text(key, lang)}\n\n{body}".strip() for key, body in sections)
    return Said(shown, shown.replace("\\|", "|"))


_COMMANDS: dict[str, Callable[[Session, str], Said]] = {
    "models": _models,
    **chat_commands.COMMANDS,
    "set": _set,
    "unset": _unset,
    "settings": _settings,
    "transport": cassette_commands.transport,
    "cassette": cassette_commands.run,
    "auth": auth_commands.run,
    "panel": _panel,
    "usage": usage_commands.usage,
    "doctor": doctor,
    "help": _help,
}
