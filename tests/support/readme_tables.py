"""
The README's tables, made from the help table: ``python tests/support/readme_tables.py`` writes them.

A test fails while they differ, so that the README can't say what the program doesn't.
"""

import re
from pathlib import Path

from qfmagic.notebook.parsing.option_table import help_table, markdown_table

ROOT = Path(__file__).parents[2]
READMES = {"README.md": "en", "README.zh-CN.md": "zh"}


def with_tables(text: str, lang: str) -> str:
    """Return *text* with each table between its two comments renewed."""
    table = help_table()
    groups = {
        "options": markdown_table(table.options, lang),
        "parameters": markdown_table(table.described, lang),
        "commands": markdown_table(table.commands, lang, prefix="%qf "),
        "cell_commands": markdown_table(table.cell_commands, lang, prefix="%%qf "),
        "compare": markdown_table(table.compare, lang),
        "map": markdown_table(table.map, lang),
        "settings": markdown_table(table.settings, lang, prefix="%qf set "),
    }
    for name, made in groups.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = block.subn(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text)
        if count != 1:
            raise SystemExit(f"no place for the {name} table")
    return text


if __name__ == "__main__":
    for name, lang in READMES.items():
        path = ROOT / name
        path.write_text(with_tables(path.read_text("utf-8"), lang), "utf-8")
