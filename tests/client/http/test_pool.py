"""Connections side by side: one request each, used again, and closed when nobody has used them for long."""

import asyncio

import httpx

from qfmagic.client.http.pool import IDLE_S, ConnectionPool


class Lane(httpx.AsyncBaseTransport):
    def __init__(self, made):
        self.requests = 0
        self.closed = False
        made.append(self)

    async def handle_async_request(self, request):
        self.requests += 1
        if request.url.path == "/broken":
            raise httpx.ReadError("broken")
        return httpx.Response(200, stream=httpx.ByteStream(b"x"))

    async def aclose(self):
        self.closed = True


def run(use):
    made, now = [], [0.0]
    lanes = ConnectionPool(lambda: Lane(made), lambda: now[0])
    asyncio.run(use(lanes, made, now))
    return made


def ask(lanes, path="/"):
    return lanes.handle_async_request(httpx.Request("GET", f"http://x{path}"))


async def read(response):
    await response.aread()
    await response.aclose()


def test_pool_opens_a_connection_per_concurrent_request_and_reuses_it():
    async def use(lanes, made, _):
        first, second = await ask(lanes), await ask(lanes)
        assert await first.aread() == b"x"
        await first.aclose()
        await first.aclose()
        third = await ask(lanes)
        assert len(made) == 2
        await read(second)
        await read(third)
        await lanes.aclose()

    assert [(lane.requests, lane.closed) for lane in run(use)] == [(2, True), (1, True)]


def test_pool_closes_connection_of_aborted_request():
    """Cancelled in the middle of closing, a connection may count as taken for ever: nobody is to wait for it."""

    async def use(lanes, made, _):
        for _ in range(3):
            try:
                await ask(lanes, "/broken")
            except httpx.ReadError:
                continue
        assert [lane.closed for lane in made] == [True] * 3
        await (await ask(lanes)).aclose()  # left before its end
        assert made[3].closed
        await read(await ask(lanes))
        await read(await ask(lanes))
        assert (made[4].requests, made[4].closed, len(made)) == (2, False, 5)

    run(use)


def test_pool_closes_idle_and_remaining_connections():
    async def use(lanes, made, now):
        responses = [await ask(lanes) for _ in range(3)]
        for response in responses:
            await read(response)
        now[0] = IDLE_S + 1
        await read(await ask(lanes))
        assert [lane.closed for lane in made] == [True, True, False]
        late = await ask(lanes)
        await lanes.aclose()
        assert made[2].closed
        await late.aclose()
        assert made[2].requests == 3

    run(use)


class SlowToClose(Lane):
    async def aclose(self):
        await asyncio.sleep(0)
        self.closed = True
        raise OSError("was gone already")


def test_pool_closing_idle_connection_does_not_block_requests():
    made, now = [], [0.0]
    lanes = ConnectionPool(lambda: SlowToClose(made), lambda: now[0])

    async def use():
        first, second = await ask(lanes), await ask(lanes)
        await read(first)
        now[0] = IDLE_S + 1
        leaving = asyncio.ensure_future(read(second))
        await asyncio.sleep(0)
        third = await ask(lanes)  # takes the connection that was just left, while the other is being closed
        await leaving
        await read(third)
        await lanes.aclose()

    asyncio.run(use())
    assert [lane.closed for lane in made] == [True, True]
