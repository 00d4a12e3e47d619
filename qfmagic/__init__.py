"""
Baidu Qianfan (千帆) chat models in Jupyter and Python.

In a notebook: ``%load_ext qfmagic``, then ``%%qianfan`` cells; ``%qf help`` explains. In Python: :class:`Qianfan`.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .batch.api import amap as amap
    from .batch.api import map as map  # noqa: A004 - as above
    from .client.client import AsyncStream, Qianfan, Stream
    from .client.kernel_session import KernelSession
    from .client.settings import Settings
    from .core.answer import Answer, Delta
    from .core.conversation import Conversation, Turn
    from .core.errors import BudgetError, ExpectationError, QianfanError, SchemaError
    from .core.messages import Message
    from .core.usage import Usage
    from .structured.extract import aextract, extract
    from .structured.schema import Schema

# Where each public name lives. They are imported when first asked for, so that %load_ext costs next to nothing.
_HOMES = {
    "amap": "batch.api",
    "Answer": "core.answer",
    "AsyncStream": "client.client",
    "BudgetError": "core.errors",
    "Conversation": "core.conversation",
    "Delta": "core.answer",
    "ExpectationError": "core.errors",
    "Message": "core.messages",
    "Qianfan": "client.client",
    "QianfanError": "core.errors",
    "Schema": "structured.schema",
    "SchemaError": "core.errors",
    "Settings": "client.settings",
    "Stream": "client.client",
    "Turn": "core.conversation",
    "Usage": "core.usage",
    "aextract": "structured.extract",
    "extract": "structured.extract",
    "map": "batch.api",
}

# Without map and amap: `from qfmagic import *` must not take Python's own map away.
__all__ = [
    "Answer",
    "AsyncStream",
    "BudgetError",
    "Conversation",
    "Delta",
    "ExpectationError",
    "Message",
    "Qianfan",
    "QianfanError",
    "Schema",
    "SchemaError",
    "Settings",
    "Stream",
    "Turn",
    "Usage",
    "__version__",
    "aextract",
    "extract",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _HOMES[name].startswith("core."):
        from .client.kernel_session import follow_by_default  # noqa: PLC0415 - importing qfmagic imports nothing else

        follow_by_default(_process_session)
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _process_session() -> "KernelSession | None":
    """The session of a process without the extension: there is one where the environment says what answers."""
    if not (os.environ.get("QFMAGIC_TEST_TRANSPORT") or os.environ.get("QFMAGIC_TRANSPORT")):
        return None
    from .notebook.session.process_session import process_session  # noqa: PLC0415 - as below

    return process_session()


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Register ``%%qianfan``, ``%qianfan`` and ``%qf``; IPython calls this for ``%load_ext qfmagic``."""
    from .notebook.magics import load  # noqa: PLC0415 - importing qfmagic doesn't import the notebook layer

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Take them out again, and close what is open."""
    from .notebook.magics import unload  # noqa: PLC0415 - as above

    unload(shell)
