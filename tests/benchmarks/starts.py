"""
Wall time of the first cells of a notebook, each in a fresh process, where IPython's shell and asyncio are there already.
"""

import subprocess
import sys

from qfmagic.testing.stub_server import LoopbackServer

from .common import Row, environment, medians

PREPARED = """
import asyncio, time
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
start = time.perf_counter()
"""
MEASURED = {
    "imports": "import httpx, ipywidgets",
    "load_ext": "shell.run_line_magic('load_ext', 'qfmagic')",
    "first cell": """
shell.run_line_magic("load_ext", "qfmagic")
answer = shell.run_cell_magic("qianfan", "model=yi_34b_chat quiet", "介绍下长城")
""",
}
AFTER = """
print(time.perf_counter() - start)
assert "answer" not in globals() or answer.complete
"""


def starts(scratch: str) -> list[Row]:
    """``%load_ext qfmagic``, alone and with the first ``%%qianfan``, against ``import httpx, ipywidgets``."""
    with LoopbackServer() as server:
        env = environment(server.url, scratch)

        def run(code: str) -> float:
            command = [sys.executable, "-c", PREPARED + code + AFTER]
            done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            return float(done.stdout.split()[-1])

        spent = medians({name: lambda code=code: run(code) for name, code in MEASURED.items()}, 15)
    figures = ", ".join(f"{name} {seconds * 1e3:.0f}" for name, seconds in spent.items()) + " ms"
    base = spent["imports"]
    return [
        Row("`%load_ext qfmagic` / `import httpx, ipywidgets`", f"{spent['load_ext'] / base:.2f}×", "≤ 0.25", figures),
        Row("The same with the first `%%qianfan`", f"{spent['first cell'] / base:.2f}×", "≤ 1.3", figures),
    ]
