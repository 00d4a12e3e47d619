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
from ...core.models import WIRES, registry
from ...core.plan import plan_request
from ...core.safe_json import read_json
from ...core.usage import Usage
from ...core.wire import service_error
from ..auth.authorizer import gateway_error
from ..auth.credentials import Credential, available, check_form
from ..exchange import HttpExchange
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
MODEL = "ernie-lite-8k"  # asked where only a question tells; the official SDK's default on V2
CHECK_TIMEOUT_S = 10.0  # seconds
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
        usage: The tokens that were used to find out; None where nothing was.
    """

    credential: Credential
    status: Status
    error: QianfanError | None = None
    usage: Usage | None = None

    @property
    def fingerprint(self) -> str:
        """Eight hex digits to tell keys apart by."""
        return fingerprint(self.credential.key)

    def describe(self, lang: str) -> str:
        """Say it in *lang*: the variables, the verdict, and what to do."""
        said = text(f"verdict.{self.status}", lang, variables=self.credential.variables)
        return f"{said} {self.error.message(lang)}" if self.error is not None and self.status != "ok" else said


def cost(credential: Credential, lang: str) -> str:
    """Say what :func:`verify` costs for a credential."""
    return text("verify.tokens" if credential.kind == "bearer" else "verify.free", lang, model=MODEL)


async def verify(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Clock = time.time,
    model: str = MODEL,
) -> list[KeyVerdict]:
    """
    Try every complete credential of the settings; never raises.

    Application keys and IAM keys fetch a token, which is free. A ready V1 token goes with a question that has no
    message, which is refused, but not before the token is judged. A V2 key is tried with the shortest question to
    *model*: a few tokens (no free address that tells is documented).
    """
    found = {credential: None for wire in WIRES for credential in available(settings, wire)}
    tries = (_try(settings, credential, transport, clock, model) for credential in found)
    return list(await asyncio.gather(*tries))


async def _try(
    settings: Settings,
    credential: Credential,
    transport: httpx.AsyncBaseTransport | None,
    clock: Clock,
    model: str,
) -> KeyVerdict:
    if credential.kind in ("none", "access_code"):
        return KeyVerdict(credential, "unchecked")
    service = Service(only(settings, credential), transport, clock=clock)
    try:
        check_form(credential, official=settings.official("v2" if credential.kind == "bearer" else "v1"))
        match credential.kind:
            case "bearer":
                return KeyVerdict(credential, "ok", usage=await _ask(service, model))
            case "access_token":
                await _ask_nothing(service, settings, credential)
            case _:
                await service.authorizer.fetch(credential)
    except QianfanError as error:
        service.redact(error)
        return KeyVerdict(credential, status_of(error), error)
    finally:
        await service.aclose()
    return KeyVerdict(credential, "ok")


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
    none: dict[str, Any] = dict.fromkeys(("ak", "sk", "access_key", "secret_key", "access_token", "bearer_token"), "")
    fields = {
        "app": ("ak", "sk"),
        "iam": ("access_key", "secret_key"),
        "access_token": ("access_token",),
        "bearer": ("bearer_token",),
    }[credential.kind]
    kept = dict(zip(fields, (credential.key, credential.secret), strict=False))
    return replace(settings, **{**none, **kept}, no_auth=False, enable_private=False, retry_count=1)


async def _ask(service: Service, model: str) -> Usage:
    plan = plan_request(registry().target(model, None, "v2"), "hi", parameters={"max_output_tokens": 2})
    answer = await service.run(HttpExchange(plan.request, CHECK_TIMEOUT_S))
    return answer.usage


async def _ask_nothing(service: Service, settings: Settings, credential: Credential) -> None:
    headers = {"Content-Type": "application/json"}
    outgoing = Outgoing("POST", *settings.place_of("v1", MODEL), {}, headers, b'{"messages":[],"stream":false}')
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


def read_object(body: bytes) -> dict[str, object]:
    """The JSON object in a body; an empty one if there is none."""
    try:
        payload = read_json(body)
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}
