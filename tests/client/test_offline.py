"""QFMAGIC_OFFLINE keeps every client off the network, this machine's own addresses included."""

import pytest

from qfmagic.client.client import Qianfan
from qfmagic.client.settings import Settings
from qfmagic.core.errors import ConnectError, CredentialError
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.transport import StubTransport


@pytest.mark.parametrize("value", ["true", "1", " YES", "anything"])
@pytest.mark.parametrize("given", [{}, {"bearer_token": "k"}, {"ak": "k", "sk": "s"}, {"access_token": "t"}])
def test_offline_sends_nothing_with_any_keys(value, given, monkeypatch):
    monkeypatch.setenv("QFMAGIC_OFFLINE", value)
    with LoopbackServer() as server:
        urls = dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), server.url)
        with Qianfan(settings=Settings(**urls, **given)) as client:
            with pytest.raises(ConnectError) as caught:
                client.ask("hi", model="ernie-5.1" if "bearer_token" in given else "yi_34b_chat")
            client.check()
            client.verify()
        assert "QFMAGIC_OFFLINE is set" in str(caught.value)
        assert "已设置 QFMAGIC_OFFLINE" in caught.value.message("zh")
        assert server.requests == []


def test_offline_does_not_retry(monkeypatch):
    monkeypatch.setenv("QFMAGIC_OFFLINE", "true")
    with Qianfan(settings=Settings(bearer_token="k")) as client, pytest.raises(ConnectError) as caught:
        client.ask("hi")
    assert "hints" not in caught.value.values


@pytest.mark.parametrize("value", ["", "0", "false", "Off", "no"])
def test_offline_unset_reports_missing_keys(value, monkeypatch):
    monkeypatch.setenv("QFMAGIC_OFFLINE", value)
    with Qianfan(settings=Settings()) as client, pytest.raises(CredentialError):
        client.ask("hi")


def test_offline_allows_given_transport(monkeypatch, stub_settings):
    monkeypatch.setenv("QFMAGIC_OFFLINE", "true")
    with Qianfan(settings=stub_settings, transport=StubTransport()) as client:
        assert client.ask("hi").text
