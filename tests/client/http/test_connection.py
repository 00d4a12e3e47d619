"""One connection, over real sockets: used again, given up when the server has left, and read to the last byte."""

import asyncio
import time

import httpcore
import httpx
import pytest

from qfmagic.client.http.connection import HIGH_WATER_BYTES, Connection
from tests.support.faults.server import CLOSE, HOLD, RESET, STREAM, FaultServer, chunk, whole


async def ask(lane, url, body=b"hi", **extensions):
    return await lane.handle_async_request(httpx.Request("POST", url, content=body, extensions=extensions))


async def until(so):
    """Let the network bring what it brings."""
    while not so():  # noqa: ASYNC110 - a connection tells nobody
        await asyncio.sleep(0.001)


async def keep(response, came):
    async for piece in response.stream:
        came.append(piece)


async def read(response):
    found = [piece async for piece in response.stream]
    await response.aclose()
    return b"".join(found)


def run(url, use):
    async def used():
        lane = Connection(httpx.URL(url), None)
        try:
            await use(lane)
        finally:
            await lane.aclose()

    asyncio.run(used())


def test_connection_is_reused():
    with FaultServer([whole(b"fine")]) as server:

        async def use(lane):
            for _ in range(3):
                assert await read(await ask(lane, server.url)) == b"fine"

        run(server.url, use)
    assert (server.connections, len(server.heads)) == (1, 3)


def test_connection_closed_by_server_is_not_reused():
    with FaultServer([(*whole(b"fine"), CLOSE)]) as server:

        async def use(lane):
            for _ in range(3):
                response = await ask(lane, server.url)
                assert await read(response) == b"fine"
                stream = response.extensions["network_stream"]
                await until(lambda stream=stream: stream.get_extra_info("is_readable"))  # the server's goodbye is here

        run(server.url, use)
    assert (server.connections, len(server.heads)) == (3, 3)


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"fine", connection="close"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nfine", CLOSE),
        (b"HTTP/1.1 200 OK\r\n\r\nfine", CLOSE),
    ],
    ids=["connection: close", "HTTP/1.0", "until the end"],
)
def test_connection_announced_to_close_is_not_reused(answer):
    """Also where the server's goodbye hasn't come yet."""
    with FaultServer([answer]) as server:

        async def use(lane):
            for _ in range(3):
                assert await read(await ask(lane, server.url)) == b"fine"

        run(server.url, use)
    assert (server.connections, len(server.heads)) == (3, 3)


@pytest.mark.parametrize(("end", "error"), [(CLOSE, httpx.RemoteProtocolError), (RESET, httpx.ReadError)])
def test_connection_data_is_read_before_break_is_raised(end, error):
    with FaultServer([(STREAM, chunk(b"first"), chunk(b"second"), end)]) as server:

        async def use(lane):
            response = await ask(lane, server.url)
            stream = response.extensions["network_stream"]
            await until(lambda: stream.get_extra_info("socket").fileno() < 0)
            came = []
            with pytest.raises(error):
                await keep(response, came)
            assert b"".join(came) == b"firstsecond"
            await response.aclose()

        run(server.url, use)


def test_connection_unread_body_is_bounded():
    body = b"x" * (8 * 1024 * 1024)
    with FaultServer([whole(body)]) as server:

        async def use(lane):
            response = await ask(lane, server.url)
            stream = response.extensions["network_stream"]
            await until(lambda: stream.get_extra_info("is_paused"))
            assert HIGH_WATER_BYTES < stream.get_extra_info("buffered") < 2 * HIGH_WATER_BYTES
            assert await read(response) == body

        run(server.url, use)


def test_connection_sends_long_request_whole():
    with FaultServer(lambda head, body: whole(b"%d" % len(body))) as server:

        async def use(lane):
            assert await read(await ask(lane, server.url, b"y" * 3_000_000)) == b"3000000"

        run(server.url, use)


def test_connection_read_times_out_on_silent_server():
    with FaultServer([(HOLD,)]) as server:

        async def use(lane):
            with pytest.raises(httpx.ReadTimeout):
                await ask(lane, server.url, timeout={"read": 0.05})

        run(server.url, use)


def test_connection_reports_refused_and_unknown_host():
    with FaultServer([whole(b"")]) as server:
        gone = server.url

    async def refused(lane):
        with pytest.raises(httpx.ConnectError):
            await ask(lane, gone)

    run(gone, refused)
    for name in ("nobody.invalid", f"{'x' * 70}.invalid"):

        async def unknown(lane, url=f"http://{name}"):
            with pytest.raises(httpx.ConnectError):
                await ask(lane, url)

        run(f"http://{name}", unknown)


def test_connection_connect_times_out():
    async def use(lane):
        begun = time.monotonic()
        with pytest.raises(httpx.ConnectTimeout):
            await ask(lane, "http://x", timeout={"connect": 0.05})
        assert time.monotonic() - begun < 5

    async def silent(*_, **__):
        await asyncio.Event().wait()

    async def patched():
        asyncio.get_running_loop().create_connection = silent
        await use(Connection(httpx.URL("http://x"), None))

    asyncio.run(patched())


def test_connection_errors_have_httpx_names():
    for name in ("ConnectError", "ConnectTimeout", "ReadError", "ReadTimeout", "RemoteProtocolError", "WriteError"):
        assert issubclass(getattr(httpx, name), httpx.TransportError)
        assert issubclass(getattr(httpcore, name), Exception)
