"""From a row to a request: the template filled, the schema behind it, everything checked before it is sent."""

import builtins
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

from ..core.answer import Answer
from ..core.callbacks import ignore
from ..core.errors import OptionError, PromptError
from ..core.messages import Message
from ..core.models import Target, did_you_mean, suggest
from ..core.plan import Plan, plan_request
from ..prompts.template import Template
from ..structured.repair import NextRequest, Structured, exchanges, question_of, room_in
from ..structured.schema import Schema
from .row_names import RowNames
from .table import ITEM, DataRow

ROW_NAMES = ("row", ITEM, "index")


@dataclass(frozen=True)
class Questions:
    """
    What is asked of each row.

    Attributes:
        template: The text; columns are names in it, and so are ``row``, ``item`` and ``index``.
        target: Where it goes.
        parameters: The model's parameters.
        namespace: Further names for the template.
        schema: What each answer must fit; None for text.
        stream: Whether to ask for streams.
        check: Looks at the body of each request before it is sent.
    """

    template: Template
    target: Target
    parameters: Mapping[str, Any] = field(default_factory=dict)
    namespace: Mapping[str, Any] = field(default_factory=dict)
    schema: Schema | None = None
    stream: bool = True
    check: Callable[[Mapping[str, Any]], object] = ignore

    @property
    def searches(self) -> bool:
        """Whether the answers come with the addresses of pages."""
        return bool(self.parameters.get("web_search"))

    def prompt(self, row: DataRow) -> str:
        """
        Fill the template.

        Raises:
            PromptError: An expression failed, or a column it reads has no value in this row.
        """
        given = RowNames.of(row)
        names = {**self.namespace, **given.names}
        return "".join(part if isinstance(part, str) else given.shown(part, names) for part in self.template.parts)

    def first(self, row: DataRow) -> Plan:
        """
        Make a row's request.

        Raises:
            InputError: It can't be asked: the template failed, or the prompt is empty or too long.
        """
        prompt = self.prompt(row)
        if not prompt.strip():
            raise PromptError("prompt.empty")
        if self.schema is None:
            return self.plan((Message("user", prompt),))
        return self.plan(*question_of(prompt, self.schema, way=self.target.json_way))

    def following(self, plan: Plan, repairs: int) -> Generator[NextRequest, Answer, Structured]:
        """Decide what is asked after a row's first request: the steps of :func:`exchanges`, the first included."""
        assert self.schema is not None
        asking = self.schema.parameters(self.target.json_way)
        room = room_in(self.target, plan.request.parameters)
        return exchanges(NextRequest(plan.context.messages, asking), self.schema, repairs=repairs, room=room)

    def plan(self, messages: Sequence[Message], extra: Mapping[str, Any] | None = None) -> Plan:
        """
        Check messages and make the request.

        Raises:
            InputError: It can't be asked like that.
        """
        plan = plan_request(
            self.target,
            messages,
            parameters={**(extra or {}), **self.parameters},  # one's own response_format stands
            stream=self.stream,
        )
        self.check(plan.request.body)
        return plan


def check_template(template: Template, columns: Sequence[str], namespace: Mapping[str, Any]) -> None:
    """
    Check a template before anything is asked.

    Args:
        template: The template.
        columns: The data's columns.
        namespace: What else it may name.

    Raises:
        PromptError: It has no placeholder, or none that differs from row to row, or names what isn't there.
    """
    there = {*columns, *ROW_NAMES}
    if not template.expressions:
        raise PromptError("map.no_placeholder", names=offered(columns))
    for expression in template.expressions:
        if expression.code is None:
            raise PromptError(
                "map.no_expression", expression=expression.source, line=expression.line, names=offered(columns)
            )
    names = {name for expression in template.expressions for name in expression.names}
    # Alone, the name of one of Python's functions is rather meant to be a column's.
    alone = {expression.source for expression in template.expressions}
    known = {*dir(builtins)} - alone
    for name in sorted(names - there - {*namespace} - known):
        hint = did_you_mean(suggest(name, [*there, *(known for known in namespace if not known.startswith("_"))]))
        raise PromptError("map.no_column", column=name, suggestions=hint, names=offered(columns))
    if not names & there:
        raise PromptError("map.same_prompt", names=offered(columns))


def check_columns(columns: Sequence[str], new: Sequence[str]) -> None:
    """
    Check that no result would take a column's place.

    Raises:
        OptionError: It would; or two results have the same name.
    """
    for position, name in enumerate(new):
        if name in columns or name in new[:position]:
            raise OptionError("map.column_taken", column=name)


def offered(columns: Sequence[str]) -> list[str]:
    """The placeholders a template may have, for an error."""
    shown = [name if _is_name(name) else f"row[{name!r}]" for name in columns[:10]]
    return [f"{{{{ {name} }}}}" for name in dict.fromkeys((*shown, *ROW_NAMES))]


def _is_name(column: str) -> bool:
    return column.isidentifier() and not iskeyword(column)
