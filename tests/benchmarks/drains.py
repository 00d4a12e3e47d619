"""
CPU time of reading one whole stream, by contender; each runs in a process of its own.

Every line that comes in starts a round, and is answered with the CPU seconds it took, all threads counted.
"""

import json
import os
import sys
import time
from collections.abc import Callable

PROMPT = "介绍下长城"
MODEL = "yi_34b_chat"


def plain() -> Callable[[], bool]:
    """httpx alone: the lines of the stream, and the JSON of those that hold data."""
    import httpx

    client = httpx.Client(timeout=60)
    url = f"{os.environ['QIANFAN_BASE_URL']}/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{MODEL}"
    query = {"access_token": os.environ["QIANFAN_ACCESS_TOKEN"]}
    body = {"messages": [{"role": "user", "content": PROMPT}], "stream": True}

    def drain() -> bool:
        last = {}
        with client.stream("POST", url, params=query, json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    last = json.loads(line[6:])
        return last["is_end"]

    return drain


def sdk() -> Callable[[], bool]:
    """The official SDK, with the endpoint given, so that it looks nothing up."""
    import qianfan

    qianfan.disable_log()
    chat = qianfan.ChatCompletion()
    messages = [{"role": "user", "content": PROMPT}]

    def drain() -> bool:
        ended = False
        for event in chat.do(messages, endpoint=MODEL, stream=True, retry_count=1):
            ended = event["is_end"]
        return ended

    return drain


def ours(turns: str = "0") -> Callable[[], bool]:
    """qfmagic; with turns of history, all of them sent, to a V2 model that has no limit."""
    from qfmagic import Qianfan
    from qfmagic.core.context import Exchange

    client = Qianfan(timeout=60)
    model = MODEL if turns == "0" else "benchmark"
    history = [
        Exchange.of(f"第{number}个问题：长城有多长？", f"第{number}个回答。" * 5) for number in range(int(turns))
    ]

    def drain() -> bool:
        with client.stream(PROMPT, model=model, history=history) as stream:
            for _ in stream:
                pass
            return stream.answer.complete

    return drain


def main(contender: str, *arguments: str) -> None:
    drain = {"plain": plain, "sdk": sdk, "ours": ours}[contender](*arguments)
    for _ in sys.stdin:
        start = time.process_time()
        whole = drain()
        spent = time.process_time() - start
        if not whole:
            raise RuntimeError("the stream's end is missing")
        print(spent, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
