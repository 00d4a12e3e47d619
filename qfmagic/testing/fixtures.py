"""The clients that tests are given."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import httpx
import pytest

from ..client.client import Qianfan
from ..client.settings import Settings
from ..core.errors import CassetteError
from ..core.transport_modes import MODES
from ..transport.cassette.file import shown
from ..transport.cassette.tape import CassetteTape, NoNetwork
from ..transport.stub.reply import Incoming, incoming
from ..transport.stub.transport import StubTransport
from .cassette_usage import Ledger
from .unplayed import language, say


class WatchedStub(StubTransport):
    """The stub, with what it was asked: ``requests``, those for tokens too."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Incoming] = []

    @property
    def settings(self) -> Settings:
        """Settings with the keys it accepts."""
        return Settings(ak=self.keys.ak, sk=self.keys.sk, bearer_token=self.keys.bearer_token)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note and answer one request; httpx calls this."""
        self.requests.append(await incoming(request))
        return await super().handle_async_request(request)


class Stubbed(NamedTuple):
    """
    What ``qianfan_stub`` gives a test.

    Attributes:
        client: A client that the stub answers.
        transport: The stub; ``StubTransport(...)`` in another client's place is one too.
    """

    client: Qianfan
    transport: WatchedStub

    @property
    def requests(self) -> list[Incoming]:
        """All requests so far, those for tokens too."""
        return self.transport.requests

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the questions so far: ``messages``, parameters, and on V2 the model."""
        return [request.json() for request in self.requests if request.body.startswith(b"{")]


@contextmanager
def stubbed(item: pytest.Item) -> Iterator[Stubbed]:
    """A client on the stub, with the options of the test's marker."""
    transport = WatchedStub()
    with Qianfan(settings=transport.settings, transport=transport, label="stub", **_options(item)) as client:
        yield Stubbed(client, transport)


@contextmanager
def client_of(item: pytest.Item, mode: str, ledger: Ledger | None) -> Iterator[Qianfan]:
    """
    A client for a test, with the options of its marker.

    Args:
        item: The test.
        mode: As ``--qianfan``.
        ledger: Where it is noted what of a cassette was used.
    """
    if MODES[mode].simulated:
        with stubbed(item) as stub:
            yield stub.client
    elif ledger is None:
        with Qianfan(**_options(item)) as client:
            yield client
    else:
        with _taped(item, cast("Literal['replay', 'auto']", mode), ledger) as client:
            yield client


@contextmanager
def _taped(item: pytest.Item, mode: Literal["replay", "auto"], ledger: Ledger) -> Iterator[Qianfan]:
    path = ledger.expect(item)
    tape = _tape(path, mode)
    label = MODES[mode].label
    if MODES[mode].keyless:
        client = Qianfan(settings=Settings(), transport=NoNetwork(), tape=tape, label=label, **_options(item))
    else:
        client = Qianfan(tape=tape, label=label, **_options(item))
    try:
        with client:
            yield client
    finally:
        ledger.note(path, tape.played | tape.recorded)
        tape.tidy()
    if tape.trouble is not None:
        pytest.fail(tape.trouble.message(language()), pytrace=False)


def _tape(path: Path, mode: Literal["replay", "auto"]) -> CassetteTape:
    try:
        return CassetteTape(path, mode)
    except CassetteError as error:
        missing = error.key == "cassette.missing"
        told = say("testing.missing", path=shown(path)) if missing else error.message(language())
    pytest.fail(told, pytrace=False)


def _options(item: pytest.Item) -> dict[str, Any]:
    marker = item.get_closest_marker("qianfan")
    if marker is None:
        return {}
    if marker.args:
        pytest.fail(say("testing.marker"), pytrace=False)
    return {name: value for name, value in marker.kwargs.items() if name != "cassette"}
