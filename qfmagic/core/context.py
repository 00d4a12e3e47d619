"""How much of a conversation goes along: whole turns, the newest kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .errors import ContextLengthError, OptionError
from .i18n import Text
from .messages import Message
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


class Exchange(NamedTuple):
    """A question and its answer, as they go along as history; measured once."""

    prompt: str
    answer: str
    size: Size

    @classmethod
    def of(cls, prompt: str, answer: str) -> "Exchange":
        """Build and measure."""
        return cls(prompt, answer, measure(prompt) + measure(answer))


class Context(NamedTuple):
    """
    What is sent with a prompt.

    Attributes:
        messages: History and prompt, in order.
        sent: How many turns of history go along.
        available: How many there are.
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
    history: Sequence[Exchange], prompt: str, *, system: str | None, limits: ModelLimits, policy: Policy = "all"
) -> Context:
    """
    Choose the newest whole turns that fit, and put the prompt behind them.

    The cost depends on the turns that are sent, not on those that are kept.

    Raises:
        ContextLengthError: The prompt (with ``system``, where it counts) exceeds the limit by itself.
    """
    size = measure(prompt)
    if system and limits.system_counts:
        size += measure(system)
    if not size.fits(limits):
        raise _too_long(size, limits, with_system=bool(system and limits.system_counts))
    wanted = {"all": len(history), "none": 0}.get(policy, policy) if isinstance(policy, str) else policy
    chosen: list[Exchange] = []
    for exchange in reversed(history):
        if len(chosen) == wanted or not (size + exchange.size).fits(limits):
            break
        size += exchange.size
        chosen.append(exchange)
    messages: list[Message] = []
    for exchange in reversed(chosen):
        messages += (Message("user", exchange.prompt), Message("assistant", exchange.answer))
    messages.append(Message("user", prompt))
    return Context(tuple(messages), len(chosen), len(history), size, limits)
