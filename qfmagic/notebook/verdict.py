"""What a test of keys showed, for ``%qf auth check`` and the panel."""

from concurrent.futures import Future
from typing import Literal, NamedTuple

from ..client.credentials import Kind, choose
from ..client.loop import BackgroundLoop
from ..client.settings import Settings
from ..core.catalogue import Described, Text
from ..core.errors import CredentialError
from ..core.models import Wire
from .keys import fingerprints, only

State = Literal["good", "bad", "unknown"]

_WIRE: dict[Kind, Wire] = {"bearer": "v2", "iam": "v2", "app": "v1", "access_token": "v1"}
_BAD = ("wrong_key", "wrong_secret", "refused", "disabled", "clock")


class Verdict(NamedTuple):
    """
    What a test of keys showed.

    Attributes:
        kind: Which keys.
        state: ``good``: accepted. ``bad``: refused, or no keys at all. ``unknown``: accepted with a reserve, or it
            can't be told.
        said: The sentence for the user.
        keys: The fingerprints of what was tested.
    """

    kind: Kind
    state: State
    said: Described
    keys: tuple[str, ...] = ()


def begin(settings: Settings, kind: Kind, loop: BackgroundLoop) -> Future[Verdict]:
    """Start to test the keys of one kind by themselves, by the cheapest request that tells; 10 s at the longest."""
    return loop.submit(_try(only(settings, kind), kind))


async def _try(settings: Settings, kind: Kind) -> Verdict:
    from ..client.verify import verify  # noqa: PLC0415 - brings httpx

    keys = tuple(fingerprints(settings, kind))
    found = await verify(settings)
    if found:
        status = found[0].status
        state: State = "good" if status == "ok" else "bad" if status in _BAD else "unknown"
        return Verdict(kind, state, found[0], keys)
    try:
        choose(settings, _WIRE[kind])
    except CredentialError as error:
        return Verdict(kind, "bad", Text(error.key, error.values), keys)
    return Verdict(kind, "unknown", Text("auth.none"), keys)


def untested(kind: Kind, settings: Settings) -> Verdict:
    """The verdict on the stub, which needs no keys and judges none."""
    return Verdict(kind, "unknown", Text("auth.stub"), tuple(fingerprints(settings, kind)))
