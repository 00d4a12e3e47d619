"""How the tests' JupyterLab starts kernels: at once."""

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

from tests.support.kernels import Forked, nursery

nursery()  # it's ready when the first page asks for a kernel


class ForkedKernelManager(Forked, ServerKernelManager):
    """The server's own, with another way to start."""
