"""A notebook's file as values. Reading it fails nowhere, whatever stands in it: what can't be is left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.fingerprint import of_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
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
    answer: str | None = None  # the fingerprint of its text, where several are shown in one output
    served_model: str | None = None
    flag: int | None = None

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
            "answer",
            "served_model",
        )
        found: dict[str, Any] = {name: _text(written.get(name)) for name in texts}
        found |= {name: _count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        found |= {name: _count(context.get(name)) for name in ("sent", "available")}
        found |= {name: _texts(written.get(name)) for name in ("parents", "rejected")}
        return cls(
            parameters=_map(written.get("parameters")),
            turn=_count(written.get("turn")),
            flag=_count(written.get("flag")),
            **found,
        )

    @property
    def incomplete(self) -> bool:
        """Whether the answer isn't whole."""
        return self.state == "interrupted" or self.finish in ("interrupted", "incomplete")


class Exchanges(NamedTuple):
    """How many of a cassette's answers by a model are a batch's: at least, and at most."""

    wire: str | None
    model: str | None
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    What the output of a question about many rows says; None where it says nothing, or nothing that could be.

    The fields are those of ``output.metadata.qfmagic_map``; with several models, ``qfmagic_compare``; and of what a
    cell's Python asked, ``qfmagic_python``.
    """

    command: str
    transports: tuple[str, ...]
    wires: tuple[str, ...]
    models: tuple[str, ...]
    parameters: Mapping[str, Any]
    asked: int | None
    answered: int | None
    failed: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cell: str | None
    shown: str | None
    exchanges: tuple[Exchanges, ...]
    served_models: tuple[str, ...] = ()
    flagged: int | None = None

    @classmethod
    def of(cls, command: str, written: Mapping[str, Any]) -> "Batch":
        """Read it."""
        usage = _map(written.get("usage"))
        given = [_map(one) for one in _list(written.get("exchanges"))]
        exchanges = tuple(
            Exchanges(_text(one.get("wire")), _text(one.get("model")), least, max(least, _count(one.get("most")) or 0))
            for one in given
            if (least := _count(one.get("least"))) is not None
        )
        wires = (_text(written.get("wire")), *(one.wire for one in exchanges))
        return cls(
            command=command,
            transports=_texts(written.get("transports")) or _texts([written.get("transport")]),
            wires=tuple(dict.fromkeys(filter(None, wires))),
            models=_texts(written.get("models")) or _texts([written.get("model")]),
            parameters=_map(written.get("parameters")),
            asked=_count(written.get("rows" if command == "map" else "asked")),
            answered=_count(written.get("answered" if command == "map" else "answers")),
            failed=_count(written.get("failed")),
            prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            cell=_text(written.get("cell")),
            shown=_text(written.get("shown")),
            exchanges=exchanges,
            served_models=_texts(written.get("served_models")),
            flagged=_count(written.get("flagged")),
        )

    @property
    def incomplete(self) -> bool:
        """Whether it ended before all rows were asked."""
        counts = (self.asked, self.answered, self.failed)
        return None not in counts and (self.answered or 0) + (self.failed or 0) < (self.asked or 0)


class CellOutput(NamedTuple):
    """
    One output of a cell.

    Attributes:
        kind: ``display_data``, ``execute_result``, ``stream``, ``error``.
        data: What it shows by MIME type; texts whole.
        error: The exception's name.
        provenances: Where its answers come from, the first's first; none where that isn't said.
        batch: Where they come from, if they are about many rows.
    """

    kind: str
    data: Mapping[str, Any]
    error: str
    provenances: tuple[Provenance, ...] = ()
    batch: Batch | None = None

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
    outputs: tuple[CellOutput, ...]

    @property
    def answers(self) -> Iterator[tuple[CellOutput, Provenance]]:
        """The answers with their outputs."""
        return ((output, given) for output in self.outputs for given in output.provenances)

    @property
    def batches(self) -> Iterator[tuple[CellOutput, Batch]]:
        """The outputs of questions about many rows."""
        return ((output, output.batch) for output in self.outputs if output.batch is not None)


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


def _output(output: Mapping[str, Any]) -> CellOutput:
    data = {
        # A list is the lines of a text; of JSON it is the value itself.
        name: joined(value) if isinstance(value, list) and not name.endswith("json") else value
        for name, value in _map(output.get("data")).items()
    }
    metadata = _map(output.get("metadata"))
    batches = {name: metadata.get(f"qfmagic_{name}") for name in ("map", "compare", "python")}
    return CellOutput(
        _text(output.get("output_type")) or "",
        data,
        _text(output.get("ename")) or "",
        _provenances(metadata.get("qfmagic")),
        next((Batch.of(name, found) for name, found in batches.items() if isinstance(found, Mapping)), None),
    )


def _provenances(written: object) -> tuple[Provenance, ...]:
    if not isinstance(written, Mapping):
        return ()
    others = (other for other in _list(written.get("others")) if isinstance(other, Mapping))
    return tuple(Provenance.of(one) for one in (written, *others))


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in _list(value) if isinstance(one, str))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
