"""What may stand between a client and the service: a tape that answers from what was recorded, or records."""

from collections.abc import Hashable, Sequence
from typing import Protocol

import httpx

from ..core.wire import ChatRequest


class Tape(Protocol):
    """Is asked before the service is, and sees what the service answers. Lives in the client's loop."""

    def play(self, request: ChatRequest, slot: Hashable) -> httpx.Response | None:
        """
        Answer from what was recorded; None if the service is to be asked.

        Args:
            request: What is asked.
            slot: Who asks; whoever asks the same again gets the same.

        Raises:
            CassetteError: Only what was recorded may answer, and it wasn't.
        """
        ...

    def has(self, request: ChatRequest, slot: Hashable) -> bool:
        """Whether :meth:`play` would answer: then asking costs nothing. To be asked with a slot of one's own."""
        ...

    def record(
        self,
        request: ChatRequest,
        slot: Hashable,
        response: httpx.Response,
        keys: Sequence[str],
    ) -> httpx.Response:
        """
        Return the response in a form that is recorded while it is read.

        Args:
            request: What was asked.
            slot: Who asks; what it was answered before is replaced.
            response: The service's.
            keys: The keys in use; none of them is kept, however it is spelled.
        """
        ...
