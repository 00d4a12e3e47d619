"""The guide notebooks, run and saved in JupyterLab: every tool that reads them finds the same document."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter

GUIDES = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

ALL_RAN = "() => window.qf.notebook.widgets.every(cell => cell.model.type !== 'code' || cell.model.executionCount)"


def shown(notebook):
    """What a reader sees of each cell."""
    return [
        [
            output.get("data", {}).get("text/markdown") or output.get("text") or output.get("evalue")
            for output in outputs
        ]
        for cell in notebook.cells
        if (outputs := cell.get("outputs")) is not None
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_saved_in_the_browser_is_the_same_document_everywhere(visit, lab, guide, tmp_path):
    shutil.copytree(guide.parent, lab.root / "guides", dirs_exist_ok=True)
    page = visit(f"guides/{guide.name}")
    page.command("notebook:run-all-cells")
    # Of a cell that is meant to fail the command doesn't wait for those behind it.
    page.page.wait_for_function(ALL_RAN, timeout=60_000)
    page.page.evaluate("() => window.qf.ready()")
    saved = page.save()
    page.screenshot(f"guide-{guide.stem}")
    assert page.problems == []
    path = lab.root / "guides" / guide.name

    environ = {k: v for k, v in os.environ.items() if not k.startswith(("QIANFAN_", "QFMAGIC_"))}
    environ |= {"QFMAGIC_LANG": "en", "QFMAGIC_JOURNAL": "false"}
    command = [sys.executable, "-m", "pytest", "--nbval", path, "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    strict = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=path.parent)
    assert strict.returncode == 0, strict.stdout[-4000:]

    again = nbformat.read(path, as_version=4)
    NotebookClient(again, resources={"metadata": {"path": str(path.parent)}}).execute(env=environ)
    assert shown(again) == shown(saved)
    assert "application/vnd.jupyter.widget-view+json" not in nbformat.writes(again)

    html, _ = HTMLExporter().from_notebook_node(saved)
    markdown, _ = MarkdownExporter().from_notebook_node(saved)
    for cell in saved.cells:
        for output in cell.get("outputs", ()):
            plain = output.get("data", {}).get("text/plain", "")
            for line in plain.splitlines()[:1]:
                word = max(line.split(), key=len, default="")
                if word.isalnum():
                    assert word in markdown
                    assert word in html
