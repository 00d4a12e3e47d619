"""The stub service: a stand-in that checks requests as documented."""

from .transport import StubTransport

__all__ = ["StubTransport"]
