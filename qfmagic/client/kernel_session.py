"""
The session of the running kernel, which clients without settings of their own follow.

The notebook layer names it here when the extension is loaded; nothing is imported for that. Outside of IPython, the
process has one of its own where ``QFMAGIC_TRANSPORT`` is set.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..core.answer import Answer
    from ..core.models import Target
    from ..core.plan import Plan
    from .client import Qianfan
    from .exchange import HttpExchange
    from .service import Service


class CountedCall(Protocol):
    """A request that a session has let pass."""

    @property
    def slot(self) -> Hashable:
        """Who asks, for a tape."""
        ...

    def end(self, answer: "Answer") -> None:
        """Count the answer, whole or as far as it came."""
        ...


class CountedService:
    """A service whose request a session counts when it has ended, however it ended."""

    def __init__(self, service: "Service | CountedService", counted: CountedCall) -> None:
        self._service, self._counted = service, counted

    async def run(self, exchange: "HttpExchange") -> "Answer":
        """Do a request, as :meth:`Service.run`."""
        try:
            answer = await self._service.run(exchange)
        except BaseException as error:
            failed = isinstance(error, Exception)  # else it is cancelled
            self._counted.end(exchange.answer(broken=failed, interrupted=not failed))
            raise
        self._counted.end(answer)
        return answer


class KernelSession(Protocol):
    """What a client needs of a notebook's session. May be used from any thread."""

    @property
    def meter(self) -> Any:
        """Counts what is used, and holds the budget (:class:`qfmagic.accounting.meter.Meter`)."""
        ...

    def client(self) -> "Qianfan":
        """The session's own client of this moment: its transport, cassette, keys, limits."""
        ...

    def where(self) -> tuple[str | None, str | None, str | None]:
        """Model, endpoint and API that are set."""
        ...

    def parameters(self, target: "Target") -> Mapping[str, Any]:
        """The parameters that are set and that *target* takes."""
        ...

    def begin(self, plan: "Plan", slot: Hashable) -> CountedCall:
        """
        Let a request pass; *slot* is who asks, None for the cell that runs.

        Raises:
            BudgetError: It would break the budget.
        """
        ...

    def job(self) -> str:
        """What a map from Python is known by, for a tape."""
        ...


_sessions: list[Callable[[], KernelSession | None]] = []


def follow(session: Callable[[], KernelSession | None]) -> None:
    """Have clients follow a session, until another one is named."""
    leave(session)
    _sessions.append(session)


def follow_by_default(session: Callable[[], KernelSession | None]) -> None:
    """Have clients follow a session where there is no other one."""
    leave(session)
    _sessions.insert(0, session)


def leave(session: Callable[[], KernelSession | None]) -> None:
    """Have them follow it no more."""
    if session in _sessions:
        _sessions.remove(session)


def kernel_session() -> KernelSession | None:
    """The session that clients follow; None where there is none."""
    return next((found for session in reversed(_sessions) if (found := session()) is not None), None)
