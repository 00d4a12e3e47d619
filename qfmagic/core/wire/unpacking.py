"""
Compressed bodies, unpacked in steps of bounded size: one layer, and never more than a body may hold.

None is asked for. A server that packs its answer all the same says nothing about how long it is: 6.5 kB can hold 10 GB,
and 6.5 kB more a second layer.
"""

import zlib
from collections.abc import Iterator

from ..errors import ProtocolError

STEP = 64 * 1024  # bytes that are unpacked at once
MEMBERS = 100  # of a gzip body, which may be several behind each other
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}


class Unpacker:
    """
    Unpack a body. Feed it the bytes as they come, then close it.

    Args:
        encoding: What the ``Content-Encoding`` header says.
        most: How many bytes the body may hold, packed and unpacked.

    Raises:
        ProtocolError: It is packed in several layers, or in a way that isn't known.
    """

    def __init__(self, encoding: str, most: int) -> None:
        layers = [name for one in encoding.lower().split(",") if (name := one.strip()) not in ("", "identity")]
        if len(layers) > 1 or any(name not in _PACKED for name in layers):
            raise ProtocolError("protocol.encoding", encoding=encoding[:80])
        self._window = _PACKED[layers[0]] if layers else 0
        self._encoding, self._most = encoding, most
        self._engine = zlib.decompressobj(self._window) if layers else None
        self._asks_head = self._window == zlib.MAX_WBITS
        self._begun = b""
        self._members = 1
        self._came = self._made = 0

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """
        Take the next bytes and yield what is in them, in pieces of at most :data:`STEP` bytes.

        Raises:
            ProtocolError: They are damaged, or there is more in them than a body may hold.
        """
        self._came = self._bounded(self._came + len(packed))
        if self._engine is None:
            yield packed
            return
        view = memoryview(self._headed(packed) if self._asks_head else packed)
        for start in range(0, len(view), STEP):
            yield from self._unpacked(bytes(view[start : start + STEP]))

    def close(self) -> None:
        """
        End the body.

        Raises:
            ProtocolError: It was cut off.
        """
        if self._engine is not None and self._came and not self._engine.eof:
            raise ProtocolError("protocol.packed_cut", encoding=self._encoding)

    def _unpacked(self, packed: bytes) -> Iterator[bytes]:
        assert self._engine is not None
        while packed:
            if self._engine.eof:
                if self._window == _PACKED["gzip"] and not packed.strip(b"\0"):
                    return  # some pad what they pack
                self._next_member(packed)
            piece = self._step(packed)
            packed = self._engine.unconsumed_tail or self._engine.unused_data
            self._made = self._bounded(self._made + len(piece))
            if piece:
                yield piece

    def _step(self, packed: bytes) -> bytes:
        assert self._engine is not None
        try:
            return self._engine.decompress(packed, STEP)
        except zlib.error as error:
            raise ProtocolError("protocol.packed_broken", encoding=self._encoding, reason=str(error)) from None

    def _headed(self, packed: bytes) -> bytes:
        """What HTTP calls deflate has a head of two bytes, which some leave out; it is there or not when they came."""
        packed, self._begun = self._begun + packed, b""
        if len(packed) < 2:
            self._begun = packed
            return b""
        self._asks_head = False
        if packed[0] & 15 != zlib.DEFLATED or int.from_bytes(packed[:2], "big") % 31:
            self._window = -zlib.MAX_WBITS
            self._engine = zlib.decompressobj(self._window)
        return packed

    def _next_member(self, packed: bytes) -> None:
        self._members += 1
        if self._window != _PACKED["gzip"] or self._members > MEMBERS:
            reason = f"{len(packed)} bytes behind its end"
            raise ProtocolError("protocol.packed_broken", encoding=self._encoding, reason=reason)
        self._engine = zlib.decompressobj(self._window)

    def _bounded(self, size: int) -> int:
        if size > self._most:
            raise ProtocolError("protocol.endless", limit=self._most)
        return size
