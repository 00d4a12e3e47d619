"""
Real kernels that start at once: forked from a process that has imported what every kernel imports.

What takes a kernel's first seconds is importing IPython, ipykernel and httpx; that is the same each time. A nursery
does it once for a process of pytest, and forks. A fork has an environment, a folder and a session of its own, and
nothing of qfmagic: `%load_ext qfmagic` does in it all that it does for users.
"""

import asyncio
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_client.provisioning import LocalProvisioner

# Not ipywidgets: it looks for a kernel when it's imported.
LIBRARIES = ["ipykernel.kernelapp", "ipykernel.ipkernel", "IPython.core.completer", "sqlite3", "httpx", "tenacity"]
LIBRARIES += ["anyio._backends._asyncio", "platformdirs", "dotenv"]


class Nursery:
    """The process that is forked."""

    def __init__(self):
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self.environ = dict(os.environ)
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._answers = self._socket.makefile("r")

    def fork(self, command, environ, cwd):
        request = {"arguments": command, "environ": environ, "cwd": str(cwd)}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        return Fork(int(self._answers.readline()))

    def close(self):
        self._answers.close()
        self._socket.close()
        self._process.wait()


@functools.cache
def nursery():
    one = Nursery()
    atexit.register(one.close)
    return one


class Fork:
    """What jupyter_client wants to know of a process that isn't its own child."""

    stdin = stdout = stderr = None

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self):
        return 0  # asked when poll() has said so

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):  # as with subprocess
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


# Of what begins with PYTHON: the first a fork heeds too, the second isn't Python's.
HEEDED = ("PYTHONPATH", "PYTHON_KEYRING_BACKEND")


def pythons_own(environ):
    """What Python heeds when it starts."""
    return {name: value for name, value in environ.items() if name.startswith("PYTHON") and name not in HEEDED}


class ForkProvisioner(LocalProvisioner):
    """Starts a kernel by a fork; or by a new process if Python has to heed something at its start."""

    async def launch_kernel(self, cmd, **kwargs):
        if not hasattr(os, "fork") or pythons_own(kwargs["env"]) != pythons_own(nursery().environ):
            return await super().launch_kernel(cmd, **kwargs)
        self.cwd = kwargs.get("cwd") or Path.cwd()
        self.process = nursery().fork(cmd[cmd.index("ipykernel_launcher") + 1 :], kwargs["env"], self.cwd)
        self.pid = self.pgid = self.process.pid
        return self.connection_info

    async def kill(self, restart=False):
        """Return when it's gone: who asks next would look ten times a second."""
        await super().kill(restart)
        while await self.poll() is None:  # noqa: ASYNC110 - nothing tells of the end of another's child
            await asyncio.sleep(0.002)


class Forked:
    """Makes a kernel manager fork."""

    async def _async_pre_start_kernel(self, **kwargs):
        if self.provisioner is None:  # at restarts it is there
            self.provisioner = ForkProvisioner(kernel_spec=self.kernel_spec, parent=self)
        return await super()._async_pre_start_kernel(**kwargs)


class ForkedKernelManager(Forked, KernelManager):
    """For tests that speak to a kernel themselves."""


class AsyncForkedKernelManager(Forked, AsyncKernelManager):
    """For nbclient."""


def start_kernel(**kwargs):
    """Start a kernel as jupyter_client's ``start_new_kernel`` does, but without its pauses."""
    # Sockets in files: of two kernels that start at once, neither can take a port that the other was promised.
    place = Path(tempfile.gettempdir()) / f"kernel-{uuid.uuid4()}"
    manager = ForkedKernelManager(kernel_name="python3", transport="ipc", ip=str(place))
    manager.start_kernel(**kwargs)
    client = manager.client()
    client.start_channels()
    wait_until_ready(manager, client)
    return manager, client


def wait_until_ready(manager, client, timeout=60):
    """Wait until the kernel answers and is heard: what it says before it's subscribed to is lost."""
    end = time.monotonic() + timeout
    while time.monotonic() < end and manager.is_alive():
        request = client.kernel_info()
        try:
            while client.get_shell_msg(timeout=5)["parent_header"].get("msg_id") != request:
                pass
            while True:
                heard = client.get_iopub_msg(timeout=0.2)
                idle = heard["content"].get("execution_state") == "idle"
                if idle and heard["parent_header"].get("msg_id") == request:
                    return
        except queue.Empty:
            continue
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    raise RuntimeError("the kernel didn't answer")


def main(number):
    """Fork for each line that comes, until none can come; the child becomes a kernel."""
    connection = socket.socket(fileno=number)
    sys.path.pop(0)  # this folder
    for name in LIBRARIES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: none stays behind
    gc.freeze()
    for line in connection.makefile():
        request = json.loads(line)
        if pid := os.fork():
            connection.sendall(f"{pid}\n".encode())
            continue
        connection.detach()
        os.closerange(number, number + 1)
        become(request)
        return


def become(request):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"], JPY_PARENT_PID=str(os.getppid()))  # it ends with the nursery
    added = request["environ"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [folder for folder in added if folder and folder not in sys.path]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # its default was read when it was imported
    sys.argv = ["ipykernel_launcher", *request["arguments"], parent]
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main(int(sys.argv[1]))
