"""
Whether qfmagic grows: 10,000 turns after each other, and 200 streams of 1,000 chunks at once.

Each runs in a process of its own, which counts its memory, threads and open files; so figures are Linux's.
"""

import gc
import json
import resource
import sys
import threading
import time
from pathlib import Path

from .common import Row, environment, worker

PROMPT = "介绍下长城"
TURNS, STREAMS, CHUNKS = 10_000, 200, 1000


def _memory() -> float:
    """Megabytes of this process now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() / 2**20


def _files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _state() -> dict[str, float]:
    gc.collect()
    return {"memory": _memory(), "files": _files(), "threads": threading.active_count()}


def _turns(client, count: int) -> None:
    for _ in range(count):
        with client.stream(PROMPT) as stream:
            for _ in stream:
                pass
            if not stream.answer.complete:
                raise RuntimeError("the stream's end is missing")


def turns() -> dict[str, object]:
    from qfmagic import Qianfan

    client = Qianfan(model="yi_34b_chat", timeout=60)
    _turns(client, TURNS // 10)  # caches fill, the allocator finds its size
    before, start = _state(), time.monotonic()
    _turns(client, TURNS)
    return {"before": before, "after": _state(), "seconds": time.monotonic() - start}


def streams() -> dict[str, object]:
    from qfmagic import Qianfan

    client = Qianfan(model="yi_34b_chat", timeout=60)
    _turns(client, 1)
    before, start = _state(), time.monotonic()
    most = {"files": 0.0}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            most["files"] = max(most["files"], _files())

    watching = threading.Thread(target=watch)
    watching.start()
    open_now = [client.stream(PROMPT) for _ in range(STREAMS)]
    whole = sum(all(True for _ in stream) and stream.answer.complete for stream in open_now)
    seconds = time.monotonic() - start
    ended.set()
    watching.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "before": before,
        "whole": whole,
        "connections": most["files"] - before["files"] + 1,
        "peak": peak,
        "seconds": seconds,
    }


def load(server: str, scratch: str) -> list[Row]:
    """Measure both."""
    with worker("load", "turns", env=environment(f"{server}/block/5", scratch)) as ask:
        long = json.loads(ask("go"))
    with worker("load", "streams", env=environment(f"{server}/single/{CHUNKS}", scratch)) as ask:
        wide = json.loads(ask("go"))
    before, after = long["before"], long["after"]
    grown = after["memory"] - before["memory"]
    return [
        Row(
            f"{TURNS:,} turns: memory at their end − at their beginning",
            f"{grown:+.1f} MB",
            "≤ 5 MB",
            f"{before['memory']:.1f} → {after['memory']:.1f} MB, files {before['files']} → {after['files']}, "
            f"threads {before['threads']} → {after['threads']}, {1000 * long['seconds'] / TURNS:.2f} ms a turn",
        ),
        Row(
            f"{STREAMS} streams of {CHUNKS:,} chunks at once: whole",
            f"{wide['whole']} of {STREAMS}",
            "all",
            f"peak {wide['peak']:.0f} MB (before {wide['before']['memory']:.0f}), {wide['connections']:.0f} connections "
            f"at most, {wide['seconds']:.1f} s",
        ),
    ]


def main(which: str) -> None:
    measure = {"turns": turns, "streams": streams}[which]
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
