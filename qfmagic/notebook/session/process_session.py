"""The session of a process without the extension: ``QFMAGIC_TRANSPORT`` holds for its clients too."""

import os
from functools import lru_cache

from .python_calls import PythonCalls
from .session import Session


@lru_cache(maxsize=1)
def _session_of(process: int) -> Session:  # noqa: ARG001 - a forked child has one of its own
    return Session(os.environ)


def process_session() -> PythonCalls:
    """The process's own."""
    return _session_of(os.getpid()).python_calls
