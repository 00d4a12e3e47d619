"""ARCHITECTURE.md names what there is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
FILES = [
    path.relative_to(ROOT).as_posix()
    for top in ("qfmagic", "tests")
    for path in sorted((ROOT / top).rglob("*.*"))
    if "node_modules" not in path.parts and path.is_file()
]
NAMED = sorted(set(re.findall(r"`((?:\w+/)+\w+(?:\.\w+)*)`", PAGE)))
PACKAGES = sorted(Path(file).parent.name for file in FILES if re.fullmatch(r"qfmagic/.*/__init__\.py", file))


@pytest.mark.parametrize("named", NAMED)
def test_architecture_names_files_and_definitions_that_exist(named):
    if any(f"/{file}".endswith(f"/{named}") for file in FILES):
        return
    module, *names = named.split(".")
    found = [file for file in FILES if file.endswith((f"/{module}.py", f"/{module}/__init__.py"))]
    assert any(defines(ROOT / file, names) for file in found)


@pytest.mark.parametrize("package", PACKAGES)
def test_architecture_tree_has_every_package(package):
    assert re.search(rf"^ +(.*\s)?{package}/\s", PAGE, re.MULTILINE)


def defines(path, names):
    """Whether a module has a name, and its class an attribute."""
    body = ast.parse(path.read_text("utf-8")).body
    for name in names:
        node = next((node for node in body if name in defined(node)), None)
        if node is None:
            return False
        body = getattr(node, "body", [])
    return True


def defined(node):
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return [getattr(node, "name", None)]
