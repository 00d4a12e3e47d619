"""Requests onto the network: connections, proxies, certificates; what goes wrong there, as errors."""

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from urllib.parse import urlencode, urlsplit

import httpx

from ...core.callbacks import ignore
from ...core.errors import ConnectError, ProtocolError, QianfanError, ResponseTimeout, TransportError
from ...version import __version__
from ..settings import OFFLINE, Settings
from .connection import Connection
from .pool import ConnectionPool
from .proxies import PROXIES, environments_proxy, read_proxy
from .request import Outgoing
from .unpacked import unpacked

MAX_CONNECTIONS = 100
MAX_BODY = 64 * 1024 * 1024  # bytes of an answer, before it is given up; bounds the memory
# Where certificates are named: OpenSSL's own variables, then those of the official SDK's HTTP library.
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_UNSET = ("", "0", "false", "no", "off")


class Network:
    """
    The way to the service. All of it lives in one event loop.

    Args:
        settings: Addresses, proxy, certificates.
        transport: Stands in for the network; None is the network.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._network: dict[tuple[str, str, int | None, str], httpx.AsyncBaseTransport] = {}
        self._proxies: dict[tuple[str | int | None, ...], str] = {}
        self._addresses: dict[str, httpx.URL] = {}

    async def aclose(self) -> None:
        """Close the connections; a later request opens new ones."""
        network, self._network = self._network, {}
        for transport in network.values():
            await transport.aclose()

    async def open(self, outgoing: Outgoing, connect: float) -> httpx.Response:
        """
        Send a request; the response's body is still to be read, and the response to be closed.

        Args:
            outgoing: The request.
            connect: Longest time to make a connection, in seconds.

        Raises:
            ConnectError: No connection.
        """
        self.check_allowed()
        query = f"?{urlencode(outgoing.query)}" if outgoing.query else ""
        proxy = ""
        try:
            url = self._address(f"{outgoing.base.rstrip('/')}{outgoing.path}{query}")
            # Straight to the transport: of what httpx's client adds (redirects, cookies, a log of whole addresses
            # with the token in them) nothing is wanted here. Silence is measured between texts, not between bytes.
            request = httpx.Request(
                outgoing.method,
                url,
                headers={
                    "User-Agent": f"qfmagic/{__version__}",
                    "Accept": "*/*",
                    "Accept-Encoding": "identity",  # a stream that is packed comes late, and says not how long it is
                    **outgoing.headers,
                },
                content=outgoing.body,
                extensions={"timeout": {"connect": connect}},
            )
            proxy = self.proxy_for(url.scheme, url.host, url.port)
            response = await self._transport_for(url, proxy).handle_async_request(request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConnectError("connect.address", address=without_user(outgoing.base)) from None
        except httpx.ConnectTimeout as error:
            raise ConnectError("connect.timeout", host=outgoing.host, seconds=connect) from error
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise _not_connected(error, outgoing.host, proxy) from error
        response.request = request
        return unpacked(response, MAX_BODY)

    async def fetch(
        self, outgoing: Outgoing, timeout: float, late: str = "timeout.token"
    ) -> tuple[int, Mapping[str, str], bytes]:
        """
        Send a request and read its whole answer: status, headers (names in lower case), body.

        Args:
            outgoing: The request.
            timeout: The longest time for all of it, in seconds.
            late: The text of the error for when that isn't enough.

        Raises:
            TransportError: Not within *timeout* seconds, or not at all.
        """
        try:
            # A moment more than the connection has, so that the more exact error comes first.
            async with asyncio.timeout(timeout + 0.05):
                response = await self.open(outgoing, timeout)
                try:
                    return response.status_code, response.headers, await read_whole(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ResponseTimeout(late, seconds=timeout, host=outgoing.host) from None
        except (httpx.TransportError, httpx.DecodingError, OSError) as error:
            raise cut(error) from error

    def check_allowed(self) -> None:
        """
        Check that the network may be used; another computer or this one makes no difference.

        Raises:
            ConnectError: :data:`OFFLINE` is set in the environment.
        """
        if self._transport is None and os.environ.get(OFFLINE, "").strip().lower() not in _UNSET:
            raise ConnectError("connect.offline", variable=OFFLINE)

    def proxy_for(self, scheme: str, host: str, port: int | None = None) -> str:
        """The proxy on the way to a host, by the settings, else by the environment; "" for none."""
        if self._transport is not None:
            return ""
        return read_proxy(self._settings.proxy) or self._environments_proxy(scheme, host, port)

    def _address(self, written: str) -> httpx.URL:
        """
        An address, read once: most requests go where the one before went, and reading takes as long as sending.

        One with a query is not kept: there may be a token in it.
        """
        if "?" in written:
            return httpx.URL(written)
        if written not in self._addresses:
            self._addresses = {written: httpx.URL(written)}
        return self._addresses[written]

    def _environments_proxy(self, scheme: str, host: str, port: int | None) -> str:
        """As the environment has it now; looked up again only where it has changed, as that reads all of it."""
        key = scheme, host, port, *map(os.environ.get, PROXIES)
        if key not in self._proxies:
            self._proxies.clear()
            self._proxies[key] = environments_proxy(scheme, host, port)
        return self._proxies[key]

    def _transport_for(self, url: httpx.URL, proxy: str) -> httpx.AsyncBaseTransport:
        """The transport that was handed in; else the network, through the proxy that is set for the address."""
        if self._transport is not None:
            return self._transport
        key = url.scheme, url.host, url.port, proxy
        if key not in self._network:
            try:
                make = self._lane(url, proxy)
                make()  # a proxy that can't be one is told now
            except (ValueError, ImportError, httpx.InvalidURL) as error:
                if isinstance(error, ImportError):
                    raise ConnectError("connect.socks", proxy=shown_address(proxy)) from None
                # The text of most repeats a part of the address, with the password in it.
                reason = type(error).__name__
                raise ConnectError("connect.proxy_form", proxy=shown_address(proxy), reason=reason) from None
            self._network[key] = ConnectionPool(make)
        return self._network[key]

    def _lane(self, url: httpx.URL, proxy: str) -> Callable[[], httpx.AsyncBaseTransport]:
        """What makes a connection."""
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(url.scheme)
        if not proxy:
            trusted = self._trusted if url.scheme == "https" else None
            return partial(Connection, url, trusted)
        # Certificates are read (80 ms) only for addresses that need them.
        secure = url.scheme == "https" or proxy.startswith("https:")
        verify = self._trusted if secure else httpx.create_ssl_context(verify=False, trust_env=False)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        return partial(httpx.AsyncHTTPTransport, verify=verify, proxy=proxy, limits=limits, trust_env=False)

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """The certificates: one context for all connections, as making one takes longer than a request."""
        verify = self._settings.ssl_verification
        context = _certificates() if verify else httpx.create_ssl_context(verify=False, trust_env=False)
        context.set_alpn_protocols(["http/1.1"])
        return context


def _certificates() -> ssl.SSLContext:
    """The certificates to trust: those the environment names, else httpx's own."""
    for variable in CERTIFICATES:
        path = os.environ.get(variable)
        if not path:
            continue
        try:
            folder = os.path.isdir(path)  # noqa: PTH112 - OpenSSL takes strings
            return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
        except OSError as error:  # SSLError too; never without any check
            reason = error.strerror or type(error).__name__
            raise ConnectError("connect.bundle", variable=variable, path=path, reason=reason) from error
    return httpx.create_ssl_context(trust_env=False)


def _not_connected(error: Exception, host: str, proxy: str) -> ConnectError:
    if isinstance(error, httpx.ProxyError):
        return ConnectError("connect.proxy", proxy=shown_address(proxy), host=host, reason=str(error))
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return ConnectError("connect.certificate", host=host, reason=inner.verify_message)
        inner = inner.__cause__ or inner.__context__
    return ConnectError("connect.failed", host=host, reason=str(error) or type(error).__name__)


def cut(error: Exception) -> QianfanError:
    """What a connection that broke is told as."""
    if isinstance(error, httpx.DecodingError) and isinstance(error.__cause__, ProtocolError):
        told = error.__cause__  # a new one: a chain of causes must not come back to where it began
        return ProtocolError(told.key, **told.values)
    if isinstance(error, (httpx.LocalProtocolError, httpx.DecodingError)):
        return TransportError("connect.protocol", kind=type(error).__name__)  # its text may repeat a header
    return TransportError("connect.cut", reason=str(error).rstrip(".") or type(error).__name__)


async def read_whole(response: httpx.Response, hear: Callable[[], object] = ignore) -> bytes:
    """
    Read a body. Of an error's, as much as can be read: its status says what is wrong, however damaged the rest is.

    Args:
        response: Its response.
        hear: Called with each part of it.

    Raises:
        ProtocolError: It has no end.
        httpx.DecodingError: It can't be unpacked.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MAX_BODY:
                raise ProtocolError("protocol.endless", limit=MAX_BODY)
            chunks.append(chunk)
            hear()
    except httpx.DecodingError:
        if response.is_success:
            raise
    return b"".join(chunks)


def shown_address(address: str) -> str:
    """An address for a message: scheme, host and port; a user and password in it don't show."""
    try:
        parts = urlsplit(address)
        name = parts.hostname or "?"
        name = f"[{name}]" if ":" in name else name
        return f"{parts.scheme}://{name}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "?"


def without_user(address: str) -> str:
    """An address with its path; a user and password in it don't show."""
    return address if "@" not in address else shown_address(address)
