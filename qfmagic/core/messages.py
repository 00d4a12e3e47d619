"""Messages, as the service takes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import PromptError

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation: who says it, and what."""

    role: Role
    content: str

    def as_dict(self) -> dict[str, str]:
        """The message as it stands in a request body."""
        return {"role": self.role, "content": self.content}


def check_messages(messages: Sequence[Message]) -> tuple[Message, ...]:
    """
    Check the rule the service's pages state, and return the messages.

    An odd number, user first and last, the two roles in turn, none without text. A persona is a parameter
    (``system``), never a message.

    Raises:
        PromptError: The rule is broken; the error names the first place.
    """
    for number, message in enumerate(messages, 1):
        expected = "user" if number % 2 else "assistant"
        if message.role != expected:
            raise PromptError("messages.role", number=number, role=message.role, expected=expected)
        if not message.content.strip():
            raise PromptError("messages.empty" if number < len(messages) else "prompt.empty", number=number)
    if len(messages) % 2 == 0:
        raise PromptError("messages.even", count=len(messages))
    return tuple(messages)


def as_messages(prompt: "str | Message | Iterable[Message]") -> tuple[Message, ...]:
    """
    Take a prompt in any of the forms the Python API allows, as messages.

    Raises:
        PromptError: It is something else.
    """
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    if isinstance(prompt, Message):
        return (prompt,)
    messages = tuple(prompt) if isinstance(prompt, Iterable) else (prompt,)
    for message in messages:
        if not isinstance(message, Message) or not isinstance(message.content, str):
            raise PromptError("prompt.form", kind=type(message).__name__)
    return messages


def whole_text(text: str) -> str:
    """
    *text* with halves of characters joined, and those without their other half replaced.

    JSON can carry the two halves of an emoji in two events, or one alone; as they stand they can't be sent again.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
