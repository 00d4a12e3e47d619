"""A notebook in a test: cells are run in this process, and leave what a saved notebook would hold."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from ..core.conversation import Conversation
from ..core.page_order import PageOrder
from ..notebook.conversation.cell_order import RunningCell, text_of
from ..notebook.frontend.front_end import FrontEnd
from ..notebook.magics import load, unload
from ..notebook.output.bundle import Bundle
from ..notebook.output.views import MultiView, StaticView, View
from ..notebook.session.session import Session
from ..transport.stub.reply import Incoming, incoming
from ..transport.stub.service import StubKeys
from ..transport.stub.transport import StubTransport

if TYPE_CHECKING:
    from ..notebook.engine import Engine
    from ..notebook.magics import QianfanMagics


class Output(NamedTuple):
    """
    One output of a cell, as a notebook saves it.

    Attributes:
        data: The text by MIME type: ``text/markdown``, ``text/plain``.
        metadata: The provenance is under ``qfmagic``.
    """

    data: Bundle
    metadata: Mapping[str, Any]


class CellResult(NamedTuple):
    """
    What a cell left.

    Attributes:
        value: The value of its last expression, None without one. Of a ``%%qianfan`` cell: the answer.
        outputs: What qfmagic showed, as a notebook saves it.
        stdout: What was printed, a failed cell's traceback included.
        error: What the cell raised.
    """

    value: Any
    outputs: tuple[Output, ...]
    stdout: str
    error: BaseException | None

    @property
    def text(self) -> str:
        """The outputs as plain text."""
        return "\n".join(output.data.get("text/plain", "") for output in self.outputs)


class NotebookHarness:
    r"""
    A notebook with qfmagic loaded, for tests: an IPython shell without a kernel, apart from the user's environment.

    Requests go to a stub or to a transport of the test's own; nothing uses the network, no key of the user's is read,
    and nothing is written outside a temporary folder. Several harnesses are independent of each other. ``%reload_ext``
    in a cell would end that: make another harness instead::

        from qfmagic.testing import NotebookHarness
        from qfmagic.testing.scripted import ScriptedTransport
        from qfmagic.transport.stub.reply import Reply

        def test_rating():
            transport = ScriptedTransport([Reply.of_json({"id": "1", "result": "4 of 5"})])
            with NotebookHarness(transport) as notebook:
                notebook.shell.user_ns["review"] = "Fast and friendly."
                cell = notebook.run("%%qianfan model=yi_34b_chat\nRate: {{ review }}")
                assert cell.value.text == "4 of 5"
                assert notebook.bodies[0]["messages"][-1]["content"] == "Rate: Fast and friendly."
                assert notebook.conversation().turns[0].prompt == "Rate: Fast and friendly."

    Args:
        transport: What answers in place of the service; a :class:`StubTransport` when not given.
        environ: What the notebook reads in place of the environment: ``QFMAGIC_TRANSPORT``, ``QIANFAN_AK``, ... When
            not given: the stub's keys, the transport ``stub``, English, no journal. With the transport ``live``,
            answers count as the service's (notes, costs and budgets); *transport* gives them all the same. The folder
            of qfmagic's files (``QFMAGIC_HOME``) is a temporary one unless it is given.

    Attributes:
        shell: The IPython shell; ``shell.user_ns`` has the notebook's names.
        requests: All requests so far, those for tokens too.
        last: What the last cell left, also one that failed; None before the first.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport | None = None, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self._home = tempfile.mkdtemp(prefix="qfmagic-harness-")
        self.requests: list[Incoming] = []
        self.last: CellResult | None = None
        self.shell: Any = _new_shell(self._home)  # IPython is not typed
        load(self.shell, {**_isolation(self._home), **(_stub_environment() if environ is None else environ)})
        self._front = _SavedFrontEnd(self.shell, self.session)
        self._engine.cell.front = self._front
        self.session.network = _Recorded(transport or StubTransport(), self.requests)

    @property
    def _engine(self) -> "Engine":
        return magics_of(self.shell).engine

    @property
    def session(self) -> Session:
        """The session: settings, conversations, usage."""
        return self._engine.session

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings made with ``%qf set``."""
        return dict(self.session.preferences.changed)

    @property
    def bodies(self) -> list[Any]:
        """The bodies of the prompts sent so far: ``messages``, parameters, and on V2 the model."""
        return [request.json() for request in self.requests if request.body.startswith(b"{")]

    def conversation(self, name: str = "main") -> Conversation:
        """The conversation of that name; an empty one if there is none."""
        return self.session.chats.get(name)

    def run(
        self,
        cell: str,
        cell_id: str | None = None,
        *,
        deleted: Iterable[str] = (),
        order: Iterable[str] | None = None,
    ) -> CellResult:
        """
        Run a cell.

        Args:
            cell: The source.
            cell_id: The cell's ID, as JupyterLab sends it: a cell that is run again replaces its turn. Without one,
                turns are appended.
            deleted: The IDs of the cells that were deleted since the last run.
            order: The IDs of all cells from top to bottom, as JupyterLab's page reports them. When not given, new
                cells are below those that were run before, and stay there.

        Returns:
            What it left.

        Raises:
            Exception: Whatever the cell raised, for example :class:`~qfmagic.QianfanError`; :attr:`last` has what it
                left.
        """
        printed = StringIO()
        self._front.begin_cell(cell_id, deleted, order)
        with redirect_stdout(printed):
            ran = self.shell.run_cell(cell, store_history=True)
        error = ran.error_before_exec or ran.error_in_exec
        self.last = CellResult(ran.result, tuple(self._front.outputs), printed.getvalue(), error)
        if error is not None:
            raise error
        return self.last

    def close(self) -> None:
        """Unload qfmagic, and delete the temporary folder."""
        unload(self.shell)
        self.shell.restore_sys_module_state()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def magics_of(shell: InteractiveShell) -> "QianfanMagics":
    """
    The magics that ``%load_ext qfmagic`` registered in *shell*.

    Raises:
        KeyError: qfmagic is not loaded there.
    """
    magics: QianfanMagics = shell.magics_manager.registry["QianfanMagics"]
    return magics


def _new_shell(home: str) -> Any:
    config = Config()
    config.HistoryManager.enabled = False
    kind: Any = InteractiveShell
    return kind(config=config, ipython_dir=home)


def _isolation(home: str) -> dict[str, str]:
    """What keeps a notebook away from the user's saved keys, journal and ``.env``."""
    return {"QFMAGIC_HOME": home, "QIANFAN_DOT_ENV_CONFIG_FILE": f"{home}/.env"}


def _stub_environment() -> dict[str, str]:
    keys = StubKeys()
    return {
        "QFMAGIC_JOURNAL": "false",
        "QFMAGIC_LANG": "en",
        "QFMAGIC_TRANSPORT": "stub",
        "QIANFAN_ACCESS_TOKEN": keys.access_token,
        "QIANFAN_BEARER_TOKEN": keys.bearer_token,
    }


class _Recorded(httpx.AsyncBaseTransport):
    """A transport, with the requests it was sent."""

    def __init__(self, transport: httpx.AsyncBaseTransport, requests: list[Incoming]) -> None:
        self._transport, self._requests = transport, requests

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record the request and send it on; httpx calls this."""
        self._requests.append(await incoming(request))
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _SavedFrontEnd(FrontEnd):
    """A front end without updates, as in a headless run; it collects each cell's outputs."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell, session)
        self.outputs: list[Output] = []
        self._cell: dict[str, Any] = {}
        self._order: dict[str, None] = {}
        self._texts: dict[str, str | None] = {}

    def begin_cell(self, cell_id: str | None, deleted: Iterable[str], order: Iterable[str] | None) -> None:
        """Another cell is about to run."""
        self.outputs = []
        self._cell = {"cellId": cell_id, "deletedCells": [*deleted]}
        if order is not None:
            self._order = dict.fromkeys(order)
        elif cell_id is not None:
            self._order = {cell: None for cell in self._order if cell not in self._cell["deletedCells"]}
            self._order.setdefault(cell_id)

    def running_cell(self, source: str | None) -> RunningCell:
        """The cell that runs, on a page with the cells that were named so far."""
        cell = self._cell.get("cellId")
        if cell is None:
            return RunningCell()
        return RunningCell(
            cell, None if source is None else text_of(source), (), PageOrder.of(self._on_page(cell, source))
        )

    def _on_page(self, running: str, source: str | None) -> Iterator[tuple[str, str | None]]:
        """The cells; the text of another than the running one is the one it last ran."""
        if source is not None:
            self._texts[running] = text_of(source)
        return ((cell, self._texts.get(cell)) for cell in self._order)

    @property
    def terminal(self) -> bool:
        return False

    @property
    def live(self) -> bool:
        return False

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._cell

    def view(self, plan: Any, style: str, *, whole_cell: bool) -> View:  # noqa: ARG002 - all are shown alike
        return StaticView(self._show)

    def beside(self, style: str, *, live: bool) -> MultiView:  # noqa: ARG002 - as above
        return MultiView(self.conclude)

    def publish(self, bundle: Bundle) -> None:
        self._show(bundle)

    def conclude(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        self._show(bundle, metadata=metadata)

    def _show(self, bundle: Bundle, *, raw: bool = True, metadata: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - as IPython's display
        self.outputs.append(Output(bundle, dict(metadata or {})))
