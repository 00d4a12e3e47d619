"""What a test of keys showed, for ``%qf auth check`` and the panel."""

from concurrent.futures import Future
from typing import Literal, NamedTuple

from ...client.auth.credentials import Kind, choose
from ...client.background_loop import BackgroundLoop
from ...client.settings import Settings
from ...core.errors import CredentialError
from ...core.i18n import Described, Text
from ...core.models import Wire
from ...core.wire.model_list import ListedModel
from .keys import fingerprints, only

VerdictState = Literal["good", "bad", "unknown"]

_WIRE: dict[Kind, Wire] = {"bearer": "v2", "aistudio": "v2", "iam": "v2", "app": "v1", "access_token": "v1"}
_BAD = ("wrong_key", "wrong_secret", "refused", "disabled", "clock")


class SessionVerdict(NamedTuple):
    """
    What a test of keys showed.

    Attributes:
        kind: Which keys.
        state: ``good``: accepted. ``bad``: refused, or no keys at all. ``unknown``: accepted with a reserve, or it
            can't be told.
        said: The sentence for the user.
        keys: The fingerprints of what was tested.
        models: The models the service listed for them.
    """

    kind: Kind
    state: VerdictState
    said: Described
    keys: tuple[str, ...] = ()
    models: tuple[ListedModel, ...] = ()


def begin(settings: Settings, kind: Kind, loop: BackgroundLoop) -> Future[SessionVerdict]:
    """Start to test the keys of one kind by themselves, by the cheapest request that tells; 10 s at the longest."""
    return loop.submit(_try(only(settings, kind), kind))


async def _try(settings: Settings, kind: Kind) -> SessionVerdict:
    from ...client.checks.key_check import verify  # noqa: PLC0415 - brings httpx

    keys = tuple(fingerprints(settings, kind))
    found = await verify(settings)
    if found:
        status = found[0].status
        state: VerdictState = "good" if status == "ok" else "bad" if status in _BAD else "unknown"
        return SessionVerdict(kind, state, found[0], keys, found[0].models)
    try:
        choose(settings, _WIRE[kind])
    except CredentialError as error:
        return SessionVerdict(kind, "bad", Text(error.key, error.values), keys)
    return SessionVerdict(kind, "unknown", Text("auth.none"), keys)


def untested(kind: Kind, settings: Settings) -> SessionVerdict:
    """The verdict on the stub, which needs no keys and judges none."""
    return SessionVerdict(kind, "unknown", Text("auth.stub"), tuple(fingerprints(settings, kind)))
