"""A row's names in a template, and the text of each expression; a missing value is never sent as a word (``None``)."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from ..core.errors import PromptError
from ..prompts.template import Expression
from ..prompts.whole import show_row, show_value
from .columns import is_missing
from .table import ITEM, DataRow, LabeledRow

_NOTHING = re.compile(r"\b(?:None|nan|NaN|NaT|null)\b|<NA>")
_SIMPLE = (ast.Name, ast.Subscript, ast.Attribute, ast.Call)


class _ReadRow(LabeledRow):
    """A row that remembers which missing values were read."""

    def __init__(self, values: Mapping[Any, Any], names: Mapping[str, Any]) -> None:
        super().__init__({key: None if is_missing(value) else value for key, value in values.items()})
        self._names = names
        self.gaps: list[Any] = []

    def __getitem__(self, key: Any) -> Any:
        try:
            value = super().__getitem__(key)
        except KeyError:
            if key not in self._names:
                raise
            value = None  # other rows of the list have it
        if value is None:
            self.gaps.append(key)
        return value


@dataclass(frozen=True)
class RowNames:
    """
    A row as a template sees it: ``None`` for whatever is missing.

    Attributes:
        names: The columns, ``row``, ``item`` and ``index``.
        item: The row itself.
        columns: The columns alone.
    """

    names: Mapping[str, Any]
    item: Any
    columns: Mapping[str, Any]

    @classmethod
    def of(cls, row: DataRow) -> Self:
        """A row's names."""
        columns = {name: None if is_missing(value) else value for name, value in row.columns.items()}
        item = row.item
        if type(item) in (dict, LabeledRow):
            item = _ReadRow(item, columns)
        elif is_missing(item):
            item = None
        return cls({"row": item, ITEM: item, "index": row.index, **columns}, item, columns)

    def shown(self, expression: Expression, names: Mapping[str, Any]) -> str:
        """
        Evaluate an expression and write its value.

        Raises:
            PromptError: It failed, or has no value in this row.
        """
        gaps = self.item.gaps if isinstance(self.item, _ReadRow) else []
        gaps.clear()
        try:
            value = expression.evaluate(self._for(expression, names))
            text = self._text(value)
        except PromptError as error:
            if (gap := self._gap(expression)) is not None:
                raise _no_value(expression, gap) from error
            raise PromptError("map.expression", **error.values) from error.__cause__
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            values = {"expression": expression.source, "line": expression.line, "reason": reason}
            raise PromptError("map.expression", **values) from error
        if is_missing(value):
            raise _no_value(expression, _parenthesized(expression.source))
        gap = self._gap(expression)
        if gap is not None and value is not self.item and _NOTHING.search(text):
            raise _no_value(expression, gap)
        return text

    def _for(self, expression: Expression, names: Mapping[str, Any]) -> Mapping[str, Any]:
        """The names; where a column is named row too, ``row['column']`` still reads the row."""
        if "row" not in self.columns or not any(key in self.columns for key in _keys_of_row(expression.source)):
            return names
        return {**names, "row": self.item}

    def _text(self, value: Any) -> str:
        if value is not self.item or not isinstance(value, _ReadRow):
            return show_value(value)
        if value and all(entry is None for entry in value.values()):
            raise PromptError("map.no_row")
        return show_row(value)

    def _gap(self, expression: Expression) -> str | None:
        """The first missing value that was read, as it can be written in an expression."""
        if isinstance(self.item, _ReadRow) and self.item.gaps:
            return f"row[{self.item.gaps[0]!r}]"
        return next(
            (name for name in sorted(expression.names) if name in self.names and self.names[name] is None), None
        )


@lru_cache(maxsize=100)
def _keys_of_row(source: str) -> frozenset[object]:
    """The constant keys by which an expression reads ``row``: ``row['text']``, ``row.get('text')``."""
    found: set[object] = set()
    for node in ast.walk(ast.parse(source, mode="eval")):
        match node:
            case ast.Subscript(ast.Name("row"), ast.Constant(key)):
                found.add(key)
            case ast.Call(ast.Attribute(ast.Name("row"), "get"), [ast.Constant(key), *_]):
                found.add(key)
    return frozenset(found)


def _parenthesized(source: str) -> str:
    return source if isinstance(ast.parse(source, mode="eval").body, _SIMPLE) else f"({source})"


def _no_value(expression: Expression, gap: str) -> PromptError:
    return PromptError("map.no_value", expression=expression.source, gap=gap, value=_parenthesized(expression.source))
