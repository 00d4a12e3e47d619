"""What the benchmarks share: rows of the table, the environment of the subprocesses, medians."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

from qfmagic.transport.stub.service import StubKeys

Round = Callable[[], float]


class Row(NamedTuple):
    """A line of the table. The figures behind the result are for orientation only."""

    benchmark: str
    result: str
    aim: str
    figures: str


def environment(url: str, scratch: str) -> dict[str, str]:
    """The environment of a contender: the loopback's addresses, no proxy, no settings or caches of the user's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("QIANFAN_") and not name.lower().endswith("_proxy")
    }
    names = ("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_IAM_BASE_URL")
    return {
        **kept,
        **dict.fromkeys(names, url),
        "QIANFAN_ACCESS_TOKEN": StubKeys().access_token,
        "QIANFAN_BEARER_TOKEN": StubKeys().bearer_token,
        "QIANFAN_DOT_ENV_CONFIG_FILE": "none.env",
        "QIANFAN_DISABLE_CACHE": "true",
        "QIANFAN_CACHE_DIR": scratch,
        "QIANFAN_LLM_API_RETRY_COUNT": "1",
        "IPYTHONDIR": scratch,
    }


def medians(rounds: dict[str, Round], repetitions: int, *, warm_up: int = 1) -> dict[str, float]:
    """Let the contenders take turns; return the median of each, without its first rounds."""
    found: dict[str, list[float]] = {name: [] for name in rounds}
    for _ in range(warm_up + repetitions):
        for name, one_round in rounds.items():
            found[name].append(one_round())
    return {name: median(values[warm_up:]) for name, values in found.items()}


@contextmanager
def worker(module: str, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Callable[[str], str]]:
    """A module of this package in a process of its own; the function yielded sends a line and returns its answer."""
    command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(line: str) -> str:
            print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline().strip()
            if not answer:
                raise RuntimeError(f"{module} {' '.join(arguments)} has ended")
            return answer

        try:
            yield ask
        finally:
            process.stdin.close()
            process.terminate()
