"""A template over many rows, decided: everything that can be checked before the first row is asked."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from ..core.errors import OptionError
from ..core.models.params import check_parameters
from ..prompts.template import Template
from ..structured.repair import check_repairs
from ..structured.schema import Schema
from .results import cells_of, result_kinds, result_names
from .row import Done
from .row_prompts import Questions, check_columns, check_template
from .row_runner import Work
from .table import DataRow, DataTable, read_table

DEFAULT_WORKERS = 8
MAX_WORKERS = 100  # workers: the client's connections


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Job:
    """
    A template over a table, decided.

    Attributes:
        table: The rows.
        work: How they are asked.
        workers: How many at a time.
        prefix: Stands before the names of the results.
        sample: Only so many rows, from the first; None for all.
        lang: Language of the errors in the results.
    """

    table: DataTable
    work: Work
    workers: int = DEFAULT_WORKERS
    prefix: str = ""
    sample: int | None = None
    lang: str = "en"

    @property
    def questions(self) -> Questions:
        """What is asked."""
        return self.work.questions

    @property
    def names(self) -> tuple[str, ...]:
        """The results' columns."""
        return result_names(self.questions.schema, self.prefix, searches=self.questions.searches)

    @property
    def length(self) -> int | None:
        """How many rows are asked for; None where nobody knows."""
        if self.sample is None or self.table.length is None:
            return self.table.length
        return min(self.sample, self.table.length)

    def rows(self) -> Iterator[DataRow]:
        """The rows that are asked for."""
        return islice(self.table.rows(), self.sample)

    def gather(self, done: Mapping[int, Done]) -> Any:
        """The data with the results of those rows that are done."""
        cells = [self.cells(done.get(number)) for number in range(self.length or 0)]
        columns = {name: [row[name] for row in cells] for name in self.names}
        return self.table.with_columns(
            columns, result_kinds(self.questions.schema, self.prefix, searches=self.questions.searches)
        )

    def cells(self, done: Done | None) -> dict[str, Any]:
        """A row's results, by column."""
        return dict(
            zip(
                self.names,
                cells_of(done, self.questions.schema, self.lang, searches=self.questions.searches),
                strict=True,
            )
        )


def check_workers(workers: object) -> int:
    """
    Check a number of workers.

    Raises:
        OptionError: It is none.
    """
    return check_whole("workers", workers, 1, MAX_WORKERS)


def check_whole(name: str, value: object, least: int, most: int | None = None) -> int:
    """
    Check a whole number.

    Raises:
        OptionError: It is none, or out of its range.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value and (most is None or value <= most):
        return value
    end = "" if most is None else f", {most}"
    raise OptionError("option.value", name=name, value=repr(value), allowed=f"{least}, {least + 1}, ...{end}")


def decide(
    data: Any,
    template: str,
    work: Callable[[Template, Schema | None], Work],
    *,
    name: str = "DATA",
    namespace: Mapping[str, Any] = _NOTHING,
    schema: Any = None,
    workers: int = DEFAULT_WORKERS,
    sample: int | None = None,
    **others: Any,
) -> Job:
    """
    Check everything that can be checked before the first row is asked.

    Args:
        data: The data.
        template: The question.
        work: Says how the rows are asked, of the template and the schema as they were read.
        name: What an error calls the data.
        namespace: Further names for the template.
        schema: What each answer must fit.
        workers: How many at a time.
        sample: Only so many rows.
        others: What :class:`Job` takes beside.

    Raises:
        InputError: It can't be asked like that.
    """
    check_workers(workers)
    if sample is not None:
        check_whole("sample", sample, 1)
    table = read_table(data, name)
    parsed = Template.parse(template)
    check_template(parsed, table.names, namespace)
    wanted = None if schema is None else Schema.of(schema, namespace)
    made = work(parsed, wanted)
    check_repairs(made.repairs)
    target = made.questions.target
    check_parameters(made.questions.parameters, target.parameters, model=target.title, source=target.source.title)
    job = Job(table, made, workers, sample=sample, **others)
    check_columns(table.names, job.names)
    return job
