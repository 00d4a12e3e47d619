"""How a request asks for JSON: the two envelopes of a JSON Schema, and the requests of earlier versions."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..i18n import text
from .request import ChatRequest

_FIELD = "response_format"


def in_other_envelope(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """
    Return *body* with its JSON Schema in the other envelope: bare in place of OpenAI's, or OpenAI's in place of bare.

    None for a body that asks for no JSON Schema.
    """
    asked = body.get(_FIELD)
    if not isinstance(asked, Mapping) or asked.get("type") != "json_schema":
        return None
    given = asked.get("json_schema")
    if not isinstance(given, Mapping):
        return None
    wrapped = isinstance(given.get("schema"), Mapping)
    schema = given["schema"] if wrapped else {"name": "answer", "schema": given, "strict": True}
    return {**body, _FIELD: {**asked, "json_schema": schema}}


def as_earlier_versions(request: ChatRequest) -> Iterator[ChatRequest]:
    """
    A question with a schema as earlier versions sent it: they asked fewer models for JSON with a parameter.

    What they recorded still answers it. Nothing for any other request.
    """
    asked = request.body.get(_FIELD)
    kind = asked.get("type") if isinstance(asked, Mapping) else None
    if kind not in ("json_object", "json_schema") or not _has_instruction(request.body):
        return
    without = {name: value for name, value in request.body.items() if name != _FIELD}
    if kind == "json_schema":
        yield replace(request, body={**request.body, _FIELD: {"type": "json_object"}})
    yield replace(request, body=without)


def _has_instruction(body: Mapping[str, Any]) -> bool:
    """Whether a message ends with a schema, as ``schema=`` puts it there."""
    told = [text("schema.instruction", lang) for lang in ("en", "zh")]
    contents = [message["content"] for message in body["messages"]]
    return any(one in content for one in told for content in contents if isinstance(content, str))
