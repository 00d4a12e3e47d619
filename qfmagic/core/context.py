"""How much of a conversation is sent as history: whole exchanges, the newest first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from .errors import ContextLengthError, OptionError
from .i18n import Text
from .messages import Message, Prompt, as_messages
from .models import ModelLimits

Policy = int | Literal["all", "none"]

# The SDK's estimate (bce-qianfan-sdk 0.4.12.3): 0.625 tokens a Chinese character, one a word of anything else.
_CJK = re.compile("[\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W_\u4e00-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Size:
    """The size of text: characters, and an estimate of tokens."""

    chars: int = 0
    tokens: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.chars + other.chars, self.tokens + other.tokens)

    def fits(self, limits: ModelLimits) -> bool:
        """Whether the text may be sent to a model with these limits."""
        return (limits.max_chars is None or self.chars <= limits.max_chars) and (
            limits.max_tokens is None or self.tokens <= limits.max_tokens
        )


def measure(text: str) -> Size:
    """Measure *text*; the tokens are the SDK's estimate, the service counts with the model's own tokenizer."""
    return Size(len(text), int(0.625 * len(_CJK.findall(text))) + len(_WORD.findall(text)))


def size_of(messages: Sequence[Message]) -> Size:
    """Measure the texts of messages."""
    return sum((measure(message.text) for message in messages), Size())


@dataclass(frozen=True)
class Exchange:
    """
    A prompt and its answer, as they are sent as history.

    Attributes:
        messages: The messages of the prompt, and those of the answer.
    """

    messages: tuple[Message, ...]

    @classmethod
    def of(cls, prompt: str, answer: str) -> "Exchange":
        """Return the exchange of two texts."""
        return cls((Message("user", prompt), Message("assistant", answer)))

    @property
    def prompt(self) -> str:
        """The text of the prompt."""
        return "\n\n".join(message.text for message in self.messages if message.role == "user")

    @property
    def answer(self) -> str:
        """The text of the answer."""
        return self.messages[-1].text

    @cached_property
    def size(self) -> Size:
        """The size of all messages; measured once."""
        return size_of(self.messages)


class Dialogue(NamedTuple):
    """
    Messages, divided by what may be left out of a request.

    Attributes:
        instructions: The leading system messages, which are always sent.
        exchanges: The history.
        question: The messages of the prompt.
    """

    instructions: tuple[Message, ...]
    exchanges: tuple[Exchange, ...]
    question: tuple[Message, ...]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "Dialogue":
        """Divide *messages*: an exchange ends with an answer that a user's or a system message follows."""
        if not messages:
            return cls((), (), ())
        last = len(messages) - 1
        start = next((i for i in range(last) if messages[i].role != "system"), last)
        ends = [
            i + 1
            for i in range(start, last)
            if messages[i].role == "assistant" and messages[i + 1].role in ("user", "system")
        ]
        bounds = zip([start, *ends], ends, strict=False)
        exchanges = tuple(Exchange(tuple(messages[first:end])) for first, end in bounds)
        return cls(tuple(messages[:start]), exchanges, tuple(messages[ends[-1] if ends else start :]))


class Context(NamedTuple):
    """
    The messages of a request.

    Attributes:
        messages: Instructions, history and prompt, in order.
        sent: The number of exchanges that are sent as history.
        available: The number of exchanges there are.
        size: Everything that counts against the limit.
        limits: The limit.
    """

    messages: tuple[Message, ...]
    sent: int
    available: int
    size: Size
    limits: ModelLimits

    @property
    def cut(self) -> bool:
        """Whether turns were left out."""
        return self.sent < self.available


def parse_policy(value: object) -> Policy:
    """
    Read ``context=``: ``all``, ``none`` or a number of turns.

    Raises:
        OptionError: It is none of these.
    """
    if isinstance(value, str) and value in ("all", "none"):
        return "all" if value == "all" else "none"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise OptionError("option.value", name="context", value=value, allowed="all, none, 0, 1, 2, ...")


def _too_long(size: Size, limits: ModelLimits, *, with_system: bool) -> ContextLengthError:
    counts = (("context.chars", size.chars, limits.max_chars), ("context.tokens", size.tokens, limits.max_tokens))
    sizes = [Text(key, {"size": count, "limit": limit}) for key, count, limit in counts if limit is not None]
    system = Text("context.system") if with_system else ""
    return ContextLengthError("context.prompt", sizes=sizes, system=system)


def choose_context(
    history: Sequence[Exchange], prompt: Prompt, *, system: str | None, limits: ModelLimits, policy: Policy = "all"
) -> Context:
    """
    Choose the newest whole exchanges that fit, followed by the prompt.

    The cost depends on the exchanges that are sent, not on those that are kept. The exchanges within *prompt* follow
    those of *history*.

    Raises:
        ContextLengthError: The prompt (with ``system``, where it counts) exceeds the limit by itself.
    """
    instructions, earlier, question = Dialogue.of(as_messages(prompt))
    history = (*history, *earlier) if earlier else history
    systems = Size()
    if limits.system_counts:
        systems = size_of(instructions) + measure(system or "")
    size = size_of(question) + systems
    if not size.fits(limits):
        raise _too_long(size, limits, with_system=systems.chars > 0)
    wanted = {"all": len(history), "none": 0}.get(policy, policy) if isinstance(policy, str) else policy
    chosen: list[Exchange] = []
    for exchange in reversed(history):
        if len(chosen) == wanted or not (size + exchange.size).fits(limits):
            break
        size += exchange.size
        chosen.append(exchange)
    sent = (message for exchange in reversed(chosen) for message in exchange.messages)
    return Context((*instructions, *sent, *question), len(chosen), len(history), size, limits)
