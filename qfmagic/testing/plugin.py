"""
The pytest plugin: notebooks and plain tests that are answered by the stub, by cassettes, or by the service.

It is loaded on purpose, never by being installed::

    [tool.pytest.ini_options]
    addopts = "-p qfmagic.testing.plugin --nbval"
    qianfan = "replay"

Notebooks that nbval runs are answered as ``--qianfan`` says, whatever their own ``%qf transport`` is; plain tests have
the fixtures :func:`qianfan_client` and :func:`qianfan_stub`. In ``stub`` and ``replay`` nothing of qfmagic uses the
network.
"""

import os
import sys
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from ..core import transport_modes

if TYPE_CHECKING:
    from ..client.client import Qianfan
    from .cassette_usage import Ledger
    from .fixtures import Stubbed

MODES = tuple(name for name, mode in transport_modes.MODES.items() if mode.in_pytest)
MARKER = (
    "qianfan(cassette=..., **options): the cassette of the fixture qianfan_client, relative to the test's folder "
    "(default: test_x.qf.jsonl beside test_x.py), and options of its client: model, endpoint, temperature, ..."
)
_mode = pytest.StashKey[str]()
_ledger: "pytest.StashKey[Ledger]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--qianfan``, and ``qianfan`` in the configuration file."""
    said = "what answers notebooks (nbval) and the fixture qianfan_client: "
    modes = "the service; the stub; cassettes alone; cassettes, else the service, recorded"
    parser.getgroup("qianfan").addoption("--qianfan", choices=MODES, help=said + modes)
    parser.addini("qianfan", f"{said}{', '.join(MODES)}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Forbid the network where nothing is to be asked."""
    mode = config.getoption("qianfan") or config.getini("qianfan")
    if mode and mode not in MODES:
        raise pytest.UsageError(f"qianfan = {mode!r} in {config.inipath}; allowed: {', '.join(MODES)}")
    config.addinivalue_line("markers", MARKER)
    config.stash[_mode] = mode
    if not mode:
        return
    if transport_modes.MODES[mode].taped:
        from .cassette_usage import Ledger  # noqa: PLC0415 - brings the cassettes

        config.stash[_ledger] = Ledger()
    if transport_modes.MODES[mode].keyless:
        from ..client.settings import OFFLINE  # noqa: PLC0415 - not for who only loads the plugin

        patch = pytest.MonkeyPatch()
        patch.setenv(OFFLINE, "true")
        config.add_cleanup(patch.undo)


# ---- notebooks


def _is_notebook(node: object) -> bool:
    """Whether nbval collects from *node*; nbval is looked at only where it's in use."""
    nbval = sys.modules.get("nbval.plugin")
    return nbval is not None and isinstance(node, nbval.IPyNbFile)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Decide what answers a notebook; behind its cells comes a test of its own that looks at its cassette."""
    report = yield
    mode = collector.config.stash[_mode]
    if mode and report.passed and _is_notebook(collector):
        from .notebook_items import planned  # noqa: PLC0415 - only for notebooks

        ledger = collector.config.stash.get(_ledger, None)
        more = planned(collector, report.result, mode, ledger.passed if ledger is not None else frozenset())
        report.result = [*report.result, *more]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Have the notebook's kernel inherit what answers it; nbval starts it while its first cell is set up."""
    variables: Mapping[str, str | None] = {}
    if item.config.stash[_mode] and _is_notebook(item.parent):
        from .notebook_items import environment  # noqa: PLC0415 - as above

        variables = environment(item)
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        return (yield)
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what passed: an answer that nothing played is held against a cassette only if everything ran."""
    report = yield
    ledger = item.config.stash.get(_ledger, None)
    if ledger is None:
        return report
    if report.when == "call" and report.passed:
        ledger.passed.add(item.nodeid)
    elif not report.passed:  # the teardown, last
        ledger.passed.discard(item.nodeid)
    return report


# ---- plain tests


@pytest.hookimpl(tryfirst=True)  # before any is deselected
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note which tests use which cassette."""
    ledger = config.stash.get(_ledger, None)
    for item in items:
        if ledger is not None and "qianfan_client" in getattr(item, "fixturenames", ()):
            ledger.expect(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """When all tests have run, report as failures what nothing played."""
    result = yield
    ledger = session.config.stash.get(_ledger, None)
    if ledger is not None and not hasattr(session.config, "workerinput"):
        for report in ledger.reports(session.config):
            session.config.hook.pytest_runtest_logreport(report=report)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker of pytest-xdist: hand on what was used here."""
    ledger = session.config.stash.get(_ledger, None)
    output = getattr(session.config, "workeroutput", None)
    if ledger is not None and output is not None:
        output["qianfan"] = ledger.packed()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the process that pytest-xdist's workers report to: take it over."""
    ledger = node.config.stash.get(_ledger, None)
    packed = getattr(node, "workeroutput", {}).get("qianfan")
    if ledger is not None and packed is not None:
        ledger.merge(packed)


@pytest.fixture
def qianfan_client(request: pytest.FixtureRequest) -> "Iterator[Qianfan]":
    """
    A client that is answered as ``--qianfan`` says (default: by the stub), with the options of the marker ``qianfan``.

    On a cassette each test has its own place: tests that ask the same are answered the same, one that asks the same
    twice gets the first answer, then the second.
    """
    from .fixtures import client_of  # noqa: PLC0415 - brings httpx

    config = request.config
    with client_of(request.node, config.stash[_mode] or "stub", config.stash.get(_ledger, None)) as client:
        yield client


@pytest.fixture
def qianfan_stub(request: pytest.FixtureRequest) -> "Iterator[Stubbed]":
    """The stub whatever ``--qianfan`` says: ``client`` asks it, ``asked`` and ``requests`` show what it was asked."""
    from .fixtures import stubbed  # noqa: PLC0415 - as above

    with stubbed(request.node) as stub:
        yield stub
