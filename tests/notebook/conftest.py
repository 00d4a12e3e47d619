"""A real shell in this process, and real kernels."""

import builtins
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from qfmagic.notebook.conversation.cell_order import text_of
from tests.support.kernels import start_kernel


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """A plain IPython shell with the extension loaded, on the stub; not a kernel, so it prints."""
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "stub")
    monkeypatch.setenv("QFMAGIC_LANG", "en")
    monkeypatch.setenv("QFMAGIC_JOURNAL", "false")
    monkeypatch.setenv("QFMAGIC_HOME", str(tmp_path / "home"))
    monkeypatch.delattr(builtins, "_", raising=False)  # doctest leaves it there, and IPython respects it
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "qfmagic")
    yield shell
    shell.run_line_magic("unload_ext", "qfmagic")
    shell.restore_sys_module_state()


@dataclass
class Ran:
    """What a cell did."""

    status: str = ""
    error: tuple[str, str] | None = None
    traceback: list[str] = field(default_factory=list)
    outputs: list[dict] = field(default_factory=list)
    updates: int = 0
    stdout: str = ""
    result: dict | None = None
    models: set[str] = field(default_factory=set)  # widget models that are open
    opened: int = 0

    def take(self, kind, content):
        match kind:
            case "comm_open":
                self.models.add(content["comm_id"])
                self.opened += 1
            case "comm_close":
                self.models.discard(content["comm_id"])
            case "clear_output":
                self.outputs.clear()
            case "display_data":
                self.outputs.append(content)
            case "update_display_data":
                self.updates += 1
                name = content["transient"]["display_id"]
                for output in self.outputs:
                    if output["transient"].get("display_id") == name:
                        output.update(data=content["data"], metadata=content["metadata"])
            case "execute_result":
                self.result = content["data"]
            case "stream":
                self.stdout += content["text"]
            case "error":
                self.error = (content["ename"], content["evalue"])
                self.traceback = content["traceback"]

    @property
    def plain(self):
        return "\n".join(output["data"].get("text/plain", "") for output in self.outputs)

    @property
    def metadata(self):
        return self.outputs[-1]["metadata"]["qfmagic"]


class Kernel:
    """A kernel with a client that says what JupyterLab says."""

    def __init__(self, cwd=None, **environ):
        machine = ("QIANFAN_", "QFMAGIC_")
        plain = {k: v for k, v in os.environ.items() if not (k.startswith(machine) or k.upper().endswith("_PROXY"))}
        # Never in the user's own folder.
        own = {"QFMAGIC_JOURNAL": "false", "QFMAGIC_HOME": str(Path("home").absolute())}
        environ = {
            "QFMAGIC_LANG": "en",
            "QFMAGIC_FOOTER": "false",
            **({} if "QFMAGIC_HOME" in environ else own),
            **plain,
            **environ,
        }
        quiet = ["--IPKernelApp.log_level=40"]
        self.manager, self.client = start_kernel(env=environ, cwd=cwd, extra_arguments=quiet)

    @property
    def client_pid(self):
        return self.manager.provisioner.process.pid

    def report(self, cells, running=None):
        """Report the order of the cells as JupyterLab's extension does: IDs with sources, and which is queued."""
        texts = [text_of(source) for _, source in cells]
        data = {"cells": [cell for cell, _ in cells], "texts": texts, **({} if running is None else {"at": running})}
        content = {"comm_id": uuid.uuid4().hex, "target_name": "qfmagic", "data": data}
        self.client.shell_channel.send(self.client.session.msg("comm_open", content))

    def send(self, code, cell=None, deleted=(), metadata=None):
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = self.client.session.msg("execute_request", content)
        if cell is not None:
            message["metadata"] = {
                "cellId": cell,
                "deletedCells": list(deleted),
                "trusted": True,
                "recordTiming": False,
            }
        if metadata is not None:
            message["metadata"] = metadata
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def wait_for(self, name, kind, timeout=30):
        """Wait for a message of that kind about that cell; return the messages about it so far."""
        found = []
        while not found or found[-1]["msg_type"] != kind:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") == name:
                found.append(message)
        return found

    def collect(self, *ids, timeout=30, first=()):
        """Wait for the cells' ends; *first* are messages taken before."""
        ran = {name: Ran() for name in ids}
        for message in first:
            ran[message["parent_header"]["msg_id"]].take(message["msg_type"], message["content"])
        open_ = set(ids)
        while open_:
            message = self.client.get_iopub_msg(timeout=timeout)
            name = message["parent_header"].get("msg_id")
            if name in ran:
                ran[name].take(message["msg_type"], message["content"])
                if message["content"].get("execution_state") == "idle":
                    open_.discard(name)
        replies = {}
        while set(ids) - replies.keys():
            reply = self.client.get_shell_msg(timeout=timeout)
            replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
        for name in ids:
            ran[name].status = replies[name]
        return [ran[name] for name in ids]

    def run(self, code, cell=None, deleted=(), timeout=30, metadata=None):
        return self.collect(self.send(code, cell, deleted, metadata), timeout=timeout)[0]

    def value(self, expression):
        return self.run(f"print({expression})").stdout.strip()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def start():
    """Start kernels; they are shut down at the end."""
    kernels = []

    def begin(**environ):
        kernels.append(Kernel(**environ))
        kernels[-1].run("%load_ext qfmagic")
        return kernels[-1]

    yield begin
    for kernel in kernels:
        kernel.close()
