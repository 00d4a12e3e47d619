"""From messages and parameters to the body of a request."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PromptError
from ..messages import Message
from ..models import Target, Wire
from ..models.params import EXTRA, check_parameters

STREAM_OPTIONS: Mapping[str, Any] = {"include_usage": True}  # without it a V2 stream promises no usage at all


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """
    A checked request, without credentials: everything that is sent, and to what.

    Attributes:
        wire: ``"v1"`` or ``"v2"``.
        model: The model's name.
        endpoint: The V1 endpoint, None on V2.
        body: The JSON body as it is sent.
        parameters: The parameters in it, by qfmagic's names, as they are sent.
    """

    wire: Wire
    model: str
    endpoint: str | None
    body: Mapping[str, Any]
    parameters: Mapping[str, Any]

    @property
    def stream(self) -> bool:
        """Whether the answer is asked for as a stream."""
        return bool(self.body.get("stream"))

    @property
    def hash(self) -> str:
        """A fingerprint of what is asked and of whom, 16 hex digits; the same on every machine."""
        asked = {"wire": self.wire, "endpoint": self.endpoint, "body": self.body}
        text = json.dumps(asked, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_request(
    target: Target, messages: Sequence[Message], parameters: Mapping[str, Any], *, stream: bool
) -> ChatRequest:
    """
    Check messages and parameters, and encode them for the target's API.

    Raises:
        PromptError: The messages break the rule of the target's API.
        ParameterError: A parameter doesn't fit the model.
    """
    checked = check_parameters(parameters, target.parameters, model=target.title, source=target.source.title)
    return ChatRequest(
        wire=target.wire,
        model=target.model,
        endpoint=target.endpoint,
        body=encode(target, check_messages(target.wire, messages), checked, stream=stream),
        parameters=checked,
    )


def check_messages(wire: Wire, messages: Sequence[Message]) -> tuple[Message, ...]:
    """
    Check the rule of an API for messages, and return them.

    V1 demands an odd number, ``user`` first and last, ``user`` and ``assistant`` in turn, none blank; the system prompt
    is a parameter there. V2 demands at least one message, and a last one that is not blank.

    Raises:
        PromptError: The messages break the rule; the error names the first one that does.
    """
    if wire == "v1":
        _check_turns(messages)
    if not messages or messages[-1].blank:
        raise PromptError("prompt.empty")
    return tuple(messages)


def _check_turns(messages: Sequence[Message]) -> None:
    for number, message in enumerate(messages, 1):
        expected = "user" if number % 2 else "assistant"
        if message.role == "system":
            raise PromptError("messages.system", number=number)
        if message.role != expected:
            raise PromptError("messages.role", number=number, role=message.role, expected=expected)
        if message.blank and number < len(messages):
            raise PromptError("messages.empty", number=number)
    if messages and len(messages) % 2 == 0:
        raise PromptError("messages.even", count=len(messages))


def _encode_v1(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}


def encode(
    target: Target, messages: Sequence[Message], parameters: Mapping[str, Any], *, stream: bool
) -> dict[str, Any]:
    """
    Encode checked values as the body of a request; ``extra`` comes last, and replaces fields of the same name.

    Raises:
        PromptError: ``system`` is given twice, as a parameter and as the first message.
    """
    sent = {target.parameters[name].wire_name: value for name, value in parameters.items() if name != EXTRA.name}
    sent.pop("", None)
    extra = parameters.get(EXTRA.name, {})
    if target.wire == "v1":
        return {"messages": [_encode_v1(message) for message in messages], "stream": stream, **sent, **extra}
    listed = [message.as_dict() for message in messages]
    # V2 takes the persona as a message, as OpenAI does; V1 takes it as a parameter and refuses the role.
    system = sent.pop("system", None)
    if system is not None:
        if messages[0].role == "system":
            raise PromptError("messages.two_systems")
        listed.insert(0, {"role": "system", "content": system})
    body: dict[str, Any] = {"model": target.model, "messages": listed, "stream": stream, **sent}
    if stream:
        body["stream_options"] = STREAM_OPTIONS
    return {**body, **extra}
