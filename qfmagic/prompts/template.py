"""``{{ expression }}`` in prompts: evaluated once in the user's namespace, never scanned again."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any, NamedTuple, Self

from ..core.errors import PromptError

_OPENING = re.compile(r"\{\{")


class Expression(NamedTuple):
    """
    An expression in a template.

    Attributes:
        source: What stands between the braces.
        line: The line of the template it is in, from 1.
        code: What is evaluated; None if it is no expression, which is told when it is to be evaluated.
    """

    source: str
    line: int
    code: CodeType | None

    @property
    def names(self) -> frozenset[str]:
        """The names it reads from outside."""
        if self.code is None:
            return frozenset()
        found = [node for node in ast.walk(ast.parse(self.source, mode="eval")) if isinstance(node, ast.Name | ast.arg)]
        own = {node.arg if isinstance(node, ast.arg) else node.id for node in found if _binds(node)}
        return frozenset(node.id for node in found if isinstance(node, ast.Name) and node.id not in own)

    def evaluate(self, namespace: Mapping[str, Any]) -> Any:
        """
        Evaluate it.

        Raises:
            PromptError: It failed; the error names it, its line and the way out.
        """
        try:
            return eval(self.code or self.source, dict(namespace))  # noqa: S307 - the user's own cell and kernel
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise PromptError("prompt.expression", expression=self.source, line=self.line, reason=reason) from error


class Template(NamedTuple):
    """A text with expressions in it, read once."""

    parts: tuple[str | Expression, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a text.

        Single braces, ``$x``, LaTeX, JSON and code pass untouched, and so do ``{{`` without an end and an empty
        ``{{}}``.
        """
        return cls(tuple(_parts(text)))

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    def fill(self, namespace: Mapping[str, Any], show: Callable[[object], str] = str) -> str:
        """
        Replace each expression by its value. What a value holds is not looked at again.

        Args:
            namespace: Where the expressions are evaluated.
            show: Turns a value into text.

        Raises:
            PromptError: An expression failed.
        """
        return "".join(part if isinstance(part, str) else _shown(part, namespace, show) for part in self.parts)


def render(template: str, namespace: Mapping[str, Any], show: Callable[[object], str] = str) -> str:
    """Replace each ``{{ expression }}``; see :class:`Template`."""
    return Template.parse(template).fill(namespace, show)


def _binds(node: ast.Name | ast.arg) -> bool:
    return isinstance(node, ast.arg) or isinstance(node.ctx, ast.Store)


def _parts(template: str) -> Iterator[str | Expression]:
    position = 0
    for opening in _OPENING.finditer(template):
        if opening.start() < position:
            continue
        found = _expression(template, opening.end())
        if found is None:
            continue
        source, end = found
        yield template[position : opening.start()]
        yield Expression(source, template.count("\n", 0, opening.start()) + 1, _compiled(source))
        position = end
    yield template[position:]


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
            if template[stop : stop + 2] == "}}" and _compiled(template[start:stop].strip()):
                return template[start:stop].strip(), stop + 2
        end = template.find("}}", end + 1)
    return first


def _compiled(expression: str) -> CodeType | None:
    try:
        return compile(expression, "<prompt>", "eval")
    except (SyntaxError, ValueError):
        return None


def _shown(part: Expression, namespace: Mapping[str, Any], show: Callable[[object], str]) -> str:
    value = part.evaluate(namespace)
    try:
        return show(value)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise PromptError("prompt.expression", expression=part.source, line=part.line, reason=reason) from error
