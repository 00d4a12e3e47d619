"""What replaying costs: a notebook of a thousand recorded turns, against one of a thousand cells that do nothing."""

import os
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from qfmagic.core.context import Exchange
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.cassette.recording import Recorded, recorded_of
from qfmagic.transport.stub.reply import Reply

from .common import Row, medians

TURNS = 1000
SENT = 8
ANSWER = "an answer of the usual length, more or less " * 8
EMPTY = """
from IPython.core.magic import register_cell_magic
@register_cell_magic
def empty(line, cell):
    pass
"""


def _recorded() -> list[Recorded]:
    """A conversation, of which the last turns go along each time."""
    target = registry().target("ernie-5.1")
    pieces = [ANSWER[start : start + 12] for start in range(0, len(ANSWER), 12)]
    events = [{"id": "as-1", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    data = [(0.0, chunk) for chunk in Reply.of_events(events, done=True).chunks]
    found, history = [], []
    for number in range(TURNS):
        question = f"question {number}"
        request = plan_request(target, question, history=history, policy=SENT, stream=True).request
        found.append(recorded_of(request, 0, status=200, headers={}, events=data))
        history.append(Exchange.of(question, ANSWER))
    return found


class _Notebook:
    """A kernel, and how long its cells take."""

    def __init__(self, scratch: str, **environ: str) -> None:
        manager, client = start_new_kernel(
            kernel_name="python3", cwd=scratch, env={**os.environ, **environ},
            extra_arguments=["--IPKernelApp.log_level=40"],
        )  # fmt: skip
        self.manager, self.client = manager, client
        self.run("%load_ext qfmagic", EMPTY, f"%qf set model=ernie-5.1 context={SENT}")

    def run(self, *cells: str) -> float:
        start = time.perf_counter()
        for cell in cells:
            reply: Any = self.client.execute_interactive(cell, timeout=60, output_hook=lambda _: None)
            if reply["content"]["status"] != "ok":
                raise RuntimeError(reply["content"])
        return time.perf_counter() - start

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def replay(scratch: str) -> list[Row]:
    """Both notebooks in one kernel, headless, as nbclient and nbval run them."""
    path = Path(scratch) / "thousand.qf.jsonl"
    cassette.rewrite(path, _recorded())
    asked = [f"%%qianfan\nquestion {number}" for number in range(TURNS)]
    nothing = [cell.replace("%%qianfan", "%%empty") for cell in asked]
    rows = []
    for name, journal in (("", "false"), (", journal kept", "true")):
        notebook = _Notebook(scratch, QFMAGIC_JOURNAL=journal, QFMAGIC_HOME=f"{scratch}/home-{journal}")

        def replayed(notebook: _Notebook = notebook) -> float:
            notebook.run(f"%qf transport replay {path}", "%qf reset")
            return notebook.run(*asked)

        def empty(notebook: _Notebook = notebook) -> float:
            return notebook.run(*nothing)

        spent = medians({"replayed": replayed, "empty": empty}, 3)
        notebook.close()
        figures = ", ".join(f"{one} {seconds:.2f} s" for one, seconds in spent.items())
        ratio = spent["replayed"] / spent["empty"]
        rows.append(Row(f"Replaying {TURNS} turns / {TURNS} empty magics{name}", f"{ratio:.2f}×", "≤ 1.5", figures))
    return rows
