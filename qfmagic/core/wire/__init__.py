"""The service's two APIs: requests out, answers in, as pure functions of JSON values."""

from .collect import Collector, Outcome
from .request import ChatRequest, build_request, encode
from .response import error_rows, feed_events, feed_rest, make_error, read_body, service_error, wants_renewal

__all__ = [
    "ChatRequest",
    "Collector",
    "Outcome",
    "build_request",
    "encode",
    "error_rows",
    "feed_events",
    "feed_rest",
    "make_error",
    "read_body",
    "service_error",
    "wants_renewal",
]
