"""The one look at a cell before anything is done with it: it may hold a key, known or by its form."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from ...core.errors import OptionError, PromptError
from ...core.keys.forms import holds_form, holds_word
from ...core.keys.spellings import spellings_of

BELOW = "%%"  # the line that stands for a cell with its cell magic below the first line
_MAGIC = re.compile(r"\s*%%(qianfan|qf)(?![\w.?])", re.ASCII)
_OPTION = re.compile(r"[A-Za-z_][\w.-]*=(.*)", re.DOTALL)


def check_cell(secrets: Mapping[str, str], line: str, texts: Iterable[str]) -> None:
    """
    Check that neither a magic's line nor any of the texts around it holds a key.

    Args:
        secrets: The keys that are known, and the variable each is set by.
        line: The line.
        texts: The body below it, and the cells that run, as they are written.

    Raises:
        PromptError: A known key, however it is spelled. The error names its variable, and doesn't repeat it.
        OptionError: What has the form of a key.
    """
    everything = [*dict.fromkeys((line, *texts))]
    spellings = spellings_of(frozenset(secrets))
    for one in everything:
        found = spellings.find(one)
        if found is not None:
            raise PromptError("prompt.holds_key", variable=secrets[found])
    if holds_word(_options(unicodedata.normalize("NFKC", line))) or any(map(holds_form, everything)):
        raise OptionError("option.looks_secret")


def check_magics(line: str, body: str | None) -> None:
    """
    Check that a cell holds one cell magic of ours, on its first line: another would be sent as part of the prompt.

    Raises:
        OptionError: It holds another, and not the flag ``raw``. An indented line is part of the prompt.
    """
    whole = line == BELOW
    for number, below in enumerate((body or "").splitlines(), 1 if whole else 2):
        found = _MAGIC.match(below)
        if found and (whole or (below.startswith("%") and "raw" not in line.split())):
            raise OptionError("cell.magic_below", name=found[1], line=number)


def _options(line: str) -> str:
    """The words of a line that are values of options or commands, each by itself; its text, addresses too, is prose."""
    words = line.replace('"', " ").replace("'", " ").split()
    commands = [word for word in words[:3] if "=" not in word] if words and words[0].islower() else []
    return " ".join([*commands, *(option[1] for word in words if (option := _OPTION.match(word)))])
