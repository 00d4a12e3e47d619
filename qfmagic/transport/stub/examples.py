"""The documented request and response examples of the four pages, from ``data/examples.json``."""

import json
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple


class Example(NamedTuple):
    """One documented exchange: the messages, and the body or the events that answer them."""

    model: str
    messages: tuple[str, ...]
    body: Mapping[str, Any] | None
    events: tuple[Mapping[str, Any], ...]

    @property
    def text(self) -> str:
        """The whole documented answer."""
        return str(self.body["result"]) if self.body else "".join(event["result"] for event in self.events)

    @property
    def usage(self) -> dict[str, int]:
        """The documented token counts of the whole."""
        last: Mapping[str, int] = (self.body or self.events[-1])["usage"]
        prompt, total = last["prompt_tokens"], last["total_tokens"]
        return {"prompt_tokens": prompt, "completion_tokens": total - prompt, "total_tokens": total}


@cache
def examples() -> tuple[Example, ...]:
    """All of them, read once."""
    data = pkgutil.get_data("qfmagic", "data/examples.json")
    assert data is not None
    table = json.loads(data)
    return tuple(
        Example(
            row["model"],
            tuple(_key(message["content"]) for message in row["messages"]),
            row.get("body"),
            tuple(row.get("events", ())),
        )
        for row in table["examples"]
    )


def find_example(models: Sequence[str], contents: Sequence[str], *, stream: bool) -> Example | None:
    """
    Find the documented answer to these messages.

    The same conversation counts before the same last question, an example of the same form (streamed or not) before
    the other.
    """
    asked = tuple(map(_key, contents))
    candidates = [example for example in examples() if example.model in models and example.messages[-1] == asked[-1]]
    ranked = sorted(candidates, key=lambda e: (e.messages != asked, bool(e.events) != stream))
    return ranked[0] if ranked else None


def _key(content: str) -> str:
    # The pages' own follow-up examples drop the blank that leads Dolly's first answer.
    return content.strip()
