"""
Baidu Cloud's request signature ``bce-auth-v1``, as a pure function.

Specification: https://cloud.baidu.com/doc/Reference/s/njwvz1yfu
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

DATE_HEADER = "x-bce-date"


def bce_date(at: float) -> str:
    """Write *at* (seconds since 1970) as the signature's UTC time stamp, without a fraction."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _escape(value: str) -> str:
    return quote(value, safe="~")


def _by_default(name: str) -> bool:
    name = name.strip().lower()
    return name in ("host", "content-md5", "content-length", "content-type") or name.startswith("x-bce-")


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()


def canonical_query(query: Mapping[str, str | None]) -> str:
    """The query as it is signed: escaped, sorted; ``authorization`` is left out as the specification says."""
    pairs = (
        f"{_escape(name)}={_escape(value or '')}" for name, value in query.items() if name.lower() != "authorization"
    )
    return "&".join(sorted(pairs))


def canonical_headers(headers: Mapping[str, str]) -> str:
    """The headers as they are signed: lower-case names, escaped trimmed values, sorted; empty ones left out."""
    trimmed = ((name.strip().lower(), value.strip()) for name, value in headers.items())
    return "\n".join(sorted(f"{_escape(name)}:{_escape(value)}" for name, value in trimmed if value))


def sign(
    *,
    access_key: str,
    secret_key: str,
    method: str,
    path: str,
    query: Mapping[str, str | None],
    headers: Mapping[str, str],
    at: float,
    expires: int = 300,
    default_headers: bool = False,
) -> str:
    """
    Compute the value of the ``Authorization`` header.

    Args:
        access_key: IAM access key.
        secret_key: IAM secret key.
        method: HTTP method.
        path: The URL's path, as it is sent.
        query: The URL's query.
        headers: The headers to sign; each of them must be sent with exactly this value.
        at: Time of signing, in seconds since 1970; the same as in the header ``x-bce-date``.
        expires: For how long the signature holds, in seconds.
        default_headers: Sign the specification's default set of *headers* and leave the list of names empty,
            in place of signing and listing all of them.
    """
    if default_headers:
        headers = {name: value for name, value in headers.items() if _by_default(name)}
    prefix = f"bce-auth-v1/{access_key}/{bce_date(at)}/{expires}"
    request = "\n".join((method.upper(), path or "/", canonical_query(query), canonical_headers(headers)))
    listed = "" if default_headers else ";".join(sorted(name.strip().lower() for name in headers))
    return f"{prefix}/{listed}/{_hmac(_hmac(secret_key, prefix), request)}"
