"""The proxy on the way to a host, as the environment names it: as curl and the official SDK's HTTP library read it."""

import ipaddress
import os
import re
from urllib.request import getproxies, proxy_bypass

from ..addresses import read_address

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
_SOCKS = re.compile(r"socks(?=://)|socks5a(?=://)", re.IGNORECASE)  # as desktops write it


def environments_proxy(scheme: str, host: str, port: int | None) -> str:
    """The proxy for a host, "" for none; one for the scheme comes before one for all."""
    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all") or ""
    if not found or proxy_bypass(f"{host}:{port}" if port and ":" not in host else host):
        return ""
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return "" if _excepted(host, port, excepted) else read_proxy(found)


def read_proxy(written: str) -> str:
    """A proxy's address: a host and port alone are HTTP, and SOCKS without a version is SOCKS 5."""
    return _SOCKS.sub("socks5", read_address(written, proxy=True), count=1)


def _excepted(host: str, port: int | None, excepted: str) -> bool:
    """Whether NO_PROXY has the host in a form the standard library doesn't read: a network, ``*.host``, ``[host]``."""
    return any(_fits(host, port, rule) for rule in re.split(r"[,;\s]+", excepted.lower()) if rule)


def _fits(host: str, port: int | None, rule: str) -> bool:
    host, rule = host.lower().strip("[]"), rule.removeprefix("http://").removeprefix("https://")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        pass
    name, _, wanted = rule.partition(":") if rule.count(":") == 1 else (rule.strip("[]"), "", "")
    name = name.lstrip("*").lstrip(".")
    return (not wanted or wanted == str(port)) and bool(name) and (host == name or host.endswith(f".{name}"))
