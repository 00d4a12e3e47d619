"""Which models the stub serves on V2, and how it lists them."""

from collections.abc import Collection
from typing import Any

from ...core.models import Model
from ...core.wire.model_list import is_well_formed


def refusal(model: Model, kept: Collection[str] = ()) -> str | None:
    """
    Why V2 refuses a model; None if it doesn't. A retirement that nobody confirmed doesn't count.

    Args:
        model: The model.
        kept: Retired models that are still served.
    """
    retirement = model.retirement_on("v2")
    served = "v2" in model.apis and is_well_formed(model.name)
    if served and (retirement is None or retirement.announced or model.name in kept):
        return None
    return f"No permission to use the model {model.name[:80]}"


def listed(model: Model, created: int) -> dict[str, Any]:
    """A model's row in the stub's list."""
    known = model.capabilities
    limits = {"max_completions_tokens": known.max_output} if known.max_output else {}
    return {"id": model.name, "object": "model", "created": created, "owned_by": "qianfan", "type": "chat", **limits}
