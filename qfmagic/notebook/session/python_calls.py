"""Calls from Python in a notebook: they follow its session, are counted by it, and are said below the cell."""

import itertools
import threading
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...accounting.meter import Meter, Reservation, need_of
from ...accounting.totals import Call
from ...core.answer import Answer
from ...core.fingerprint import of_json, of_source
from ...core.i18n import text
from ...core.models import Target
from ...core.plan import Plan
from ...core.terminal import printable
from ...version import __version__
from ..output.tables import Rendered, note_lines

if TYPE_CHECKING:
    from ...client.client import Qianfan
    from .session import Session


@dataclass(frozen=True, slots=True)
class PythonCall:
    """
    A request that the session has let pass.

    Attributes:
        slot: Who asks, for a tape.
    """

    slot: Hashable
    _held: Reservation
    _meter: Meter

    def end(self, answer: Answer) -> None:
        """Count the answer, whole or as far as it came."""
        self._meter.after(answer, kind="python")
        self._held.release()


class PythonCalls:
    """
    A session as clients of the Python API see it. May be used from any thread.

    Args:
        session: The session.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._cell: list[Call] = []  # what the running cell has asked so far, and got

    @property
    def meter(self) -> Meter:
        """The session's."""
        return self._session.meter

    def client(self) -> "Qianfan":
        """The session's own client of this moment."""
        with self._lock:
            return self._session.client()

    def where(self) -> tuple[str | None, str | None, str | None]:
        """Model, endpoint and API that are set."""
        return self._session.preferences.where({})

    def parameters(self, target: Target) -> Mapping[str, Any]:
        """The parameters that are set and that *target* takes."""
        return self._session.preferences.parameters({}, target.parameters)

    def begin(self, plan: Plan, slot: Hashable) -> PythonCall:
        """
        Let a request pass.

        Raises:
            BudgetError: It would break the budget.
        """
        slot = self._asker() if slot is None else slot
        free = lambda: self._session.recorded(plan, slot)  # noqa: E731 - one expression, asked once
        return PythonCall(slot, self.meter.before(plan.request.model, *need_of(plan), free=free), self.meter)

    def job(self) -> str:
        """What a map from Python is known by, for a tape: the cell, and which of its calls it is."""
        return "python/" + "/".join(map(str, self._asker()))

    def begin_cell(self) -> None:
        """Another cell begins."""
        self._numbers = itertools.count(1)
        self._cell = []

    def add(self, call: Call) -> None:
        """Take in a call that was counted while the cell ran."""
        if call.kind == "python" and call.cell == self._session.chats.cell:
            self._cell.append(call)

    def take(self) -> list[Call]:
        """What the cell asked."""
        found, self._cell = self._cell, []
        return found

    def _asker(self) -> tuple[str, str | None, int]:
        return "python", self._session.chats.cell, next(self._numbers)


def python_note(calls: Sequence[Call], session: "Session") -> tuple[dict[str, str], dict[str, Any]]:
    """What is shown below a cell whose Python asked, and the metadata by which the audit counts the answers."""
    lang = session.lang
    models = sorted({call.model for call in calls})
    prompt, completion = (sum(call.used[part] for call in calls) for part in (0, 1))
    said = [
        text("python.calls", lang, count=len(calls)),
        *models,
        text("footer.tokens", lang, prompt=prompt, completion=completion),
        *([text("map.stub", lang)] if any(call.transport == "stub" for call in calls) else []),
    ]
    marked, plain = note_lines(Rendered.of(" · ".join(said)))
    bundle = {"text/markdown": marked, "text/plain": printable(plain)}
    return bundle, {
        "qfmagic_python": {
            "version": __version__,
            "transports": sorted({call.transport for call in calls}),
            "models": models,
            "asked": len(calls),
            "answers": len(calls),
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
            "cell": None if session.source is None else of_source(session.source),
            "shown": of_json(bundle),
            "exchanges": _exchanges(calls),
        }
    }


def _exchanges(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """How many answers came of each model; those whose tokens the service did not count may not be whole."""
    most = Counter((call.wire, call.model) for call in calls)
    least = Counter((call.wire, call.model) for call in calls if not call.estimated)
    return [
        {"wire": wire, "model": model, "least": least[wire, model], "most": count}
        for (wire, model), count in sorted(most.items())
    ]
