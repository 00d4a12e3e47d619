"""Which models a key may use: GET /v2/models. Free, and no model is asked."""

from collections.abc import Mapping

from ..core.errors import ProtocolError, ServiceError
from ..core.safe_json import read_object
from ..core.wire import make_error, service_error
from ..core.wire.model_list import ListedModel, read_model_list
from .auth.authorizer import Authorizer, gateway_error
from .auth.credentials import Credential
from .http.network import Network
from .http.request import Outgoing
from .model_place import list_place
from .settings import Settings


async def fetch_model_list(
    settings: Settings, network: Network, authorizer: Authorizer, credential: Credential, timeout: float
) -> tuple[ListedModel, ...]:
    """
    Fetch the list of a key.

    Raises:
        ServiceError: The service refuses the key, or has no list.
        TransportError: The service was not reached, or answered something else.
    """
    plain = Outgoing("GET", *list_place(settings), {}, {"Content-Type": "application/json"})
    outgoing = await authorizer.authorize(plain, credential, "v2")
    status, headers, body = await network.fetch(outgoing, timeout, "timeout.reach")
    payload = read_object(body)
    error = _refusal(status, headers, payload)
    if error is not None:
        raise error
    found = read_model_list(payload)
    if found is None:
        start = " ".join(body[:400].decode("utf-8", "replace").split())[:80]
        raise ProtocolError("protocol.model_list", host=outgoing.host, start=start)
    return found


def _refusal(status: int, headers: Mapping[str, str], payload: Mapping[str, object]) -> ServiceError | None:
    error = gateway_error(status, headers) or service_error("v2", payload, status=status)
    return error or (make_error("v2", None, "", status=status) if status >= 300 else None)
