"""Whether the keys are good: each kind that is configured, by the cheapest request that tells."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

import httpx

from ...core.errors import (
    AccessError,
    AuthenticationError,
    CredentialError,
    GoneError,
    QianfanError,
    QuotaError,
    ServiceError,
    TransportError,
    UnavailableError,
)
from ...core.i18n import text
from ...core.models import WIRES
from ...core.safe_json import read_object
from ...core.wire import service_error
from ...core.wire.model_list import ListedModel
from ..auth.authorizer import gateway_error
from ..auth.credentials import Credential, available, check_form
from ..http.request import Clock, Outgoing
from ..service import Service
from ..settings import Settings, fingerprint

Status = Literal[
    "ok",
    "wrong_key",
    "wrong_secret",
    "refused",
    "clock",
    "disabled",
    "no_permission",
    "no_quota",
    "gone",
    "unreachable",
    "unknown",
    "unchecked",
]
V1_ENDPOINT = "yi_34b_chat"  # a request to V1 that is refused for its body, but not before its token is judged
CHECK_TIMEOUT_S = 10.0  # seconds
_LISTED = ("bearer", "aistudio")  # tested by the list of their models
_BY_CAUSE: dict[str, Status] = {
    "cause.wrong_ak": "wrong_key",
    "cause.wrong_access_key": "wrong_key",
    "cause.wrong_sk": "wrong_secret",
    "cause.wrong_secret_key": "wrong_secret",
    "cause.signature_expired": "clock",
    "cause.disabled": "disabled",
    "cause.token": "wrong_key",
    "cause.token_expired": "wrong_key",
    "cause.token_form": "wrong_key",
    "cause.bearer": "wrong_key",
}
_BY_KIND: tuple[tuple[type[QianfanError], Status], ...] = (
    (AuthenticationError, "refused"),
    (AccessError, "no_permission"),
    (QuotaError, "no_quota"),
    (GoneError, "gone"),
    (UnavailableError, "unknown"),
    (ServiceError, "ok"),  # it found fault with the question, so it has taken the key
    (TransportError, "unreachable"),
    (CredentialError, "wrong_key"),
)


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """
    What came of trying a credential.

    Attributes:
        credential: Which; it doesn't show its keys.
        status: What is right or wrong with it.
        error: What the service or the network said, where something is wrong.
        models: The models the key may use, of a key for V2 that was accepted.
    """

    credential: Credential
    status: Status
    error: QianfanError | None = None
    models: tuple[ListedModel, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Eight hex digits to tell keys apart by."""
        return fingerprint(self.credential.key)

    def describe(self, lang: str) -> str:
        """Say it in *lang*: the variables, the verdict, and what to do."""
        said = text(f"verdict.{self.status}", lang, variables=self.credential.variables)
        return f"{said} {self.error.message(lang)}" if self.error is not None and self.status != "ok" else said


async def verify(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Clock = time.time,
) -> list[KeyVerdict]:
    """
    Try every complete credential of the settings; never raises.

    All of it is free: application keys and IAM keys fetch a token, a key for V2 asks for its list of models, and a
    ready V1 token goes with a question that has no message.
    """
    found = {credential: None for wire in WIRES for credential in available(settings, wire)}
    tries = (_try(settings, credential, transport, clock) for credential in found)
    return list(await asyncio.gather(*tries))


async def _try(
    settings: Settings,
    credential: Credential,
    transport: httpx.AsyncBaseTransport | None,
    clock: Clock,
) -> KeyVerdict:
    if credential.kind in ("none", "access_code"):
        return KeyVerdict(credential, "unchecked")
    service = Service(only(settings, credential), transport, clock=clock)
    try:
        check_form(credential, official=settings.official("v2" if credential.kind == "bearer" else "v1"))
        match credential.kind:
            case "bearer" | "aistudio":
                return KeyVerdict(credential, "ok", models=await service.list_models(CHECK_TIMEOUT_S))
            case "access_token":
                await _ask_nothing(service, settings, credential)
            case _:
                await service.authorizer.fetch(credential)
    except QianfanError as error:
        service.redact(error)
        return KeyVerdict(credential, _listing_status(error) if credential.kind in _LISTED else status_of(error), error)
    finally:
        await service.aclose()
    return KeyVerdict(credential, "ok")


def _listing_status(error: QianfanError) -> Status:
    """What an error says about a key whose list was asked for: no model was, so no permission can be missing."""
    if isinstance(error, ServiceError) and error.status in (404, 405):
        return "unchecked"  # a gateway without a list
    status = status_of(error)
    return "refused" if status == "no_permission" else status


def status_of(error: QianfanError) -> Status:
    """What an error says about the key it came for."""
    cause = getattr(error, "cause", None)
    off = any(key.startswith("clock.") for key, _ in error.values.get("hints", ()))
    if off and cause in ("cause.iam", "cause.wrong_secret_key"):  # a signature holds for minutes only
        return "clock"
    if cause in _BY_CAUSE:
        return _BY_CAUSE[cause]
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), "unknown")


def only(settings: Settings, credential: Credential) -> Settings:
    """The settings with this credential alone, and nothing asked twice."""
    fields: dict[str, tuple[str, ...]] = {
        "app": ("ak", "sk"),
        "iam": ("access_key", "secret_key"),
        "access_token": ("access_token",),
        "bearer": ("bearer_token",),
        "aistudio": ("aistudio_token",),
    }
    none: dict[str, Any] = dict.fromkeys((name for names in fields.values() for name in names), "")
    kept = dict(zip(fields[credential.kind], (credential.key, credential.secret), strict=False))
    return replace(settings, **{**none, **kept}, no_auth=False, enable_private=False, retry_count=1)


async def _ask_nothing(service: Service, settings: Settings, credential: Credential) -> None:
    headers = {"Content-Type": "application/json"}
    outgoing = Outgoing("POST", *settings.place_of("v1", V1_ENDPOINT), {}, headers, b'{"messages":[],"stream":false}')
    outgoing = await service.authorizer.authorize(outgoing, credential, "v1")
    status, received, body = await service.network.fetch(outgoing, CHECK_TIMEOUT_S, "timeout.reach")
    error = gateway_error(status, received) or service_error("v1", read_object(body), status=status)
    if v1_ended(settings, error, status, body):
        error = GoneError(status=status, cause="cause.v1_gone", remedy="remedy.v1_gone")
    elif status == 404 and (error is None or isinstance(error, GoneError)):
        error = AccessError(status=status, cause="cause.not_found")
    if error is not None:
        raise error


def v1_ended(settings: Settings, error: ServiceError | None, status: int, body: bytes) -> bool:
    """Whether an answer says that the V1 API has ended: not if it is a page of another server than Baidu's."""
    if status == 410 or (isinstance(error, GoneError) and status != 404):
        return True
    ended = error is None or isinstance(error, GoneError)
    return ended and status == 404 and (settings.official("v1") or not body.strip())
