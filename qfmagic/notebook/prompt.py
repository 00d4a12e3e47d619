"""``{{ expression }}`` in prompts: evaluated once in the user's namespace, never scanned again."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import PromptError

_OPENING = re.compile(r"\{\{")


def render(template: str, namespace: Mapping[str, Any], show: Callable[[object], str] = str) -> str:
    """
    Replace each ``{{ expression }}`` by its value.

    Single braces, ``$x``, LaTeX, JSON and code pass untouched, and so do ``{{`` without an end and an empty
    ``{{}}``. What a value holds is not looked at again.

    Args:
        template: The text.
        namespace: Where the expressions are evaluated.
        show: Turns a value into text.

    Raises:
        PromptError: An expression failed; the error names it, its line and the way out.
    """
    parts: list[str] = []
    position = 0
    for opening in _OPENING.finditer(template):
        if opening.start() < position:
            continue
        found = _expression(template, opening.end())
        if found is None:
            continue
        expression, end = found
        parts += template[position : opening.start()], _evaluate(template, opening.start(), expression, namespace, show)
        position = end
    return "".join((*parts, template[position:]))


def _expression(template: str, start: int) -> tuple[str, int] | None:
    """The expression that starts there and the position behind its ``}}``; None if it isn't one."""
    first: tuple[str, int] | None = None
    end = template.find("}}", start)
    while end >= 0:
        expression = template[start:end].strip()
        if not expression:
            return None
        first = first or (expression, end + 2)
        # A dict in the expression may end in }} itself: take the first end at which it is an expression.
        for stop in (end, end + 1):
            if template[stop : stop + 2] == "}}" and _compiles(template[start:stop].strip()):
                return template[start:stop].strip(), stop + 2
        end = template.find("}}", end + 1)
    return first


def _compiles(expression: str) -> bool:
    try:
        compile(expression, "<prompt>", "eval")
    except (SyntaxError, ValueError):
        return False
    return True


def _evaluate(
    template: str, start: int, expression: str, namespace: Mapping[str, Any], show: Callable[[object], str]
) -> str:
    try:
        return show(eval(expression, dict(namespace)))  # noqa: S307 - the user's own cell, in the user's own kernel
    except Exception as error:
        line = template.count("\n", 0, start) + 1
        reason = f"{type(error).__name__}: {error}"
        raise PromptError("prompt.expression", expression=expression, line=line, reason=reason) from error
