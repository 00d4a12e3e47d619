"""Certificates, proxies, IPv6."""

import base64
import socket
import ssl

import pytest
import trustme

from qfmagic import Qianfan, Settings
from qfmagic.core.errors import ConnectError
from tests.support.faults.proxy import Proxy
from tests.support.faults.server import FaultServer
from tests.support.faults.table import FINE, GOOD


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "qianfan.test").configure_cert(context)
    with FaultServer([FINE["v1"]], context=context) as server:
        yield server


@pytest.fixture
def bundle(authority, tmp_path):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(autouse=True)
def no_certificates_of_the_machine(monkeypatch):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def ask(url, **more):
    settings = Settings(**{"access_token": "t", "base_url": url, "retry_count": 1, **more})
    with Qianfan(settings=settings, model="yi_34b_chat") as client:
        return "".join(delta.text for delta in client.stream("hi"))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_tls_uses_given_ca_bundle(secure, bundle, monkeypatch, variable):
    monkeypatch.setenv(variable, str(bundle))
    assert ask(secure.url) == GOOD


def test_tls_rejects_unknown_certificate(secure):
    with pytest.raises(ConnectError, match=r"Cannot verify the certificate of 127.0.0.1:\d+.*SSL_CERT_FILE"):
        ask(secure.url, retry_count=5)
    assert secure.heads == []
    assert ask(secure.url, ssl_verification=False) == GOOD
    with pytest.raises(ConnectError, match="certificate"):
        ask(secure.url)


def test_tls_rejects_certificate_of_another_host(secure, bundle, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(ConnectError, match="certificate of localhost"):
        ask(secure.url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_tls_reports_unreadable_ca_bundle(secure, tmp_path, monkeypatch, content):
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConnectError, match=r"Cannot read the certificates in SSL_CERT_FILE=.*bundle\.pem"):
        ask(secure.url)
    assert secure.connections == 0


def test_tls_check_is_disabled_by_sdk_variable(secure):
    environ = {
        "QIANFAN_SSL_VERIFICATION_ENABLED": "false",
        "QIANFAN_ACCESS_TOKEN": "t",
        "QIANFAN_BASE_URL": secure.url,
    }
    with Qianfan(settings=Settings.from_env(environ), model="yi_34b_chat") as client:
        assert "".join(delta.text for delta in client.stream("hi")) == GOOD


def test_proxy_with_password_tunnels_tls(secure, bundle, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    password = "SEK" + "RET"  # so that it stands in no line of this file, which a stack shows
    wanted = "Basic " + base64.b64encode(f"user:{password}".encode()).decode()
    far = f"https://qianfan.test:{secure.port}"
    with Proxy(secure.port, authorization=wanted) as proxy:
        assert ask(far, proxy=f"http://user:{password}@{proxy.address}") == GOOD
        assert proxy.asked == [f"CONNECT qianfan.test:{secure.port} HTTP/1.1"]
        with pytest.raises(ConnectError, match=r"Proxy http://127.0.0.1:\d+ rejected the connection .*407") as error:
            ask(far, proxy=f"http://user:no{password}@{proxy.address}")
        assert password not in error.value.details()
        monkeypatch.setenv("https_proxy", f"http://user:{password}@{proxy.address}")
        assert ask(far) == GOOD


def test_proxy_that_intercepts_tls_is_rejected(secure):
    with Proxy(secure.port) as proxy, pytest.raises(ConnectError, match="certificate of qianfan.test"):
        ask(f"https://qianfan.test:{secure.port}", proxy=f"http://{proxy.address}")


@pytest.mark.parametrize("proxy", ["nonsense", "ftp://u:SEKRET@h:1", "socks5://u:SEKRET@h:1", "http://h:SEKRET"])
def test_proxy_with_invalid_address_is_rejected(proxy):
    with pytest.raises(ConnectError, match="proxy") as error:
        ask("https://qianfan.test", proxy=proxy)
    assert "SEKRET" not in error.value.details()


def test_proxy_unreachable_is_reported(secure):
    with Proxy(secure.port) as proxy:
        gone = proxy.address
    with pytest.raises(ConnectError, match="QIANFAN_PROXY"):
        ask("https://qianfan.test", proxy=f"http://{gone}")


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_client_supports_ipv6():
    with FaultServer([FINE["v1"]], host="::1") as server:
        assert ask(server.url) == GOOD
        assert ask(server.url, access_token="", access_key="a", secret_key="s") == GOOD
    assert f"[::1]:{server.port}" in server.heads[0].lower()
