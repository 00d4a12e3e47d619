"""
A map past one machine: a Dask frame, each partition asked where it is.

Keys go along in the payload of the tasks alone: its name, its repr and what Dask shows of it hold none.
"""

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from ..client.auth.credentials import choose
from ..client.call_options import AS_CLIENT, CallOptions
from ..client.client import Qianfan
from ..client.http.network import Network
from ..core.callbacks import ignore
from ..core.errors import OptionError, QianfanError
from ..core.models import Wire
from ..core.pacing.limits import RateLimits
from ..prompts.template import Template
from ..structured.schema import Schema
from ..transport.stub.transport import StubTransport
from .job import DEFAULT_WORKERS, Job, decide
from .results import result_kinds
from .row import Done
from .row_prompts import Questions
from .row_runner import Work
from .runner import completed
from .table import read_empty

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, repr=False)
class Payload:
    """
    What a worker needs to ask about a partition; none of it shows.

    Attributes:
        client: What makes a client like the caller's.
        questions: What is asked.
        call: How each request waits and is retried.
        repairs: How often an answer that doesn't fit is asked for again.
        workers: How many requests at a time.
        prefix: Stands before the names of the results.
        lang: Language of the errors in the results.
        turn: Held while a partition is asked.
        name: What the tasks are called. Each call's is another: Dask takes tasks of one name for one work, whose result
            it has already.
    """

    client: Mapping[str, Any]
    questions: Questions
    call: CallOptions = AS_CLIENT
    repairs: int = 1
    workers: int = DEFAULT_WORKERS
    prefix: str = ""
    lang: str = "en"
    turn: AbstractContextManager[Any] = field(default_factory=nullcontext)
    name: str = field(default_factory=lambda: f"qfmagic-map-{uuid.uuid4().hex}")

    def __repr__(self) -> str:
        return "<qfmagic payload>"

    def __dask_tokenize__(self) -> str:
        return self.name

    def nothing(self, frame: Any) -> Any:
        """An empty frame with the results' columns: what a partition without rows gives, and what Dask expects."""
        kinds = result_kinds(self.questions.schema, self.prefix, searches=self.questions.searches)
        return read_empty(frame.iloc[:0]).with_columns(dict.fromkeys(kinds, ()), kinds)

    def ask(self, partition: Any) -> Any:
        """Map one partition. What ends it is the error of the rows it wasn't asked about."""
        if not len(partition):
            return self.nothing(partition)
        done: dict[int, Done] = {}
        with self.turn, Qianfan(**self.client) as client:
            work = Work(client=client, questions=self.questions, call=self.call, repairs=self.repairs)
            job = Job(read_empty(partition), work, self.workers, self.prefix, lang=self.lang)
            try:
                for one in completed(job, job.rows()):
                    done[one.number] = one
            except QianfanError as error:  # raised, it would take along what was paid for
                done = {
                    number: done.get(number) or Done(number=number, error=error) for number in range(len(partition))
                }
        return job.gather(done)


def map_cluster(
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
    namespace: Mapping[str, Any] = _NOTHING,
    timeout: float | None = None,
    retry_count: int | None = None,
    backoff_factor: float | None = None,
    stream: bool = True,
    lang: str = "en",
    check: Callable[[Mapping[str, Any]], object] = ignore,
    fresh: bool = False,  # noqa: ARG001 - each call asks everything
    **others: Any,
) -> Any:
    """
    Map a Dask frame's partitions on its cluster, or in threads of this process where none is connected.

    What the client says is what the workers do. The requests at a time, and the limits of requests and tokens, are
    divided among the workers there are when it is called.

    Args:
        data: The frame.
        template: The question.
        client: As for :func:`qfmagic.map`, like all that isn't named here.
        model: See there.
        endpoint: See there.
        api: See there.
        workers: See there.
        schema: See there.
        repairs: See there.
        prefix: See there.
        namespace: See there.
        timeout: See there.
        retry_count: See there.
        backoff_factor: See there.
        stream: See there.
        lang: Language of the errors in the results.
        check: Looks at the body of each request before it is sent; on the workers.
        fresh: Changes nothing.
        others: The model's parameters; and what has no meaning here.

    Returns:
        The frame with its results, kept on the cluster as long as it is referred to: looked at twice, it isn't asked
        twice, unless a worker with a part of it is lost. Another call asks everything. What ends a partition, as a
        wrong key does, is the ``error`` of its rows that weren't asked.

    Raises:
        OptionError: An option has no meaning there; or the client has a transport or a tape of its own.
        InputError: It can't be asked like that.
        ConnectError: The network is forbidden here.
    """
    check_frame(data)
    for name, nothing in (("sample", None), ("keep", None), ("on_done", ignore)):
        if others.pop(name, nothing) is not nothing:
            raise OptionError("map.dask_option", option=name)
    asking = client or Qianfan()
    call = CallOptions(timeout, retry_count, backoff_factor).checked()

    def work(parsed: Template, wanted: Schema | None) -> Work:
        target, defaults = asking.target(model, endpoint, api)
        used = {name for expression in parsed.expressions for name in expression.names}
        needed = {name: value for name, value in namespace.items() if name in used}
        questions = Questions(parsed, target, {**defaults, **others}, needed, wanted, stream, check)
        return Work(client=asking, questions=questions, call=call, repairs=repairs)

    like = data._meta  # noqa: SLF001 - Dask's own way to say what a frame is like: one without rows
    row = like.reset_index(drop=True).reindex([0])  # of nothing: only the columns count
    job = decide(row, template, work, namespace=namespace, schema=schema, workers=workers, prefix=prefix)
    place = _place(workers)
    payload = Payload(
        elsewhere(asking, job.questions.target.wire, place.processes),
        job.questions,
        call,
        repairs,
        max(1, workers // place.threads),
        prefix,
        lang,
        place.turn,
    )
    mapped = data.map_partitions(_ask, payload, meta=payload.nothing(like), token=payload.name)
    return mapped.persist(**place.options)


def check_frame(data: Any, name: str = "DATA") -> None:
    """
    Check that a thing of Dask's is a frame.

    Raises:
        OptionError: It is something else.
    """
    try:
        from dask.dataframe import DataFrame  # noqa: PLC0415 - an error of its own, where Dask has no frames
    except ImportError:
        raise OptionError("map.extra", package="dask.dataframe", extra="dask") from None
    if not isinstance(data, DataFrame):
        raise OptionError("map.dask_kind", name=name, kind=type(data).__name__)


def elsewhere(client: Qianfan, wire: Wire, processes: int) -> Mapping[str, Any]:
    """
    What makes a client like this one in another process, with that process's part of the limits.

    Raises:
        OptionError: A transport or a tape of its own answers it, which can't go there.
        ConnectError: The network is forbidden here, and so it is there.
        CredentialError: It has no keys.
    """
    made = client.arguments()
    transport = made["transport"]
    if made["tape"] is not None or not (transport is None or isinstance(transport, StubTransport)):
        raise OptionError("map.dask_transport")
    Network(client.settings, transport).check_allowed()
    choose(client.settings, wire)
    limits = RateLimits(*(None if limit is None else limit / processes for limit in made["limits"]))
    return {**made, "limits": limits}


class _Place(NamedTuple):
    """
    Where partitions are asked.

    Attributes:
        processes: How many there are.
        threads: How many there are in all.
        turn: Held by a thread while it asks, where there are more threads than workers.
        options: What Dask is to be told.
    """

    processes: int
    threads: int
    turn: AbstractContextManager[Any]
    options: Mapping[str, Any]


def _place(workers: int) -> _Place:
    """The cluster that is connected, else threads of this process."""
    from dask.system import CPU_COUNT  # noqa: PLC0415 - only who has Dask

    try:
        distributed: Any = import_module("distributed")  # Dask may be there without it
        there = distributed.get_client().nthreads().values()
    except (ImportError, ValueError):
        threads = min(workers, CPU_COUNT)
        return _Place(1, threads, nullcontext(), {"scheduler": "threads", "num_workers": threads})
    threads = max(1, sum(there))
    turn = nullcontext() if threads <= workers else distributed.Semaphore(max_leases=workers)
    return _Place(max(1, len(there)), threads, turn, {})


def _ask(partition: Any, payload: Payload) -> Any:
    return payload.ask(partition)
