"""Run all benchmarks, print the table, and write it to RESULTS.md."""

import platform
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from .batch import batch
from .chunks import against_others, flatness
from .common import Row, worker
from .first import first_text
from .live import live_view
from .load import load
from .replay import replay
from .starts import starts
from .turns import cost_per_turn

PACKAGES = ("qfmagic", "httpx", "ipython", "ipykernel", "ipywidgets", "qianfan")
INTRODUCTION = """# Benchmarks

`make bench` rewrites this file. Every result compares contenders that took turns in one run, by their medians; the
figures behind it are those of one machine and for orientation only. What each row measures stands in the module
that makes it.
"""


def _report(rows: Iterable[Row]) -> str:
    lines = ["| Benchmark | Result | Aim | Figures |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])
    return "\n".join([INTRODUCTION, *lines, "", f"{versions}. {datetime.now(UTC):%Y-%m-%d}.", ""])


def main() -> None:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, worker("server") as ask:
        server = ask("address")
        for benchmark in (
            lambda: starts(scratch),
            lambda: first_text(server, scratch),
            lambda: against_others(server, scratch),
            lambda: flatness(server, scratch),
            lambda: cost_per_turn(scratch),
            lambda: live_view(server, scratch),
            lambda: replay(scratch),
            lambda: load(server, scratch),
            lambda: batch(server, scratch),
        ):
            new = benchmark()
            rows += new
            for row in new:
                print(f"{row.benchmark}: {row.result} (aim {row.aim}; {row.figures})", flush=True)
    Path(__file__).with_name("RESULTS.md").write_text(_report(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
