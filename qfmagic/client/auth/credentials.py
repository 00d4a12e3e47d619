"""Which of the configured keys a call uses: the official SDK's precedence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ...core.errors import CredentialError
from ...core.i18n import Text
from ...core.keys.pasted import KeyForm, misplaced, stands_for_key, swapped
from ...core.models import Wire
from ..bases import base_of
from ..settings import Settings

Kind = Literal["app", "iam", "access_token", "bearer", "aistudio", "access_code", "none"]

_KEY = re.compile(r"[!-~]*")  # what can stand in a header

_VARIABLES: dict[Kind, str] = {
    "app": "QIANFAN_AK, QIANFAN_SK",
    "iam": "QIANFAN_ACCESS_KEY, QIANFAN_SECRET_KEY",
    "access_token": "QIANFAN_ACCESS_TOKEN",
    "bearer": "QIANFAN_BEARER_TOKEN",
    "aistudio": "AISTUDIO_ACCESS_TOKEN",
    "access_code": "QIANFAN_ACCESS_CODE",
    "none": "QIANFAN_NO_AUTH",
}


_FIELDS: dict[Kind, tuple[str, ...]] = {
    "app": ("ak", "sk"),
    "iam": ("access_key", "secret_key"),
    "access_token": ("access_token",),
    "bearer": ("bearer_token",),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """
    A complete credential; what is secret in it doesn't show.

    Attributes:
        kind: ``app``: a V1 application's API key and secret key, exchanged for an access token (OAuth). ``iam``: an
            IAM key pair, signs V1 calls and fetches short-term bearer tokens for V2. ``access_token``: a ready V1
            token, which nothing can renew. ``bearer``: a V2 API key (``bce-v3/ALTAK-...``). ``access_code``: for a
            private deployment. ``aistudio``: AI Studio's own token. ``none``: nothing is sent, a gateway in between
            adds what is needed.
        key: The key, token or code.
        secret: The pair's other half.
    """

    kind: Kind
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)

    @property
    def variables(self) -> str:
        """The environment variables it comes from."""
        return _VARIABLES[self.kind]

    @property
    def fields(self) -> dict[str, str]:
        """Its parts, by their fields in the settings."""
        return dict(zip(_FIELDS.get(self.kind, ()), (self.key, self.secret), strict=False))


def available(settings: Settings, wire: Wire) -> list[Credential]:
    """
    Every complete kind of key configured for *wire*, the one that is used first.

    V1: a ready token, then app keys (even beside IAM keys), then IAM keys. V2: a bearer token, then IAM keys.
    """
    s = settings
    if wire == "v2" and base_of(s.base).token and not s.no_auth:  # an address with a token of its own takes no other
        return [Credential("aistudio", s.aistudio_token)] if s.aistudio_token else []
    kinds: list[tuple[object, Credential]] = [
        (s.no_auth, Credential("none")),
        (s.enable_private and s.access_code, Credential("access_code", s.access_code)),
        (wire == "v1" and s.access_token, Credential("access_token", s.access_token)),
        (wire == "v1" and s.ak and s.sk, Credential("app", s.ak, s.sk)),
        (wire == "v2" and s.bearer_token, Credential("bearer", s.bearer_token)),
        (s.access_key and s.secret_key, Credential("iam", s.access_key, s.secret_key)),
    ]
    return [credential for given, credential in kinds if given]


def choose(settings: Settings, wire: Wire) -> Credential:
    """
    Return the credential for calls on *wire*.

    Raises:
        CredentialError: There is none; the error says which would do, and what is there for the other API.
    """
    found = available(settings, wire)
    own = settings.official(wire)
    if found:
        check_form(found[0], official=own)
        return found[0]
    base = base_of(settings.base)
    if wire == "v2" and base.token:
        raise CredentialError("keys.missing_token", variable=base.token, base=base)
    every = (name for names in _FIELDS.values() for name in names)
    check_kind({name: getattr(settings, name) for name in every}, official=own)
    pairs = (("ak", "sk"), ("access_key", "secret_key"))
    for pair in pairs if wire == "v1" else pairs[1:]:
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


def check_form(credential: Credential, *, official: bool = False) -> None:
    """
    Check that the keys can be keys, and of this kind.

    Args:
        credential: The keys.
        official: Whether they go to Baidu itself; a gateway may have keys of its own, of any form.

    Raises:
        CredentialError: One has whitespace or characters beyond ASCII, is an example's, or is of another kind.
    """
    check_kind(credential.fields, official=official)
    if official and (stands_for_key(credential.key) or stands_for_key(credential.secret)):
        raise CredentialError("keys.placeholder", variable=credential.variables)
    if not all(_KEY.fullmatch(part) for part in (credential.key, credential.secret)):
        raise CredentialError("keys.form", variable=credential.variables)


def check_kind(keys: Mapping[str, str], *, official: bool = False) -> None:
    """
    Check that no key has the form of another kind; *keys* are by the fields of the settings, *official* as above.

    Raises:
        CredentialError: One has. The error names the variables, and doesn't repeat the key.
    """
    if swapped(keys):
        raise CredentialError("keys.swapped")
    found = misplaced(keys, sure=not official)
    if found is not None:
        raise CredentialError("keys.misplaced", **told_kind(*found))


def told_kind(name: str, form: KeyForm) -> dict[str, object]:
    """The values of the texts about a key in the wrong variable."""
    return {"variable": f"QIANFAN_{name.upper()}", "kind": Text(f"keys.form.{form.name}")}


def other_kind(credential: Credential) -> Text | None:
    """A hint for keys that were rejected and have the form of another kind, None if they don't."""
    found = misplaced(credential.fields)
    return None if found is None else Text("keys.looks_misplaced", told_kind(*found))
