"""The service's two APIs: requests out, answers in, as pure functions of JSON values."""

from .accumulator import Accumulator, StreamOutcome
from .errors import body_error, error_rows, iam_error, make_error, service_error
from .request import ChatRequest, build_request, check_messages, encode
from .response import feed_events, feed_rest, read_body

__all__ = [
    "Accumulator",
    "ChatRequest",
    "StreamOutcome",
    "body_error",
    "build_request",
    "check_messages",
    "encode",
    "error_rows",
    "feed_events",
    "feed_rest",
    "iam_error",
    "make_error",
    "read_body",
    "service_error",
]
