"""
Keys given in this session: kept in this process's memory alone, and before those of the environment.

Those that were saved come last, and only for an API for which neither has any.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from ...client.auth.credentials import Credential, Kind, available, check_kind
from ...client.auth.key_store import KeyPlace, KeyStore
from ...client.settings import Settings, dotenv_path, fingerprint, read_dotenv
from ...core.errors import CredentialError, OptionError, PromptError, QianfanError
from ...core.keys.pasted import read_key
from ...core.keys.spellings import spellings_of
from ...core.models import WIRES, Wire

# The kinds a user can give, with their fields in Settings; the one most users need first.
FIELDS: dict[Kind, tuple[str, ...]] = {
    "bearer": ("bearer_token",),
    "iam": ("access_key", "secret_key"),
    "app": ("ak", "sk"),
    "access_token": ("access_token",),
    "aistudio": ("aistudio_token",),
}
SECRETS = (*(name for names in FIELDS.values() for name in names), "access_code")
_FOR: dict[Wire, tuple[Kind, ...]] = {"v1": ("access_token", "app", "iam"), "v2": ("bearer", "aistudio", "iam")}

_VARIABLES: Mapping[str, str] = {item.name: item.metadata["env"] for item in fields(Settings) if item.metadata}
_KEY = re.compile("[!-~]+")  # what can stand in a header


class Secret(str):
    """A key that doesn't show where a value of a variable is shown: in a traceback with its variables, say."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Keys:
    """
    The keys of one session.

    Args:
        environ: The environment, whose keys count where none were given.
        needed: Whether any are needed now; where they aren't, those that were saved are not asked for.
        addresses: What is set for the notebook of where requests go: they decide which keys count.

    ``trouble`` is why saved keys that are wanted can't be had.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        needed: Callable[[], bool] = lambda: True,
        addresses: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._environ = environ
        self._addresses = addresses
        self._needed = needed
        self._given: dict[str, Secret] = {}
        self._sources: dict[str, str] = {}
        self.vault = KeyStore(environ)
        self.trouble: QianfanError | None = None

    def __repr__(self) -> str:
        return f"<Keys: {', '.join(sorted(self._given)) or 'none'}>"

    def settings(self, **chosen: Any) -> Settings:
        """Addresses and keys as they hold now, with where each comes from; *chosen* fields before all others."""
        given: dict[str, Any] = {**self._given, **self._addresses(), **chosen}
        needed = self._needed()
        trouble: QianfanError | None = None
        try:
            found = Settings.from_env(self._environ, **given)
        except OptionError as error:
            if needed or not error.key.startswith("settings.dotenv"):
                raise
            trouble = error.with_traceback(None)  # where no key is needed, a file that may hold some doesn't matter
            found = Settings.from_env(self._environ, dotenv=False, **given)
        found = replace(found, sources={**found.sources, **self._sources}) if self._given else found
        self.trouble = trouble
        return self._with_saved(found) if needed else found

    def _with_saved(self, found: Settings) -> Settings:
        """
        The settings with saved keys for each API that has none.

        A kind of which any part is set elsewhere, be it to nothing, stays as it is: its parts never come from two
        places.
        """
        unserved = [wire for wire in WIRES if not available(found, wire)]
        values: dict[str, str] = {}
        sources: dict[str, str] = {}
        for kind in dict.fromkeys(kind for wire in unserved for kind in _FOR[wire]):
            names = FIELDS[kind]
            if any(getattr(found, name) or variable(name) in self._environ for name in names):
                continue
            try:
                saved = self.vault.read(kind, names)
            except CredentialError as error:
                self.trouble = error
                continue
            if saved is not None:
                values |= {name: Secret(value) for name, value in saved.values.items()}
                sources |= dict.fromkeys(names, saved.source)
        whole: dict[str, Any] = {**values, "sources": {**found.sources, **sources}}
        return replace(found, **whole) if values else found

    def explained(self, error: QianfanError) -> QianfanError:
        """The error; for one that says there are no keys, with why those that were saved can't be had."""
        missing = error.key.startswith(("keys.missing", "keys.only"))
        return error.with_hint(self.trouble.key, **self.trouble.values) if missing and self.trouble else error

    def secrets(self) -> dict[str, str]:
        """Every key there is, by where it was set: those of the environment too that others come before."""
        layers: list[Mapping[str, str | None]] = [self._environ]
        # What can't be read is told when it is used.
        with suppress(QianfanError):
            layers.append(read_dotenv(dotenv_path(self._environ)))
        if self._needed():  # else no keyring is waited for
            with suppress(QianfanError):
                self.settings()
        layers += [
            {variable(name): value for name, value in known.items()} for known in (self.vault.known, self._given)
        ]
        names = [variable(name) for name in SECRETS]
        return {value: name for layer in layers for name in names if (value := read_key(layer.get(name) or ""))}

    def check_not_in(self, body: Mapping[str, Any]) -> None:
        """
        Check that a request's body holds no key of this session: one that was pasted into a question, say.

        Raises:
            PromptError: It does. The error names the variable, and doesn't repeat the key.
        """
        check_holds_none(self.secrets(), body)

    def put(self, kind: Kind, values: Mapping[str, object], source: str) -> None:
        """
        Take the keys of one kind over.

        Raises:
            CredentialError: A part is missing, or can't be part of a key. The error doesn't repeat it.
        """
        names = FIELDS[kind]
        given = {name: Secret(read_key(str(values.get(name) or ""))) for name in names}
        missing = [name for name in names if not given[name]]
        if missing:
            there = [name for name in names if given[name]]
            if not there:
                raise CredentialError("keys.empty")
            raise CredentialError("keys.half", given=variable(there[0]), missing=variable(missing[0]))
        if not all(map(_KEY.fullmatch, given.values())):
            raise CredentialError("keys.form", variable=Credential(kind).variables)
        check_kind(given)
        self._given |= given
        self._sources |= dict.fromkeys(names, source)

    def forget(self, kind: Kind) -> bool:
        """Drop the keys of one kind; whether there were any."""
        found = [name for name in FIELDS[kind] if self._given.pop(name, None)]
        for name in found:
            del self._sources[name]
        return bool(found)

    def save(self, kind: Kind) -> KeyPlace:
        """
        Keep the keys of one kind that were given here beyond the kernel's life.

        Raises:
            CredentialError: They can't be kept.
        """
        return self.vault.save(kind, {name: str(self._given[name]) for name in FIELDS[kind]})

    def source(self, kind: Kind) -> str:
        """How keys of that kind were given here; "" if none were."""
        return self._sources.get(FIELDS[kind][0], "")

    def given(self, kind: Kind) -> bool:
        """Whether keys of that kind were given here."""
        return any(name in self._given for name in FIELDS[kind])


def check_holds_none(secrets: Mapping[str, str], body: Mapping[str, Any]) -> None:
    """
    Check that a request's body holds none of these keys, each with where it was set.

    Raises:
        PromptError: It does. The error names the variable, and doesn't repeat the key.
    """
    spellings = spellings_of(frozenset(secrets))
    for one in _texts(body) if spellings else ():
        found = spellings.find(one)
        if found is not None:
            raise PromptError("prompt.holds_key", variable=secrets[found])


def _texts(value: object) -> Iterator[str]:
    """All texts in a value of JSON."""
    if isinstance(value, str):
        yield value
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    for inner in inside:
        yield from _texts(inner)


def variable(name: str) -> str:
    """The environment variable of a field of Settings."""
    return _VARIABLES[name]


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
