"""A request on its way out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request with its credential; address, query and headers may hold secrets, so they don't show."""

    method: str
    base: str = field(repr=False)
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def full_path(self) -> str:
        """The path as it is sent and signed, with that of the base address before it."""
        try:
            return urlsplit(self.base).path.rstrip("/") + self.path
        except ValueError:  # no address; that is told when it is used
            return self.path

    @property
    def host(self) -> str:
        """The Host header that is sent for it: with the port where it isn't the scheme's own."""
        try:
            parts = urlsplit(self.base)
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return "?"
        own = {"http": 80, "https": 443}.get(parts.scheme)
        name = f"[{name}]" if ":" in name else name
        return name if port in (None, own) else f"{name}:{port}"


# status, headers (names in lower case), body of a short exchange
Send = Callable[[Outgoing, float], Awaitable[tuple[int, Mapping[str, str], bytes]]]
Clock = Callable[[], float]
