"""
Wall time to the first text on a warm connection; run in a process of its own, the result is one line of JSON.

The stream is short and read to its end behind the measurement, so that its connection serves the next request. Its
events come one by one, as a model's do: nothing is there yet to compete with the first one for the interpreter.
"""

import asyncio
import json
import os
import sys
import time

import httpx

from qfmagic import Qianfan

from .common import Row, environment, medians, worker
from .drains import MODEL, PROMPT

REPETITIONS = 500


def first_text(server: str, scratch: str) -> list[Row]:
    """From the call of ``Qianfan.stream`` to its first delta, less the same for plain httpx, sync and async."""
    with worker("first", env=environment(f"{server}/paced/5", scratch)) as ask:
        spent = {name: seconds * 1e3 for name, seconds in json.loads(ask("go")).items()}
    figures = ", ".join(f"{name} {milliseconds:.2f}" for name, milliseconds in spent.items()) + " ms"
    return [
        Row(f"First text, warm: qfmagic − {other}", f"{spent['qfmagic'] - spent[other]:+.2f} ms", aim, figures)
        for other, aim in (("httpx", "≤ 0.3 ms"), ("async httpx", "-"))
    ]


def _measured() -> dict[str, float]:
    url = f"{os.environ['QIANFAN_BASE_URL']}/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{MODEL}"
    request = {
        "params": {"access_token": os.environ["QIANFAN_ACCESS_TOKEN"]},
        "json": {"messages": [{"role": "user", "content": PROMPT}], "stream": True},
    }
    ours, plain, plain_async = Qianfan(model=MODEL), httpx.Client(), httpx.AsyncClient()
    loop = asyncio.new_event_loop()

    def by_ours() -> float:
        start = time.perf_counter()
        with ours.stream(PROMPT) as stream:
            next(stream)
            spent = time.perf_counter() - start
            for _ in stream:
                pass
        return spent

    def by_httpx() -> float:
        start, spent = time.perf_counter(), 0.0
        with plain.stream("POST", url, **request) as response:
            for line in response.iter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["result"] and not spent:
                    spent = time.perf_counter() - start
        return spent

    async def in_loop() -> float:
        start, spent = time.perf_counter(), 0.0
        async with plain_async.stream("POST", url, **request) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and json.loads(line[6:])["result"] and not spent:
                    spent = time.perf_counter() - start
        return spent

    rounds = {
        "qfmagic": by_ours,
        "httpx": by_httpx,
        "async httpx": lambda: loop.run_until_complete(in_loop()),
    }
    return medians(rounds, REPETITIONS, warm_up=30)


if __name__ == "__main__":
    for _ in sys.stdin:
        print(json.dumps(_measured()), flush=True)
