"""What the stub finds wrong with a request, and how the service would say so."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from ...core.context import measure
from ...core.messages import ROLES, text_of
from ...core.models import registry
from ...core.models.params import ANSWER_LIMITS, Parameter
from ...core.safe_json import read_json
from ...core.wire.signing import sign
from .reply import Incoming, Reply


class Refused(Exception):
    """A request that isn't answered but with *reply*."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply


# ---- the shapes of refusals


def v1(code: int, text: str, *, status: int = 200) -> Reply:
    """An error of V1, which comes with HTTP 200."""
    return Reply.of_json({"error_code": code, "error_msg": text, "id": "as-stub"}, status=status)


def v2(status: int, code: str, text: str) -> Reply:
    """An error of V2."""
    error = {"code": code, "message": text, "type": "invalid_request_error"}
    return Reply.of_json({"error": error, "id": "as-stub"}, status=status)


def gateway(code: str, text: str) -> Reply:
    """An error of the gateway before both: in the headers alone."""
    return Reply((b"",), 401, {"x-bce-error-code": code, "x-bce-error-message": text})


def refuse(reply: Reply) -> NoReturn:
    """End the request's handling."""
    raise Refused(reply)


# ---- requests


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body's JSON object; None if it's none, or holds what no service could answer in UTF-8."""
    try:
        payload = read_json(body, parse_constant=_no_constant)
        if b"\\u" in body:  # an escape may be half a character
            json.dumps(payload, ensure_ascii=False).encode()
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def check_signature(request: Incoming, access_key: str, secret_key: str) -> None:
    """
    Check ``bce-auth-v1`` as the gateway does: the signature counts, not the order in which headers are named.

    Raises:
        Refused: The access key is another one, or the signature doesn't match.
    """
    parts = request.headers.get("authorization", "").split("/")
    if len(parts) != 6 or parts[0] != "bce-auth-v1" or parts[1] != access_key:
        refuse(gateway("NotFound", "NotFound, cause: Could not find credential."))
    _, _, _, expires, listed, signature = parts
    names = [name.strip().lower() for name in listed.split(";") if name.strip()]
    expected = sign(
        access_key=access_key,
        secret_key=secret_key,
        method=request.method,
        path=request.path,
        query=request.query,
        headers={name: request.headers.get(name, "") for name in names} if names else request.headers,
        at=signed_at(request),
        expires=int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 10 else 0,
        default_headers=not names,
    )
    if expected.rpartition("/")[2] != signature:
        text = "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"
        refuse(gateway("SignatureDoesNotMatch", text))


def signed_at(request: Incoming) -> float:
    """When a request was signed, by its signature, in seconds since 1970."""
    try:
        date = request.headers["authorization"].split("/")[2]
        return datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except (LookupError, ValueError):
        return 0.0  # which the signature of no other date fits


def contents_of(messages: object) -> list[str] | str:
    """The texts of V1's messages, or what is wrong with the messages."""
    if not isinstance(messages, list) or not messages:
        return "messages is empty"
    for number, message in enumerate(messages):
        if role_of(message) != ("assistant" if number % 2 else "user"):
            return f"the role of messages[{number}] is invalid: roles must be user and assistant in turn"
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            return f"the content of messages[{number}] can not be empty"
    if len(messages) % 2 == 0:
        return "the length of messages must be an odd number"
    return [message["content"] for message in messages]


def contents_of_v2(messages: object) -> list[str] | str:
    """The texts of V2's messages, or what is wrong with the messages."""
    if not isinstance(messages, list) or not messages:
        return "messages is empty"
    for number, message in enumerate(messages):
        if role_of(message) not in ROLES:
            return f"the role of messages[{number}] is invalid: {', '.join(ROLES)}"
        content = message.get("content")
        if not isinstance(content, str) and not _are_parts(content):
            return f"the content of messages[{number}] is invalid: a string or an array of parts"
    texts = [text_of(message["content"]) for message in messages]
    return texts if texts[-1].strip() else "the content of the last message can not be empty"


def _are_parts(content: object) -> bool:
    parts = content if isinstance(content, list) else [None]
    return all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in parts)


def role_of(message: object) -> object:
    """A message's role, whatever stands in its place."""
    return message.get("role") if isinstance(message, Mapping) else None


def check_values(parameters: Mapping[str, Parameter], body: Mapping[str, Any], refusal: Callable[[str], Reply]) -> None:
    """
    Check the body's parameters: those the model takes, and those of which it's known that it doesn't.

    Raises:
        Refused: One of them isn't allowed.
    """
    known = {parameter.wire_name: parameter for parameter in parameters.values()}
    foreign = registry().parameter_names().keys() - parameters.keys()
    for name, value in body.items():
        if name in known and not known[name].accepts(value):
            refuse(refusal(f"{name} is invalid: {known[name].describe('en')}"))
        if name in known and (other := known[name].requires) and value and not body.get(other):
            refuse(refusal(f"{name} needs {other}"))
        if name in foreign and name not in known:
            refuse(refusal(f"this model does not take {name}"))
        if name in ANSWER_LIMITS and value is not None and (type(value) is not int or value < 1):
            refuse(refusal(f"{name} is invalid: an integer from 1 on"))


def size_of(texts: Sequence[str]) -> tuple[int, int]:
    """Characters and tokens."""
    sizes = [measure(text) for text in texts]
    return sum(size.chars for size in sizes), sum(size.tokens for size in sizes)
