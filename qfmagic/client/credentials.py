"""Which of the configured keys a call uses: the official SDK's precedence."""

from dataclasses import dataclass, field

from ..core.errors import CredentialError
from ..core.models import Wire
from .settings import Settings


@dataclass(frozen=True, slots=True)
class AppKeys:
    """A V1 application's API key and secret key, exchanged for an access token (OAuth)."""

    ak: str = field(repr=False)
    sk: str = field(repr=False)
    variables = "QIANFAN_AK, QIANFAN_SK"


@dataclass(frozen=True, slots=True)
class IamKeys:
    """An IAM key pair: signs V1 calls, fetches short-term bearer tokens for V2."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    variables = "QIANFAN_ACCESS_KEY, QIANFAN_SECRET_KEY"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A ready V1 token; nothing can renew it."""

    token: str = field(repr=False)
    variables = "QIANFAN_ACCESS_TOKEN"


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A V2 API key (``bce-v3/ALTAK-...``) or a ready bearer token."""

    token: str = field(repr=False)
    variables = "QIANFAN_BEARER_TOKEN"


@dataclass(frozen=True, slots=True)
class AccessCode:
    """A private deployment's access code."""

    code: str = field(repr=False)
    variables = "QIANFAN_ACCESS_CODE"


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Nothing is sent: a gateway in between adds what is needed."""

    variables = "QIANFAN_NO_AUTH"


Credential = AppKeys | IamKeys | AccessToken | BearerToken | AccessCode | NoAuth


def available(settings: Settings, wire: Wire) -> list[Credential]:
    """
    Every complete kind of key configured for *wire*, the one that is used first.

    V1: a ready token, then app keys (even beside IAM keys), then IAM keys. V2: a bearer token, then IAM keys.
    """
    s = settings
    kinds: list[tuple[object, Credential]] = [
        (s.no_auth, NoAuth()),
        (s.enable_private and s.access_code, AccessCode(s.access_code)),
        (wire == "v1" and s.access_token, AccessToken(s.access_token)),
        (wire == "v1" and s.ak and s.sk, AppKeys(s.ak, s.sk)),
        (wire == "v2" and s.bearer_token, BearerToken(s.bearer_token)),
        (s.access_key and s.secret_key, IamKeys(s.access_key, s.secret_key)),
    ]
    return [credential for given, credential in kinds if given]


def choose(settings: Settings, wire: Wire) -> Credential:
    """
    Return the credential for calls on *wire*.

    Raises:
        CredentialError: There is none; the error says which would do, and what is there for the other API.
    """
    found = available(settings, wire)
    if found:
        return found[0]
    for pair in (("ak", "sk"), ("access_key", "secret_key")) if wire == "v1" else (("access_key", "secret_key"),):
        given = [name for name in pair if getattr(settings, name)]
        missing = [name for name in pair if name not in given]
        if given and missing:
            raise CredentialError(
                "keys.half", given=f"QIANFAN_{given[0].upper()}", missing=f"QIANFAN_{missing[0].upper()}"
            )
    if wire == "v1" and settings.bearer_token:
        raise CredentialError("keys.only_v2")
    if wire == "v2" and (settings.ak or settings.access_token):
        raise CredentialError("keys.only_v1")
    raise CredentialError(f"keys.missing_{wire}")
