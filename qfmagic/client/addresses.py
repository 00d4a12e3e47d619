"""Addresses of services as users write them: with or without scheme, version and path."""

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

from ..core.keys.pasted import unquoted

CHAT = "/chat/completions"  # the end of an address that is whole
_MODELS = re.compile(r"(?<=/v\d)/models$")  # the address of the list of models, from the same page
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_VERSION = re.compile(r"v\d+")
_UPPER = re.compile(r"(?<=/)V(?=\d+(?:/|$))")
_SLASHES = re.compile(r"(?<=[^:/])//+")
_TWICE = re.compile(r"(/v\d+)\1(?=/|$)")


def read_address(written: str, *, proxy: bool = False) -> str:
    """
    An address without quotation marks, blanks and a slash at its end, and with a scheme.

    Without one, hosts that are not on the internet and hosts with a port get ``http``, as all proxies do; the others
    ``https``.
    """
    address = unicodedata.normalize("NFKC", unquoted(written)).strip().rstrip("/")
    if not proxy:  # a proxy's address has no path, but may have a password
        address = _TWICE.sub(r"\1", _SLASHES.sub("/", _UPPER.sub("v", address)))
    if not address or _SCHEME.match(address):
        return address
    address = address.lstrip("/:")
    return f"{'http' if proxy or _plain(address) else 'https'}://{address}"


def _plain(address: str) -> bool:
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_private or port not in (None, 443)
    except ValueError:
        return "." not in host or host.endswith(".local") or port not in (None, 443)


def without_route(base: str, route: str, *, least: int = 1) -> str:
    """The base address without as much of *route* as its path ends with, if that is *least* parts or more."""
    path = _path_of(base)
    wanted = [part for part in route.split("/") if part]
    for count in range(len(wanted), least - 1, -1):
        end = "/" + "/".join(wanted[:count])
        if path.endswith(end):
            return base.removesuffix(end)
    return base


def place_of_route(base: str, route: str) -> tuple[str, str]:
    """
    Where a route of the V2 API is at a base address: the base, and the path to add to it.

    The base may be written with its version (``/v2``, or another service's ``/v1``), with a plan (``/v2/coding``), or
    as the whole address of the chat API. No part is repeated.
    """
    route = "/" + route.strip("/")
    base = _MODELS.sub("", base)
    path = _path_of(base)
    whole = path.endswith(CHAT)
    if whole:
        base, path = base.removesuffix(CHAT), path.removesuffix(CHAT)
    parts = [part for part in path.split("/") if part]
    first, _, rest = route[1:].partition("/")
    versioned = whole or (parts and (_VERSION.fullmatch(parts[-1]) or first in parts))
    if not (versioned and _VERSION.fullmatch(first) and rest):
        return without_route(base, route), route
    shorter = without_route(base, f"/{rest}")
    return shorter, f"/{rest}"


def _path_of(base: str) -> str:
    try:
        return urlsplit(base).path
    except ValueError:
        return ""
