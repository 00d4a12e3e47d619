"""Token counts, as far as they are known."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer; ``None`` is "not known", never zero."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_usage(raw: object, *, streamed: bool = False, complete: bool = True) -> Usage:
    """
    Read the service's ``usage`` object; of a stream, the last one that came.

    A stream's last event states its own increment on some models (RWKV, Fiction) and the whole on others (Dolly,
    Yi), so ``completion_tokens`` can't be taken as it stands: last total less last prompt is right for both
    (documented pages, stream examples). A cut stream has no final total: the counts are unknown.
    """
    if not isinstance(raw, Mapping):
        return Usage()
    prompt, completion, total = (_count(raw.get(f"{part}_tokens")) for part in ("prompt", "completion", "total"))
    if streamed and not complete:
        return Usage(prompt_tokens=prompt)
    if streamed and total is not None and prompt is not None and total >= prompt:
        completion = total - prompt
    return Usage(prompt, completion, total)
