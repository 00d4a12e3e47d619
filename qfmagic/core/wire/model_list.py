"""The models the service lists for a key (GET /v2/models), and which of them to name in place of a refused one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..models import DEFAULT_MODEL, registry

SHOWN = 5  # names in a hint
# Names go into errors and onto the user's line; anything else is passed over.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """
    A row of the service's list. Every field but the name may be missing.

    Attributes:
        name: The name to send.
        kind: "chat", "embeddings", "text2image", ...
        owner: Who made the model.
        created: Seconds since 1970.
        context: Tokens of the context.
        max_output: Tokens of reasoning and answer.
        max_answer: Tokens of the answer.
        input_price: CNY for 1000 tokens of the prompt, as listed.
        output_price: CNY for 1000 tokens of the answer, as listed.
    """

    name: str
    kind: str | None = None
    owner: str | None = None
    created: int | None = None
    context: int | None = None
    max_output: int | None = None
    max_answer: int | None = None
    input_price: str | None = None
    output_price: str | None = None

    @property
    def chats(self) -> bool:
        """Whether it may be a chat model: a row without a kind may be any."""
        return self.kind in (None, "chat")

    def row(self) -> dict[str, Any]:
        """The row as the service writes it, for a file."""
        return {
            "id": self.name,
            "type": self.kind,
            "owned_by": self.owner,
            "created": self.created,
            "context_length": self.context,
            "max_completions_tokens": self.max_output,
            "max_tokens": self.max_answer,
            "pricing": {"prompt": self.input_price, "completion": self.output_price},
        }


def read_model_list(payload: Mapping[str, Any]) -> tuple[ListedModel, ...] | None:
    """Read the service's list; None if *payload* is not one."""
    rows = payload.get("data")
    if not isinstance(rows, list):
        return None
    found = {row["id"]: _listed(row) for row in rows if isinstance(row, Mapping) and _is_name(row.get("id"))}
    return tuple(found.values())


def is_well_formed(name: str) -> bool:
    """Whether a model of the service can have this name."""
    return _NAME.fullmatch(name) is not None


def usable_names(refused: str, listed: Sequence[ListedModel]) -> list[str]:
    """
    Which models to name in place of a refused one, best first.

    Those that look like it, then its successor, the default, the current rows of the table, the newest of the list.
    """
    newest = sorted(listed, key=lambda model: model.created or 0, reverse=True)
    known = {model.name: None for model in newest if model.chats and model.name != refused}
    names = [name for name in known if registry().retirement(name, "v2") is None]
    retirement = registry().retirement(refused, "v2")
    wanted = [
        *registry().suggest(refused, names, "v2"),
        *([retirement.instead] if retirement else []),
        DEFAULT_MODEL,
        *(model.name for model in registry().offered()),
    ]
    return list(dict.fromkeys([*(name for name in wanted if name in names), *names]))[:SHOWN]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_well_formed(value)


def _listed(row: Mapping[str, Any]) -> ListedModel:
    pricing = row.get("pricing")
    prices = pricing if isinstance(pricing, Mapping) else {}
    return ListedModel(
        name=row["id"],
        kind=_word(row.get("type")),
        owner=_word(row.get("owned_by")),
        created=_count(row.get("created")),
        context=_count(row.get("context_length")),
        max_output=_count(row.get("max_completions_tokens")),
        max_answer=_count(row.get("max_tokens")),
        input_price=_price(prices.get("prompt")),
        output_price=_price(prices.get("completion")),
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[\w .,+-]{1,40}", value) else None


def _count(value: object) -> int | None:
    """A positive whole number, also as a string."""
    written = str(value).removesuffix(".0") if isinstance(value, (int, float, str)) else ""
    return int(written) or None if re.fullmatch("[0-9]{1,15}", written) else None


def _price(value: object) -> str | None:
    written = str(value) if isinstance(value, (int, float, str)) else ""
    return written if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", written) else None
