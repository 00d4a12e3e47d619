"""The content of a message in any of its shapes: text, parts, fragments of tool calls."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_THOUGHT = ("thinking", "reasoning")  # the types of parts that hold reasoning
_TEXT = ("text", "content", "summary", *_THOUGHT)  # where a part has its text


class Content(NamedTuple):
    """What a message says, and what its model thought."""

    text: str = ""
    thought: str = ""


def read_content(value: object) -> Content | None:
    """Read a ``content``: a string, a part, or a list of them; None for anything else."""
    if value is None or isinstance(value, str):
        return Content(value or "")
    if isinstance(value, Mapping):
        text = "".join(_texts(value))
        return Content(thought=text) if value.get("type") in _THOUGHT else Content(text)
    if not isinstance(value, list):
        return None
    parts = [read_content(part) for part in value]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return Content("".join(part.text for part in found), "".join(part.thought for part in found))


def _texts(part: Mapping[str, Any]) -> Iterable[str]:
    """The texts of a part; of one that isn't text (an image), none."""
    for name in _TEXT:
        inner = read_content(part.get(name))
        if inner is not None and (inner.text or inner.thought):
            yield inner.text + inner.thought
            return


def add_tool_calls(calls: list[dict[str, Any]], fragments: object, *, whole: bool = False) -> None:
    """
    Add fragments of tool calls to those there are.

    Args:
        calls: The calls so far, each with what came of it.
        fragments: The ``tool_calls`` of a message or a delta.
        whole: Whether each of them is a call of its own.
    """
    for fragment in fragments if isinstance(fragments, list) else ():
        if isinstance(fragment, Mapping):
            call = None if whole else _belonging(calls, fragment)
            if call is None:
                call = {}
                calls.append(call)
            merge_call(call, fragment)


def _belonging(calls: list[dict[str, Any]], fragment: Mapping[str, Any]) -> dict[str, Any] | None:
    """The call a fragment continues: the one with its index; without an index the last, unless its id is a new one."""
    index, name = fragment.get("index"), fragment.get("id")
    if index is not None:
        call = next((call for call in reversed(calls) if call.get("index") == index), None)
        return None if call is not None and _is_another(call, fragment) else call
    if name:
        known = next((call for call in calls if call.get("id") == name), None)
        return known or (calls[-1] if calls and not calls[-1].get("id") else None)
    return calls[-1] if calls else None


def _is_another(call: Mapping[str, Any], fragment: Mapping[str, Any]) -> bool:
    """Whether a fragment begins a call of its own under an index that is used: some gateways count every call as 0."""
    function = fragment.get("function")
    named = isinstance(function, Mapping) and bool(function.get("name"))
    return named and fragment.get("id") not in (None, "", call.get("id")) and bool(call.get("id"))


def merge_call(call: dict[str, Any], fragment: Mapping[str, Any]) -> None:
    """Add a fragment to a call: its arguments are continued, everything else is kept as it first came."""
    for name, value in fragment.items():
        if name == "arguments":
            new = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
            call[name] = call.get(name, "") + new
        elif isinstance(value, Mapping):
            inner = call.setdefault(name, {})
            if isinstance(inner, dict):
                merge_call(inner, value)
        elif call.get(name) in (None, ""):
            call[name] = value
