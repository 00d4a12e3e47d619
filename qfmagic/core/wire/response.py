"""From the service's bytes to an answer or an error. The body decides, never the content type or the status alone."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ProtocolError
from ..models import Wire
from ..safe_json import may_be_deep, read_json
from .accumulator import Accumulator
from .errors import make_error, service_error
from .payload import feed_v1, feed_v2, start_of, unknown_shape
from .sse import Event, SSEDecoder

_SIDE_EVENTS = frozenset(("pluginMeta", "plugin"))  # plugin endpoints send them around the answer's own
_SIGN_OF_LIFE = re.compile(r"\[?[A-Za-z][\w .:/-]{0,40}\]?")  # "ping", "[PING]", "keep-alive"
_DECODE = json.JSONDecoder().raw_decode  # json.loads without its preliminaries, which take a third of the time
_FEED: Mapping[Wire, Callable[[Accumulator, dict[str, Any]], None]] = {"v1": feed_v1, "v2": feed_v2}


def feed_events(wire: Wire, collector: Accumulator, events: list[Event]) -> None:
    """
    Add a batch of events. One that holds nothing of an answer is skipped.

    Raises:
        ServiceError: One of them is an error; what came before it is in the collector.
        ProtocolError: One of them is torn, or its text is not text.
    """
    feed = _FEED[wire]
    for event in events:
        if collector.done:
            return  # what comes after the end mark is not part of the answer, however it was cut into chunks
        data = event.data
        try:
            payload, end = _DECODE(data)
            if end != len(data) or may_be_deep(data):
                payload = read_json(data)
        except (ValueError, RecursionError):
            _feed_other(wire, collector, event)
            continue
        if not isinstance(payload, dict):
            if not event.sse:
                raise ProtocolError("protocol.shape", start=start_of(data))
            collector.skip(data)
            continue
        if not event.sse and not collector.began:
            collector.streamed = False  # a plain body: an error, or a gateway that doesn't stream
        collector.received.append(data)
        if event.event in _SIDE_EVENTS or event.event == "error":
            _feed_aside(wire, collector, event, payload)
        else:
            feed(collector, payload)


def _feed_aside(wire: Wire, collector: Accumulator, event: Event, payload: dict[str, Any]) -> None:
    error = service_error(wire, payload)
    if error is None and event.event == "error":
        error = make_error(wire, None, str(payload.get("message") or event.data))
    if error is not None:
        raise error
    collector.extra.setdefault("events", []).append({"event": event.event, "data": payload})


def _feed_other(wire: Wire, collector: Accumulator, event: Event) -> None:
    data = event.data.strip()
    if data == "[DONE]":
        collector.done = True
        collector.finish()
        _require_answer(collector)
        return
    # A gateway that leaves the blank lines out makes one event of several; each line is JSON by itself then.
    lines = [line for line in event.data.split("\n") if line]
    if event.sse and len(lines) > 1:
        for line in lines:
            feed_events(wire, collector, [event._replace(data=line)])
        return
    if event.event == "error":
        raise make_error(wire, None, data)
    named = event.event != "message" and not data.startswith("{")
    if event.sse and (not data or named or _SIGN_OF_LIFE.fullmatch(data)):
        collector.skip(data)
        return
    raise ProtocolError("protocol.json", start=start_of(event.data))


def feed_rest(wire: Wire, collector: Accumulator, events: list[Event]) -> None:
    """
    Add what stood in the decoder when the stream ended as it should. Raises like :func:`feed_events`.

    A stream that is cut in the middle of an event leaves torn JSON: after text that is no error of its own, the
    answer is marked as incomplete anyway. With a ``finish_reason`` it is whole: some gateways drop ``[DONE]``.

    Raises:
        ProtocolError: There was no answer in any of the events.
    """
    try:
        feed_events(wire, collector, events)
    except ProtocolError:
        if not (collector.pieces or collector.thoughts) or not events[-1].sse:
            raise
    if collector.finish_reason and not collector.ended:
        collector.finish()
    _require_answer(collector)


def _require_answer(collector: Accumulator) -> None:
    if not collector.answered and collector.skipped:
        raise ProtocolError("protocol.shape", start=start_of(collector.skipped))


def read_body(wire: Wire, body: bytes) -> Accumulator:
    """
    Read the body of an answer that was not to be streamed; of a gateway that streams all the same, its events.

    Raises:
        ServiceError: It is an error.
        ProtocolError: It is nothing of the service's.
    """
    collector = Accumulator(streamed=False)
    text = body.decode("utf-8-sig", "replace")
    try:
        payload = read_json(text)
    except ValueError:
        if not text.lstrip().startswith(("data:", "event:", ":")):
            raise ProtocolError("protocol.json", start=start_of(text)) from None
        return _read_events(wire, body)
    if not isinstance(payload, dict):
        raise ProtocolError("protocol.shape", start=start_of(text))
    collector.received.append(text)
    _FEED[wire](collector, payload)
    if not collector.began:
        raise unknown_shape(payload)
    return collector


def _read_events(wire: Wire, body: bytes) -> Accumulator:
    collector, decoder = Accumulator(streamed=True), SSEDecoder()
    feed_events(wire, collector, decoder.feed(body))
    if not collector.done:
        feed_rest(wire, collector, decoder.close())
    if not collector.answered:
        raise ProtocolError("protocol.empty")
    return collector
