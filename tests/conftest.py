"""What every test gets: a clean environment, and the stub's keys."""

import os

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from qfmagic.client.settings import Settings
from qfmagic.transport.stub.service import StubKeys
from tests.support.clusters import cluster, connected  # noqa: F401 - fixtures for whoever asks for them

hypothesis_settings.register_profile("suite", deadline=None, print_blob=True, derandomize=True)
# `make check`: a few of them.
hypothesis_settings.register_profile("quick", deadline=None, print_blob=True, derandomize=True, max_examples=10)
# `make fuzz`: other examples each time, as many as are asked for; what is found is kept in .hypothesis.
hypothesis_settings.register_profile(
    "fuzz", deadline=None, print_blob=True, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20000")),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
hypothesis_settings.load_profile("suite")

STARTS_A_KERNEL = {"start", "kernel", "cluster"}  # fixtures


def pytest_collection_modifyitems(items):
    for item in items:
        if STARTS_A_KERNEL & set(getattr(item, "fixturenames", ())):
            item.add_marker("kernel")
    # Files of long tests first: begun last, one of them would leave the other workers without work.
    long = {item.path for item in items if item.get_closest_marker("kernel") or item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No key, proxy or setting of the machine reaches a test; no .env of the working directory does either."""
    for name in list(os.environ):
        if name.upper().startswith(("QIANFAN_", "QFMAGIC_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("QFMAGIC_FOOTER", "false")  # most tests look at what stands above it
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keys():
    return StubKeys()


@pytest.fixture
def stub_settings(keys):
    """Settings with the stub's keys for both APIs."""
    return Settings(ak=keys.ak, sk=keys.sk, bearer_token=keys.bearer_token)
