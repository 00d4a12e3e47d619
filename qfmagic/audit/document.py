"""A notebook's file as values. Reading it fails nowhere, whatever stands in it: what can't be is left out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..core.fingerprint import of_json


class Provenance(NamedTuple):
    """
    What an answer's output says about it; None where it says nothing, or nothing that could be.

    The fields are those of ``output.metadata.qfmagic``; ``sent`` and ``available`` are its context's.
    """

    transport: str | None
    wire: str | None
    model: str | None
    endpoint: str | None
    parameters: Mapping[str, Any]
    chat: str | None
    turn: int | None
    parents: tuple[str, ...]
    hash: str | None
    request: str | None
    cell: str | None
    shown: str | None
    finish: str | None
    state: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    sent: int | None
    available: int | None
    rejected: tuple[str, ...] = ()  # the requests before it whose answers didn't fit its schema

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "Provenance":
        """Read it."""
        usage, context = _map(written.get("usage")), _map(written.get("context"))
        texts = (
            "transport",
            "wire",
            "model",
            "endpoint",
            "chat",
            "hash",
            "request",
            "cell",
            "shown",
            "finish",
            "state",
        )
        found: dict[str, Any] = {name: _text(written.get(name)) for name in texts}
        found |= {name: _count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        found |= {name: _count(context.get(name)) for name in ("sent", "available")}
        found |= {
            name: tuple(one for one in _list(written.get(name)) if isinstance(one, str))
            for name in ("parents", "rejected")
        }
        return cls(parameters=_map(written.get("parameters")), turn=_count(written.get("turn")), **found)

    @property
    def incomplete(self) -> bool:
        """Whether the answer isn't whole."""
        return self.state == "interrupted" or self.finish in ("interrupted", "incomplete")


class Output(NamedTuple):
    """
    One output of a cell.

    Attributes:
        kind: ``display_data``, ``execute_result``, ``stream``, ``error``.
        data: What it shows by MIME type; texts whole.
        error: The exception's name.
        provenance: Where it comes from; None where that isn't said.
    """

    kind: str
    data: Mapping[str, Any]
    error: str
    provenance: Provenance | None

    @property
    def plain(self) -> str:
        """Its text."""
        return _text(self.data.get("text/plain")) or ""

    @property
    def fingerprint(self) -> str:
        """What ``shown`` is in the provenance of an output that nobody changed."""
        try:
            return of_json(self.data)
        except RecursionError:  # no output of ours is that deep
            return ""


class Cell(NamedTuple):
    """
    One cell.

    Attributes:
        number: Its place in the document, from 1.
        code: Whether it is a code cell.
        source: What stands in it.
        ran: Its ``In [n]``.
        tags: Its tags.
        outputs: What stands below it.
    """

    number: int
    code: bool
    source: str
    ran: int | None
    tags: frozenset[str]
    outputs: tuple[Output, ...]

    @property
    def answers(self) -> Iterator[tuple[Output, Provenance]]:
        """The outputs that are answers."""
        return ((output, output.provenance) for output in self.outputs if output.provenance is not None)


def cells_of(notebook: Mapping[str, Any]) -> tuple[Cell, ...]:
    """All cells, in their order."""
    return tuple(_cell(number, _map(cell)) for number, cell in enumerate(_list(notebook.get("cells")), 1))


def joined(written: object) -> str:
    """A text as notebooks keep it, as one or in lines."""
    if isinstance(written, str):
        return written
    return "".join(line for line in _list(written) if isinstance(line, str))


def _cell(number: int, cell: Mapping[str, Any]) -> Cell:
    tags = (tag for tag in _list(_map(cell.get("metadata")).get("tags")) if isinstance(tag, str))
    return Cell(
        number,
        cell.get("cell_type") == "code",
        joined(cell.get("source")),
        _count(cell.get("execution_count")),
        frozenset(tags),
        tuple(_output(_map(output)) for output in _list(cell.get("outputs"))),
    )


def _output(output: Mapping[str, Any]) -> Output:
    data = {
        # A list is the lines of a text; of JSON it is the value itself.
        name: joined(value) if isinstance(value, list) and not name.endswith("json") else value
        for name, value in _map(output.get("data")).items()
    }
    written = _map(output.get("metadata")).get("qfmagic")
    return Output(
        _text(output.get("output_type")) or "",
        data,
        _text(output.get("ename")) or "",
        Provenance.of(written) if isinstance(written, Mapping) else None,
    )


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
