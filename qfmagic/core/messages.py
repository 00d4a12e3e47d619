"""
Messages: a role, and a content of text or of parts.

A new kind of part (an image, a tool's call, a tool's result) is one more dataclass in ``Part`` and one row in
``_FORMS``, which writes and reads its JSON.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self, get_args

from .errors import PromptError

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = get_args(Role)
_KEYS = ("role", "content")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text as one of several parts; halves of characters are replaced (:func:`whole_text`)."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise PromptError("messages.content", kind=type(self.text).__name__)
        object.__setattr__(self, "text", whole_text(self.text))


Part = TextPart


class PartForm(NamedTuple):
    """
    A kind of part in the service's JSON.

    Attributes:
        part: The class of the part.
        encode: The fields of a message that hold the part; equal fields of several parts are joined.
        decode: The part of a JSON object with the form's ``type``.
    """

    part: type[Part]
    encode: Callable[[Part], dict[str, list[Any]]]
    decode: Callable[[Mapping[str, Any]], Part]


_FORMS = {
    "text": PartForm(
        TextPart,
        lambda part: {"content": [{"type": "text", "text": part.text}]},
        lambda value: TextPart(value.get("text")),  # type: ignore[arg-type]  # checked by TextPart
    ),
}
_ENCODERS = {form.part: form.encode for form in _FORMS.values()}


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message of a conversation.

    >>> Message("user", "hi").as_dict()
    {'role': 'user', 'content': 'hi'}

    Attributes:
        role: The author: ``system``, ``user``, ``assistant`` or ``tool``.
        content: Text, or a tuple of parts. A list, and parts as the JSON objects of the service's pages, are accepted.

    Raises:
        PromptError: The role is unknown, or the content is neither text nor parts.
    """

    role: Role
    content: str | tuple[Part, ...]

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise PromptError("option.value", name="role", value=repr(self.role), allowed=", ".join(ROLES))
        if not isinstance(self.content, str):
            object.__setattr__(self, "content", _parts_of(self.content))

    @classmethod
    def of(cls, value: object) -> "Message":
        """
        Return a message, or the message of a dict with ``role`` and ``content``.

        Raises:
            PromptError: The value is neither, or a key of the dict is missing or unknown.
        """
        if isinstance(value, Message):
            return value
        if not isinstance(value, Mapping):
            raise PromptError("messages.form", kind=type(value).__name__)
        unknown = next((name for name in value if name not in _KEYS), None)
        if unknown is not None:
            raise PromptError("messages.key", key=unknown, allowed=", ".join(_KEYS))
        missing = next((name for name in _KEYS if name not in value), None)
        if missing is not None:
            raise PromptError("messages.missing", key=missing)
        return cls(**value)

    @property
    def text(self) -> str:
        """The text; of several parts, their texts as paragraphs."""
        if isinstance(self.content, str):
            return self.content
        return "\n\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def blank(self) -> bool:
        """Whether there is nothing but white space."""
        parts = (TextPart(self.content),) if isinstance(self.content, str) else self.content
        return all(isinstance(part, TextPart) and not part.text.strip() for part in parts)

    def as_dict(self) -> dict[str, Any]:
        """The message as JSON in a request body."""
        if isinstance(self.content, str):
            return {"role": self.role, "content": self.content}
        fields: dict[str, list[Any]] = {}
        for part in self.content:
            for name, value in _ENCODERS[type(part)](part).items():
                fields[name] = fields.get(name, []) + value
        return {"role": self.role, **fields}

    def with_paragraph(self, text: str) -> Self:
        """Return the message with one more paragraph of text at its end."""
        if isinstance(self.content, str):
            return replace(self, content=f"{self.content.rstrip()}\n\n{text}")
        return replace(self, content=(*self.content, TextPart(text)))


Prompt = str | Message | Mapping[str, Any] | Iterable[Message | Mapping[str, Any]]


def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """
    Return a prompt in any of the forms of the Python API as messages.

    Raises:
        PromptError: The prompt has another form.
    """
    if isinstance(prompt, str):
        return (Message("user", prompt),)
    if isinstance(prompt, Message | Mapping):
        return (Message.of(prompt),)
    if not isinstance(prompt, Iterable) or isinstance(prompt, bytes | bytearray):
        raise PromptError("prompt.form", kind=type(prompt).__name__)
    return tuple(Message.of(value) for value in prompt)


def text_of(content: object) -> str:
    """The text in a message's ``content`` in JSON, which may be of any form; empty where there is none."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return "\n\n".join(text for text in texts if isinstance(text, str))


def whole_message(message: Message) -> Message:
    """The message with whole characters only (:func:`whole_text`); parts have no others."""
    return replace(message, content=whole_text(message.content)) if isinstance(message.content, str) else message


def whole_text(text: str) -> str:
    """
    *text* with halves of characters joined, and those without their other half replaced.

    JSON can carry the two halves of an emoji in two events, or one alone; such text can't be sent again.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _parts_of(content: object) -> tuple[Part, ...]:
    if not isinstance(content, list | tuple) or not content:
        raise PromptError("messages.content", kind=type(content).__name__)
    return tuple(_part_of(value) for value in content)


def _part_of(value: object) -> Part:
    if type(value) in _ENCODERS:
        return value  # type: ignore[return-value]  # the table's keys are the parts
    if not isinstance(value, Mapping):
        raise PromptError("messages.content", kind=f"list[{type(value).__name__}]")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _FORMS:
        raise PromptError("option.value", name="type", value=repr(kind), allowed=", ".join(_FORMS))
    return _FORMS[kind].decode(value)
