"""What each model is asked about the rows, and what it answered."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...batch.agreement import Compared
from ...batch.job import Job
from ...batch.row import Done, together
from ...batch.runner import completed
from ...batch.table import DataRow
from ...core.answer import Answer
from ...core.errors import BudgetError, QianfanError, SchemaError
from ...core.usage import added
from ..cell import CellContext
from ..interrupts import Interrupts


class ModelRound(NamedTuple):
    """What one model is asked in one round."""

    n: int
    job: Job

    @property
    def model(self) -> str:
        """Whom it asks."""
        return self.job.questions.target.model


class RowAnswers:
    """The answers so far, by model and round, in the rows' order; of what wasn't asked, too, there is a row."""

    def __init__(self, cell: CellContext, rows: Sequence[DataRow]) -> None:
        self._cell, self._rows = cell, rows
        self.compared: list[Compared] = []
        self.unasked = 0
        self.repaired = 0  # how many answers were asked again as they did not fit the schema
        self.repair_tokens = 0  # what that came to
        self.problem: QianfanError | None = None
        self.paid: Counter[tuple[str, str]] = Counter()  # whole answers, by wire and model
        self.unknown: Counter[tuple[str, str]] = Counter()  # and how many more there may be

    def ask(self, asking: ModelRound, interrupts: Interrupts) -> None:
        """Ask one model about all rows; what ends it before its time is the problem of the rows it leaves."""
        job, found = asking.job, dict[int, Compared]()
        problem: QianfanError | None = None
        try:
            for done in completed(job, iter(self._rows), started=interrupts.tell):
                source = job.questions.target.wire, asking.model
                self.paid[source] += sum(answer.complete for answer in done.paid) + done.kept
                self.repaired += len(done.paid) > 1
                again = added([answer.usage for answer in done.paid[1:]])
                self.repair_tokens += (again.prompt_tokens or 0) + (again.completion_tokens or 0)
                if job.questions.schema is not None:  # of one that was there, nobody knows how often it was asked
                    self.unknown[source] += done.kept * job.work.repairs
                found[done.number] = self._compared(asking, done)
        except QianfanError as error:
            problem = self.problem = self._cell.session.keys.explained(error)
        if problem is None:
            self.problem = next((one.problem for one in found.values() if one.problem is not None), self.problem)
        self._take(asking, found, problem)

    def leave(self, asking: ModelRound) -> None:
        """Ask this no more."""
        self._take(asking, {}, self.problem if isinstance(self.problem, BudgetError) else None)

    def _take(self, asking: ModelRound, found: Mapping[int, Compared], problem: QianfanError | None) -> None:
        for number in range(len(self._rows)):
            nothing = Done(number=number, error=problem)
            self.compared.append(found[number] if number in found else self._compared(asking, nothing))
        self.unasked += len(self._rows) - len(found)

    def _compared(self, asking: ModelRound, done: Done) -> Compared:
        schema = asking.job.questions.schema
        error = None if done.error is None else self._cell.session.keys.explained(done.error)
        came = done.answer or (together(done.paid) if done.paid else Answer("", model=asking.model, finish_reason=""))
        columns: Mapping[str, Any] = {}
        if schema is not None:
            try:
                columns = schema.columns(done.value)
            except SchemaError as problem:  # of the user's own class
                columns, error = schema.columns(None), error or problem
        return Compared(
            model=asking.model,
            n=asking.n,
            answer=came,
            problem=error,
            row=done.number,
            index=self._rows[done.number].index,
            columns=columns,
        )
