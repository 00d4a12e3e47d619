"""From messages and parameters to the body of a request."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..messages import Message, check_messages
from ..models import Target, Wire
from ..params import EXTRA, check_parameters

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
        PromptError: The messages break the service's rule.
        ParameterError: A parameter doesn't fit the model.
    """
    checked = check_parameters(parameters, target.parameters, model=target.title, source=target.source.title)
    return ChatRequest(
        wire=target.wire,
        model=target.model,
        endpoint=target.endpoint,
        body=encode(target, check_messages(messages), checked, stream=stream),
        parameters=checked,
    )


def encode(
    target: Target, messages: Sequence[Message], parameters: Mapping[str, Any], *, stream: bool
) -> dict[str, Any]:
    """Encode checked values as the body of a request; ``extra`` comes last, and replaces fields of the same name."""
    sent = {target.parameters[name].wire_name: value for name, value in parameters.items() if name != EXTRA.name}
    extra = parameters.get(EXTRA.name, {})
    listed = [message.as_dict() for message in messages]
    if target.wire == "v1":
        return {"messages": listed, "stream": stream, **sent, **extra}
    # V2 takes the persona as a message, as OpenAI does; V1 takes it as a parameter and refuses the role.
    system = sent.pop("system", None)
    if system is not None:
        listed.insert(0, {"role": "system", "content": system})
    body: dict[str, Any] = {"model": target.model, "messages": listed, "stream": stream, **sent}
    if stream:
        body["stream_options"] = STREAM_OPTIONS
    return {**body, **extra}
