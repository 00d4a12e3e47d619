"""The names a magic sees where it stands in a function, a comprehension or a class: those Python would see."""

from types import FrameType
from typing import Any

_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED: a function's code; that of a class body or a module hasn't got it


def local_names(frame: FrameType | None) -> dict[str, Any]:
    """
    The local names around a call, the innermost's first choice; none where the cell itself calls.

    Python puts an enclosing function's names into an inner one only where its code has them, and here they stand in a
    text. So enclosing functions are looked for among those that run: those whose code holds the inner one's.

    Args:
        frame: The frame of whoever calls the magic, or of IPython's that calls it.
    """
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "IPython":
        frame = frame.f_back
    found: dict[str, Any] = {}
    inner = None
    while frame is not None and frame.f_locals is not frame.f_globals:
        code = frame.f_code
        if inner is None or code.co_flags & _OPTIMIZED:  # a class' names are not seen in its functions
            found = {**frame.f_locals, **found}
        inner, frame = code, frame.f_back
        while frame is not None and inner not in frame.f_code.co_consts:
            frame = frame.f_back
    return found
