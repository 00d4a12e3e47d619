"""
One exchange as a cassette keeps it: what was asked, and what came back, as it came.

A recording is a value and a line of JSON. It holds neither keys nor anything that differs from machine to machine, and
its line is the same wherever it is written, so that a cassette can be kept under version control.
"""

import base64
import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ...core.answer import STUB_SERVER
from ...core.errors import ProtocolError, QianfanError, ServiceError
from ...core.models import Wire
from ...core.safe_json import read_json
from ...core.wire import (
    Accumulator,
    ChatRequest,
    StreamOutcome,
    body_error,
    feed_events,
    feed_rest,
    make_error,
    read_body,
)
from ...core.wire.sse import SSEDecoder

# What of a response's headers says anything about the answer. Others (dates, ids, limits) are of that one moment.
KEPT_HEADERS = ("content-type", "retry-after", "statement")
_BLANK = re.compile(rb"\r?\n\r?\n")
Key = tuple[str, int]  # a request's hash, and the number of the exchange among those of the same request, from 0


class RecordingError(ValueError):
    """A line that is none, or not as it was written; ``reason`` is ``json``, ``shape`` or ``edited``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Played(NamedTuple):
    """
    What a recording says when it is played.

    Attributes:
        outcome: The answer, as far as it came.
        error: The service's error, or what was wrong with its answer; None for none.
    """

    outcome: StreamOutcome
    error: QianfanError | None

    @property
    def complete(self) -> bool:
        """Whether it is a whole answer."""
        return self.error is None and self.outcome.finish_reason != "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    One exchange.

    Attributes:
        wire: ``"v1"`` or ``"v2"``.
        model: The model's name.
        endpoint: The V1 endpoint, None on V2.
        body: The request's JSON body as it was sent.
        hash: What the request is found by (:attr:`ChatRequest.hash`).
        n: Which exchange of the same request it is, from 0.
        status: The response's HTTP status.
        headers: Those of :data:`KEPT_HEADERS`, and ``server`` where it is the stub's.
        events: What came, each piece with the seconds since the request was sent.
        cut: What broke the connection before the end; "" if nothing did.
        redacted: Whether something was taken out afterwards; then the hash is that of the request as it was sent.
    """

    wire: Wire
    model: str
    endpoint: str | None
    body: Mapping[str, Any]
    hash: str
    n: int
    status: int
    headers: Mapping[str, str]
    events: tuple[tuple[float, bytes], ...]
    cut: str = ""
    redacted: bool = False

    @property
    def key(self) -> Key:
        """What a cassette finds it by."""
        return self.hash, self.n

    @property
    def request(self) -> ChatRequest:
        """The request; the names of its parameters are the service's."""
        given = {name: value for name, value in self.body.items() if name not in ("messages", "stream")}
        return ChatRequest(self.wire, self.model, self.endpoint, self.body, given)

    @property
    def stub(self) -> bool:
        """Whether the stub answered."""
        return self.headers.get("server") == STUB_SERVER

    def line(self) -> str:
        """The recording as a line of a cassette, without the line's end."""
        response: dict[str, Any] = {
            "events": [[at, _as_json(data)] for at, data in self.events],
            "headers": dict(self.headers),
            "status": self.status,
        }
        if self.cut:
            response["cut"] = self.cut
        row = {
            "body": self.body,
            "endpoint": self.endpoint,
            "hash": self.hash,
            "model": self.model,
            "n": self.n,
            "response": response,
            "wire": self.wire,
        }
        if self.redacted:
            row["redacted"] = True
        return canonical({**row, "digest": _digest(row)})

    @classmethod
    def of_line(cls, line: str) -> "Recorded":
        """
        Read a line.

        Raises:
            RecordingError: It is none, or was edited.
        """
        try:
            row = read_json(line)
        except ValueError:
            raise RecordingError("json") from None
        try:
            digest = row.pop("digest")
            response = row["response"]
            recorded = cls(
                wire=row["wire"],
                model=row["model"],
                endpoint=row["endpoint"],
                body=row["body"],
                hash=row["hash"],
                n=row["n"],
                status=response["status"],
                headers=response["headers"],
                events=tuple((float(at), _as_bytes(data)) for at, data in response["events"]),
                cut=response.get("cut", ""),
                redacted=row.get("redacted", False),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise RecordingError("shape") from None
        if _digest(row) != digest or not (recorded.redacted or recorded.request.hash == recorded.hash):
            raise RecordingError("edited")
        return recorded

    def play(self) -> Played:
        """Decode the response as the client does."""
        collector = Accumulator(streamed=True)
        error: QianfanError | None = None
        data = b"".join(data for _, data in self.events)
        try:
            if not succeeded(self.status) or not self.body.get("stream"):
                collector = _whole(self.wire, self.status, data)
            else:
                decoder = SSEDecoder()
                feed_events(self.wire, collector, decoder.feed(data))
                if not collector.done:
                    feed_rest(self.wire, collector, decoder.close())
                if not collector.answered:
                    raise ProtocolError("protocol.empty")
        except QianfanError as found:
            error = found
        broken = error is not None or (bool(self.cut) and not collector.done)
        return Played(collector.outcome(broken=broken), error)


def _whole(wire: Wire, status: int, data: bytes) -> Accumulator:
    try:
        collector = read_body(wire, data)
    except ServiceError as error:
        raise make_error(wire, error.code, error.detail, status=status) from None
    except ProtocolError:
        if succeeded(status):
            raise
        raise body_error(wire, data, status=status) from None
    if not succeeded(status):
        raise body_error(wire, data, status=status)
    return collector


def succeeded(status: int) -> bool:
    """Whether an HTTP status announces an answer."""
    return 200 <= status < 300


def recorded_of(
    request: ChatRequest,
    n: int,
    *,
    status: int,
    headers: Mapping[str, str],
    events: Sequence[tuple[float, bytes]],
    cut: str = "",
) -> Recorded:
    """
    Make a recording of an exchange; the response is kept in whole events where it is a stream of them.

    Args:
        request: What was asked.
        n: Which exchange of the same request it is, from 0.
        status: The response's HTTP status.
        headers: All headers of the response, names in lower case.
        events: What came, in the pieces it came in, with the seconds since the request was sent.
        cut: What broke the connection.
    """
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    if headers.get("server") == STUB_SERVER:
        kept["server"] = STUB_SERVER
    return Recorded(
        wire=request.wire,
        model=request.model,
        endpoint=request.endpoint,
        body=request.body,
        hash=request.hash,
        n=n,
        status=status,
        headers=kept,
        events=tuple((round(at, 3), data) for at, data in in_events(events)),
        cut=cut,
    )


def in_events(pieces: Sequence[tuple[float, bytes]]) -> tuple[tuple[float, bytes], ...]:
    """
    The same bytes, cut behind blank lines; each piece with the time at which its last byte came.

    How a network cuts a stream differs from run to run, and cuts characters apart.
    """
    whole = b"".join(data for _, data in pieces)
    ends = list(accumulate(len(data) for _, data in pieces))
    cuts = [blank.end() for blank in _BLANK.finditer(whole)]
    if len(whole) > (cuts[-1] if cuts else 0):
        cuts.append(len(whole))
    return tuple((pieces[bisect_left(ends, cut)][0], whole[start:cut]) for start, cut in pairwise((0, *cuts)))


def canonical(value: Any) -> str:
    """JSON that is the same wherever it is written."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(row).encode("utf-8", "replace")).hexdigest()[:16]


def _as_json(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _as_bytes(written: Any) -> bytes:
    if isinstance(written, str):
        return written.encode()
    return base64.b64decode(written["base64"], validate=True)
