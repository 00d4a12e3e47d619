"""How a request asks for JSON: the forms a service may accept, and the requests of earlier versions."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..errors import RequestError
from ..i18n import text
from ..messages import text_of
from .request import ChatRequest

_FIELD = "response_format"
_ENVELOPES = ("wrapped", "bare")  # OpenAI's around a JSON Schema, and the schema alone
_NAMES = (_FIELD, "json_schema", "json_object")  # what an error about the field names


def json_forms(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """
    The bodies that ask for the same JSON, by the name of their form; *body* itself is the first.

    A JSON Schema has two envelopes. Where ``schema=`` has put it into the question as well, the answer may be asked
    for as any JSON object, and in words alone.
    """
    given = body.get(_FIELD)
    asked = given if isinstance(given, Mapping) else {}
    kind, schema = asked.get("type"), asked.get("json_schema")
    forms: dict[str, Mapping[str, Any]] = {}
    if kind == "json_schema" and isinstance(schema, Mapping):
        wrapped = isinstance(schema.get("schema"), Mapping)
        other = schema["schema"] if wrapped else {"name": "answer", "schema": schema, "strict": True}
        names = _ENVELOPES if wrapped else _ENVELOPES[::-1]
        forms = dict(zip(names, (body, {**body, _FIELD: {**asked, "json_schema": other}}), strict=True))
    if kind in ("json_object", "json_schema") and _has_instruction(body):
        forms["json_object"] = {**body, _FIELD: {"type": "json_object"}}
        forms["words"] = {name: value for name, value in body.items() if name != _FIELD}
    return forms or {"words": body}


def may_take(form: str, error: RequestError) -> bool:
    """Whether a service that rejected a request may accept another form of it."""
    named = any(name in error.detail for name in _NAMES)
    return named or (form in _ENVELOPES and error.cause == "cause.argument")


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
    contents = [text_of(message.get("content")) for message in body["messages"]]
    return any(one in content for one in told for content in contents)
