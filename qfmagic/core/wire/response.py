"""From the service's JSON to an answer or an error. The body decides, never the content type or the status alone."""

import json
from collections.abc import Mapping
from typing import Any

from ..errors import ProtocolError
from ..models import Wire
from ..safe_json import may_be_deep, read_json
from .accumulator import Accumulator
from .errors import service_error
from .sse import Event

_V1_KNOWN = frozenset(
    [
        "id",
        "object",
        "created",
        "result",
        "is_truncated",
        "need_clear_history",
        "ban_round",
        "usage",
        "sentence_id",
        "is_end",
        "finish_reason",
        "reasoning_content",
    ]
)
_V2_KNOWN = frozenset(["id", "object", "created", "model", "choices", "usage"])
_V2_CHOICE_KNOWN = frozenset(
    ["index", "delta", "message", "finish_reason", "need_clear_history", "ban_round", "is_end", "logprobs"]
)
_SIDE_EVENTS = frozenset(("pluginMeta", "plugin"))  # plugin endpoints send them around the answer's own
_DECODE = json.JSONDecoder().raw_decode  # json.loads without its preliminaries, which take a third of the time
_V2_DELTA_KNOWN = frozenset(("role", "content", "reasoning_content"))


def feed_v1(collector: Accumulator, payload: dict[str, Any]) -> None:
    """
    Add one V1 event, or the body of an answer that was not streamed.

    Raises:
        ServiceError: It is an error.
        ProtocolError: It has no ``result``, and no error either: success is told by what it has, not by what it
            lacks, because V1 sends errors with HTTP 200 and under several keys.
    """
    result = payload.get("result")
    if not isinstance(result, str) or "error_code" in payload:
        _refuse_unless_fine("v1", payload, fine=isinstance(result, str))
    if result:
        collector.pieces.append(result)
    thought = payload.get("reasoning_content")
    if thought:
        collector.thoughts.append(_string(thought, payload))
    usage = payload.get("usage")
    if usage:
        collector.usage = usage
    if not collector.id:
        _identify(collector, payload)
    if payload.get("is_truncated"):
        collector.truncated = True
    _verdict(collector, payload)
    if not payload.keys() <= _V1_KNOWN:
        collector.extra.update({key: value for key, value in payload.items() if key not in _V1_KNOWN})
    if not collector.streamed or payload.get("is_end"):
        collector.ended = collector.done = True


def feed_v2(collector: Accumulator, payload: dict[str, Any]) -> None:
    """
    Add one V2 chunk, or the body of an answer that was not streamed. Raises like :func:`feed_v1`.

    The end of a V2 stream is ``[DONE]`` (or a choice's ``is_end``); a ``finish_reason`` alone is no end mark, because
    the usage comes after it.
    """
    choices = payload.get("choices")
    if not isinstance(choices, list) or payload.get("error"):
        _refuse_unless_fine("v2", payload, fine=False)
    if not collector.streamed and not (choices and isinstance(choices[0], dict) and choices[0].get("message")):
        _refuse_unless_fine("v2", payload, fine=False)
    usage = payload.get("usage")
    if usage:
        collector.usage = usage
    if not collector.id:
        _identify(collector, payload)
    if not payload.keys() <= _V2_KNOWN:
        collector.extra.update({key: value for key, value in payload.items() if key not in _V2_KNOWN})
    if choices and not collector.ended:
        _feed_choice(collector, choices[0])
    if not collector.streamed:
        collector.ended = collector.done = True


def _feed_choice(collector: Accumulator, choice: dict[str, Any]) -> None:
    delta = (choice.get("delta" if collector.streamed else "message") or {}) if isinstance(choice, dict) else None
    if not isinstance(delta, dict):
        raise ProtocolError("protocol.shape", start=_start(json.dumps(choice)))
    content = delta.get("content")
    if content:
        collector.pieces.append(_string(content, choice))
    thought = delta.get("reasoning_content")
    if thought:
        collector.thoughts.append(_string(thought, choice))
    if choice.get("is_end"):
        collector.ended = True  # but the usage may still come
    _verdict(collector, choice)
    if not choice.keys() <= _V2_CHOICE_KNOWN:
        collector.extra.update({key: value for key, value in choice.items() if key not in _V2_CHOICE_KNOWN})
    if not delta.keys() <= _V2_DELTA_KNOWN:
        collector.extra.update({key: value for key, value in delta.items() if key not in _V2_DELTA_KNOWN})


def _identify(collector: Accumulator, payload: Mapping[str, Any]) -> None:
    collector.id = str(payload.get("id", ""))
    collector.created = payload.get("created")


def _verdict(collector: Accumulator, payload: Mapping[str, Any]) -> None:
    """What V1 says beside the text, V2 says in the choice."""
    if payload.get("finish_reason"):
        collector.finish_reason = str(payload["finish_reason"])
    if payload.get("need_clear_history"):
        collector.need_clear_history = True
        collector.ban_round = payload.get("ban_round")


def _string(value: object, payload: object) -> str:
    if isinstance(value, str):
        return value
    raise ProtocolError("protocol.shape", start=_start(json.dumps(payload)))


def _refuse_unless_fine(wire: Wire, payload: Mapping[str, Any], *, fine: bool) -> None:
    error = service_error(wire, payload)
    if error is not None or not fine:
        raise error or ProtocolError("protocol.shape", start=_start(json.dumps(payload)))


_FEED = {"v1": feed_v1, "v2": feed_v2}


def feed_events(wire: Wire, collector: Accumulator, events: list[Event]) -> None:
    """
    Add a batch of events.

    Raises:
        ServiceError: One of them is an error; what came before it is in the collector.
        ProtocolError: One of them is nothing of the service's.
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
            raise ProtocolError("protocol.shape", start=_start(data))
        if not event.sse and not collector.id:
            collector.streamed = False  # a plain body: an error, or a gateway that doesn't stream
        if event.event not in _SIDE_EVENTS:
            feed(collector, payload)
        elif (error := service_error(wire, payload)) is not None:
            raise error
        else:
            collector.extra.setdefault("events", []).append({"event": event.event, "data": payload})


def _feed_other(wire: Wire, collector: Accumulator, event: Event) -> None:
    if event.data.strip() == "[DONE]":
        collector.ended = collector.done = True
        return
    # A gateway that leaves the blank lines out makes one event of several; each line is JSON by itself then.
    lines = [line for line in event.data.split("\n") if line]
    if event.sse and len(lines) > 1:
        for line in lines:
            feed_events(wire, collector, [event._replace(data=line)])
        return
    raise ProtocolError("protocol.json", start=_start(event.data))


def feed_rest(wire: Wire, collector: Accumulator, events: list[Event]) -> None:
    """
    Add what stood in the decoder when the stream ended. Raises like :func:`feed_events`.

    A stream that is cut in the middle of an event leaves torn JSON: after text that is no error of its own, the
    answer is marked as incomplete anyway.
    """
    try:
        feed_events(wire, collector, events)
    except ProtocolError:
        if not (collector.pieces or collector.thoughts) or not events[-1].sse:
            raise


def read_body(wire: Wire, body: bytes) -> Accumulator:
    """
    Read the body of an answer that was not streamed.

    Raises:
        ServiceError: It is an error.
        ProtocolError: It is nothing of the service's.
    """
    collector = Accumulator(streamed=False)
    text = body.decode("utf-8-sig", "replace")
    try:
        payload = read_json(text)
    except ValueError:
        raise ProtocolError("protocol.json", start=_start(text)) from None
    if not isinstance(payload, dict):
        raise ProtocolError("protocol.shape", start=_start(text))
    _FEED[wire](collector, payload)
    return collector


def _start(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:117]}..."
