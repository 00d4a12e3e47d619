"""What a cell asks, as far as its source tells without running it."""

import re
from functools import cache
from typing import NamedTuple

from ..core.i18n import read_table

# A whole cell; or a line, perhaps one whose answer is assigned.
_CELL = re.compile(r"\s*%%qianfan\b([^\n]*)")
_SEVERAL = re.compile(r"\s*%%qf[ \t]+(compare|map)\b([^\n]*)")
_LINE = re.compile(r"^([ \t]*)(?:[\w., \t]+=[ \t]*)?%qianfan\b([^\n]*)", re.MULTILINE)
_MENTIONED = re.compile(r"%qianfan\b")
_CALLED = re.compile(r"""\brun_(?:line|cell)_magic\(\s*["']qianfan["']""")
_COMMAND = re.compile(r"^[ \t]*(?:[\w., \t]+=[ \t]*)?%qf[ \t]+(\w+)", re.MULTILINE)
_OPTION = re.compile(
    r"""\s*+[A-Za-z_][\w.-]*+=(?:\{\{.*?\}\}|"(?:\\.|[^"\\])*+"|'[^']*+'|\[[^\]]*+\]|\{[^}]*+\}|\S)*+"""
)
_MODELS = re.compile(r"""(?<!\S)model=("[^"]*"|'[^']*'|\S*)""")
_WORD = re.compile(r"\s*+(\w++)(?!\S)")

AGAIN = frozenset({"retry", "continue"})


class CellCall(NamedTuple):
    """
    What a cell asks.

    Attributes:
        whole: Whether it is a ``%%qianfan``, ``%%qf compare`` or ``%%qf map`` cell.
        questions: The flags of each question that is asked whenever the cell is run.
        commands: The commands of ``%qf`` in it.
        command: ``compare`` or ``map``, where the cell is one of these; they ask more than one question.
        models: How many models it asks at most.
        opaque: Whether it may ask otherwise than its lines tell: in another magic, a branch, a loop, or by a call.
    """

    whole: bool = False
    questions: tuple[frozenset[str], ...] = ()
    commands: frozenset[str] = frozenset()
    command: str = ""
    models: int = 1
    opaque: bool = False

    @property
    def quiet(self) -> int:
        """How many of them leave no output."""
        return sum("quiet" in flags for flags in self.questions) if not self.command else 0

    @property
    def unseen(self) -> float:
        """How many answers a cassette may have of it that are shown nowhere."""
        quiet = sum("quiet" in flags for flags in self.questions)
        return float("inf") if quiet and self.command else quiet * self.models

    @property
    def answered(self) -> bool:
        """Whether an output is to be expected when it was run."""
        return any(not flags & {"quiet", "dry"} for flags in self.questions)

    @property
    def dry(self) -> bool:
        """Whether nothing is ever sent."""
        return all("dry" in flags for flags in self.questions)


def asked(source: str) -> CellCall:
    """Read the source of a code cell."""
    whole = _CELL.match(source)
    if whole:
        return CellCall(True, (_flags(whole[1]),), models=_models(whole[1]))
    several = _SEVERAL.match(source)
    if several:  # an expression with blanks may stand before the options
        return CellCall(True, (frozenset(several[2].split()) & _known_flags(),), command=several[1])
    if source.lstrip().startswith("%%"):  # what another magic does with it isn't known
        return CellCall(opaque=_MENTIONED.search(source) is not None)
    # An indented line may be one that isn't come to.
    every = list(_LINE.finditer(source))
    lines = [line[2] for line in every if not line[1]]
    commands = frozenset(_COMMAND.findall(source))
    opaque = len(lines) < len(every) or _CALLED.search(source) is not None
    return CellCall(
        False, tuple(map(_flags, lines)), commands, models=max(map(_models, lines), default=1), opaque=opaque
    )


def _flags(line: str) -> frozenset[str]:
    """The flags on a magic's line, whatever else is on it."""
    found: set[str] = set()
    position = 0
    while True:
        word = _WORD.match(line, position)
        step = _OPTION.match(line, position) or (word if word and word[1] in _known_flags() else None)
        if step is None:
            return frozenset(found)
        if step is word and word is not None:
            found.add(word[1])
        position = step.end()


def _models(line: str) -> int:
    """How many models a line names; more rather than too few."""
    return max((1 + names[1].count(",") for names in _MODELS.finditer(line)), default=1)


@cache
def editing_commands() -> frozenset[str]:
    """The commands that change a conversation otherwise than by asking: turns below needn't follow from those above."""
    return frozenset(row["name"] for row in read_table("help.toml")["command"] if row.get("edits"))


@cache
def _known_flags() -> frozenset[str]:
    return frozenset(row["name"] for row in read_table("help.toml")["option"] if row.get("kind") == "flag")
