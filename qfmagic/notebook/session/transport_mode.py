"""What answers a notebook's questions: the mode, and the cassette where there is one."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from ...core.errors import OptionError
from ...core.transport_modes import MODES, TransportMode
from ..conversation.cell_order import notebook_path
from ..parsing.scanner import split_words

VARIABLE = "QFMAGIC_TRANSPORT"
# Set by the pytest plugin: it answers, whatever the notebook says. ``%qf transport`` then says what it would.
FORCED = "QFMAGIC_TEST_TRANSPORT"
# Set by the pytest plugin: a file in which each exchange that is played is noted.
PLAYED = "QFMAGIC_TEST_PLAYED"
_PACES = {"pace=recorded": True, "pace=instant": False}


class Transport(NamedTuple):
    """
    What answers.

    Attributes:
        mode: The name of the mode, one of :data:`MODES`.
        path: The cassette, as it was given; None where there is none.
        paced: Whether a recorded answer is played in the time it was recorded in.
    """

    mode: str = "live"
    path: Path | None = None
    paced: bool = False

    @property
    def kind(self) -> TransportMode:
        """The row of the mode."""
        return MODES[self.mode]

    def __str__(self) -> str:
        return " ".join(map(str, filter(None, (self.mode, self.path, "pace=recorded" if self.paced else ""))))


def user_path(written: str) -> Path:
    """A file as a user writes it; ``~`` is the home folder, or a part of the name where there is none."""
    return Path(os.path.expanduser(written))  # noqa: PTH111 - pathlib's raises where there is none


def here() -> Path | None:
    """The current folder; None for one that is gone."""
    try:
        return Path.cwd()
    except OSError:
        return None


def read_transport(written: str, environ: Mapping[str, str], folder: Path | None = None) -> Transport:
    """
    Read ``record PATH`` and the like, as it stands behind ``%qf transport``.

    Without a path it is the file beside the notebook, where the front end names the notebook; written as seen from
    *folder*, the current one when not given.

    Raises:
        OptionError: There is no such mode; or it needs a path.
    """
    mode, *words = split_words(written)
    pace = next((word for word in words if word.startswith("pace=")), None)
    paths = [word for word in words if word != pace]
    if mode not in MODES:
        raise OptionError("command.transport", value=mode)
    kind = MODES[mode]
    if len(paths) > 1 or (paths and not kind.taped):
        raise OptionError("command.usage", usage=f"%qf transport {mode}{' PATH' if kind.taped else ''}")
    if pace is not None and (pace not in _PACES or not kind.plays):
        raise OptionError("option.value", name="pace", value=pace.removeprefix("pace="), allowed="recorded, instant")
    if not kind.taped:
        return Transport(mode)
    return Transport(
        mode, user_path(paths[0]) if paths else _beside(mode, environ, folder), _PACES[pace or "pace=instant"]
    )


def from_variable(written: str, environ: Mapping[str, str], folder: Path | None = None) -> Transport:
    """
    Read ``record:PATH`` and the like, as it stands in :data:`VARIABLE`; *folder* is as for :func:`read_transport`.

    Raises:
        OptionError: As :func:`read_transport`.
    """
    mode, _, path = written.strip().partition(":")
    if mode not in MODES:
        raise OptionError("command.transport", value=written)
    if not MODES[mode].taped or not path:
        return read_transport(mode, environ, folder)
    return Transport(mode, user_path(path))


def _beside(mode: str, environ: Mapping[str, str], folder: Path | None) -> Path | None:
    notebook = notebook_path(environ)
    if notebook is not None:
        from ...transport.cassette.file import beside  # noqa: PLC0415 - only who records or replays

        path: Path | None = beside(notebook)
    elif FORCED in environ:  # a front end that doesn't name the notebook; what is written here is said, not done
        path = from_variable(environ[FORCED], {}).path
    else:
        raise OptionError("command.transport_path", mode=mode)
    if path is None:
        return None
    # As a user would write it: the kernel runs in the notebook's folder, in most cases.
    folder = folder or Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def tape_of(transport: Transport, environ: Mapping[str, str], folder: Path | None = None) -> Any:
    """
    Make the tape of a mode that has one; its path is relative to *folder*, the current one when not given.

    Raises:
        CassetteError: The file isn't there, can't be read or written, or is none.
    """
    import asyncio  # noqa: PLC0415 - only who records or replays

    from ...transport.cassette.recording import Recorded  # noqa: PLC0415 - as above
    from ...transport.cassette.tape import CassetteTape, Mode  # noqa: PLC0415 - as above

    noted = environ.get(PLAYED)

    def note(recorded: Recorded) -> None:
        if noted:
            with Path(noted).open("a", encoding="utf-8") as file:
                file.write(f"{os.path.realpath(path)}\t{recorded.hash}\t{recorded.n}\n")

    assert transport.path is not None
    path = (folder or Path.cwd()) / transport.path  # a cell may change the current one
    return CassetteTape(
        path, cast("Mode", transport.mode), sleep=asyncio.sleep if transport.paced else None, on_play=note
    )
