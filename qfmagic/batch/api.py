"""The same question about every row: :func:`map`, and :func:`amap` for ``await``."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..client.auth.arguments import check_options
from ..client.call_options import CallOptions
from ..client.caller_warnings import warn_caller
from ..client.client import Qianfan
from ..core.callbacks import ignore
from ..core.errors import OptionError
from ..core.models import Target
from ..prompts.template import Template
from ..structured.schema import Schema
from .answer_cache import AnswerCache
from .job import DEFAULT_WORKERS, Job, decide
from .ordering import InOrder
from .row import Done
from .row_prompts import Questions
from .row_runner import Work
from .runner import acompleted, completed

_PLAIN: Mapping[str, Any] = {}


def map(  # noqa: A001 - it does what Python's own does, with a model in between
    data: Any,
    template: str,
    *,
    client: Qianfan | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    api: str | None = None,
    workers: int = DEFAULT_WORKERS,
    schema: Any = None,
    repairs: int = 1,
    prefix: str = "",
    sample: int | None = None,
    keep: str | Path | None = None,
    fresh: bool = False,
    namespace: Mapping[str, Any] = _PLAIN,
    timeout: float | None = None,
    retry_count: int | None = None,
    backoff_factor: float | None = None,
    stream: bool = True,
    on_done: Callable[[Done], object] = ignore,
    **parameters: Any,
) -> Any:
    """
    Ask a model the same about every row.

    >>> import qfmagic
    >>> rated = qfmagic.map(frame, "Rate from 1 to 5: {{ text }}", model="yi_34b_chat")  # doctest: +SKIP

    Args:
        data: A frame or series (pandas, polars, ...), a list, a dict of columns, the path of a CSV, JSONL or Parquet
            file, a Dask frame, or an iterator, which is read only as fast as answers come.
        template: The question. ``{{ column }}`` stands for the row's value, ``{{ row }}`` for all of it, ``{{ item }}``
            for a single value, ``{{ index }}`` for its label.
        client: Sends the requests; one made of the environment when not given.
        model: As for :meth:`Qianfan.plan`.
        endpoint: See there.
        api: See there.
        workers: How many requests at a time, at most 100.
        schema: What each answer must fit (:mod:`qfmagic.structured.schema`); its fields become columns.
        repairs: How often an answer that doesn't fit is asked for again.
        prefix: Stands before the names of the new columns.
        sample: Only so many rows, from the first.
        keep: A file that keeps the answers: the same call with it asks only what is missing or failed.
        fresh: Ask everything again, whatever is kept; each answer that comes takes the place of the one there was.
        namespace: Further names for the template.
        timeout: Longest silence in seconds.
        retry_count: Attempts of each request in all; 1 repeats nothing.
        backoff_factor: Seconds before the first repeat; doubled before each further one.
        stream: Whether to ask for streams.
        on_done: Called with each row when it is done.
        parameters: The model's parameters, and ``extra``: further fields of each request.

    Returns:
        The data in their own kind, order and index, with ``answer``, ``error``, ``prompt_tokens``,
        ``completion_tokens``, ``seconds`` and ``id``. Of a list, dicts; of an iterator, an iterator of dicts. For a
        Dask frame see :func:`qfmagic.batch.dask.map_cluster`.

    Raises:
        InputError: It can't be asked like that; nothing was sent.
        QianfanError: What every further row would meet too, such as a wrong key.
        BaseException: What the data's source or *on_done* raised, or an interrupt.

    Whatever ends it when something was sent has ``error.result``: what there is, in the same form. Of an iterator,
    the rows that were read come before the error; an interrupt has them in its ``result``.
    """
    given = {name: value for name, value in locals().items() if name not in ("data", "template", "parameters")}
    check_options(parameters)
    if type(data).__module__.partition(".")[0] == "dask":
        from .dask import map_cluster  # noqa: PLC0415 - only who has Dask

        return map_cluster(data, template, **given, **parameters)
    with ExitStack() as closing:
        job = _decided(closing, data, template, **given, **parameters)
        if job.table.length is None:
            return _flowing(job, closing.pop_all(), on_done)
        done: dict[int, Done] = {}
        with _with_result(job, done):
            _follow(job, done, on_done)
        return job.gather(done)


async def amap(data: Any, template: str, *, on_done: Callable[[Done], object] = ignore, **options: Any) -> Any:
    """
    Twin of :func:`map` for ``await``: takes the same (Dask frames not), and raises the same.

    Of an iterator it returns an asynchronous iterator. When it is cancelled, what is under way ends; what is done is
    in ``keep``.
    """
    check_options(options)
    with ExitStack() as closing:
        job = _decided(closing, data, template, **options)
        if job.table.length is None:
            return _aflowing(job, closing.pop_all(), on_done)
        done: dict[int, Done] = {}
        with _with_result(job, done):
            await _afollow(job, done, on_done)
        return job.gather(done)


def _decided(
    closing: ExitStack,
    data: Any,
    template: str,
    *,
    client: Qianfan | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    api: str | None = None,
    workers: int = DEFAULT_WORKERS,
    schema: Any = None,
    repairs: int = 1,
    prefix: str = "",
    sample: int | None = None,
    keep: str | Path | None = None,
    fresh: bool = False,
    namespace: Mapping[str, Any] = _PLAIN,
    timeout: float | None = None,
    retry_count: int | None = None,
    backoff_factor: float | None = None,
    stream: bool = True,
    on_done: Callable[[Done], object] = ignore,  # noqa: ARG001 - the callers' own
    **parameters: Any,
) -> Job:
    def work(parsed: Template, wanted: Schema | None) -> Work:
        asked = client or closing.enter_context(Qianfan())
        target, defaults = asked.target(model, endpoint, api)
        session = asked.session
        questions = Questions(parsed, target, {**defaults, **parameters}, namespace, wanted, stream)
        kept = None
        if keep is not None:
            kept = _opened(keep)
            closing.callback(kept.close)
        _warn(asked, target)
        call = CallOptions(timeout, retry_count, backoff_factor).checked()
        return Work(
            client=asked.sender(),
            questions=questions,
            kept=kept,
            usable=lambda _: not fresh,
            job="" if session is None else session.job(),
            call=call,
            repairs=repairs,
            meter=None if session is None else session.meter,
            kind="map" if session is None else "python",
        )

    return decide(
        data, template, work, namespace=namespace, schema=schema, workers=workers, prefix=prefix, sample=sample
    )


def _warn(client: Qianfan, target: Target) -> None:
    """Warn of an address whose terms may not allow many requests, and of a retired model."""
    base = client.settings.named_base
    if (warning := base.warning(target.wire) if base else None) is not None:
        warn_caller(warning)
    if target.retirement is not None:
        warn_caller(target.retirement.said(target.model), FutureWarning)


def _opened(path: str | Path) -> AnswerCache:
    try:
        return AnswerCache(Path(path).expanduser())
    except (OSError, sqlite3.Error) as error:
        raise OptionError("map.keep", path=path, reason=f"{type(error).__name__}: {error}") from error


def _follow(job: Job, done: dict[int, Done], on_done: Callable[[Done], object]) -> None:
    """Do all rows; what is under way when it ends before its time has a moment, as it is paid for."""
    stops: list[Callable[[], None]] = []
    work = completed(job, job.rows(), started=stops.append)
    try:
        for one in work:
            done[one.number] = one
            on_done(one)
    except BaseException:
        for stop in stops:
            stop()
        done.update((one.number, one) for one in work)
        raise


async def _afollow(job: Job, done: dict[int, Done], on_done: Callable[[Done], object]) -> None:
    """Twin of :func:`_follow`; when it is cancelled, nothing has a moment."""
    stops: list[Callable[[], None]] = []
    work = acompleted(job, job.rows(), started=stops.append)
    try:
        async for one in work:
            done[one.number] = one
            on_done(one)
    except Exception:
        for stop in stops:
            stop()
        async for one in work:
            done[one.number] = one
        raise


@contextmanager
def _with_result(job: Job, done: Mapping[int, Done]) -> Iterator[None]:
    """What ends a map, an interrupt too, carries the result so far."""
    try:
        yield
    except BaseException as error:
        with suppress(AttributeError):  # a class of the user's own may have slots
            error.result = job.gather(done)  # type: ignore[attr-defined]
        raise


def _flowing(job: Job, closing: ExitStack, on_done: Callable[[Done], object]) -> Iterator[dict[str, Any]]:
    """An iterator's rows with their results; no more is pulled than is asked, or waits for one before it."""
    with closing:
        order = InOrder(job)
        stops: list[Callable[[], None]] = []
        work = completed(job, order.rows(), order.room, stops.append)
        try:
            for one in work:
                order.take(one)
                on_done(one)
                yield from order.ready()
        except Exception:
            _end(stops, order, work)
            yield from order.rest()
            raise
        except KeyboardInterrupt as error:
            _end(stops, order, work)
            error.result = list(order.rest())  # type: ignore[attr-defined]
            raise


def _end(stops: list[Callable[[], None]], order: InOrder, work: Iterator[Done]) -> None:
    """Begin nothing more, and take in what was under way."""
    for stop in stops:
        stop()
    for one in work:
        order.take(one)


async def _aflowing(job: Job, closing: ExitStack, on_done: Callable[[Done], object]) -> AsyncIterator[dict[str, Any]]:
    with closing:
        order = InOrder(job)
        stops: list[Callable[[], None]] = []
        work = acompleted(job, order.rows(), order.room, stops.append)
        try:
            async for one in work:
                order.take(one)
                on_done(one)
                for row in order.ready():
                    yield row
        except Exception:
            for stop in stops:
                stop()
            async for one in work:
                order.take(one)
            for row in order.rest():
                yield row
            raise
