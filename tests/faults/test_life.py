"""Forks, exits, threads: no hang, no thread or task left over, no warning."""

import gc
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.client.background_loop import BackgroundLoop
from tests.support.faults.server import HOLD, STREAM, FaultServer, chunk, told
from tests.support.faults.table import FINE, FIRST, GOOD, SO_FAR

ROOT = str(Path(__file__).parents[2])
BEGIN = """
import os, sys, threading
from qfmagic import Qianfan, Settings
client = Qianfan(settings=Settings(access_token='t', base_url={url!r}), model='yi_34b_chat')
"""


def run(script, url):
    """Run a script of its own; every warning counts, and so does everything asyncio would like to say."""
    environ = {**os.environ, "PYTHONPATH": ROOT, "PYTHONASYNCIODEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "always", "-c", BEGIN.format(url=url) + script],
        capture_output=True, text=True, timeout=30, check=False, env=environ,
    )  # fmt: skip
    # That a step took long is no fault: a busy machine, and what is imported when it is first needed.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert said == []
    assert done.returncode == 0
    return done.stdout.split()


HELD = (STREAM, chunk(FIRST["v1"]), HOLD)


@pytest.mark.parametrize(
    ("script", "scripts"),
    [
        ("stream = client.stream('hi'); print(next(stream).text)", [HELD]),
        ("print(next(client.stream('hi')).text)", [HELD]),
        ("stream = client.stream('hi'); print(next(stream).text); stream.close()", [HELD]),
        ("stream = client.stream('hi'); print(next(stream).text); client.close()", [HELD]),
        ("stream = client.stream('hi'); print('长城' if next(stream).wait else '')", [told({"error_code": 336100})]),
    ],
    ids=["open", "dropped", "closed", "client closed", "in a pause"],
)
def test_interpreter_exits_with_open_stream(script, scripts):
    with FaultServer(scripts) as server:
        assert run(script, server.url) == [SO_FAR]


def test_threads_without_loop_leave_no_thread():
    script = """
answers = []
def ask():
    answers.append("".join(delta.text for delta in client.stream("hi")))
threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
client.close()
print(len(answers), set(answers).pop(), threading.active_count())
"""
    with FaultServer([FINE["v1"]]) as server:
        assert run(script, server.url) == ["8", GOOD, "1"]


FORK = """
def text():
    return "".join(delta.text for delta in client.stream("hi"))
print(text(), flush=True)
under_way = client.stream("hi")
first = next(under_way).text
child = os.fork()
if child == 0:
    # What was under way is the parent's; what is asked here gets a thread and connections of its own.
    print(list(under_way), under_way.drain(5), under_way.answer.finish_reason, text(), flush=True)
    client.close()
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
under_way.close()
print(first, under_way.answer.text, text(), flush=True)
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_has_its_own_thread_and_connections():
    asked = []

    def answer(head, _):
        asked.append(head)
        return HELD if len(asked) == 2 else FINE["v1"]

    with FaultServer(answer) as server:
        # Python 3.12 and later warn of any fork beside a thread: that is the caller's to weigh.
        quiet = "import warnings; warnings.filterwarnings('ignore', 'This process', DeprecationWarning)\n"
        said = run(quiet + FORK, server.url)
    assert said == [GOOD, "[]", "None", "interrupted", GOOD, "0", SO_FAR, SO_FAR, GOOD]


def test_fork_by_multiprocessing_can_send():
    script = """
import multiprocessing, warnings
warnings.filterwarnings('ignore', 'This process', DeprecationWarning)
def work(number):
    return client.ask("hi").text
print(client.ask("hi").text)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(*set(pool.map(work, range(6))))
client.close()
"""
    with FaultServer([told({"id": "as-1", "result": GOOD})]) as server:
        assert run(script, server.url) == [GOOD, GOOD]


def test_closed_streams_leave_no_tasks_or_threads():
    with (
        FaultServer([HELD]) as server,
        closing(BackgroundLoop()) as loop,
        Qianfan(settings=Settings(access_token="t", base_url=server.url), model="yi_34b_chat", loop=loop) as client,
    ):
        next(client.stream("hi"))
        threads = threading.active_count()
        for _ in range(20):
            stream = client.stream("hi")
            assert next(stream).text == SO_FAR
            stream.close()
        del stream
        gc.collect()
        tasks = loop.submit(_tasks()).result(timeout=5)
        assert tasks == 0
        assert threading.active_count() <= threads + 20  # the server's own


async def _tasks():
    import asyncio

    return len(asyncio.all_tasks()) - 1
