"""The recorded answers that the saved notebooks of a folder show, as far as their metadata say."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...transport.cassette.recording import Recorded

_OURS = re.compile(r"^[ \t]*(?:[\w., \t]+=[ \t]*)?%%?(?:qianfan|qf[ \t]+(?:map|compare))\b", re.MULTILINE)
_BATCHES = ("qfmagic_map", "qfmagic_compare", "qfmagic_python")


@dataclass(frozen=True, slots=True)
class ShownAnswers:
    """
    What notebooks show.

    Attributes:
        requests: The hashes of the requests whose answers they show.
        many: Wire and model of the answers about many rows: which ones these are, the metadata don't say.
        unanswered: The names of notebooks with cells that ask and have no answer.
    """

    requests: frozenset[str]
    many: frozenset[tuple[str | None, str | None]]
    unanswered: frozenset[str]

    def has(self, one: Recorded) -> bool:
        """Whether a recorded answer is shown, or may be."""
        return one.hash in self.requests or (one.wire, one.model) in self.many


def answers_beside(cassette: Path, notebook: Path | None) -> ShownAnswers:
    """
    Read the notebooks that may use a cassette: those of its folder that bear its name or mention it, and *notebook*.

    One that can't be read counts as one without answers: what it asks isn't known.
    """
    requests: set[str] = set()
    many: set[tuple[str | None, str | None]] = set()
    unanswered: set[str] = set()
    stem = cassette.name.removesuffix(".qf.jsonl")
    paths = {path.resolve() for path in cassette.parent.glob("*.ipynb")} | ({notebook.resolve()} if notebook else set())
    for path in sorted(paths):
        if not path.is_file():
            continue
        written = path.read_bytes().decode("utf-8", "replace")
        own = path.stem == stem or path == (notebook and notebook.resolve())
        if not own and cassette.name not in written:
            continue
        try:
            cells = [cell for cell in json.loads(written)["cells"] if cell.get("cell_type") == "code"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unanswered.add(path.name)
            continue
        if any(_OURS.search("".join(cell.get("source", ""))) and not cell.get("outputs") for cell in cells):
            unanswered.add(path.name)
        for given in _metadata(cells):
            for name in _BATCHES:
                exchanges = given.get(name, {}).get("exchanges", ())
                many |= {(exchange.get("wire"), exchange.get("model")) for exchange in exchanges}
            answer = given.get("qfmagic", {})
            for one in (answer, *answer.get("others", ())):
                requests |= {found for found in (one.get("request"), *one.get("rejected", ())) if found}
    return ShownAnswers(frozenset(requests), frozenset(many), frozenset(unanswered))


def _metadata(cells: list[Any]) -> Iterator[Mapping[str, Any]]:
    return (output.get("metadata", {}) for cell in cells for output in cell.get("outputs", ()))
