"""
Run a notebook headless, on the spot, and save its outputs: ``python -m qfmagic.testing.save FILE...``.

Like ``jupyter execute --inplace``, without the times that would change with every run.
"""

import sys
from pathlib import Path
from typing import Any


def main(paths: list[str]) -> int:
    """Run and save each notebook; the first failing cell ends it with an error."""
    import nbformat  # noqa: PLC0415 - a development dependency
    from nbclient import NotebookClient  # noqa: PLC0415 - as above

    for path in map(Path, paths):
        notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        client = NotebookClient(
            notebook, record_timing=False, resources={"metadata": {"path": str(path.parent)}}, kernel_name="python3"
        )
        client.execute()
        notebook.metadata.pop("widgets", None)
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
