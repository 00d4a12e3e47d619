"""From what a user asks to what is sent: one value that holds both."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .context import Context, Exchange, Policy, choose_context
from .messages import Prompt, as_messages, whole_message
from .models import Target
from .wire import ChatRequest, build_request, check_messages


class Plan(NamedTuple):
    """A checked request and the context it carries."""

    target: Target
    request: ChatRequest
    context: Context


def plan_request(
    target: Target,
    prompt: Prompt,
    *,
    history: Sequence[Exchange] = (),
    parameters: Mapping[str, Any] | None = None,
    policy: Policy = "all",
    stream: bool = False,
) -> Plan:
    """
    Check everything and build the request. Nothing has been sent when this raises.

    Args:
        target: Where it goes.
        prompt: The question, or messages that end with one.
        history: The exchanges before the prompt, oldest first.
        parameters: The model's parameters by name; None counts as not given.
        policy: How much history to send.
        stream: Whether to ask for a stream.

    Raises:
        PromptError: The prompt is blank, or its messages break the API's rule.
        ParameterError: A parameter doesn't fit the model.
        ContextLengthError: The prompt alone is over the limit.
    """
    asked = check_messages(target.wire, [whole_message(message) for message in as_messages(prompt)])
    given = parameters or {}
    context = choose_context(history, asked, system=given.get("system"), limits=target.limits, policy=policy)
    return Plan(target, build_request(target, context.messages, given, stream=stream), context)
