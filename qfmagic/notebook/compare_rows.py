"""``%%qf compare over=DATA``: a template over rows, asked of several models."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..analysis.batch import Job, completed, decide
from ..analysis.compare import Compared, agreement_by_row
from ..analysis.steps import Done, Task, steps, together
from ..analysis.table import Row
from ..core.answer import Answer
from ..core.catalogue import text
from ..core.errors import BudgetError, OptionError, QianfanError, SchemaError
from ..core.fingerprint import of_json, of_source
from ..core.plain import printable
from ..version import __version__
from .arguments import Arguments, checked_into
from .cell import CellContext
from .comparing import Shower
from .data_word import data_of
from .display import Bundle
from .helptable import help_table
from .interrupts import Interrupts
from .keeping import Opened, opening
from .row_work import row_work
from .side_by_side import agreement_notes, shared_notes, summary_table
from .tables import Said, Table, note_lines, short

ROWS = 20  # rows shown


def compare_rows(cell: CellContext, shower: Shower, names: Sequence[str], arguments: Arguments, body: str) -> None:
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


def _run(cell: CellContext, shower: Shower, asking: Sequence["_Asking"], *, dry: bool) -> None:
    rows = list(asking[0].job.rows())
    if dry:
        _show_first(cell, asking, rows)
        return
    if cell.session.mode != "auto":  # there, the cassette may have all of it
        for one in asking:
            if any(isinstance(step, Task) for step in steps(rows, one.job.questions, one.job.work.there)):
                cell.session.meter.check_priced(one.model)
    asked = _Asked(cell, rows)
    with Interrupts() as interrupts:
        cell.session.open_journal()
        for one in asking:
            if interrupts.came or isinstance(asked.problem, BudgetError):
                asked.leave(one)
            else:
                asked.ask(one, interrupts)
        if len(asked.compared) > asked.unasked:
            _show(cell, shower, asked)
        if isinstance(asked.problem, BudgetError):
            raise asked.problem
    if asked.problem is not None and not any(one.answered and one.problem is None for one in asked.compared):
        raise asked.problem


class _Asking(NamedTuple):
    """What one model is asked in one round."""

    n: int
    job: Job

    @property
    def model(self) -> str:
        """Whom it asks."""
        return self.job.questions.target.model


def _show_first(cell: CellContext, asking: Sequence[_Asking], rows: Sequence[Row]) -> None:
    """Show each model's first request (``dry``)."""
    models = list(dict.fromkeys(one.model for one in asking))
    said = Said.of(text("compare.dry", cell.session.lang, count=len(rows), models=models))
    cell.front.publish({"text/markdown": said.markdown, "text/plain": said.plain})
    for one in asking:
        if one.n == 1:
            cell.show_request(one.job.questions.first(rows[0]))


class _Asked:
    """The answers so far, by model and round, in the rows' order; of what wasn't asked, too, there is a row."""

    def __init__(self, cell: CellContext, rows: Sequence[Row]) -> None:
        self._cell, self._rows = cell, rows
        self.compared: list[Compared] = []
        self.unasked = 0
        self.problem: QianfanError | None = None
        self.paid: Counter[tuple[str, str]] = Counter()  # whole answers, by wire and model
        self.unknown: Counter[tuple[str, str]] = Counter()  # and how many more there may be

    def ask(self, asking: _Asking, interrupts: Interrupts) -> None:
        """Ask one model about all rows; what ends it before its time is the problem of the rows it leaves."""
        job, found = asking.job, dict[int, Compared]()
        problem: QianfanError | None = None
        try:
            for done in completed(job, iter(self._rows), started=interrupts.tell):
                source = job.questions.target.wire, asking.model
                self.paid[source] += sum(answer.complete for answer in done.paid) + done.kept
                if job.questions.schema is not None:  # of one that was there, nobody knows how often it was asked
                    self.unknown[source] += done.kept * job.work.repairs
                found[done.number] = self._compared(asking, done)
        except QianfanError as error:
            problem = self.problem = self._cell.session.keys.explained(error)
        if problem is None:
            self.problem = next((one.problem for one in found.values() if one.problem is not None), self.problem)
        self._take(asking, found, problem)

    def leave(self, asking: _Asking) -> None:
        """Ask this no more."""
        self._take(asking, {}, self.problem if isinstance(self.problem, BudgetError) else None)

    def _take(self, asking: _Asking, found: Mapping[int, Compared], problem: QianfanError | None) -> None:
        for number in range(len(self._rows)):
            nothing = Done(number, error=problem)
            self.compared.append(found[number] if number in found else self._compared(asking, nothing))
        self.unasked += len(self._rows) - len(found)

    def _compared(self, asking: _Asking, done: Done) -> Compared:
        schema = asking.job.questions.schema
        error = None if done.error is None else self._cell.session.keys.explained(done.error)
        came = done.answer or (together(done.paid) if done.paid else Answer("", model=asking.model, finish_reason=""))
        columns: Mapping[str, Any] = {}
        if schema is not None:
            try:
                columns = schema.columns(done.value)
            except SchemaError as problem:  # of the user's own class
                columns, error = schema.columns(None), error or problem
        return Compared(asking.model, asking.n, came, error, done.number, self._rows[done.number].index, columns)


def _asking(
    cell: CellContext, names: Sequence[str], arguments: Arguments, template: str, opened: Opened
) -> list[_Asking]:
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
    return [_Asking(n, _job(cell, n, {**given, "model": name}, asked)) for name in names for n in rounds]


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
    work = row_work(cell, given, kept_as=kept_as, job=tape_job, fresh=asked.fresh, opened=asked.opened)
    job = decide(
        asked.data,
        asked.text,
        work,
        name=asked.name,
        namespace=cell.namespace,
        schema=given.get("schema"),
        prefix="compared ",  # nothing is put beside the data's own columns
        meter=session.meter,
        lang=session.lang,
        kind="compare",
    )
    if job.length is None:  # it can be read once, and here there are several to read it
        raise OptionError("compare.iterator", name=asked.name)
    return job


def _show(cell: CellContext, shower: Shower, asked: _Asked) -> None:
    """Leave the table of the models, and below it the first rows with each model's answer."""
    lang, compared = cell.session.lang, asked.compared
    agreed = agreement_by_row(compared)
    shower.bind(compared, agreed)
    if shower.quiet:
        return
    models = summary_table(compared, agreed, lang)
    said = [*agreement_notes(agreed, lang), *shared_notes(compared, lang), *cell.session.take_notes()]
    said += [text("compare.unasked", lang, count=asked.unasked, of=len(compared))] if asked.unasked else []
    below = Said.of(" · ".join(said))
    rows, count = _rows(compared, lang), len({one.row for one in compared})
    more = text("compare.rows", lang, shown=f"1-{ROWS}", count=count) if count > ROWS else ""
    noted = note_lines(below)
    marked = (models.markdown, noted[0], rows.markdown, Said.of(more).markdown)
    plain = (models.plain, noted[1], rows.plain, more)
    bundle = {
        "text/markdown": "\n\n".join(filter(None, marked)),
        "text/plain": printable("\n\n".join(filter(None, plain))),
    }
    cell.front.conclude(bundle, {"qfmagic_compare": _metadata(cell, asked, count, bundle)})


def _metadata(cell: CellContext, asked: _Asked, rows: int, bundle: Bundle) -> dict[str, Any]:
    """Where the answers come from; no secrets."""
    compared, source = asked.compared, cell.session.source
    came = [one.answer for one in compared if one.answered]
    usage = {
        name: sum(getattr(one.answer.usage, name) or 0 for one in compared)
        for name in ("prompt_tokens", "completion_tokens")
    }
    return {
        "version": __version__,
        "transports": sorted({answer.transport for answer in came}),
        "models": list(dict.fromkeys(one.model for one in compared)),
        "rows": rows,
        "asked": len(compared) - asked.unasked,
        "unasked": asked.unasked,
        "answers": len(came),
        "usage": usage,
        "cell": None if source is None else of_source(source),
        "shown": of_json(bundle),
        "exchanges": [
            {"wire": wire, "model": model, "least": count, "most": count + asked.unknown[wire, model]}
            for (wire, model), count in asked.paid.items()
        ],
        "seconds": round(sum(one.answer.seconds for one in compared), 3),
    }


def _rows(compared: Sequence[Compared], lang: str) -> Said:
    """The first rows, with a column for each model and round."""
    many = any(one.n > 1 for one in compared)
    cells: dict[str, dict[int | None, str]] = {}
    for one in compared:
        name = f"{one.model} · {one.n}" if many else one.model
        failed = "" if one.problem is None else type(one.problem).__name__
        cells.setdefault(name, {})[one.row] = short(one.answer.text) if one.answered else failed
    labels = {one.row: one.index for one in compared}
    first = list(labels)[:ROWS]
    rows = [(labels[row], *(column.get(row, "") for column in cells.values())) for row in first]
    return Table(("行" if lang == "zh" else "row", *cells), rows).said()
