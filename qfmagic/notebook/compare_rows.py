"""``%%qf compare over=DATA``: a template over rows, asked of several models."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..analysis.batch import Job, completed, decide
from ..analysis.compare import Compared, agreement_by_row
from ..analysis.crew import Work
from ..analysis.prompt import Template
from ..analysis.questions import Questions
from ..analysis.schema import Schema
from ..analysis.table import Row
from ..core.answer import Answer
from ..core.catalogue import text
from ..core.errors import BudgetError, OptionError, QianfanError
from ..core.fingerprint import of_json, of_source
from ..core.models import registry
from ..core.params import check_parameters
from ..core.plain import printable
from ..version import __version__
from .arguments import Arguments
from .data_word import data_of
from .display import Bundle
from .helptable import help_table
from .interrupts import Interrupts
from .mapping import checked_into
from .side_by_side import agreement_notes, shared_notes, summary_table
from .tables import Said, Table, short

if TYPE_CHECKING:
    from .comparing import Shower
    from .engine import Engine

ROWS = 20  # rows shown


def compare_rows(engine: "Engine", shower: "Shower", names: Sequence[str], arguments: Arguments, body: str) -> None:
    """
    Ask each model about each row, as ``%%qf map`` does.

    The models are asked after each other, so that their limits and a cassette meet them as a map would.

    Raises:
        InputError: It can't be asked like that; nothing was sent.
        QianfanError: None of the models answered.
    """
    options = arguments.options
    given = {name: value for name, value in options.items() if name not in help_table().compare}
    checked_into(given)
    data, rounds = data_of(options["over"], engine.namespace), range(1, options.get("n", 1) + 1)
    template = _Template(body.removesuffix("\n"), data, options["over"])
    jobs = [(name, n, _job(engine, n, {**given, "model": name}, template)) for name in names for n in rounds]
    rows = list(jobs[0][2].rows())
    if "dry" in arguments.flags:
        said = text("compare.dry", engine.session.lang, count=len(rows), models=list(names))
        engine.front.publish({"text/markdown": Said.of(said).markdown, "text/plain": said})
        for _, n, job in jobs:
            if n == 1:
                engine.show_request(job.questions.first(rows[0]))
        return
    asked = _Asked(engine, rows)
    with Interrupts() as interrupts:
        engine.session.open_journal()
        for name, n, job in jobs:
            asked.ask(name, n, job, interrupts)
            if interrupts.came or isinstance(asked.problem, BudgetError):
                break
        if asked.compared:
            _show(engine, shower, asked)
        if isinstance(asked.problem, BudgetError):
            raise asked.problem
    if asked.problem is not None and not any(one.answered for one in asked.compared):
        raise asked.problem


def _nothing(_: object) -> dict[str, Any]:
    return {}


class _Asked:
    """The answers so far, by model and round, in the rows' order."""

    def __init__(self, engine: "Engine", rows: Sequence[Row]) -> None:
        self._engine, self._rows = engine, rows
        self.compared: list[Compared] = []
        self.problem: QianfanError | None = None
        self.paid: Counter[tuple[str, str]] = Counter()  # whole answers that came, by wire and model

    def ask(self, name: str, n: int, job: Job, interrupts: Interrupts) -> None:
        """Ask one model about all rows; what ends it before its time is the problem of the rows it leaves."""
        schema, missing = job.questions.schema, Answer("", model=name)
        columns = _nothing if schema is None else schema.columns
        model, found = job.questions.target.model, dict[int, Compared]()
        problem: QianfanError | None = None
        try:
            for done in completed(job, iter(self._rows), started=interrupts.tell):
                self.paid[job.questions.target.wire, model] += sum(answer.complete for answer in done.paid)
                error = None if done.error is None else self._engine.session.keys.explained(done.error)
                index = self._rows[done.number].index
                answer = done.answer or missing
                found[done.number] = Compared(model, n, answer, error, done.number, index, columns(done.value))
        except QianfanError as error:
            problem = self.problem = self._engine.session.keys.explained(error)
            for number, row in enumerate(self._rows):
                found.setdefault(number, Compared(model, n, missing, problem, number, row.index, columns(None)))
        if problem is None:
            self.problem = next((one.problem for one in found.values() if one.problem is not None), self.problem)
        self.compared += [found[number] for number in sorted(found)]


class _Template(NamedTuple):
    """The question, and what it is about; *name* is what an error calls that."""

    text: str
    data: Any
    name: str


def _job(engine: "Engine", n: int, given: Mapping[str, Any], asked: _Template) -> Job:
    """
    What one model is asked in one round.

    Raises:
        InputError: It can't be asked like that.
    """
    session = engine.session
    target = registry().target(*session.preferences.where(given))
    parameters = session.preferences.parameters(given, target.parameters)
    check_parameters(parameters, target.parameters, model=target.title, source=target.source.title)

    def work(template: Template, schema: Schema | None) -> Work:
        stream = bool(session.preferences.setting("stream", given).value)
        check = session.keys.check_not_in
        questions = Questions(template, target, parameters, engine.namespace, schema, stream, check)
        job = f"compare {session.chats.cell or session.chats.label} {n}"
        timeout, repairs = (session.preferences.setting(name, given).value for name in ("timeout", "repairs"))
        return Work(session.client(), questions, None, job, timeout, repairs)

    job = decide(
        asked.data,
        asked.text,
        work,
        name=asked.name,
        namespace=engine.namespace,
        schema=given.get("schema"),
        prefix="compared ",  # nothing is put beside the data's own columns
        meter=session.meter,
        lang=session.lang,
        kind="compare",
    )
    if job.length is None:  # it can be read once, and here there are several to read it
        raise OptionError("compare.iterator", name=asked.name)
    return job


def _show(engine: "Engine", shower: "Shower", asked: _Asked) -> None:
    """Leave the table of the models, and below it the first rows with each model's answer."""
    lang, compared = engine.session.lang, asked.compared
    agreed = agreement_by_row(compared)
    shower.bind(compared, agreed)
    if shower.quiet:
        return
    models = summary_table(compared, agreed, lang)
    said = [*agreement_notes(agreed, lang), *shared_notes(compared, lang)]
    trouble = engine.session.trouble
    below = Said.of(" · ".join([*said, trouble.message(lang)] if trouble else said))
    rows, count = _rows(compared, lang), len({one.row for one in compared})
    more = text("compare.rows", lang, shown=f"1-{ROWS}", count=count) if count > ROWS else ""
    marked = (models.markdown, f"*{below.markdown}*" if below.plain else "", rows.markdown, Said.of(more).markdown)
    plain = (models.plain, f"[{below.plain}]" if below.plain else "", rows.plain, more)
    bundle = {
        "text/markdown": "\n\n".join(filter(None, marked)),
        "text/plain": printable("\n\n".join(filter(None, plain))),
    }
    engine.front.conclude(bundle, {"qfmagic_compare": _metadata(engine, asked, count, bundle)}, clear=False)


def _metadata(engine: "Engine", asked: _Asked, rows: int, bundle: Bundle) -> dict[str, Any]:
    """Where the answers come from; no secrets."""
    compared, source = asked.compared, engine.session.source
    came = [one.answer for one in compared if one.answered]
    usage = {
        name: sum(getattr(answer.usage, name) or 0 for answer in came)
        for name in ("prompt_tokens", "completion_tokens")
    }
    return {
        "version": __version__,
        "transports": sorted({answer.transport for answer in came}),
        "models": list(dict.fromkeys(one.model for one in compared)),
        "rows": rows,
        "asked": len(compared),
        "answers": len(came),
        "usage": usage,
        "cell": None if source is None else of_source(source),
        "shown": of_json(bundle),
        "exchanges": [
            {"wire": wire, "model": model, "least": count, "most": count} for (wire, model), count in asked.paid.items()
        ],
        "seconds": round(sum(answer.seconds for answer in came), 3),
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
