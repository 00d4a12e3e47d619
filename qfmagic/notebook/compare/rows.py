"""``%%qf compare over=DATA``: a template over rows, asked of several models."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...batch.job import Job, decide
from ...batch.row import Task
from ...batch.scheduler import steps
from ...batch.table import DataRow
from ...core.errors import BudgetError, OptionError
from ...core.i18n import text
from ..ask.comparison import ComparisonView
from ..cell import CellContext
from ..interrupts import Interrupts
from ..map.answer_cache import Opened, opening
from ..map.row_work import row_work, warn_of_terms
from ..output.tables import Rendered
from ..parsing.data_argument import data_of
from ..parsing.line import Arguments, checked_into
from ..parsing.option_table import help_table
from .answers import ModelRound, RowAnswers
from .rows_summary import show_rows


def compare_rows(
    cell: CellContext, shower: ComparisonView, names: Sequence[str], arguments: Arguments, body: str
) -> None:
    """
    Ask each model about each row, as ``%%qf map`` does.

    The models are asked after each other, so that their limits and a cassette meet them as a map would.

    Raises:
        InputError: It can't be asked like that; nothing was sent.
        QianfanError: None of the models answered.
    """
    with opening(cell.session) as opened:
        asking = _asking(cell, names, arguments, body.removesuffix("\n"), opened)
        _run(cell, shower, asking, dry="dry" in arguments.flags)


def _run(cell: CellContext, shower: ComparisonView, asking: Sequence["ModelRound"], *, dry: bool) -> None:
    rows = list(asking[0].job.rows())
    if dry:
        _show_first(cell, asking, rows)
        return
    if not cell.session.transport.kind.plays:  # there, the cassette may have all of it
        for one in asking:
            # All of them, as a cassette numbers equal rows in the order they are looked at.
            planned = list(steps(rows, one.job.questions, one.job.work.there))
            if any(isinstance(step, Task) for step in planned):
                cell.session.meter.check_priced(one.model)
    warn_of_terms(cell, "v2" if any(one.job.questions.target.wire == "v2" for one in asking) else "v1")
    asked = RowAnswers(cell, rows)
    with Interrupts() as interrupts:
        cell.session.open_journal()
        for one in asking:
            if interrupts.came or isinstance(asked.problem, BudgetError):
                asked.leave(one)
            else:
                asked.ask(one, interrupts)
        if len(asked.compared) > asked.unasked:
            show_rows(cell, shower, asked)
        if isinstance(asked.problem, BudgetError):
            raise asked.problem
    if asked.problem is not None and not any(one.answered and one.problem is None for one in asked.compared):
        raise asked.problem


def _show_first(cell: CellContext, asking: Sequence[ModelRound], rows: Sequence[DataRow]) -> None:
    """Show each model's first request (``dry``)."""
    models = list(dict.fromkeys(one.model for one in asking))
    said = Rendered.of(text("compare.dry", cell.session.lang, count=len(rows), models=models))
    cell.front.publish({"text/markdown": said.markdown, "text/plain": said.plain})
    for one in asking:
        if one.n == 1:
            cell.show_request(one.job.questions.first(rows[0]))


def _asking(
    cell: CellContext, names: Sequence[str], arguments: Arguments, template: str, opened: Opened
) -> list[ModelRound]:
    """
    Decide what each model is asked in each round.

    Raises:
        InputError: It can't be asked like that.
    """
    options = arguments.options
    given = {name: value for name, value in options.items() if name not in help_table().compare}
    checked_into(given)
    data = data_of(options["over"], cell.namespace)
    asked = _Template(template, data, options["over"], "fresh" in arguments.flags, opened)
    rounds = range(1, options.get("n", 1) + 1)
    return [ModelRound(n, _job(cell, n, {**given, "model": name}, asked)) for name in names for n in rounds]


class _Template(NamedTuple):
    """
    The question, and what it is about.

    Attributes:
        text: The question.
        data: What it is about.
        name: What an error calls that.
        fresh: Whether what is kept doesn't count.
        opened: Closes what is opened for it.
    """

    text: str
    data: Any
    name: str
    fresh: bool
    opened: Opened


def _job(cell: CellContext, n: int, given: Mapping[str, Any], asked: _Template) -> Job:
    """
    What one model is asked in one round.

    Raises:
        InputError: It can't be asked like that.
    """
    session = cell.session
    kept_as = f"compare:{given.get('into', '')}:{n}"
    tape_job = f"compare {session.chats.cell or session.chats.label} {n}"
    work = row_work(cell, given, kept_as=kept_as, job=tape_job, fresh=asked.fresh, opened=asked.opened, kind="compare")
    job = decide(
        asked.data,
        asked.text,
        work,
        name=asked.name,
        namespace=cell.namespace,
        schema=given.get("schema"),
        prefix="compared ",  # nothing is put beside the data's own columns
        lang=session.lang,
    )
    if job.length is None:  # it can be read once, and here there are several to read it
        raise OptionError("compare.iterator", name=asked.name)
    return job
