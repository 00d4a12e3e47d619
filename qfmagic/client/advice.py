"""Advice for an error that needs to know the keys in use, the clock, the model, or the models a key may use."""

from collections.abc import Awaitable, Callable, Sequence

from ..core.errors import (
    AccessError,
    AuthenticationError,
    CredentialError,
    GoneError,
    QianfanError,
    ServiceError,
    TransportError,
)
from ..core.i18n import Text
from ..core.models import DEFAULT_MODEL, registry
from ..core.pacing.clock_skew import clock_hint
from ..core.wire import ChatRequest
from ..core.wire.model_list import ListedModel, usable_names
from .auth.credentials import available, other_kind
from .bases import base_of_code
from .exchange import HttpExchange
from .http.network import without_user
from .settings import Settings

# The service's own list; None where it can't be had.
FetchList = Callable[[], Awaitable[Sequence[ListedModel] | None]]


async def hints_for(
    error: QianfanError, exchange: HttpExchange, settings: Settings, now: float, fetch: FetchList
) -> list[Text]:
    """Return the advice for an error of a request."""
    request = exchange.request
    if not isinstance(error, ServiceError):
        return _never_answered(error, exchange)
    if isinstance(error, GoneError):
        retirement = registry().retirement(request.model, "v2")
        gone = Text("gone.other", {"instead": retirement.instead if retirement else DEFAULT_MODEL})
        return [gone] if settings.official("v1") or exchange.played else [gone, _address(request, settings)]
    if error.remedy == "remedy.model":
        return _refused_model(request.model, None if exchange.played else await fetch())
    if exchange.played:  # nobody's keys or addresses were used
        return []
    if error.status == 404:
        return [_address(request, settings)]
    if not isinstance(error, AuthenticationError):
        return []
    kinds = available(settings, request.wire)
    used, others = kinds[0].variables, [kind.variables for kind in kinds[1:]]
    keys = Text("keys.both", {"used": used, "others": others}) if others else Text("keys.used", {"used": used})
    more = filter(None, (other_kind(kinds[0]), clock_hint(exchange.heard, now)))
    return [*_other_base(error, settings), keys, *more]


def _never_answered(error: QianfanError, exchange: HttpExchange) -> list[Text]:
    """The retirement of a model that was not reached: for lack of a key for its API, or of a connection."""
    if not isinstance(error, (CredentialError, TransportError)) or exchange.received or exchange.played:
        return []
    retirement = registry().retirement(exchange.request.model, exchange.request.wire)
    return [retirement.said(exchange.request.model)] if retirement else []


def not_found(error: QianfanError, exchange: HttpExchange, settings: Settings) -> QianfanError:
    """The error; for a page of another server in place of the V1 API, not that V1 has ended."""
    if not isinstance(error, GoneError) or error.status != 404 or exchange.played or not error.detail:
        return error
    if settings.official("v1"):
        return error
    found = AccessError(code=error.code, detail=error.detail, status=404, cause="cause.not_found")
    found.__cause__ = error.__cause__
    return found


def _address(request: ChatRequest, settings: Settings) -> Text:
    place = settings.place_of(request.wire, request.endpoint, custom=settings.use_custom_endpoint)
    return Text(
        "address.asked", {"address": without_user("".join(place)), "variables": settings.variables_of(request.wire)}
    )


def _other_base(error: ServiceError, settings: Settings) -> list[Text]:
    """Which address and which keys belong together, for a key of another kind."""
    base, used = base_of_code(error.code), settings.named_base
    if base is None:
        return []
    here = [Text("base.used", {"base": used})] if used is not None else []
    key = "base.required" if error.cause == "cause.plan_key_required" else "base.elsewhere"
    return [*here, Text(key, {"base": base, "name": base.name})]


def _refused_model(model: str, listed: Sequence[ListedModel] | None) -> list[Text]:
    """The retirement of a model, and models that may be used: from the service's list, else from the table."""
    usable = usable_names(model, listed) if listed is not None else []
    retirement = registry().retirement(model, "v2")
    if retirement is not None and usable and retirement.instead not in usable:
        retirement = retirement._replace(instead=usable[0])
    found = [retirement.said(model)] if retirement else []
    if usable:
        return [*found, Text("model.usable", {"names": usable})]
    names = registry().suggest(model, wire="v2")
    return [*found, Text("model.did_you_mean", {"suggestions": names})] if names else found
