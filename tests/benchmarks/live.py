"""
What the live view costs in a kernel that believes it talks to JupyterLab: messages, bytes, CPU, time to the first text.

The first answer of a page carries the page's script; it is counted by itself.
"""

import json
import time
from contextlib import closing
from statistics import median

from qfmagic.testing.stub_server import LoopbackServer
from tests.notebook.conftest import Kernel
from tests.support.held import held_reply

from .common import Row, environment, medians

CHUNKS = 2000
APPEND = """
import time, sys
from qfmagic import Qianfan
client = Qianfan(model="yi_34b_chat")
new, due = [], 0.0
with client.stream("hi") as stream:
    while (deltas := stream.drain(0.05)) is not None:
        new += [delta.text for delta in deltas]
        if time.monotonic() >= due and new:
            sys.stdout.write("".join(new)); sys.stdout.flush()
            new, due = [], time.monotonic() + 0.05
sys.stdout.write("".join(new)); sys.stdout.flush()
"""
DRAIN = """
with client.stream("hi") as stream:
    while stream.drain(0.1) is not None:
        pass
"""
ASK = "answer = get_ipython().run_cell_magic('qianfan', 'model=yi_34b_chat once', 'hi')"
TIMED = "import time\nbegan = time.{clock}()\n{work}\nprint('spent', time.{clock}() - began)"


def live_view(server: str, scratch: str) -> list[Row]:
    """All of it, in one kernel."""
    with closing(Kernel(**environment(f"{server}/slow/{CHUNKS}", scratch))) as kernel:
        kernel.run("%load_ext qfmagic")
        rows = _traffic(kernel)
        rows += _cpu(kernel)
        kernel.run(f"import os\nos.environ['QIANFAN_BASE_URL'] = '{server}/block/{CHUNKS}'")
        rows += _wall(kernel)
        return rows + _first(kernel)


def _traffic(kernel: Kernel) -> list[Row]:
    """The final bundle is counted by itself too: it holds the text twice, as Markdown and plain."""
    cell = "%%qianfan model=yi_34b_chat once\nhi"
    first, later, plain = (_messages(kernel, code) for code in (cell, cell, APPEND))
    counts = {"live": later, "plain text": plain, "first of a page": first}
    figures = "; ".join(f"{name} {len(sizes)} messages, {sum(sizes) / 1024:.0f} kB" for name, sizes in counts.items())
    final = max(later)
    comes, whole = ((sum(later) - less) / sum(plain) for less in (final, 0))
    title = f"Live view, {CHUNKS:,} chunks 1 ms apart"
    appending = "bytes against appending plain text 20 times a second"
    return [
        Row(f"{title}: messages", f"{len(later)}", "≤ 60", figures),
        Row(f"The same: {appending}", f"{comes:.2f}x", "≤ 1.5x", f"without the final bundle of {final / 1024:.0f} kB"),
        Row(f"The same: {appending}", f"{whole:.2f}x", "≤ 1.5x", "with the final bundle"),
    ]


def _messages(kernel: Kernel, code: str) -> list[int]:
    """The sizes of the messages about a cell."""
    name = kernel.send(code, "cell")
    found = kernel.wait_for(name, "status")
    while found[-1]["content"].get("execution_state") != "idle":
        found += kernel.wait_for(name, "status")
    kernel.client.get_shell_msg(timeout=30)
    return [len(json.dumps(message, default=str, ensure_ascii=False).encode()) for message in found]


def _spent(kernel: Kernel, work: str, clock: str) -> float:
    ran = kernel.run(TIMED.format(work=work, clock=clock), "cell", timeout=120)
    assert ran.status == "ok", ran.error
    return float(ran.stdout.rsplit("spent ", 1)[1])


def _cpu(kernel: Kernel) -> list[Row]:
    rounds = {
        "live": lambda: _spent(kernel, ASK, "process_time"),
        "drain": lambda: _spent(kernel, DRAIN, "process_time"),
    }
    spent = medians(rounds, 5)
    figures = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items())
    return [Row("The same: CPU, against draining", f"{spent['live'] / spent['drain']:.2f}x", "≤ 1.3x", figures)]


def _wall(kernel: Kernel) -> list[Row]:
    spent: dict[str, list[float]] = {"live": [], "static": []}
    for _ in range(15):
        for way, found in spent.items():
            kernel.run(f"%qf set display={way}")
            found.append(_spent(kernel, ASK, "perf_counter"))
    kernel.run("%qf unset display")
    live, static = (median(found) for found in spent.values())
    figures = f"live {live * 1e3:.0f} ms, one display at the end {static * 1e3:.0f} ms"
    return [Row(f"Live view, {CHUNKS:,} chunks at once: wall time", f"{live / static:.2f}x", "≤ 1.5x", figures)]


def _first(kernel: Kernel, rounds: int = 20) -> list[Row]:
    """From the server's writing of the first text to the client's having it, over both sockets."""
    replies = []
    with LoopbackServer(lambda _: replies[-1]) as server:
        kernel.run(f"os.environ['QIANFAN_CONSOLE_API_BASE_URL'] = '{server.url}'")
        found = []
        for _ in range(rounds):
            replies.append(held_reply(["first", "last"]))
            name = kernel.send("%%qianfan model=ernie-5.1 once\nhi", "cell")
            kernel.wait_for(name, "display_data")
            began = time.perf_counter()
            replies[-1].chunks.let()
            kernel.wait_for(name, "comm_msg")
            found.append(time.perf_counter() - began)
            replies[-1].chunks.let_all()
            kernel.collect(name)
    figures = f"{rounds} answers, slowest {max(found) * 1e3:.1f} ms"
    return [Row("Live view: first chunk to first text on iopub", f"{median(found) * 1e3:.1f} ms", "≤ 20 ms", figures)]
