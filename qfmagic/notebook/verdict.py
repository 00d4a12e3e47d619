"""Whether keys are accepted: one short request with nothing but them."""

import threading
from concurrent.futures import Future
from typing import Literal, NamedTuple

from ..client.client import DEFAULT_MODEL, Qianfan
from ..client.credentials import Kind
from ..client.loop import BackgroundLoop
from ..client.settings import Settings
from ..core.catalogue import Text
from ..core.errors import AuthenticationError, CredentialError, QianfanError, TransportError
from ..core.models import Wire
from .keys import fingerprints, only

TIMEOUT = 10.0  # seconds

_WIRE: dict[Kind, Wire] = {"bearer": "v2", "iam": "v2", "app": "v1", "access_token": "v1"}


class Verdict(NamedTuple):
    """
    What a test of keys showed.

    Attributes:
        kind: Which keys.
        state: ``good``: accepted. ``bad``: refused, or not keys at all. ``unknown``: it can't be told.
        said: The sentence for the user.
        keys: The fingerprints of what was tested.
    """

    kind: Kind
    state: Literal["good", "bad", "unknown"]
    said: Text
    keys: tuple[str, ...] = ()


def verify(settings: Settings, kind: Kind, loop: BackgroundLoop) -> Verdict:
    """Ask for the shortest answer there is. Doesn't raise for what the service or the network does."""
    keys = tuple(fingerprints(settings, kind))
    wire = _WIRE[kind]
    try:
        with Qianfan(settings=only(settings, kind), loop=loop, model=DEFAULT_MODEL, api=wire) as client:
            client.ask("1", max_output_tokens=2, timeout=TIMEOUT)
    except (AuthenticationError, CredentialError) as error:
        return Verdict(kind, "bad", Text("auth.refused", {"reason": _Reason(error)}), keys)
    except TransportError as error:
        return Verdict(kind, "unknown", Text("auth.unreached", {"reason": _Reason(error)}), keys)
    except QianfanError as error:
        # The keys are judged first: another error comes behind them.
        return Verdict(kind, "good", Text("auth.accepted_but", {"wire": wire.upper(), "reason": _Reason(error)}), keys)
    return Verdict(kind, "good", Text("auth.accepted", {"wire": wire.upper()}), keys)


def begin(settings: Settings, kind: Kind, loop: BackgroundLoop) -> Future[Verdict]:
    """Start :func:`verify` in a thread of its own, which doesn't keep the process alive."""
    future: Future[Verdict] = Future()

    def work() -> None:
        try:
            future.set_result(verify(settings, kind, loop))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)

    threading.Thread(target=work, name="qfmagic-verify", daemon=True).start()
    return future


class _Reason(NamedTuple):
    """An error as part of a sentence in either language."""

    error: QianfanError

    def describe(self, lang: str) -> str:
        """Say it."""
        return self.error.message(lang)


def untested(kind: Kind, settings: Settings) -> Verdict:
    """The verdict on the stub, which needs no keys and judges none."""
    return Verdict(kind, "unknown", Text("auth.stub"), tuple(fingerprints(settings, kind)))
