"""The modes of the transport, a row each: the source of the answers, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass

# The extension of a tape's response: a function that tells how many seconds it took when it was recorded.
SECONDS = "qfmagic.seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportMode:
    """
    A mode of ``%qf transport``.

    Attributes:
        name: The name of the mode.
        label: ``Answer.transport`` of an answer that is not from a cassette.
        keyless: Whether neither the user's keys nor the network are used.
        free: Whether answers with the name of the mode as ``Answer.transport`` cost nothing.
        simulated: Whether the stub answers.
        records: Whether answers of the service are written to a cassette.
        plays: Whether answers are replayed from a cassette, as far as it has them.
        in_pytest: Whether ``pytest --qianfan`` has the mode.
    """

    name: str
    label: str
    keyless: bool = False
    free: bool = False
    simulated: bool = False
    records: bool = False
    plays: bool = False
    in_pytest: bool = True

    @property
    def taped(self) -> bool:
        """Whether the mode uses a cassette."""
        return self.records or self.plays


_ROWS = (
    TransportMode(name="live", label="live"),
    TransportMode(name="stub", label="stub", keyless=True, free=True, simulated=True),
    TransportMode(name="record", label="record", records=True, in_pytest=False),
    TransportMode(name="replay", label="replay", keyless=True, free=True, plays=True),
    TransportMode(name="auto", label="record", records=True, plays=True),
)
MODES: Mapping[str, TransportMode] = {row.name: row for row in _ROWS}


def is_free(label: str) -> bool:
    """Whether an answer with that ``Answer.transport`` cost nothing."""
    return label in MODES and MODES[label].free
