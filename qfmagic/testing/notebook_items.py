"""Notebooks that nbval runs: what answers their kernels, and whether all of a cassette was played."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ..core.errors import CassetteError, OptionError, QianfanError
from ..core.transport_modes import MODES
from ..notebook.session.transport_mode import FORCED, PLAYED, Transport, read_transport
from ..transport.cassette.file import beside, read
from ..transport.cassette.recording import Key, Recorded
from .unplayed import complaint, language, left_over, say

_CHOSEN = re.compile(r"^[ \t]*%qf[ \t]+transport[ \t]+(\S.*)$", re.MULTILINE)


class NotebookPlan(NamedTuple):
    """
    What answers one notebook.

    Attributes:
        forced: The value of :data:`FORCED`; None leaves it to the notebook.
        cassette: The file that answers; None for none.
        before: What it held at first, where it may be recorded onto.
        noted: The file in which the kernel notes what it plays.
        cells: The tests of the notebook's cells.
        passed: The ids of all tests that have passed so far.
    """

    forced: str | None
    cassette: Path | None
    before: Mapping[Key, Recorded]
    noted: Path
    cells: tuple[pytest.Item, ...]
    passed: AbstractSet[str]

    def left(self) -> list[Recorded]:
        """What nothing asked for; what was recorded just now was asked for."""
        if self.cassette is None:
            return []
        found = left_over(self.cassette, _noted(self.noted, self.cassette))
        if not self.forced or not MODES[self.forced.partition(":")[0]].records:
            return found
        # An error that was recorded isn't played but asked again, and may have been the same.
        return [one for one in found if self.before.get(one.key) == one and one.play().complete]


_plan = pytest.StashKey[NotebookPlan]()


def planned(notebook: Any, cells: Sequence[Any], mode: str, passed: AbstractSet[str]) -> "list[CassettePlayed]":
    """
    Decide what answers a notebook, and return the test to add behind its cells, if there is one.

    A notebook without a cassette whose own first transport is the stub keeps it, with the network out of reach. Any
    other is sent to the cassette it lacks, so that the error of the cell that asks says which file is missing.

    Args:
        notebook: nbval's collector.
        cells: The tests it has collected, one for each cell.
        mode: As ``--qianfan``.
        passed: The ids of the tests that have passed, as it grows.
    """
    folder = tempfile.TemporaryDirectory(prefix="qfmagic-")
    notebook.config.add_cleanup(folder.cleanup)
    plan = NotebookPlan(mode, None, {}, Path(folder.name) / "played", tuple(cells), passed)
    if MODES[mode].plays:
        own = _own([test.cell.source for test in cells])
        path = _cassette(notebook.path, own)
        if own is not None and own.kind.simulated and not path.exists():
            plan = plan._replace(forced=None)
        else:
            before = _held(path) if MODES[mode].records else {}
            plan = plan._replace(forced=f"{mode}:{path}", cassette=path, before=before)
    notebook.stash[_plan] = plan
    judged = plan.cassette is not None and (MODES[mode].records or plan.cassette.exists())
    return [CassettePlayed.from_parent(notebook, name="cassette")] if judged else []


def environment(item: Any) -> dict[str, str | None]:
    """The variables for the kernel of a cell's notebook; None takes one away."""
    plan = item.parent.stash[_plan]
    # The tests may run in a notebook's kernel; it isn't this one.
    return {FORCED: plan.forced, PLAYED: str(plan.noted), "JPY_SESSION_NAME": None}


class CassettePlayed(pytest.Item):
    """Fails if the notebook's cassette holds answers that none of its cells asked for."""

    def runtest(self) -> None:
        """Look, if all cells ran and passed; else what is left over says nothing."""
        assert self.parent is not None
        plan = self.parent.stash[_plan]
        left = plan.left()
        if not left:
            return
        others = [cell.name for cell in plan.cells if cell.nodeid not in plan.passed]
        if others:
            pytest.skip(say("testing.unjudged", notebook=self.path.name, cells=others))
        assert plan.cassette is not None
        raise complaint(plan.cassette, left).with_hint("testing.prune")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Tell it briefly."""
        error = excinfo.value
        return error.message(language()) if isinstance(error, QianfanError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str], int | None, str]:
        """Where it stands in the list of tests."""
        return self.path, None, f"cassette of {self.path.name}"


def _own(sources: Sequence[str]) -> Transport | None:
    """The transport that the notebook itself chooses first; without a path where it names none."""
    for chosen in (found[1] for source in sources for found in _CHOSEN.finditer(source)):
        try:
            return read_transport(chosen, {})
        except OptionError:  # a path is missing, or the mode is unknown
            mode = chosen.split()[0]
            return Transport(mode) if mode in MODES else None
    return None


def _cassette(notebook: Path, own: Transport | None) -> Path:
    """The notebook's cassette: the one it names, else the one beside it."""
    named = notebook.parent / own.path if own is not None and own.path is not None else None
    return named if named is not None and (named.exists() or not beside(notebook).exists()) else beside(notebook)


def _held(path: Path) -> Mapping[Key, Recorded]:
    try:
        return read(path).exchanges
    except CassetteError:  # the kernel tells, if it needs it
        return {}


def _noted(noted: Path, cassette: Path) -> Iterator[Key]:
    lines = noted.read_text("utf-8").splitlines() if noted.exists() else []
    for path, key, number in (line.rsplit("\t", 2) for line in lines):
        if path == os.path.realpath(cassette):
            yield key, int(number)
