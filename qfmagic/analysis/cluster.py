"""
A map past one machine: a Dask frame, each partition asked where it is.

Keys go along in the payload of the tasks alone: its name, its repr and what Dask shows of it hold none.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..client.client import Qianfan
from ..client.settings import Settings
from ..core.errors import OptionError
from ..core.fingerprint import of_json
from .batch import check_workers
from .prompt import Template
from .questions import check_columns, check_template
from .results import result_kinds, result_names
from .schema import Schema
from .table import read_empty


class Payload:
    """
    What a worker needs to ask about a partition.

    Args:
        settings: Keys and addresses.
        label: What answers, ``live`` or ``stub``.
        template: The question.
        options: What :func:`qfmagic.map` takes beside.
    """

    def __init__(self, settings: Settings, label: str, template: str, options: Mapping[str, Any]) -> None:
        self._settings, self._label, self._template, self._options = settings, label, template, options

    def __repr__(self) -> str:
        return "<qfmagic payload>"

    def __dask_tokenize__(self) -> tuple[str, str]:
        """What tells one payload from another, without the keys."""
        return "qfmagic", of_json([self._template, repr(sorted(self._options.items(), key=str))])

    def nothing(self, frame: Any) -> Any:
        """An empty frame with the results' columns: what a partition without rows gives, and what Dask expects."""
        kinds = result_kinds(self._options["schema"], self._options["prefix"])
        return read_empty(frame.iloc[:0]).with_columns(dict.fromkeys(kinds, ()), kinds)

    def ask(self, partition: Any) -> Any:
        """Map one partition."""
        from .maps import map as map_rows  # noqa: PLC0415 - it imports this module

        if not len(partition):
            return self.nothing(partition)
        transport = _transport(self._label)
        with Qianfan(settings=self._settings, transport=transport, label=self._label) as client:
            return map_rows(partition, self._template, client=client, **self._options)


def map_cluster(data: Any, template: str, **options: Any) -> Any:
    """
    Map a Dask frame's partitions on its cluster.

    The requests at a time, and the limits of requests and tokens, are divided among the cluster's workers.

    Returns:
        The frame with its results, kept on the cluster: looked at twice, it isn't asked twice.

    Raises:
        OptionError: An option has no meaning there.
        InputError: It can't be asked like that.
    """
    client = options.pop("client")
    for name, nothing in (("sample", None), ("keep", None), ("fresh", False)):
        if options.pop(name) != nothing:
            raise OptionError("map.dask_option", option=name)
    del options["on_done"]
    options["schema"] = None if options["schema"] is None else Schema.of(options["schema"], options["namespace"])
    table = read_empty(data._meta)  # noqa: SLF001 - Dask's own way to say what a frame is like
    parsed = Template.parse(template)
    check_template(parsed, table.names, options["namespace"])
    used = {name for expression in parsed.expressions for name in expression.names}
    options["namespace"] = {name: value for name, value in options["namespace"].items() if name in used}
    check_columns(table.names, result_names(options["schema"], options["prefix"]))
    processes, threads = _cluster()
    options["workers"] = max(1, check_workers(options["workers"]) // threads)
    settings = client.settings if client is not None else Settings.from_env()
    label = client.label if client is not None else "live"
    if label not in ("live", "stub"):
        raise OptionError("map.dask_mode", mode=label)
    payload = Payload(_shared(settings, processes), label, template, options)
    mapped = data.map_partitions(_ask, payload, meta=payload.nothing(data._meta), token=_name(payload))  # noqa: SLF001
    return mapped.persist()


def _ask(partition: Any, payload: Payload) -> Any:
    return payload.ask(partition)


def _name(payload: Payload) -> str:
    """What the tasks are called in the dashboard."""
    return f"qfmagic-map-{payload.__dask_tokenize__()[1]}"


def _cluster() -> tuple[int, int]:
    """How many processes there are, and how many threads in all; one of each where no cluster is connected."""
    from distributed import get_client  # noqa: PLC0415 - only who has Dask

    try:
        workers = get_client().scheduler_info(n_workers=-1)["workers"].values()
    except ValueError:
        return 1, 1
    return max(1, len(workers)), max(1, sum(worker["nthreads"] for worker in workers))


def _shared(settings: Settings, processes: int) -> Settings:
    """A process's part of the limits; within a process they are shared as ever."""
    qps, rpm, tpm = ((limit or 0) / processes for limit in settings.limits)
    return replace(settings, qps=qps, rpm=rpm, tpm=tpm)


def _transport(label: str) -> Any:
    """What stands in for the network on a worker: nothing, or the stub."""
    if label != "stub":
        return None
    from ..transport.stub import StubTransport  # noqa: PLC0415 - only who tries it out

    return StubTransport()
