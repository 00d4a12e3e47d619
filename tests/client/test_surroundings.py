"""Addresses, proxies and event loops as they are set on users' machines: over real sockets."""

import asyncio
import json
import sys

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.client.http.network import Network
from qfmagic.client.http.proxies import PROXIES, environments_proxy, read_proxy
from qfmagic.core.errors import AccessError, AuthenticationError, ConnectError, GoneError, QianfanError, ServiceError
from tests.core.keys.test_pasted import AK
from tests.support.faults.server import FaultServer, stream, told, whole
from tests.support.faults.table import v2

FINE = {"id": "as-1", "choices": [{"index": 0, "message": {"content": "fine"}, "finish_reason": "stop"}]}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def client(base, **more):
    settings = {"console_base_url": base, "bearer_token": "b", "retry_count": 1, **more}
    return Qianfan(model="m", settings=Settings(**settings))


# ---- addresses


@pytest.mark.parametrize("written", ["{}/v2", "{}/v2/", "{}/v2/chat/completions", "'{}/v2'", "{}/ "])
@pytest.mark.parametrize("scheme", [True, False])
def test_base_address_accepts_version_and_path(written, scheme):
    with FaultServer([told(FINE)]) as server:
        base = written.format(server.url if scheme else server.url.removeprefix("http://"))
        with client(base) as asking:
            assert asking.ask("hi").text == "fine"
        assert server.heads[0].startswith("POST /v2/chat/completions ")


def test_base_address_of_v1_accepts_its_path():
    with FaultServer([told({"id": "as-1", "result": "fine"})]) as server:
        base = f"{server.url}/rpc/2.0/ai_custom/v1/wenxinworkshop"
        with Qianfan(model="yi_34b_chat", settings=Settings(base_url=base, access_token="t")) as asking:
            assert asking.ask("hi").text == "fine"
        assert server.heads[0].startswith("POST /rpc/2.0/ai_custom/v1/wenxinworkshop/chat/yi_34b_chat?")


def test_404_of_v2_shows_the_address_and_its_variable():
    with FaultServer([whole(b"<html>404 Not Found</html>", 404)]) as server:
        settings = Settings.from_env({"QIANFAN_CONSOLE_API_BASE_URL": f"{server.url}/x", "QIANFAN_BEARER_TOKEN": "b"})
        with Qianfan(model="m", settings=settings) as asking, pytest.raises(AccessError) as error:
            asking.ask("hi")
    assert f"{server.url}/x/v2/chat/completions" in str(error.value)
    assert "QIANFAN_CONSOLE_API_BASE_URL (environment)" in str(error.value)


@pytest.mark.parametrize(
    "answer", [whole(b"<html>404 Not Found</html>", 404), told({"detail": "Not Found"}, 404)], ids=["page", "JSON"]
)
def test_404_of_another_server_does_not_mean_v1_is_removed(answer):
    with FaultServer([answer]) as server:
        settings = Settings(base_url=server.url, access_token="t", retry_count=1)
        with Qianfan(model="yi_34b_chat", settings=settings) as asking:
            with pytest.raises(AccessError) as error:
                asking.ask("hi")
            verdict = asking.verify()[0]
            said = [finding.describe("en") for finding in asking.check()]
    assert f"{server.url}/rpc/2.0" in str(error.value)
    assert "2026" not in f"{error.value} {verdict.describe('en')} {said}"
    assert verdict.status == "no_permission"


def test_410_means_v1_is_removed():
    with FaultServer([whole(b"<html>gone</html>", 410)]) as server:
        settings = Settings(base_url=server.url, access_token="t", retry_count=1)
        with Qianfan(model="yi_34b_chat", settings=settings) as asking:
            with pytest.raises(GoneError, match=server.url):
                asking.ask("hi")
            assert asking.verify()[0].status == "gone"


# ---- keys


def test_key_of_another_kind_is_reported_if_gateway_rejects_it():
    refusal = told({"error": {"code": "invalid_iam_token", "message": "no"}}, 401)
    with FaultServer([refusal]) as server, client(server.url, bearer_token=AK) as asking:
        with pytest.raises(AuthenticationError, match="looks like an application's API key"):
            asking.ask("hi")
        assert len(server.heads) == 1


# ---- stream_options


def refuses_stream_options(status, payload, seen):
    def answer(_, body):
        seen.append(json.loads(body))
        return told(payload, status) if "stream_options" in seen[-1] else stream(v2("fine"), b"data: [DONE]\n\n")

    return answer


@pytest.mark.parametrize(
    ("status", "payload"),
    [
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "x" * 300}]}),
        (422, {"detail": [{"msg": "x" * 300, "loc": ["body", "stream_options"]}]}),
        (400, {"error": {"message": "Unrecognized request argument supplied: stream_options", "code": None}}),
    ],
)
@pytest.mark.parametrize("path", ["", "/", "/v2", "/v2/chat/completions"])
def test_stream_options_rejected_by_gateway_are_omitted(status, payload, path):
    seen = []
    with FaultServer(refuses_stream_options(status, payload, seen)) as server, client(server.url + path) as asking:
        for _ in range(2):
            with asking.stream("hi") as answer:
                assert "".join(delta.text for delta in answer) == "fine"
    assert ["stream_options" in body for body in seen] == [True, False, False]  # remembered for this address


def test_stream_options_are_omitted_once():
    refusal = told({"error": {"message": "stream_options", "code": "x"}}, 400)
    with FaultServer([refusal]) as server, client(server.url) as asking, pytest.raises(ServiceError):
        list(asking.stream("hi"))
    assert len(server.heads) == 2


def test_other_rejections_are_not_retried():
    refusal = told({"error": {"message": "bad temperature", "code": "x"}}, 400)
    with FaultServer([refusal]) as server, client(server.url) as asking, pytest.raises(ServiceError):
        list(asking.stream("hi"))
    assert len(server.heads) == 1


# ---- proxies


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "http_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_proxy_of_the_environment_is_used(monkeypatch, name, scheme):
    with FaultServer([told(FINE)]) as proxy:
        monkeypatch.setenv(name, f"{scheme}127.0.0.1:{proxy.port}")
        with client("http://qianfan.test") as asking:
            assert asking.ask("hi").text == "fine"
        assert proxy.heads[0].startswith("POST http://qianfan.test/v2/chat/completions ")


def test_proxy_setting_may_lack_a_scheme():
    with FaultServer([told(FINE)]) as proxy, client("http://qianfan.test", proxy=f"127.0.0.1:{proxy.port}") as asking:
        assert asking.ask("hi").text == "fine"


@pytest.mark.parametrize(
    "excepted",
    ["127.0.0.1", "localhost, 127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}", "*", "example.com;127.0.0.1"],
)
def test_no_proxy_is_respected(monkeypatch, excepted):
    with FaultServer([told(FINE)]) as server:
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", excepted.format(port=server.port))
        with client(server.url) as asking:
            assert asking.ask("hi").text == "fine"


@pytest.mark.parametrize(
    ("excepted", "host", "direct"),
    [
        ("*.baidubce.com", "qianfan.baidubce.com", True),
        (".baidubce.com", "qianfan.baidubce.com", True),
        ("baidubce.com", "qianfan.baidubce.com", True),
        ("baidubce.com:8443", "qianfan.baidubce.com", False),
        ("baidubce.com", "notbaidubce.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("[::1]", "::1", True),
        ("", "qianfan.baidubce.com", False),
    ],
)
def test_no_proxy_supports_every_form(monkeypatch, excepted, host, direct):
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("no_proxy", excepted)
    assert environments_proxy("https", host, None) == ("" if direct else "http://proxy:1")


def test_proxy_of_scheme_precedes_proxy_for_all(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "own:2")
    assert environments_proxy("https", "host", None) == "http://own:2"
    assert environments_proxy("http", "host", None) == "socks5://all:1"


def test_socks_without_a_version_is_socks_5():
    assert [read_proxy(one) for one in ("socks://h:1", "socks5h://h:1", "")] == ["socks5://h:1", "socks5h://h:1", ""]


def test_socks_proxy_without_its_package_is_reported_in_one_line(monkeypatch):

    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:SEKRET@127.0.0.1:9")
    with client("http://qianfan.test") as asking, pytest.raises(ConnectError) as error:
        asking.ask("hi")
    assert "pip install socksio" in str(error.value)
    assert "SEKRET" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("proxy", ["socks9://h:1", "http://h:port", "ftp://h:1", "http://"])
def test_proxy_with_invalid_address_is_rejected(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with client("http://qianfan.test") as asking, pytest.raises(QianfanError) as error:
        asking.ask("hi")
    assert "\n" not in str(error.value)


def test_network_with_given_transport_uses_no_proxy():
    assert Network(Settings(proxy="h:1"), object()).proxy_for("https", "host") == ""


# ---- event loops


class _Loop(asyncio.SelectorEventLoop):
    """A loop that lacks an argument of asyncio's own, as uvloop's does."""

    async def create_connection(self, protocol_factory, host=None, port=None, *, ssl=None, sock=None):
        return await super().create_connection(protocol_factory, host, port, ssl=ssl, sock=sock)


class _Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = _Loop


def test_event_loop_of_another_library_is_not_used():
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(_Policy())
    try:
        with FaultServer([told(FINE)]) as server, client(server.url) as asking:
            assert asking.ask("hi").text == "fine"
            assert asyncio.run(asking.aask("hi")).text == "fine"
    finally:
        asyncio.set_event_loop_policy(before)
