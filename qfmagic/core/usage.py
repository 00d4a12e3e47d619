"""Token counts, as far as they are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Usage:
    """
    Token counts of one answer; ``None`` is "not known", never zero.

    Attributes:
        prompt_tokens: Of the question and all that was sent with it.
        completion_tokens: Of the answer, its reasoning included.
        total_tokens: Of both.
        cached_tokens: Those of the prompt that were in the service's cache.
        search_tokens: Those of the prompt that a web search added.
        reasoning_tokens: Those of the answer that are reasoning.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    search_tokens: int | None = None
    reasoning_tokens: int | None = None


_OTHER_NAMES = {"prompt": "input", "completion": "output"}  # as some gateways call the parts
DETAILS = ("cached_tokens", "search_tokens", "reasoning_tokens")  # counts that are parts of others


def added(usages: Sequence[Usage]) -> Usage:
    """The sum of several; what one of them doesn't know isn't known."""
    columns = [[getattr(usage, item.name) for usage in usages] for item in fields(Usage)]
    return Usage(*(None if None in column else sum(column) for column in columns))


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _detail(raw: Mapping[str, object], part: str, name: str) -> int | None:
    """A count inside a part's details, or beside the counts."""
    details = (raw.get(f"{called}_tokens_details") for called in (part, _OTHER_NAMES[part]))
    inner = next((found[name] for found in details if isinstance(found, Mapping) and name in found), None)
    return _count(raw.get(name) if inner is None else inner)


def _part(raw: Mapping[str, object], part: str) -> int | None:
    count = _count(raw.get(f"{part}_tokens"))
    return _count(raw.get(f"{_OTHER_NAMES[part]}_tokens")) if count is None and part in _OTHER_NAMES else count


def read_usage(raw: object, *, streamed: bool = False, complete: bool = True) -> Usage:
    """
    Read the service's ``usage`` object; of a stream, the last one that came.

    A stream's last event states its own increment on some models (RWKV, Fiction) and the whole on others (Dolly,
    Yi), so ``completion_tokens`` can't be taken as it stands: last total less last prompt is right for both
    (documented pages, stream examples). A cut stream has no final total: the counts are unknown.
    """
    if not isinstance(raw, Mapping):
        return Usage()
    prompt, completion, total = (_part(raw, part) for part in ("prompt", "completion", "total"))
    cached, search = _detail(raw, "prompt", "cached_tokens"), _detail(raw, "prompt", "search_tokens")
    if streamed and not complete:
        return Usage(prompt_tokens=prompt, cached_tokens=cached, search_tokens=search)
    if streamed and total is not None and prompt is not None and total >= prompt:
        completion = total - prompt
    return Usage(prompt, completion, total, cached, search, _detail(raw, "completion", "reasoning_tokens"))
