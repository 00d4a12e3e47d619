"""Credentials onto requests: tokens fetched, kept and renewed, signatures made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...core.errors import AuthenticationError, ProtocolError, ServiceError
from ...core.models import Wire
from ...core.pacing.clock_skew import clock_hint
from ...core.safe_json import read_object
from ...core.wire import iam_error, make_error, service_error
from ...core.wire.signing import DATE_HEADER, bce_date, sign
from ..http.request import Clock, Outgoing, Send
from ..settings import Settings
from .credentials import Credential
from .single_flight import SingleFlight


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    good_until: float


_LONGEST = 10 * 365 * 86400.0  # seconds a token may be good for


class Authorizer:
    """
    Put the credential on requests.

    Fetched tokens are renewed before they expire; :meth:`renew` is for one the service rejects before. However many
    requests wait, one of them fetches.

    Args:
        settings: Keys, addresses and times.
        send: Sends a request and reads the whole response.
        clock: Seconds since 1970.
    """

    MARGIN = 600.0  # a token is renewed this long before it expires, in seconds
    PAUSE = 60.0  # rejected tokens are renewed at most this often, in seconds

    def __init__(self, settings: Settings, send: Send, clock: Clock) -> None:
        self._settings = settings
        self._send = send
        self._clock = clock
        self._tokens: dict[Credential, _Token] = {}
        self.handed_out: set[str] = set()  # every token there was: none may show in what the service says later
        self._renewed: dict[Credential, float] = {}
        self._flight: SingleFlight[_Token] = SingleFlight()

    async def authorize(self, request: Outgoing, credential: Credential, wire: Wire) -> Outgoing:
        """
        Return the request with the credential on it.

        Raises:
            AuthenticationError: The keys were refused for a token.
        """
        match credential.kind:
            case "access_token":
                return replace(request, query={**request.query, "access_token": credential.key})
            case "app":
                token = await self._token(credential)
                return replace(request, query={**request.query, "access_token": token})
            case "bearer" | "aistudio":
                return self._bearer(request, credential.key)
            case "iam" if wire == "v2":
                return self._bearer(request, await self._token(credential))
            case "iam":
                return self._signed(request, credential)
            case "access_code":
                code = credential.key
                return replace(request, headers={**request.headers, "Authorization": f"ACCESSCODE {code}"})
            case "none":
                return request

    def token(self, credential: Credential) -> str | None:
        """The token fetched for the credential, if one is kept."""
        kept = self._tokens.get(credential)
        return kept.value if kept else None

    def renew(self, credential: Credential, rejected: str | None) -> bool:
        """
        Take the service's word that the token *rejected* is no longer good.

        Returns:
            Whether another attempt makes sense: not for a token that isn't ours to fetch, nor for a second one
            rejected within ``PAUSE``.
        """
        if rejected is None:
            return False
        if self.token(credential) != rejected:
            return True  # another request has seen to it
        now = self._clock()
        if now - self._renewed.get(credential, -self.PAUSE) < self.PAUSE:
            return False
        self._renewed[credential] = now
        del self._tokens[credential]
        return True

    def _bearer(self, request: Outgoing, token: str) -> Outgoing:
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        if self._settings.app_id:
            headers["appid"] = self._settings.app_id
        return replace(request, headers=headers)

    def _signed(self, request: Outgoing, keys: Credential) -> Outgoing:
        # Only headers that nothing on the way changes are signed. The time is the moment of sending, so that a
        # repeated request never carries an expired signature.
        now = self._clock()
        host = self._settings.iam_host or request.host
        signed = {"Host": host, "Content-Type": "application/json", DATE_HEADER: bce_date(now)}
        authorization = sign(
            access_key=keys.key,
            secret_key=keys.secret,
            method=request.method,
            path=request.full_path,
            query=request.query,
            headers=signed,
            at=now,
            expires=self._settings.sign_expiration,
        )
        return replace(request, headers={**request.headers, **signed, "Authorization": authorization})

    async def _token(self, credential: Credential) -> str:
        token = self._tokens.get(credential)
        if token is not None and self._clock() < token.good_until:
            return token.value
        fetch = self._fetch_oauth if credential.kind == "app" else self._fetch_bearer
        token = self._tokens[credential] = await self._flight.get(credential, lambda: fetch(credential))
        return token.value

    async def fetch(self, credential: Credential) -> None:
        """
        Fetch a token whatever is kept: to see whether the keys are good for one.

        Raises:
            AuthenticationError: They aren't.
        """
        fetch = self._fetch_oauth if credential.kind == "app" else self._fetch_bearer
        await fetch(credential)

    async def _fetch_oauth(self, keys: Credential) -> _Token:
        query = {"grant_type": "client_credentials", "client_id": keys.key, "client_secret": keys.secret}
        request = Outgoing("POST", self._settings.base_url, "/oauth/2.0/token", query)
        payload = await self._fetch(request, "access_token")
        now = self._clock()
        lifetime = _seconds(payload.get("expires_in"), 2592000.0)
        return _Token(str(payload["access_token"]), now + max(lifetime - self.MARGIN, lifetime / 2))

    async def _fetch_bearer(self, keys: Credential) -> _Token:
        wanted = str(self._settings.bearer_expiration)
        request = Outgoing("GET", self._settings.iam_base_url, "/v1/BCE-BEARER/token", {"expireInSeconds": wanted})
        payload = await self._fetch(self._signed(request, keys), "token")
        now = self._clock()
        try:
            # By the service's own clock, so that a wrong one here can't make a good token look old.
            times = [datetime.fromisoformat(str(payload.get(name))) for name in ("createTime", "expireTime")]
            lifetime = (times[1] - times[0]).total_seconds()
        except (ValueError, TypeError):
            lifetime = float(self._settings.bearer_expiration)
        return _Token(str(payload["token"]), now + max(lifetime - self.MARGIN, lifetime / 2))

    async def _fetch(self, request: Outgoing, field_name: str) -> Mapping[str, object]:
        request = replace(request, headers={"Content-Type": "application/json", **request.headers})
        status, headers, body = await self._send(request, self._settings.auth_timeout)
        error = _token_error(status, headers, body)
        if error is not None:
            hint = clock_hint(headers, self._clock()) if isinstance(error, AuthenticationError) else None
            raise error.with_hint(hint.key, **hint.values) if hint else error
        payload = read_object(body)
        if isinstance(payload.get(field_name), str) and payload[field_name]:
            self.handed_out.add(str(payload[field_name]))
            return payload
        raise ProtocolError("protocol.token", host=request.host, found=_found(body))


def _token_error(status: int, headers: Mapping[str, str], body: bytes) -> ServiceError | None:
    """The error in the answer of a token endpoint, if it is one."""
    error = service_error("token", read_object(body), status=status)
    error = error or gateway_error(status, headers)
    if error is None and status >= 500:
        error = make_error("token", None, "", status=status)
    return error


def _found(body: bytes) -> str:
    """What came in place of a token, without any value in it: that may be a token, under another name."""
    if names := ", ".join(map(repr, read_object(body))):
        return f"JSON ({names[:200]})"
    return repr(body[:80].decode("utf-8", "replace")) if body.lstrip()[:1] == b"<" else f"{len(body)} bytes"


def _seconds(value: object, default: float) -> float:
    # As a number of JSON it may be infinite, or too large to be any.
    return float(value) if isinstance(value, (int, float)) and 0 < value <= _LONGEST else default


def gateway_error(status: int, headers: Mapping[str, str]) -> ServiceError | None:
    """Read the error a gateway puts into headers, with or without a body (IAM signing failures come so)."""
    code = headers.get("x-bce-error-code")
    detail = headers.get("x-bce-error-message", "")
    if code is None and not detail:
        return None
    return iam_error(code, detail, status=status, request_id=headers.get("x-bce-request-id"))
