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

from tests.support.browser.page import launch

playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parents[2]
EXTENSIONS = ROOT / "qfmagic" / "notebook" / "labextensions"  # before any that is installed
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
# What a user can set in JupyterLab's settings; nothing is asked of the network.
WIDGET_STATE = "@jupyter-widgets/jupyterlab-manager/plugin"
SETTINGS = {
    WIDGET_STATE: {"saveState": False},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
# What keeps a server busy for seconds whenever a page is opened, and none of our tests looks at: whether JupyterLab should
# be built again, which formats nbconvert knows, language servers.
PAGE = {
    "buildAvailable": False,
    "buildCheck": False,
    "disabledExtensions": {
        "@jupyterlab/lsp-extension": True,
        "@jupyterlab/notebook-extension:export": True,
        "@jupyterlab/notebook-extension:update-raw-mimetype": True,
    },
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
    page = home / "config" / "labconfig" / "page_config.json"
    page.parent.mkdir(parents=True)
    page.write_text(json.dumps(PAGE))
    # One history file for all kernels of a server: where one locks it, IPython prints a warning into another's cell.
    profile = home / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c.HistoryManager.enabled = False\n")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("QIANFAN_", "QFMAGIC_", "JUPYTER_", "JPY_"))}
    token = "browser-tests"
    environ = {
        **plain,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *plain.get("PYTHONPATH", "").split(os.pathsep)]).rstrip(os.pathsep),
        "QFMAGIC_HOME": str(home / "qfmagic"),
        "QFMAGIC_LANG": "en",
        "QFMAGIC_TRANSPORT": "stub",
        **environ,
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={root}"),
        "--AsyncMappingKernelManager.kernel_manager_class=tests.support.browser.forked.ForkedKernelManager",
        *("--ServerApp.port=0", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"),
        *("--LabApp.expose_app_in_browser=True", f"--LabApp.user_settings_dir={user_settings}"),
        f"--LabApp.extra_labextensions_path={EXTENSIONS}",
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
    """Start servers with settings or an environment of their own; each costs as much as several tests."""
    labs = []

    def begin(settings=(), **environ):
        labs.append(start_lab(tmp_path / f"lab{len(labs)}", settings, **environ))
        return labs[-1]

    yield begin
    for lab in labs:
        stop_lab(lab)


@pytest.fixture(scope="session")
def _keeping_lab(tmp_path_factory):
    lab = start_lab(tmp_path_factory.mktemp("keeping"), {WIDGET_STATE: {"saveState": True}})
    yield lab
    stop_lab(lab)


@pytest.fixture
def keeping_lab(_keeping_lab):
    """A server whose users have the state of widgets saved with their notebooks."""
    yield _keeping_lab
    _keeping_lab.shut_down_kernels()


# Steers the notebook on the page through JupyterLab's own commands.
_SCRIPT = """
window.qf = {
  get panel() { return window.jupyterapp.shell.currentWidget; },
  get notebook() { return this.panel.content; },
  select(index) { this.notebook.activeCellIndex = index; this.notebook.deselectAll(); },
  run(index) { this.select(index); return window.jupyterapp.commands.execute("notebook:run-cell"); },
  command(name, args) { return window.jupyterapp.commands.execute(name, args); },
  async clear() {
    const open = () => [...window.jupyterapp.shell.widgets("main")].filter((widget) => widget.context);
    for (const widget of open()) { widget.context.model.dirty = false; widget.close(); }
    while (open().length) await new Promise((done) => setTimeout(done, 10));
  },
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
        """Load JupyterLab with the notebook."""
        self.page.goto(f"{self.lab.url}lab/tree/{self.name}?token={self.lab.token}&reset")
        self._wait()
        self.page.evaluate(_SCRIPT)
        return self._ready()

    def open_here(self):
        """Open the notebook in the JupyterLab that is there."""
        self.command("docmanager:open", {"path": self.name})
        self._wait()
        return self._ready()

    def _wait(self):
        self.page.wait_for_function(
            "name => window.jupyterapp?.shell?.currentWidget?.context?.path === name && "
            "window.jupyterapp.shell.currentWidget.content?.widgets?.length",
            arg=self.name,
            timeout=60_000,
        )

    def _ready(self):
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
        """Execute one of JupyterLab's commands; what it returns may be all of JupyterLab, and stays there."""
        self.page.evaluate("async ([name, args]) => { await window.qf.command(name, args); }", [name, args or {}])

    def begin_command(self, name, args=None):
        script = "([name, args]) => { window.running = window.qf.command(name, args); }"
        self.page.evaluate(script, [name, args or {}])

    def set_source(self, index, source):
        script = "([index, source]) => { window.qf.notebook.widgets[index].model.sharedModel.setSource(source); }"
        self.page.evaluate(script, [index, source])

    def change_theme(self, name):
        """Change the theme; it is the server's from then on."""
        self.command("apputils:change-theme", {"theme": name})
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

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


class Desk:
    """A JupyterLab in which one notebook after the other is opened: loading it takes longer than most tests."""

    def __init__(self, chromium, **options):
        self._context = chromium.new_context(**options)
        self.page = self._context.new_page()
        self.seen = self.user = None
        self.page.on("request", lambda request: self.seen and self.seen.requests.append(request.url))
        self.page.on(
            "pageerror", lambda error: self.seen and self.seen.problems.append(f"{error.message}\n{error.stack}")
        )
        self.page.on("websocket", lambda socket: self.seen and _listen(socket, self.seen.frames))

    def open(self, server, name):
        first, self.seen = self.seen is None, Page(server, self.page, name)
        return self.seen.open() if first else self.seen.open_here()

    def clear(self):
        """Close the notebooks, unsaved as they are."""
        self.page.evaluate("window.qf.clear()")

    def close(self):
        self._context.close()


@pytest.fixture(scope="module")
def shared(chromium):
    """The desk that tests hand on to each other, if there is one."""
    desks = []
    yield desks
    for desk in desks:
        desk.close()


@pytest.fixture
def visit(chromium, lab, shared, request):
    """
    Open notebooks: ``visit(name, *cells)`` writes one and opens it; without cells it opens what is there.

    The first of a test is opened where the last test's was; *fresh*, one on another server and with options for the
    browser loads JupyterLab anew.
    """
    own = []

    def begin(name, *cells, server=lab, size=(1200, 900), metadata=None, fresh=False, **options):
        if cells:
            server.write(name, *cells, metadata=metadata)
        viewport = {"width": size[0], "height": size[1]}
        if fresh or options or server is not lab or request.node in (desk.user for desk in shared):
            own.append(Desk(chromium, viewport=viewport, **options))
            return own[-1].open(server, name)
        if not shared:
            shared.append(Desk(chromium))
        shared[0].user = request.node
        shared[0].page.set_viewport_size(viewport)
        return shared[0].open(server, name)

    failed = request.session.testsfailed
    yield begin
    for desk in own:
        desk.close()
    if shared and request.session.testsfailed != failed:
        shared.pop().close()  # nobody knows what state it is in
    elif shared:
        shared[0].clear()
    lab.shut_down_kernels()


def _listen(socket, frames):
    socket.on("framereceived", lambda frame: frames.append(("received", frame)))
    socket.on("framesent", lambda frame: frames.append(("sent", frame)))
