"""Options, settings and commands as rows, from ``data/help.toml``; what the parser, the help and the README share."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from ...core.errors import OptionError
from ...core.i18n import read_table, text
from ...core.models import registry
from ...core.models.params import Range, parse_value


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """One option, setting, parameter or command."""

    group: str
    name: str
    syntax: str
    en: str
    zh: str
    kind: str = "string"
    choices: tuple[str, ...] = ()
    default: Any = None
    env: str | None = None
    settable: bool = False
    range: Range | None = None

    def help(self, lang: str) -> str:
        """What it is for."""
        return self.zh if lang == "zh" else self.en

    def parse(self, written: str, *, lenient: bool = False) -> Any:
        """
        Read a value; if *lenient*, a parameter's that can't be read is returned as it is, for the model's own check.

        Raises:
            OptionError: It isn't of the row's kind, or none of its choices.
        """
        try:
            value = parse_value(self.kind, written)
        except ValueError:
            if lenient and self.group == "parameter":
                return written
            raise OptionError("option.value", name=self.name, value=written, allowed=self.kind) from None
        if (value == "" and self.kind == "string") or (self.range and value not in self.range):
            allowed = self.range.text if self.range else self.syntax
            raise OptionError("option.value", name=self.name, value=written, allowed=allowed)
        if self.choices and value not in self.choices:
            raise OptionError("option.value", name=self.name, value=written, allowed=list(self.choices))
        return value


@dataclass(frozen=True)
class OptionTable:
    """
    All rows, by group.

    ``described`` are the documented parameters; :attr:`parameters` has those too that only other models take, which
    are read from the model table when they are first asked for.
    """

    options: dict[str, OptionRow]
    described: dict[str, OptionRow]
    settings: dict[str, OptionRow]
    commands: dict[str, OptionRow]
    cell_commands: dict[str, OptionRow]
    compare: dict[str, OptionRow]
    map: dict[str, OptionRow]

    @cached_property
    def parameters(self) -> dict[str, OptionRow]:
        """Every parameter any model takes, the documented ones first."""
        kinds = registry().parameter_names()
        others = {name: _parameter(name, kind, {}) for name, kind in kinds.items() if name not in self.described}
        return self.described | others

    @cached_property
    def on_line(self) -> dict[str, OptionRow]:
        """What may stand on a magic's line."""
        return self.options | self.parameters

    @cached_property
    def settable(self) -> dict[str, OptionRow]:
        """What ``%qf set`` takes."""
        return {name: row for name, row in self.options.items() if row.settable} | self.parameters | self.settings


@cache
def help_table() -> OptionTable:
    """Read the table, once."""
    table = read_table("help.toml")
    return OptionTable(
        options={row["name"]: _row("option", row) for row in table["option"]},
        described={row["name"]: _parameter(row["name"], row["kind"], row) for row in table["parameter"]},
        settings={row["name"]: _row("setting", row) for row in table["setting"]},
        commands={row["name"]: _row("command", row) for row in table["command"]},
        cell_commands={row["name"]: _row("cell_command", row) for row in table["cell_command"]},
        compare={row["name"]: _row("compare", row) for row in table["compare"]},
        map={row["name"]: _row("map", row) for row in table["map"]},
    )


_VALUE = {
    "float": "NUMBER",
    "int": "INTEGER",
    "bool": "true|false",
    "string": "TEXT",
    "list": "JSON",
    "map": "JSON",
    "json": "JSON",
    "object": "JSON",
    "array": "JSON",
    "switch": "on|off",
}


def _parameter(name: str, kind: str, row: dict[str, Any]) -> OptionRow:
    syntax = row.get("syntax", f"{name}={_VALUE[kind]}")
    return OptionRow(
        group="parameter",
        name=name,
        syntax=syntax,
        en=row.get("en", ""),
        zh=row.get("zh", ""),
        kind=kind,
        settable=True,
    )


def _row(group: str, row: dict[str, Any]) -> OptionRow:
    return OptionRow(
        group=group,
        name=row["name"],
        syntax=row.get("syntax", f"{row['name']}={'|'.join(row.get('choices', ())) or 'true|false'}"),
        en=row["en"],
        zh=row["zh"],
        kind=row.get("kind", "string"),
        choices=tuple(row.get("choices", ())),
        default=row.get("default"),
        env=row.get("env"),
        settable=row.get("set", group == "setting"),
        range=Range.parse(row["range"]) if "range" in row else None,
    )


def markdown_table(rows: dict[str, OptionRow], lang: str, *, prefix: str = "") -> str:
    """A group as the table that stands in ``%qf help`` and in the README."""
    cells = [(f"`{prefix}{row.syntax}`".replace("|", "\\|"), row.help(lang)) for row in rows.values() if row.help(lang)]
    lines = [f"| {text('help.head', lang)} |", "|---|---|", *(f"| {left} | {right} |" for left, right in cells)]
    return "\n".join(lines)
