"""``%qf help``."""

from ...core.errors import OptionError
from ...core.i18n import text
from ...core.models import did_you_mean, suggest
from ..output.tables import Rendered
from ..parsing.option_table import help_table, markdown_table
from ..session.session import Session


def show_help(session: Session, words: str) -> Rendered:
    """Do ``%qf help``."""
    lang = session.lang
    table = help_table()
    if words:
        row = table.commands.get(words) or table.cell_commands.get(words)
        row = row or table.on_line.get(words) or table.settings.get(words)
        if row is None:
            hint = did_you_mean(suggest(words, table.commands | table.cell_commands | table.on_line | table.settings))
            raise OptionError("command.unknown", name=words, suggestions=hint)
        prefix = {"command": "%qf ", "cell_command": "%%qf "}.get(row.group, "")
        return Rendered(f"`{prefix}{row.syntax}`: {row.help(lang)}", f"{prefix}{row.syntax}: {row.help(lang)}")
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
    return Rendered(shown, shown.replace("\\|", "|"))
