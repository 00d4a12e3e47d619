"""Where a stand-in ends an answer that is longer than it may be."""

from collections.abc import Mapping
from typing import Any

from ...core.context import measure
from ...core.models.params import ANSWER_LIMITS


def cut(text: str, body: Mapping[str, Any]) -> str:
    """*text* as far as the request's limit of output tokens reaches, by the estimate that counts the usage too."""
    limit = next((body[name] for name in ANSWER_LIMITS if isinstance(body.get(name), int)), None)
    if limit is None or measure(text).tokens <= limit:
        return text
    end = len(text)
    while measure(text[:end]).tokens > limit:
        end -= 1
    return text[:end]
