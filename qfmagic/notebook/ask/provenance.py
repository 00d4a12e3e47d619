"""Where an answer comes from, for the metadata of its output."""

from collections.abc import Mapping
from typing import Any

from ...core.answer import Answer
from ...core.context import Context
from ...core.conversation import Turn
from ...core.fingerprint import of_json, of_source
from ...core.usage import DETAILS, Usage
from ...version import __version__
from .question import Question


def _page(source: Mapping[str, Any]) -> dict[str, Any]:
    return {name: source[name] for name in ("index", "title", "url") if name in source}


def provenance(
    answer: Answer, question: Question, turn: Turn, shown: Mapping[str, str], source: str | None
) -> dict[str, Any]:
    """
    Everything that is needed to see later what was asked and what answered; no secrets.

    Args:
        answer: The answer.
        question: The question.
        turn: The turn they make.
        shown: What stays in the cell.
        source: The cell, as it was written.

    It goes into the output's metadata and not into its data, because time and ids differ from run to run and strict
    nbval compares the data.
    """
    expected = question.expected
    return {
        "version": __version__,
        "transport": answer.transport,
        "wire": answer.wire,
        "model": answer.model,
        "endpoint": answer.endpoint,
        "parameters": dict(question.plan.request.parameters),
        "chat": question.slot.chat if question.joins else None,
        "turn": question.slot.at + 1 if question.joins else None,
        "state": turn.state,
        "hash": turn.hash if question.joins else None,
        "parents": list(question.parents),
        "cell": None if source is None else of_source(source),
        "shown": of_json(shown),
        "request": question.plan.request.hash,
        "id": answer.id,
        "created": answer.created,
        "usage": _usage(answer.usage),
        "seconds": answer.seconds,
        "finish": answer.finish_reason,
        **({"served_model": answer.served_model} if answer.served_model not in ("", answer.model) else {}),
        **({"flag": answer.flag} if answer.flag else {}),
        **({"sources": [_page(source) for source in answer.sources]} if answer.sources and not answer.withheld else {}),
        # The requests before it whose answers didn't fit its schema.
        **({"rejected": list(expected.refused)} if expected is not None and expected.refused else {}),
        "context": _context(question.plan.context),
    }


def _usage(usage: Usage) -> dict[str, int | None]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        **{name: count for name in DETAILS if (count := getattr(usage, name)) is not None},
    }


def _context(context: Context) -> dict[str, int | None]:
    return {
        "sent": context.sent,
        "available": context.available,
        "chars": context.size.chars,
        "tokens": context.size.tokens,
        "max_chars": context.limits.max_chars,
        "max_tokens": context.limits.max_tokens,
    }
