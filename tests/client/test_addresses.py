"""Addresses of services as users write them."""

import pytest

from qfmagic.client.addresses import place_of_route, read_address, without_route

ROUTE = "/v2/chat/completions"
HOST = "https://qianfan.baidubce.com"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ""),
        (HOST, HOST),
        (f"{HOST}/ \n", HOST),
        (f'"{HOST}/v2/"', f"{HOST}/v2"),
        ("qianfan.baidubce.com/v2", f"{HOST}/v2"),
        ("//qianfan.baidubce.com", HOST),
        ("https：／／qianfan.baidubce.com", HOST),
        ("qianfan.baidubce.com:443", f"{HOST}:443"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("8.8.8.8", "https://8.8.8.8"),
        ("[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("localhost/v1", "http://localhost/v1"),
        ("gateway.example:4000", "http://gateway.example:4000"),
        ("printer.local", "http://printer.local"),
        ("host:port", "https://host:port"),
        (f"{HOST}/V2/", f"{HOST}/v2"),
        (f"{HOST}//v2", f"{HOST}/v2"),
        (f"{HOST}/v2/v2", f"{HOST}/v2"),
        (f"{HOST}/V2/v2/chat/completions", f"{HOST}/v2/chat/completions"),
        (f"{HOST}/v2/v20", f"{HOST}/v2/v20"),
        (f"{HOST}/Vendor", f"{HOST}/Vendor"),
    ],
)
def test_read_address_parses_addresses(written, read):
    assert read_address(written) == read


def test_read_address_of_a_proxy_is_http():
    assert read_address("proxy.example.com", proxy=True) == "http://proxy.example.com"
    assert read_address("u:a//b/V2@proxy.example.com", proxy=True) == "http://u:a//b/V2@proxy.example.com"


@pytest.mark.parametrize(
    ("base", "address"),
    [
        (HOST, f"{HOST}{ROUTE}"),
        (f"{HOST}/v2", f"{HOST}{ROUTE}"),
        (f"{HOST}/v2/chat", f"{HOST}{ROUTE}"),
        (f"{HOST}{ROUTE}", f"{HOST}{ROUTE}"),
        (f"{HOST}/v2/models", f"{HOST}{ROUTE}"),
        (f"{HOST}/v2/coding", f"{HOST}/v2/coding/chat/completions"),
        (f"{HOST}/v2/tokenplan/personal", f"{HOST}/v2/tokenplan/personal/chat/completions"),
        ("https://api.baiduqianfan.ai/v1", "https://api.baiduqianfan.ai/v1/chat/completions"),
        ("https://aistudio.baidu.com/llm/lmapi/v3", "https://aistudio.baidu.com/llm/lmapi/v3/chat/completions"),
        ("http://gate/x/chat/completions", "http://gate/x/chat/completions"),
        ("http://gate/prefix", f"http://gate/prefix{ROUTE}"),
        ("http://[", f"http://[{ROUTE}"),
    ],
)
def test_place_of_route_repeats_no_part(base, address):
    assert "".join(place_of_route(base, ROUTE)) == address


def test_place_of_joins_other_routes():
    assert "".join(place_of_route(f"{HOST}{ROUTE}", "/v2/models")) == f"{HOST}/v2/models"
    assert "".join(place_of_route("http://gate/v2", "chat/completions")) == "http://gate/v2/chat/completions"
    assert "".join(place_of_route("http://gate/v2", "/v2")) == "http://gate/v2"


def test_without_route_requires_a_minimum_of_parts():
    assert without_route("http://gate/rpc", "/rpc/2.0", least=2) == "http://gate/rpc"
    assert without_route("http://gate/rpc/2.0", "/rpc/2.0/x", least=2) == "http://gate"
