"""``%%qf map``: the question below, about every row of DATA."""

from collections.abc import Mapping
from typing import Any

from ...batch.job import DEFAULT_WORKERS, Job, decide
from ...batch.ordering import InOrder
from ...batch.results import Tally
from ...batch.row import Done
from ...batch.row_prompts import offered
from ...batch.runner import completed
from ...batch.table import read_table
from ...core.errors import OptionError, PromptError, QianfanError
from ..cell import CellContext
from ..frontend.front_end import display
from ..interrupts import Interrupts
from ..parsing.data_argument import data_of, take_word
from ..parsing.key_guard import check_no_key
from ..parsing.line import Arguments, checked_into, parse_line
from ..parsing.option_table import OptionRow, help_table
from .answer_cache import Opened, opening
from .progress import Progress, progress
from .row_work import row_work, warn_of_terms
from .summary import SHOWN_ROWS, Preview, dry_bundle, map_bundle, previews_of

_BORROWED = (
    "model",
    "endpoint",
    "api",
    "schema",
    "repairs",
    "stream",
    "timeout",
    "retry_count",
    "backoff_factor",
    "quiet",
)


def map_cell(cell: CellContext, line: str, body: str) -> None:
    """
    Ask about every row, show how far it has come, and leave a summary.

    The data with their results go to ``into=``, else to ``_``; also those of a map that was interrupted.

    Raises:
        InputError: It can't be asked like that; nothing was sent.
        QianfanError: What every further row would meet too; or no row was answered.
        KeyboardInterrupt: The user stopped it.
    """
    word, rest = take_word(line)
    arguments = _read(rest)
    if not word or "=" in word.split("[")[0].split("(")[0]:
        raise OptionError("map.no_data")
    namespace = cell.namespace
    data = data_of(word, namespace)
    given = cell.rendered(arguments.options, map_rows())
    if type(data).__module__.partition(".")[0] == "dask":
        from .dask import map_dask  # noqa: PLC0415 - only who has Dask

        map_dask(cell, data, body.removesuffix("\n"), given, arguments.flags)
        return
    dry = "dry" in arguments.flags
    with opening(cell.session) as opened:
        job = decided(cell, data, word, body, given, opened=opened, fresh="fresh" in arguments.flags)
        if not dry:
            _run(cell, job, given.get("into"), quiet="quiet" in arguments.flags)
        elif job.table.length is None:
            raise OptionError("map.dry_iterator", name=word)
        else:
            cell.front.publish(dry_bundle(cell.session, job))


def decided(
    cell: CellContext, data: Any, name: str, body: str, given: Mapping[str, Any], *, opened: Opened, fresh: bool
) -> Job:
    """
    Decide everything about a map. Nothing is sent.

    Args:
        cell: Where it is asked.
        data: The data.
        name: What an error calls them.
        body: The cell's body: the template.
        given: The options, read.
        opened: Closes what is opened for it.
        fresh: Whether what is kept counts for nothing.

    Raises:
        InputError: It can't be asked like that.
    """
    session, into = cell.session, checked_into(given)
    if "," in str(given.get("model", "")):
        raise OptionError("compare.not_here", name="%%qf map")
    template = body.removesuffix("\n")
    if not template.strip():
        raise PromptError("map.no_template", names=offered(read_table(data, name).names))
    job = into or ""
    work = row_work(cell, given, kept_as=job, job=job, fresh=fresh, opened=opened)
    return decide(
        data,
        template,
        work,
        name=name,
        namespace=cell.namespace,
        schema=given.get("schema"),
        workers=given.get("workers", DEFAULT_WORKERS),
        prefix=given.get("prefix", ""),
        sample=given.get("sample"),
        lang=session.lang,
    )


def map_rows() -> dict[str, OptionRow]:
    """What may stand on the line, behind DATA."""
    table = help_table()
    return table.map | {name: table.options[name] for name in _BORROWED} | table.parameters


def _read(line: str) -> Arguments:
    arguments = parse_line(line, map_rows())
    if arguments.text:
        word = arguments.text.split()[0]
        check_no_key(word)
        raise OptionError("map.template_on_line", text=word, command="map")
    return arguments


def _run(cell: CellContext, job: Job, into: str | None, *, quiet: bool) -> None:
    session, front = cell.session, cell.front
    warn_of_terms(cell, job.questions.target.wire)
    shown = display if front.live and not quiet else None
    bar = progress(
        front.conclude,
        job.length,
        session.lang,
        display=shown,
        terminal=front.terminal and not quiet,
    )
    for warning in job.questions.target.warnings(session.lang):
        bar.warn(warning)
    run = _Run(job, bar, session.lang)
    with Interrupts() as interrupts:
        try:
            run.follow(interrupts)
            _bind(cell, run.data(), into)
            if not quiet:
                bar.finish(*map_bundle(session, job, run.tally, rows=run.rows, previews=run.previews(), into=into))
        finally:
            bar.close()
    problem = run.problem or (run.tally.problem if not run.tally.answered else None)
    if isinstance(problem, QianfanError):
        hint = "map.stopped" if job.length is not None else "map.stopped_unknown"
        raise session.keys.explained(problem).with_hint(hint, answered=run.tally.answered, rows=run.rows)
    if problem is not None:
        raise problem


class _Run:
    """A map under way: what is done, what was counted, what ended it."""

    def __init__(self, job: Job, bar: Progress, lang: str) -> None:
        self._job, self._bar, self._lang = job, bar, lang
        self._order = InOrder(job) if job.length is None else None
        self._done: dict[int, Done] = {}
        self._collected: list[dict[str, Any]] = []
        self.tally = Tally()
        self.problem: Exception | None = None

    @property
    def rows(self) -> int:
        """How many rows there are; of an iterator, how many were read."""
        return len(self._collected) if self._job.length is None else self._job.length

    def follow(self, interrupts: Interrupts) -> None:
        """Do it, to its end, to an interrupt or to what ends it; what came is there in any case."""
        order = self._order
        if order is None:
            work = completed(self._job, self._job.rows(), started=interrupts.tell)
        else:
            rows = interrupts.passing(order.rows())
            work = completed(self._job, rows, order.room, interrupts.tell)
        try:
            for one in work:
                self.tally.add(one, self._lang)
                self._bar.tell(self.tally)
                if order is None:
                    self._done[one.number] = one
                else:
                    order.take(one)
                    self._collected += order.ready()
        except Exception as error:  # noqa: BLE001 - of the rows' source, too: what came before it is there
            self.problem = error
        except KeyboardInterrupt:
            if not interrupts.came:
                raise
        if order is not None:
            self._collected += order.rest()

    def data(self) -> Any:
        """The data with their results."""
        return self._job.gather(self._done) if self._order is None else self._collected

    def previews(self) -> list[Preview]:
        """The first rows."""
        if self._order is None:
            return previews_of(self._job, self._done)
        return [Preview(number, row, row) for number, row in enumerate(self._collected[:SHOWN_ROWS])]


def _bind(cell: CellContext, data: Any, into: str | None) -> None:
    if into is None:
        cell.set_result(data)
    else:
        cell.bind(into, data)
