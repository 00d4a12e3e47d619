"""What the project promises about itself: README, package, notebooks."""

import json
import re
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import qfmagic
from qfmagic.audit.audit import audit
from qfmagic.audit.loading import load
from qfmagic.core.models import registry
from qfmagic.transport.cassette.file import beside

ROOT = Path(__file__).parents[1]
_spec = spec_from_file_location("readme_tables", ROOT / "tests" / "support" / "readme_tables.py")
readme_tables = module_from_spec(_spec)
_spec.loader.exec_module(readme_tables)


@pytest.mark.parametrize(("name", "lang"), readme_tables.READMES.items())
def test_readme_tables_match_generated_ones(name, lang):
    """python tests/support/readme_tables.py writes them."""
    text = (ROOT / name).read_text("utf-8")
    assert text == readme_tables.with_tables(text, lang)


def test_documents_name_no_retired_models():
    """The four documented models aside, which V1 served."""
    retired = {name.lower() for model in registry().models.values() if not model.offered for name in model.names}
    retired -= {api.endpoint for model in registry().models.values() for api in model.apis.values()}
    retired |= {model.name for model in registry().models.values() if not model.offered}
    word = re.compile(
        r"(?<![\w./-])(?:" + "|".join(map(re.escape, sorted(retired, key=len, reverse=True))) + r")(?![\w-]|\.\d)"
    )
    package = ROOT / "qfmagic"
    texts = [
        *ROOT.glob("README*.md"),
        *(ROOT / "notebooks").glob("*.ipynb"),
        *(package / "notebook/js/src").glob("*.js"),
    ]
    texts += [package / "data" / f"{name}.toml" for name in ("help", "messages", "errors")]
    found = {path.name: word.findall(path.read_text("utf-8").lower()) for path in texts}
    assert not {name: names for name, names in found.items() if names}


def test_changelog_has_current_version():
    assert re.search(
        rf"^## (\[?{re.escape(qfmagic.__version__)}|\[?Unreleased)",
        (ROOT / "CHANGELOG.md").read_text("utf-8"),
        re.MULTILINE,
    )


@pytest.mark.slow
def test_wheel_contains_data_and_types(tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {f"qfmagic/data/{path.name}" for path in (ROOT / "qfmagic" / "data").iterdir()}
    assert data | {"qfmagic/py.typed", "qfmagic/__init__.py"} <= names
    assert not any(name.startswith(("tests", "notebooks")) for name in names)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_guide_notebook_is_a_document(path):
    """Every code cell was run, no widget or secret is left, the language is pinned, the stub or a cassette answers."""
    notebook = json.loads(path.read_text("utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "%qf set lang=" in code[0]
    assert all(cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert "widgets" not in notebook["metadata"]
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    assert not any("vnd.jupyter.widget" in json.dumps(output) for output in outputs)
    metadata = [output.get("metadata", {}) for output in outputs]
    answers = [found[name] for found in metadata for name in ("qfmagic", "qfmagic_map") if name in found]
    assert answers
    assert {answer["transport"] for answer in answers} == {"replay" if beside(path).exists() else "stub"}
    assert "bce-v3/ALTAK-stub" not in path.read_text("utf-8")


def test_analysis_passes_audit():
    """Its answers are those of its cassette, none is left over, and nothing was changed since."""
    source = load(ROOT / "notebooks" / "analysis.ipynb")
    report = audit(source.notebook, source.cassette, recorded=source.recorded)
    assert len(report.answers) == len(source.cassette.exchanges) == 6
    assert report.findings == ()
