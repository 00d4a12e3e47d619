"""The page's scripts are what their sources make, ask nothing of the network, and are no larger than they should be."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from qfmagic.version import __version__

NOTEBOOK = Path(__file__).parents[2] / "qfmagic" / "notebook"
FRONTEND, STATIC, EXTENSION = NOTEBOOK / "js", NOTEBOOK / "static", NOTEBOOK / "labextensions" / "qfmagic"
# Bytes. Every page with an answer gets live.js once, and stub.js with each answer after that.
SIZES = {"live.js": 500_000, "panel.js": 100_000, "stub.js": 3200, "extension": 4000}
ASKING = [
    r"\bimport\s*\(?\s*[\"'`](?:https?:)?//",
    r"\bfrom\s*[\"'`](?:https?:)?//",
    r"(?<![\w$.])fetch\s*\(\s*[^)\s]",
    r"\bXMLHttpRequest\b",
    r"\bnew (?:WebSocket|EventSource|Worker|SharedWorker|Image)\b",
    r"\bsendBeacon\b",
    r"\bimportScripts\s*\(",
    r"url\(\s*[\"']?(?:https?:)?//",
    r"@import\b(?!\|)\s*[\"'u]",
    r"\.src\s*=\s*[\"'`](?:https?:)?//",
]


def sources_hash():
    """What build.mjs writes into the first line of each bundle."""
    names = ["build.mjs", "package-lock.json", "package.json", *(f"src/{path.name}" for path in FRONTEND.glob("src/*"))]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0".encode() + (FRONTEND / name).read_bytes() + b"\0")
    return digest.hexdigest()


def bundle(name):
    return next(EXTENSION.glob("static/*.js")) if name == "extension" else STATIC / name


@pytest.mark.parametrize("name", SIZES)
def test_bundle_matches_its_sources(name):
    first = bundle(name).read_text("utf-8").split("\n", 1)[0]
    assert sources_hash() in first, "the sources were changed: make bundle"


def test_stub_script_and_bundle_share_hash():
    """A stub finds the bundle it belongs to by this name, which is in the first line too."""
    for name in ("live.js", "stub.js"):
        assert (STATIC / name).read_text("utf-8").split("\n", 1)[1].count(sources_hash()) == 1


@pytest.mark.parametrize("name", SIZES)
def test_bundle_requests_nothing_from_network(name):
    code = bundle(name).read_text("utf-8")
    found = [(pattern, one.start()) for pattern in ASKING for one in re.finditer(pattern, code)]
    assert [(pattern, code[max(0, at - 60) : at + 100]) for pattern, at in found] == []


@pytest.mark.parametrize(("name", "most"), SIZES.items())
def test_bundle_size_is_bounded(name, most):
    assert bundle(name).stat().st_size < most


def test_extension_is_what_jupyterlab_installs():
    """JupyterLab lists it by install.json, and loads what package.json names."""
    manifest = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    assert (
        manifest["name"] == EXTENSION.name == json.loads((EXTENSION / "install.json").read_text("utf-8"))["packageName"]
    )
    assert manifest["version"] == __version__
    load = manifest["jupyterlab"]["_build"]["load"]
    assert [path.relative_to(EXTENSION).as_posix() for path in EXTENSION.glob("static/*")] == [load]
    digest = hashlib.sha256((EXTENSION / load).read_bytes()).hexdigest()
    assert load == f"static/remoteEntry.{digest[:20]}.js"


def test_bundled_licenses_are_included():
    text = (STATIC / "LICENSES.txt").read_text("utf-8")
    wanted = json.loads((FRONTEND / "package.json").read_text("utf-8"))["devDependencies"]
    for name, version in wanted.items():
        assert (f"{name} {version} (" in text) == (name != "esbuild"), name  # esbuild makes them, it isn't in them


def test_javascript_versions_are_pinned():
    package = json.loads((FRONTEND / "package.json").read_text("utf-8"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    lock = (FRONTEND / "package-lock.json").read_text("utf-8")
    addresses = set(re.findall(r'"resolved": "(https?://[^/"]+)', lock))
    assert addresses <= {"https://registry.npmjs.org"}
