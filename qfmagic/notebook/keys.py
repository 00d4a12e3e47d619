"""Keys given in this session: kept in this process's memory alone, and before those of the environment."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..client.credentials import Credential, Kind
from ..client.settings import Settings, fingerprint
from ..core.errors import CredentialError, OptionError

# The kinds a user can give, with their fields in Settings; the one most users need first.
FIELDS: dict[Kind, tuple[str, ...]] = {
    "bearer": ("bearer_token",),
    "iam": ("access_key", "secret_key"),
    "app": ("ak", "sk"),
    "access_token": ("access_token",),
}
SECRETS = (*(name for names in FIELDS.values() for name in names), "access_code")

_KEY = re.compile("[!-~]+")  # what can stand in a header


class Keys:
    """
    The keys of one session.

    Args:
        environ: The environment, whose keys count where none were given.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._given: dict[str, str] = {}
        self._sources: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Keys: {', '.join(sorted(self._given)) or 'none'}>"

    def settings(self, **chosen: Any) -> Settings:
        """Addresses and keys as they hold now, with where each comes from; *chosen* fields before all others."""
        given: dict[str, Any] = {**self._given, **chosen}
        found = Settings.from_env(self._environ, **given)
        return replace(found, sources={**found.sources, **self._sources}) if self._given else found

    def put(self, kind: Kind, values: Mapping[str, object], source: str) -> None:
        """
        Take the keys of one kind over.

        Raises:
            CredentialError: A part is missing, or can't be part of a key. The error doesn't repeat it.
        """
        names = FIELDS[kind]
        given = {name: str(values.get(name) or "").strip() for name in names}
        missing = [name for name in names if not given[name]]
        if missing:
            there = [name for name in names if given[name]]
            if not there:
                raise CredentialError("keys.empty")
            raise CredentialError("keys.half", given=variable(there[0]), missing=variable(missing[0]))
        if not all(map(_KEY.fullmatch, given.values())):
            raise CredentialError("keys.form", variable=Credential(kind).variables)
        self._given |= given
        self._sources |= dict.fromkeys(names, source)

    def forget(self, kind: Kind) -> bool:
        """Drop the keys of one kind; whether there were any."""
        found = [name for name in FIELDS[kind] if self._given.pop(name, None)]
        for name in found:
            del self._sources[name]
        return bool(found)

    def given(self, kind: Kind) -> bool:
        """Whether keys of that kind were given here."""
        return any(name in self._given for name in FIELDS[kind])


def variable(name: str) -> str:
    """The environment variable of a field of Settings."""
    return f"QIANFAN_{name.upper()}"


def read_kind(word: str) -> Kind:
    """
    Read a kind of keys.

    Raises:
        OptionError: There is no such kind.
    """
    for kind in FIELDS:
        if word == kind:
            return kind
    raise OptionError("auth.kind", kind=word, allowed=list(FIELDS))


def fingerprints(settings: Settings, kind: Kind) -> list[str]:
    """The fingerprint of each part of the keys of that kind that is there."""
    return [f"#{fingerprint(value)}" for name in FIELDS[kind] if (value := getattr(settings, name))]


def only(settings: Settings, kind: Kind) -> Settings:
    """The same addresses with the keys of that kind alone, so that a call uses these."""
    others: dict[str, Any] = dict.fromkeys((name for name in SECRETS if name not in FIELDS[kind]), "")
    return replace(settings, **others, no_auth=False, enable_private=False)
