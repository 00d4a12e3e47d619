"""One JSON object of the service, an event or a whole body, added to the answer it belongs to."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ..errors import ProtocolError
from ..sources import RESULTS
from .accumulator import Accumulator
from .content import Content, add_tool_calls, merge_call, read_content
from .errors import service_error

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
    ["index", "delta", "message", "finish_reason", "flag", "need_clear_history", "ban_round", "is_end", "logprobs"]
)
_V2_DELTA_KNOWN = frozenset(("role", "content", "reasoning_content", "reasoning", "tool_calls", "function_call"))
# The fields of the events of nearly every stream; events without others are not searched for rarer fields.
_USUAL_CHOICE = frozenset(("index", "delta", "finish_reason", "flag"))
_USUAL_DELTA = frozenset(("role", "content", "reasoning_content"))
_FIRST = (0, None, "0")  # the index of the choice that is read; without one, its place counts
_LONGEST_STATUS = 200  # characters
# One of them makes an event without text part of an answer; any other is a gateway's sign of life.
_OF_AN_ANSWER = frozenset(("choices", "usage", "is_end", "result", "search_info", *RESULTS))


def feed_v1(collector: Accumulator, payload: dict[str, Any]) -> None:
    """
    Add one V1 event, or the body of an answer that was not streamed.

    Raises:
        ServiceError: It is an error: V1 sends errors with HTTP 200 and under several keys.
        ProtocolError: Its text is not text.
    """
    result = payload.get("result")
    if not isinstance(result, str) or "error_code" in payload:
        error = service_error("v1", payload)
        if error is not None:
            raise error
        if not _belongs(collector, payload):
            return
    if result is not None:
        collector.began = True
        collector.add_content(_content(result, payload).text)
    thought = payload.get("reasoning_content")
    if thought:
        collector.add_thought(_content(thought, payload).text)
    _note(collector, payload, _V1_KNOWN)
    if payload.get("is_truncated"):
        collector.truncated = True
    _verdict(collector, payload)
    if not collector.streamed or payload.get("is_end"):
        collector.done = True
        collector.finish()


def feed_v2(collector: Accumulator, payload: dict[str, Any]) -> None:
    """
    Add one V2 chunk, or the body of an answer that was not streamed. Raises like :func:`feed_v1`.

    The end of a V2 stream is ``[DONE]`` (or a choice's ``is_end``); a ``finish_reason`` alone is no end mark, because
    the usage comes after it.
    """
    choices = payload.get("choices")
    if not choices or not isinstance(choices, list) or payload.get("error"):
        error = service_error("v2", payload)
        if error is not None:
            raise error
        if not _belongs(collector, payload):
            return
    _note(collector, payload, _V2_KNOWN)
    if choices and not collector.ended:
        if not isinstance(choices, list):
            raise unknown_shape(payload)
        for place, choice in enumerate(choices):
            if choice is not None and not isinstance(choice, dict):
                raise unknown_shape(payload)
            if choice and choice.get("index", place) in _FIRST:
                _feed_choice(collector, choice)
    if not collector.streamed:
        collector.done = True
        collector.finish()


def _feed_choice(collector: Accumulator, choice: Mapping[str, Any]) -> None:
    delta = _delta_of(collector, choice)
    collector.began = collector.began or bool(delta)
    if not (choice.keys() <= _USUAL_CHOICE and delta.keys() <= _USUAL_DELTA):
        _feed_unusual(collector, choice, delta)
        return
    _feed_texts(collector, delta, choice)
    if choice.get("finish_reason"):
        _verdict(collector, choice)
    if choice.get("flag"):
        _flag(collector, choice)


def _delta_of(collector: Accumulator, choice: Mapping[str, Any]) -> dict[str, Any]:
    """The delta or message of a choice; a whole message after deltas repeats them and is left out."""
    if collector.streamed:
        delta = choice.get("delta")
        if delta:
            collector.has_deltas = True
        elif not collector.has_deltas:
            delta = choice.get("message")
    else:
        delta = choice.get("message") or choice.get("delta")
    if not delta:
        return {}
    if not isinstance(delta, dict):
        raise unknown_shape(choice)
    return delta


def _feed_unusual(collector: Accumulator, choice: Mapping[str, Any], delta: Mapping[str, Any]) -> None:
    if choice.get("delta_tag") or delta.get("delta_tag"):  # the state of a search
        said = read_content(delta.get("content"))
        collector.status = " ".join(said.text.split())[:_LONGEST_STATUS] if said is not None else ""
    else:
        _feed_texts(collector, delta, choice)
        _feed_calls(collector, delta)
    if choice.get("is_end"):
        collector.finish()  # but the usage may still come
    _verdict(collector, choice)
    _flag(collector, choice, delta)
    if not choice.keys() <= _V2_CHOICE_KNOWN:
        _keep(collector, choice, _V2_CHOICE_KNOWN)
    if not delta.keys() <= _V2_DELTA_KNOWN:
        _keep(collector, delta, _V2_DELTA_KNOWN)


def _feed_texts(collector: Accumulator, delta: Mapping[str, Any], choice: Mapping[str, Any]) -> None:
    thought = delta.get("reasoning_content") or delta.get("reasoning")  # some gateways send both, alike
    if thought:
        read = _content(thought, choice)
        collector.add_thought(read.text + read.thought)
    content = delta.get("content")
    if isinstance(content, str):
        if content:
            collector.add_content(content)
    elif content:
        read = _content(content, choice)
        if read.thought:
            collector.add_thought(read.thought)
        if read.text:
            collector.add_content(read.text)


def _feed_calls(collector: Accumulator, delta: Mapping[str, Any]) -> None:
    if delta.get("tool_calls"):
        add_tool_calls(collector.calls, delta["tool_calls"], whole=not collector.streamed)
    call = delta.get("function_call")
    if isinstance(call, Mapping):
        merge_call(collector.extra.setdefault("function_call", {}), call)


def _content(value: object, payload: Mapping[str, Any]) -> Content:
    if isinstance(value, str):
        return Content(value)
    content = read_content(value)
    if content is None:
        raise unknown_shape(payload)
    return content


def _note(collector: Accumulator, payload: Mapping[str, Any], known: frozenset[str]) -> None:
    """Note everything but text: whose answer it is, its usage, and fields this version does not know."""
    usage = payload.get("usage")
    if usage:
        collector.usage = usage
    if not collector.id:
        created = payload.get("created")
        collector.id = str(payload.get("id") or "")
        collector.created = created if type(created) is int else None
    if not collector.served_model:
        model = payload.get("model")
        collector.served_model = model if isinstance(model, str) else ""
    if not payload.keys() <= known:
        _keep(collector, payload, known)


def _verdict(collector: Accumulator, payload: Mapping[str, Any]) -> None:
    """What V1 says beside the text, V2 says in the choice."""
    if payload.get("finish_reason"):
        collector.finish_reason = str(payload["finish_reason"])
    if payload.get("need_clear_history"):
        collector.need_clear_history = True
    ban_round = _number(payload.get("ban_round"))
    if ban_round is not None:
        collector.ban_round = ban_round


def _flag(collector: Accumulator, *places: Mapping[str, Any]) -> None:
    """The gravest verdict counts; V1 has a field of this name for something else."""
    found = [_number(place.get("flag")) or 0 for place in places]
    collector.flag = max(collector.flag, *found)


def _number(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value):
        return int(value)
    return value if type(value) is int else None


def _keep(collector: Accumulator, fields: Mapping[str, Any], known: frozenset[str]) -> None:
    """Keep fields this version does not know; of the results of a search, the last list that holds any."""
    kept = collector.extra
    for name, value in fields.items():
        before = kept.get(name)
        if name == "search_info" and isinstance(value, Mapping) and isinstance(before, Mapping):
            results = value.get("search_results") or before.get("search_results")
            kept[name] = {**before, **value, "search_results": results}
        elif name == "annotations" and isinstance(value, list) and isinstance(before, list):
            kept[name] = before + [entry for entry in value if entry not in before]  # each event brings its own
        elif name not in known and (value or not before or name not in (*RESULTS, "search_info")):
            kept[name] = value


def _belongs(collector: Accumulator, payload: Mapping[str, Any]) -> bool:
    """Whether an event without text is part of an answer."""
    if payload.keys() & _OF_AN_ANSWER:
        return True
    collector.skip(json.dumps(payload))
    return False


def unknown_shape(payload: object) -> ProtocolError:
    """Build the error about a payload that is nothing of the service's."""
    return ProtocolError("protocol.shape", start=start_of(json.dumps(payload)))


def start_of(text: str) -> str:
    """Return the beginning of *text* on one line, for an error."""
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:117]}..."
