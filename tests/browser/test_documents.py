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

from tests.support.kernels import AsyncForkedKernelManager

# Every third of them: nbval runs them all, and their cells' outputs are of few kinds.
GUIDES = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))[::3]

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


@pytest.fixture(scope="module")
def guides(lab):
    """The guides as a reader's files."""
    return shutil.copytree(GUIDES[0].parent, lab.root / "guides")


@pytest.fixture(scope="module")
def saved_guides():
    """The guides that the tests have saved in JupyterLab so far."""
    return []


def environ():
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("QIANFAN_", "QFMAGIC_"))}
    return plain | {"QFMAGIC_LANG": "en", "QFMAGIC_JOURNAL": "false"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_guide_saved_in_browser_equals_committed_document(visit, guides, saved_guides, guide):
    page = visit(f"guides/{guide.name}")
    page.command("notebook:run-all-cells")
    # Of a cell that is meant to fail the command doesn't wait for those behind it.
    page.page.wait_for_function(ALL_RAN, timeout=60_000)
    page.page.evaluate("() => window.qf.ready()")
    saved = page.save()
    saved_guides.append(guides / guide.name)
    page.screenshot(f"guide-{guide.stem}")
    assert page.problems == []

    again = nbformat.read(guides / guide.name, as_version=4)
    folder = {"metadata": {"path": str(guides)}}
    NotebookClient(again, resources=folder, kernel_manager_class=AsyncForkedKernelManager).execute(env=environ())
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


@pytest.mark.timeout(300)
def test_guide_saved_in_browser_passes_strict_nbval(guides, saved_guides):
    """What was saved in the browser passes as what is committed does."""
    assert saved_guides, "it looks at what the tests above have saved"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        *saved_guides,
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
    ]
    strict = subprocess.run(command, env=environ(), capture_output=True, text=True, check=False, cwd=guides)
    assert strict.returncode == 0, strict.stdout[-4000:]
