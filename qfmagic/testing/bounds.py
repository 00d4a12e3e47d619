"""What a server on this machine holds at most, and whom it takes a request for."""

import ipaddress
import threading
from collections.abc import Collection
from http.client import HTTPException
from io import BufferedIOBase
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def is_own(named: str, address: tuple[str, int], bound: str, allowed: Collection[str]) -> bool:
    """
    Whether a request is for this server.

    A page anywhere can have its own name lead to this machine, and so send requests here and read the answers (DNS
    rebinding). What a browser can't change is the ``Host`` header: it holds that name.

    Args:
        named: What the request says it is for: a host, or a host and a port.
        address: Where the request came in: an IP address of this machine, and the port.
        bound: The host the server was told to listen at.
        allowed: Further names, with a port or for any.
    """
    host, port = _parted(named)
    if {named.lower(), host} & {name.lower() for name in allowed}:
        return True
    came_in = f"[{address[0]}]" if ":" in address[0] else address[0].lower()
    own = {came_in, bound.lower(), f"[{bound.lower()}]"}
    own |= set(LOOPBACK) if ipaddress.ip_address(address[0]).is_loopback else set()
    return host in own and (port or 80) == address[1]


def _parted(named: str) -> tuple[str, int | None]:
    """Host and port; a host of nothing where it can't be one."""
    try:
        parts = urlsplit(f"//{named}")
        plain = not (parts.username or parts.password or parts.path or parts.query or parts.fragment)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    return (f"[{host}]" if ":" in host else host) if plain else "", port


class Room:
    """How many bytes may be held at once, by all together; from any thread."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take room; whether there was enough."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Give room back."""
        with self._lock:
            self._left += size


class Head:
    """A stream of which only so much is read, as lines: the head of a request."""

    def __init__(self, stream: BufferedIOBase, most: int) -> None:
        self._stream, self._left = stream, most

    def readline(self, most: int) -> bytes:
        """Read a line; http.server answers what this raises."""
        if self._left <= 0:
            raise HTTPException("the head is too long")
        line = self._stream.readline(most)
        self._left -= len(line)
        return line
