"""
Several answers to one question beside each other: how alike they are, and what each used.

Two answers agree as far as they share their words, each as often as it is there. A number is a word with its sign and
decimals, and so is each Chinese or Korean character, kana, symbol and emoji; case, blanks, Markdown's marks and what
punctuates sentences don't count. The order of words counts for nothing: what is measured is whether the same is named,
not whether it is written alike. It takes time that grows with the length alone, unlike an alignment of texts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple, Self

from ..core.answer import Answer
from ..core.errors import QianfanError
from ..core.usage import Usage
from .own_columns import own_column

# Written without blanks between words: Chinese with its extensions, kana, hangul.
_CHARACTER = (
    "\u3005\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
)
# What punctuates sentences, Markdown's marks, and what isn't seen.
_NO_WORD = (
    r"\s.,;:!?\"'()\[\]{}_*`|#\-"
    "…‥、。，．；：！？｡､·・•“”‘’„‚«»‹›「」『』《》〈〉（）［］｛｝【】〔〕‐-―－"
    "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
)
_WORD = re.compile(
    rf"(?:(?<![\w)\]])[-\u2212])?\d++(?:\.\d++)*+[^\W_{_CHARACTER}]*+"  # a number, perhaps with a unit
    rf"|[{_CHARACTER}]|[^\W_{_CHARACTER}]++"
    "|[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    rf"|!(?==)|(?<=\w)#|[^\w{_NO_WORD}]"  # a symbol: != and C# too
)
_END = ".。!！"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """
    One of the answers.

    Attributes:
        model: What was asked.
        n: Which of the model's answers to the question it is, from 1.
        answer: The answer, whole or as far as it came.
        problem: Why there is none, or not all of it.
        row: The number of the row the question was made from, from 0, where it was made from one.
        index: The row's label.
        columns: What the answer holds, where it had to fit a schema.
        joins: Whether it is a turn of a conversation.
    """

    model: str
    n: int
    answer: Answer
    problem: QianfanError | None = None
    row: int | None = None
    index: Any = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    joins: bool = False

    @property
    def answered(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.answer.text.strip())


class Agreement(NamedTuple):
    """
    How alike answers are.

    Attributes:
        each: For each, its mean likeness to those of other models; of a model alone, to its other answers. None where
            there is nothing to compare.
        same: How many pairs are the same text, but for case, blanks and the full stop.
        pairs: How many pairs there are.
    """

    each: tuple[float | None, ...]
    same: int
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """
    What one model's answers come to.

    Attributes:
        model: The model.
        asked: How often it was to be asked.
        answered: How often something came.
        characters: The mean length of what came; None if nothing did.
        prompt_tokens: The sum, of answers without text too; None where the service didn't say them all.
        completion_tokens: The same.
        finish: How the answers ended.
        agreement: The mean of its answers'.
        seconds: The sum.
    """

    model: str
    asked: int
    answered: int
    characters: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    finish: tuple[str, ...]
    agreement: float | None
    seconds: float


class Wording(NamedTuple):
    """A text as it is compared: ``folded`` without what makes no difference, and how often it has which word."""

    folded: str
    words: Counter[str]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read it."""
        folded = " ".join(unicodedata.normalize("NFC", text).casefold().split())
        return cls(folded.rstrip(_END) or folded, Counter(_WORD.findall(folded)))

    def likeness(self, other: "Wording") -> float:
        """The share of words two texts have in common, from 0 to 1; without words, they are alike if they are equal."""
        count = self.words.total() + other.words.total()
        return 2 * (self.words & other.words).total() / count if count else float(self.folded == other.folded)


def agreement(compared: Sequence[Compared]) -> Agreement:
    """How alike the answers to one question are."""
    kept = [(number, Wording.of(one.answer.text)) for number, one in enumerate(compared) if one.answered]
    alone = len({one.model for one in compared}) == 1
    found: dict[int, list[float]] = {}
    same = pairs = 0
    for (first, one), (second, other) in combinations(kept, 2):
        pairs += 1
        same += one.folded == other.folded
        if alone or compared[first].model != compared[second].model:
            like = one.likeness(other)
            found.setdefault(first, []).append(like)
            found.setdefault(second, []).append(like)
    return Agreement(tuple(_mean(found.get(number, ())) for number in range(len(compared))), same, pairs)


def agreement_by_row(compared: Sequence[Compared]) -> Agreement:
    """How alike the answers about the same row are, in the order of *compared*."""
    rows: dict[int | None, list[int]] = {}
    for position, one in enumerate(compared):
        rows.setdefault(one.row, []).append(position)
    each: list[float | None] = [None] * len(compared)
    same = pairs = 0
    for positions in rows.values():
        found = agreement([compared[position] for position in positions])
        same, pairs = same + found.same, pairs + found.pairs
        for position, like in zip(positions, found.each, strict=True):
            each[position] = like
    return Agreement(tuple(each), same, pairs)


def summaries(compared: Sequence[Compared], agreed: Sequence[float | None]) -> list[Summary]:
    """What each model's answers come to, in the order of the models."""
    groups: dict[str, list[tuple[Compared, float | None]]] = {}
    for one, like in zip(compared, agreed, strict=True):
        groups.setdefault(one.model, []).append((one, like))
    return [_summary(model, group) for model, group in groups.items()]


def _summary(model: str, group: Sequence[tuple[Compared, float | None]]) -> Summary:
    answers = [one.answer for one, _ in group if one.answered]
    counted = [one.answer for one, _ in group if one.answered or one.answer.usage != Usage()]
    length = _mean([len(answer.text) for answer in answers])
    return Summary(
        model=model,
        asked=len(group),
        answered=len(answers),
        characters=None if length is None else round(length),
        prompt_tokens=_sum(answer.usage.prompt_tokens for answer in counted),
        completion_tokens=_sum(answer.usage.completion_tokens for answer in counted),
        finish=tuple(dict.fromkeys(filter(None, (ending(one) for one, _ in group)))),
        agreement=_mean([like for _, like in group if like is not None]),
        seconds=round(sum(one.answer.seconds for one, _ in group), 3),
    )


def ending(one: Compared) -> str:
    """How an answer ended: the service's word, or the kind of error; nothing where it wasn't asked for."""
    return type(one.problem).__name__ if one.problem is not None else one.answer.finish_reason


def records(compared: Sequence[Compared], agreed: Sequence[float | None], lang: str = "en") -> list[dict[str, Any]]:
    """The answers as data: a row each."""
    return [_record(one, like, lang) for one, like in zip(compared, agreed, strict=True)]


def _record(one: Compared, like: float | None, lang: str) -> dict[str, Any]:
    answer = one.answer
    row: Mapping[str, Any] = {} if one.row is None else {"index": one.index}
    before = {**row, "model": one.model, "n": one.n, "answer": answer.shown if one.answered else None}
    behind = {
        "error": None if one.problem is None else one.problem.message(lang),
        "finish": ending(one) or None,
        "characters": len(answer.text),
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "seconds": answer.seconds,
        "agreement": None if like is None else round(like, 4),
        "id": answer.id or None,
    }
    first, last = ({own_column(name, one.columns): cell for name, cell in cells.items()} for cells in (before, behind))
    return {**first, **one.columns, **last}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return sum(count for count in known if count is not None) if known and None not in known else None
