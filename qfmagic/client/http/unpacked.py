"""Responses whose bodies come unpacked, whoever reads them: the client, or a cassette on the way."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from ...core.errors import ProtocolError
from ...core.wire.unpacking import Unpacker

_ABOUT_PACKED = ("content-encoding", "content-length")  # what is true only of the body as it is sent


def unpacked(response: httpx.Response, most: int) -> httpx.Response:
    """
    Return the response with its body still to be read, and no longer packed.

    What can't be unpacked is an :class:`httpx.DecodingError` when the body is read, with the ProtocolError to tell as
    its cause: status and headers may say more than a body that is damaged.

    Args:
        response: The response as it comes.
        most: How many bytes a body may hold.
    """
    encoding = response.headers.get("content-encoding")
    if encoding is None:
        return response
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Unpacked(response.stream, encoding, most)
    for name in _ABOUT_PACKED:
        response.headers.pop(name, None)
    return response


class _Unpacked(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, encoding: str, most: int) -> None:
        self._stream, self._encoding, self._most = stream, encoding, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            unpacker = Unpacker(self._encoding, self._most)
            async for packed in self._stream:
                for piece in unpacker.feed(packed):
                    yield piece
                    await asyncio.sleep(0)  # a packet may hold thousands of pieces; others have their turn meanwhile
            unpacker.close()
        except ProtocolError as error:
            raise httpx.DecodingError(str(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()
