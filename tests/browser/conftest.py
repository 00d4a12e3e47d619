"""A real JupyterLab, and a real Chromium that looks at it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import nbformat
import pytest

from tests.browser.page import launch

playwright = pytest.importorskip("playwright.sync_api")

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
# What a user can set in JupyterLab's settings; nothing is asked of the network.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


@pytest.fixture(scope="module")
def chromium():
    """
    The browser; a test without one is no test, so it must be there.

    Not for the whole session: while Playwright's loop is there, no other test of the process may run one.
    """
    with playwright.sync_playwright() as driver:
        browser = launch(driver)
        yield browser
        browser.close()


@dataclass
class Lab:
    """A JupyterLab server with a home of its own."""

    root: Path
    url: str
    token: str
    process: subprocess.Popen
    home: Path

    def write(self, name, *cells, metadata=None):
        """Write a notebook of code cells, given as source or as nbformat cells."""
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        notebook.metadata.update(metadata or {})
        for number, cell in enumerate(cells):
            node = nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell
            node["id"] = f"cell-{number}"
            notebook.cells.append(node)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    def read(self, name):
        return nbformat.read(self.root / name, as_version=4)

    def api(self, path, method="GET", **kwargs):
        headers = {"Authorization": f"token {self.token}"}
        answer = httpx.request(method, f"{self.url}api/{path}", headers=headers, trust_env=False, **kwargs)
        answer.raise_for_status()
        return answer

    def shut_down_kernels(self):
        for session in self.api("sessions").json():
            self.api(f"sessions/{session['id']}", "DELETE")


def start_lab(folder, settings=(), **environ):
    """Start a server; its home, settings and runtime files are all under *folder*."""
    root, home = folder / "work", folder / "home"
    root.mkdir(parents=True)
    user_settings = home / "lab" / "user-settings"
    for name, values in (SETTINGS | dict(settings)).items():
        file = user_settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("QIANFAN_", "QFMAGIC_", "JUPYTER_", "JPY_"))}
    token = "browser-tests"
    environ = {
        **plain,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "QFMAGIC_HOME": str(home / "qfmagic"),
        "QFMAGIC_LANG": "en",
        "QFMAGIC_TRANSPORT": "stub",
        **environ,
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={root}"),
        *("--ServerApp.port=0", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"),
        *("--LabApp.expose_app_in_browser=True", f"--LabApp.user_settings_dir={user_settings}"),
        *("--LabApp.extension_manager=readonly", "--LabApp.news_url=", "--ServerApp.terminals_enabled=False"),
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT, cwd=root)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                info = json.loads(file.read_text())
            except ValueError:  # being written
                continue
            if info.get("port"):
                return Lab(root, info["url"], token, process, home)
        if process.poll() is not None:
            break
        time.sleep(0.05)  # nothing tells that a server's file has been written
    process.kill()
    pytest.fail((folder / "server.log").read_text())


def stop_lab(lab):
    try:
        lab.shut_down_kernels()
    finally:
        lab.process.terminate()
        try:
            lab.process.wait(20)
        except subprocess.TimeoutExpired:
            lab.process.kill()
            lab.process.wait()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The server most tests share; each opens notebooks of its own."""
    lab = start_lab(tmp_path_factory.mktemp("lab"))
    yield lab
    stop_lab(lab)


@pytest.fixture
def own_lab(tmp_path):
    """Start servers with settings or an environment of their own."""
    labs = []

    def begin(settings=(), **environ):
        labs.append(start_lab(tmp_path / f"lab{len(labs)}", settings, **environ))
        return labs[-1]

    yield begin
    for lab in labs:
        stop_lab(lab)


# Steers the notebook on the page through JupyterLab's own commands.
_SCRIPT = """
window.qf = {
  get panel() { return window.jupyterapp.shell.currentWidget; },
  get notebook() { return this.panel.content; },
  select(index) { this.notebook.activeCellIndex = index; this.notebook.deselectAll(); },
  run(index) { this.select(index); return window.jupyterapp.commands.execute("notebook:run-cell"); },
  command(name, args) { return window.jupyterapp.commands.execute(name, args); },
  async ready() {
    const panel = this.panel;
    await panel.context.ready; await panel.revealed; await panel.sessionContext.ready;
    const kernel = panel.sessionContext.session.kernel;
    if (kernel.status !== "idle") await new Promise((done) => {
      const look = (_, status) => { if (status === "idle") { kernel.statusChanged.disconnect(look); done(); } };
      kernel.statusChanged.connect(look);
    });
  },
};
"""


@dataclass
class Page:
    """A notebook open in JupyterLab."""

    lab: Lab
    page: object
    name: str
    frames: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    problems: list = field(default_factory=list)

    def open(self):
        self.page.goto(f"{self.lab.url}lab/tree/{self.name}?token={self.lab.token}&reset")
        self.page.wait_for_function(
            "name => window.jupyterapp?.shell?.currentWidget?.context?.path === name && "
            "window.jupyterapp.shell.currentWidget.content?.widgets?.length",
            arg=self.name,
            timeout=60_000,
        )
        self.page.evaluate(_SCRIPT)
        self.page.evaluate("window.qf.ready()")
        return self

    def run(self, index):
        """Run a cell and wait for its end."""
        return self.page.evaluate("index => window.qf.run(index)", index)

    def begin(self, index):
        """Run a cell; don't wait."""
        self.page.evaluate("index => { window.running = window.qf.run(index); }", index)

    def wait(self):
        """Wait for the cell that was begun."""
        return self.page.evaluate("window.running")

    def command(self, name, args=None):
        return self.page.evaluate("([name, args]) => window.qf.command(name, args)", [name, args or {}])

    def begin_command(self, name, args=None):
        script = "([name, args]) => { window.running = window.qf.command(name, args); }"
        self.page.evaluate(script, [name, args or {}])

    def set_source(self, index, source):
        script = "([index, source]) => { window.qf.notebook.widgets[index].model.sharedModel.setSource(source); }"
        self.page.evaluate(script, [index, source])

    def save(self):
        self.command("docmanager:save")
        return self.lab.read(self.name)

    def cell(self, index):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index):
        return self.cell(index).locator(".jp-Cell-outputArea")

    def outputs(self, index):
        """The outputs as the page's document holds them."""
        return self.page.evaluate("index => window.qf.notebook.widgets[index].model.outputs.toJSON()", index)

    def interrupt(self):
        self.command("notebook:interrupt-kernel")

    def screenshot(self, name, **kwargs):
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", **kwargs)


@pytest.fixture
def visit(chromium, lab):
    """Open notebooks: ``visit(name, *cells)`` writes one and opens it; without cells it opens what is there."""
    contexts = []

    def begin(name, *cells, server=None, size=(1200, 900), metadata=None, **context_options):
        server = server or lab
        if cells:
            server.write(name, *cells, metadata=metadata)
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **context_options)
        contexts.append(context)
        page = context.new_page()
        seen = Page(server, page, name)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.problems.append(f"{error.message}\n{error.stack}"))
        page.on("websocket", lambda socket: _listen(socket, seen.frames))
        return seen.open()

    yield begin
    for context in contexts:
        context.close()
    lab.shut_down_kernels()


def _listen(socket, frames):
    socket.on("framereceived", lambda frame: frames.append(("received", frame)))
    socket.on("framesent", lambda frame: frames.append(("sent", frame)))
