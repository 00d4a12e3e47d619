"""
The throughput of ``qfmagic.map``: 500 prompts, each answered after 100 ms, with 16 and with 64 workers.

What is ideal is known: as many rounds of 100 ms as it takes. Besides, what httpx's own client does with the same
requests in the same run, and what the fastest client there is for Python does, which checks and keeps nothing: more than
that, the machine does not give. And the memory of 50,000 rows of an iterator against that of 500.
"""

import asyncio
import gc
import json
import math
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from .common import Row, environment, worker
from .late import LATENCY

PROMPTS, WIDTHS, ROUNDS = 500, (16, 64), 5
FEW, MANY = 500, 50_000
AIMS = {16: "≥ 0.95", 64: "≥ 0.90"}
MODEL, TEMPLATE = "yi_34b_chat", "介绍下 {{ item }}"


def _client():
    from qfmagic import Qianfan

    return Qianfan(model=MODEL, timeout=60)


def _mapped(workers: int) -> float:
    import qfmagic

    with _client() as client:
        qfmagic.map(["warm"], TEMPLATE, client=client)
        start = time.perf_counter()
        rows = qfmagic.map([str(number) for number in range(PROMPTS)], TEMPLATE, client=client, workers=workers)
        seconds = time.perf_counter() - start
    if any(row["error"] for row in rows):
        raise RuntimeError(next(row["error"] for row in rows if row["error"]))
    return seconds


def _plain(workers: int) -> float:
    """The same by httpx alone, which reads the body and no more."""
    import httpx

    async def run() -> float:
        limits = httpx.Limits(max_connections=workers, max_keepalive_connections=workers)
        async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=60) as client:
            numbers = iter(range(PROMPTS))

            async def work() -> None:
                for number in numbers:
                    body = {"messages": [{"role": "user", "content": f"介绍下 {number}"}], "stream": True}
                    async with client.stream("POST", _url(), json=body) as response:
                        await response.aread()

            start = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(workers)))
            return time.perf_counter() - start

    return asyncio.run(run())


def _bare(workers: int) -> float:
    """The same by aiohttp alone, whose parser is in C."""
    import aiohttp

    async def run() -> float:
        connector = aiohttp.TCPConnector(limit=workers)
        async with aiohttp.ClientSession(connector=connector) as client:
            numbers = iter(range(PROMPTS))

            async def work() -> None:
                for number in numbers:
                    body = {"messages": [{"role": "user", "content": f"介绍下 {number}"}], "stream": True}
                    async with client.post(_url(), json=body) as response:
                        await response.read()

            start = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(workers)))
            return time.perf_counter() - start

    return asyncio.run(run())


def _url() -> str:
    return f"{os.environ['QIANFAN_BASE_URL']}/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{MODEL}"


def throughput() -> dict[str, object]:
    found: dict[str, object] = {}
    for workers in WIDTHS:
        ways = {"qfmagic": _mapped, "httpx": _plain, "aiohttp": _bare}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                times[name].append(way(workers))
        found[str(workers)] = {name: min(rounds) for name, rounds in times.items()}
    return found


def _sockets() -> int:
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found += str(path.readlink()).startswith("socket:")
    return found


def _peak() -> float:
    """The most memory there was, in MB; what ``resource`` says begins with what the process that started this had."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory() -> dict[str, object]:
    """Rows of an iterator, whose results are looked at and dropped; and the connections meanwhile."""
    import qfmagic

    peaks: dict[str, float] = {}
    most = [0]
    with _client() as client:
        qfmagic.map(["warm"], TEMPLATE, client=client)
        before = _sockets() - 1  # the warm one
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                most[0] = max(most[0], _sockets() - before)

        watching = threading.Thread(target=watch)
        watching.start()
        for count in (FEW, MANY):
            for _ in qfmagic.map((str(number) for number in range(count)), TEMPLATE, client=client, workers=64):
                pass
            gc.collect()
            peaks[str(count)] = _peak()
        ended.set()
        watching.join()
    return {"peaks": peaks, "connections": most[0]}


def batch(server: str, scratch: str) -> list[Row]:
    """Measure both."""
    with worker("late") as late, worker("batch", "throughput", env=environment(late("address"), scratch)) as ask:
        spent = json.loads(ask("go"))
    with worker("batch", "memory", env=environment(f"{server}/block/1", scratch)) as ask:
        flat = json.loads(ask("go"))
    rows = []
    for width in WIDTHS:
        ideal = math.ceil(PROMPTS / width) * LATENCY
        shares = {name: ideal / seconds for name, seconds in spent[str(width)].items()}
        rows.append(
            Row(
                f"map, {PROMPTS} prompts of {LATENCY * 1000:.0f} ms, {width} workers: share of the ideal throughput",
                f"{shares['qfmagic']:.2f}",
                AIMS[width],
                f"httpx.AsyncClient {shares['httpx']:.2f}, bare aiohttp {shares['aiohttp']:.2f}; best of {ROUNDS} each",
            )
        )
    few, many = flat["peaks"][str(FEW)], flat["peaks"][str(MANY)]
    rows.append(
        Row(
            f"map over an iterator: peak memory of {MANY:,} rows − of {FEW}",
            f"{many - few:+.1f} MB",
            "≤ 5 MB",
            f"{few:.1f} → {many:.1f} MB, {flat['connections']} connections at most with 64 workers",
        )
    )
    return rows


def main(which: str) -> None:
    measure = {"throughput": throughput, "memory": memory}[which]
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
