"""
Run a notebook in a real kernel and print its cells and answers as they come: ``python -m qfmagic.testing.play FILE``.

Exits with 1 if a cell fails. Ends with the last cell.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from ..core.terminal import printable

TIMEOUT = 120  # seconds for a cell
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: list[str] | None = None) -> int:
    """Play the notebook named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m qfmagic.testing.play", description=__doc__)
    parser.add_argument("notebook", type=Path)
    return play(parser.parse_args(arguments).notebook)


def play(path: Path) -> int:
    """Play *path*; return the exit status."""
    import nbformat  # noqa: PLC0415 - a development dependency
    from jupyter_client.manager import start_new_kernel  # noqa: PLC0415 - as above

    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    # Live, and slowly enough to see it stream, unless the environment says otherwise.
    environ = {"QFMAGIC_STUB_PACE": "0.02", **os.environ, "QFMAGIC_DISPLAY": "live"}
    manager, client = start_new_kernel(
        kernel_name="python3", cwd=str(path.parent), env=environ, extra_arguments=["--IPKernelApp.log_level=40"]
    )
    try:
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                print(f"\n{cell.source}\n")
            elif cell.cell_type == "code" and cell.source.strip():
                print(_indented(cell.source))
                screen = _Screen()
                reply = client.execute_interactive(cell.source, output_hook=screen.show, timeout=TIMEOUT)
                screen.end()
                if reply["content"]["status"] != "ok":
                    print(f"\n{path.name}: the cell above failed", file=sys.stderr)
                    return 1
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return 0


class _Screen:
    """Prints outputs; of an output that grows, what is new."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._open = False

    def show(self, message: dict[str, Any]) -> None:
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                self._write(content["text"])
            case "display_data" | "execute_result" | "update_display_data":
                self._display(content)
            case "error":
                self._write(_COLOUR.sub("", "\n".join(content["traceback"])) + "\n")

    def _display(self, content: dict[str, Any]) -> None:
        shown = content["data"].get("text/plain", "")
        name = content.get("transient", {}).get("display_id")
        before = self._shown.get(name, "") if name else ""
        if name:
            self._shown[name] = shown
        if not before:
            self.end()
        self._write(shown.removeprefix(before) if shown.startswith(before) else f"\n{shown}")

    def _write(self, shown: str) -> None:
        self._open = bool(shown) and not shown.endswith("\n") if shown else self._open
        print(printable(shown), end="", flush=True)

    def end(self) -> None:
        if self._open:
            print()
            self._open = False


def _indented(source: str) -> str:
    return "\n" + "\n".join(f"  ▌ {line}" for line in source.splitlines())


if __name__ == "__main__":
    sys.exit(main())
