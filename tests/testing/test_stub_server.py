"""The stub over HTTP, as the clients people have use it: the official SDK, openai, curl, and sockets that misbehave."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.models import registry
from qfmagic.core.wire.signing import bce_date, sign
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.examples import find_example
from qfmagic.transport.stub.reply import Incoming, Reply
from qfmagic.transport.stub.service import StubKeys, StubService

KEYS = StubKeys()
CHAT = "/v2/chat/completions"
V1_CHAT = f"/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/yi_34b_chat?access_token={KEYS.access_token}"
HI = [{"role": "user", "content": "hi"}]
BODY = json.dumps({"model": "ernie-5.1", "messages": HI})
SAID = "(stub) **ERNIE-5.1**, turn 1, a question of 2 characters: hi"
LIMIT = 2_000_000


@pytest.fixture(scope="module")
def server():
    with LoopbackServer(max_body=LIMIT, allowed=("stub",)) as server:
        yield server


# ---- the openai package


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v2", api_key=KEYS.bearer_token) as client:
        yield client


def test_openai_client_completes_and_streams(client):
    answer = client.chat.completions.create(model="ernie-5.1", messages=HI, temperature=0.5)
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    system = {"role": "system", "content": "be brief"}
    chunks = list(
        client.chat.completions.create(
            model="ernie-5.1", messages=[system, *HI], stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content for chunk in chunks if chunk.choices) == SAID
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage == answer.usage


def test_openai_client_lists_usable_models(client):
    names = [model.id for model in client.models.list()]
    assert "ernie-5.1" in names
    assert "yi_34b_chat" not in names  # V1 alone has it
    assert client.chat.completions.create(model=names[-1], messages=HI).choices


def test_openai_client_gets_documented_errors(server, client):
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="wrong").models.list()
    assert caught.value.code == "invalid_iam_token"
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="ernie-lite-8k", messages=HI)
    assert caught.value.code == "invalid_model"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="ernie-5.1", messages=HI, temperature="hot")
    assert caught.value.code == "invalid_argument"
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        client.chat.completions.create(model="ernie-5.1", messages=HI, max_tokens=-1)
    with pytest.raises(openai.NotFoundError, match="/v2/embeddings"):
        client.embeddings.create(model="x", input="hi")


def test_stub_server_supports_concurrent_clients(server):
    async def go():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v2", api_key=KEYS.bearer_token) as client:
            return await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="ernie-5.1", messages=[{"role": "user", "content": f"number {number}"}]
                    )
                    for number in range(64)
                )
            )

    said = [answer.choices[0].message.content for answer in asyncio.run(go())]
    assert [text.rpartition(" ")[2] for text in said] == [str(number) for number in range(64)]


# ---- the official SDK, in a process of its own: it logs and warns as it likes

SDK = """
import asyncio, json, qianfan
qianfan.disable_log()
hi = [{"role": "user", "content": "hi"}]
said = {}

def v1(name, **keys):
    chat = qianfan.ChatCompletion(model="Yi-34B-Chat", **keys)
    whole = chat.do(messages=hi)["result"]
    said[name] = [whole, "".join(event["result"] for event in chat.do(messages=hi, stream=True))]

def v2(name, **keys):
    chat = qianfan.ChatCompletion(version="2", model="ernie-5.1", **keys)

    async def later():
        whole = (await chat.ado(messages=hi)).body["choices"][0]["message"]["content"]
        pieces = [event["choices"][0]["delta"].get("content", "") async for event in await chat.ado(messages=hi, stream=True)]
        return [whole, "".join(pieces)]

    whole = chat.do(messages=hi).body["choices"][0]["message"]["content"]
    pieces = [event["choices"][0]["delta"].get("content", "") for event in chat.do(messages=hi, stream=True)]
    said[name] = [whole, "".join(pieces), *asyncio.run(later())]

def refused(name, ask):
    try:
        ask()
    except Exception as error:
        said[name] = f"{type(error).__name__}: {error}"

app, iam, bearer = json.loads(KEYS)
v1("v1 oauth", **app)
v1("v1 signed", **iam)
v2("v2 iam", **iam)
qianfan.get_config().BEARER_TOKEN = bearer["bearer_token"]
v2("v2 bearer")
refused("wrong app key", lambda: v1("", ak="wrong", sk=app["sk"]))
refused("wrong secret", lambda: v1("", access_key=iam["access_key"], secret_key="wrong"))
qianfan.get_config().BEARER_TOKEN = "wrong"
refused("wrong bearer", lambda: v2(""))
refused("wrong role", lambda: qianfan.ChatCompletion(model="Yi-34B-Chat", **app).do(messages=[{"role": "assistant", "content": "x"}]))
print(json.dumps(said))
"""


def test_official_sdk_works_unchanged(server, tmp_path):
    ways = (
        {"ak": KEYS.ak, "sk": KEYS.sk},
        {"access_key": KEYS.access_key, "secret_key": KEYS.secret_key},
        {"bearer_token": KEYS.bearer_token},
    )
    environ = {**os.environ, **server.environ, "QIANFAN_LLM_API_RETRY_COUNT": "1", "QIANFAN_CACHE_DIR": str(tmp_path)}
    script = SDK.replace("KEYS", repr(json.dumps(ways)))
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, env=environ, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    hello = find_example(["yi_34b_chat"], ["hi"], stream=False).text
    assert said["v1 oauth"] == said["v1 signed"] == [hello, hello]
    assert said["v2 iam"] == said["v2 bearer"] == [SAID] * 4
    assert "AK(wrong***) is not correct" in said["wrong app key"]  # it knows the service's own words
    assert "SignatureDoesNotMatch" in said["wrong secret"]
    assert "invalid_iam_token" in said["wrong bearer"]
    assert "336003" in said["wrong role"]
    tokens = [request for request in server.requests if request.path == "/v1/BCE-BEARER/token"]
    assert len(tokens) == 1  # the one it was given was good for all four


# ---- curl


@pytest.fixture
def curl(server):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def run(*arguments, path=CHAT, body=None, key=KEYS.bearer_token):
        command = ["curl", "-sS", "--max-time", "20", "-H", f"Authorization: Bearer {key}", *arguments]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        done = subprocess.run(
            [*command, server.url + path], check=False, input=body, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_curl_completes_and_streams(curl):
    assert json.loads(curl(body=BODY))["choices"][0]["message"]["content"] == SAID
    streamed = curl("-N", body=json.dumps({**json.loads(BODY), "stream": True}))
    assert streamed.endswith("data: [DONE]\n\n")
    assert json.loads(curl(path=V1_CHAT, body=json.dumps({"messages": HI})))["result"].startswith("Hello!")


def test_curl_gets_token_without_body(curl):
    path = f"/oauth/2.0/token?grant_type=client_credentials&client_id={KEYS.ak}&client_secret={KEYS.sk}"
    assert json.loads(curl("-X", "POST", path=path))["access_token"] == KEYS.access_token


def test_stub_server_reuses_connection(curl, server):
    head = ("-o", os.devnull, "-w", "%{num_connects} ")
    assert curl(*head, server.url + "/v2/nothing", *head, server.url + "/nowhere", *head).split() == ["1", "0", "0"]


def test_stub_server_reads_chunked_and_expect_continue(curl):
    long = json.dumps({**json.loads(BODY), "messages": [{"role": "user", "content": "x" * 1_100_000}]})
    for arguments in (("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
        assert json.loads(curl(*arguments, body=BODY))["choices"]
        assert json.loads(curl(*arguments, body=long))["choices"]


@pytest.mark.parametrize(
    "arguments", [(), ("-H", "Expect: 100-continue"), ("-H", "Expect:"), ("-H", "Transfer-Encoding: chunked")]
)
def test_stub_server_rejects_long_body(curl, arguments):
    said = curl(*arguments, "-w", "\n%{http_code}", body="x" * (LIMIT + 1))
    body, status = said.rsplit("\n", 1)
    assert (status, json.loads(body)["error"]["message"]) == ("413", f"the body is longer than {LIMIT} bytes")


def test_stub_server_rejects_unknown_methods_and_paths(curl):
    assert "HTTP/1.1 404" in curl("-I", path="/")
    assert "HTTP/1.1 200" in curl("-I", "-X", "GET", path="/v2/models")
    assert "HTTP/1.1 405" in curl("-I")
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert json.loads(curl("-X", method))["error"]["code"] == "method_not_supported"
    assert "BREW" in json.loads(curl("-X", "BREW"))["error"]["message"]
    assert json.loads(curl(path="/v2/nothing"))["error"]["code"] == "not_found"
    assert json.loads(curl(path="/nowhere"))["error_code"] == 3
    assert json.loads(curl("-f", path="/rpc/nowhere"))["error_code"] == 3  # with HTTP 200, as V1 does


def test_stub_server_http_1_0_stream_ends_with_connection(curl):
    said = curl("-0", "-i", body=json.dumps({**json.loads(BODY), "stream": True})).lower()
    assert "transfer-encoding" not in said
    assert "connection: close" in said
    assert said.endswith("data: [done]\n\n")


# ---- sockets that misbehave


@pytest.fixture
def wire(server):
    """Send this and nothing more; return what comes until the server ends."""

    def send(text):
        with socket.create_connection(server.url.removeprefix("http://").split(":"), timeout=20) as connection:
            connection.sendall(text.encode())
            connection.shutdown(socket.SHUT_WR)
            said = b""
            while piece := connection.recv(65536):
                said += piece
        return said.decode()

    return send


def post(body="", *headers, version="1.1"):
    lines = (f"POST {CHAT} HTTP/{version}", "Host: stub", f"Authorization: Bearer {KEYS.bearer_token}", *headers)
    return "\r\n".join((*lines, "", body))


def chunked(*chunks):
    return post("".join(chunks), "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ("\x16\x03\x01\x02\r\n\r\n", 400, "Bad"),
        ("what is this\r\n\r\n", 400, "Bad"),
        ("GET / HTTP/9.9\r\n\r\n", 505, "version"),
        (f"GET /{'x' * 70000} HTTP/1.1\r\n\r\n", 414, "Long"),
        (f"GET / HTTP/1.1\r\nx: {'x' * 70000}\r\n\r\n", 431, "Line too long"),
        (post("{}", "Content-Length: -2"), 400, "Content-Length is not a number"),
        (post("{}", "Content-Length: two"), 400, "Content-Length is not a number"),
        (post("{}", "Content-Length: " + "9" * 5000), 413, "longer than"),
        (post("{}", "Transfer-Encoding: gzip"), 501, "gzip"),
        (chunked("zz\r\n{}\r\n0\r\n\r\n"), 400, "a chunk has no size"),
        (chunked("-2\r\n{}\r\n0\r\n\r\n"), 400, "a chunk has no size"),
        (chunked("1\r\n{}\r\n0\r\n\r\n"), 400, "a chunk is longer than its size"),
        (chunked("ffffffff\r\n"), 413, "longer than"),
        (chunked("2\r\n{}\r\n"), 400, "a chunk has no size"),
        (post("{}"), 400, "malformed json"),
        (post("{", "Content-Length: 1"), 400, "malformed json"),
        (post("[]", "Content-Length: 2"), 400, "malformed json"),
        (post("{}", "Content-Length: 2"), 400, "model is empty"),
    ],
)
def test_stub_server_reports_invalid_request_as_json(wire, sent, status, said):
    head, body = wire(sent).split("\r\n\r\n", 1)
    assert head.startswith(f"HTTP/1.1 {status}")
    assert "application/json" in head
    assert said in json.loads(body)["error"]["message"]


def test_stub_server_reads_chunk_extensions_and_trailers(wire):
    half = len(BODY) // 2
    parts = (f"{half:x};a=b\r\n{BODY[:half]}\r\n", f"{len(BODY) - half:X}\r\n{BODY[half:]}\r\n", "0\r\nx: y\r\n\r\n")
    assert SAID in wire(chunked(*parts))


def test_stub_server_answers_pipelined_requests_in_order(wire):
    bodies = [BODY, BODY.replace('"hi"', '"there"')]
    said = wire("".join(post(body, f"Content-Length: {len(body)}") for body in bodies))
    assert said.index("characters: hi") < said.index("characters: there")


def test_stub_server_body_without_length_is_not_next_request(wire, server):
    before = len(server.requests)
    said = wire(post("GET /smuggled HTTP/1.1\r\n\r\n"))
    assert said.count("HTTP/1.1") == 1
    assert "connection: close" in said.lower()
    lengths = post("0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked")
    assert wire(lengths).count("HTTP/1.1") == 1
    assert "/smuggled" not in {request.path for request in server.requests[before:]}


def test_stub_server_survives_disconnects(server, curl, capfd):
    before = len(server.requests)
    address = server.url.removeprefix("http://").split(":")
    for part in ("", "POST", post("{", "Content-Length: 9"), chunked("9\r\n{")):
        with socket.create_connection(address) as connection:
            connection.sendall(part.encode())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # ends with a reset
    assert json.loads(curl(body=BODY))["choices"]
    assert [request.path for request in server.requests[before:]] == [CHAT]
    assert capfd.readouterr().err == ""


# ---- whom it answers, and what it holds


def said_to(server, *lines):
    """The status of the answer to these lines."""
    with socket.create_connection(server.url.removeprefix("http://").split(":"), timeout=20) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        return int(connection.makefile("rb").readline().split()[1])


OWN = ("127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "stub", "stub:99", "named:7")
FOREIGN = (
    "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.evil.example:{port}", "evil.localhost:{port}",
    "localhost", "127.0.0.1:1", "127.0.0.2:{port}", "[::2]:{port}", "localhost:{port}@evil.example", "localhost:{port}/x",
    "user@localhost:{port}", "localhost:{port},evil.example", "localhost:x", "named", "named:8", "", ":{port}", "[", "\xe9:{port}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("host", "status"), [*((host, 404) for host in OWN), *((host, 421) for host in FOREIGN)]
)  # fmt: skip
def test_stub_server_answers_requests_for_own_host_only(host, status):
    with LoopbackServer(allowed=("Stub", "named:7")) as server:
        named = host.format(port=server.url.rpartition(":")[2])
        assert said_to(server, "GET / HTTP/1.1", f"Host: {named}") == status
        assert len(server.requests) == (status == 404)
        if named.isascii() and "/" not in named:  # the same in the address, where a proxy would have it
            found = said_to(server, f"GET http://{named}/ HTTP/1.1", f"Host: {server.url[7:]}")
            assert found == (400 if named == "[" else status)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET / HTTP/1.1",), 400),
        (("GET / HTTP/1.0",), 404),
        (("GET / HTTP/1.1", "Host: {own}", "Host: {own}"), 400),
        (("GET / HTTP/1.1", "Host: {own}", "Host: evil.example"), 400),
        (("GET http://evil.example/ HTTP/1.1", "Host: {own}"), 421),
        (("GET http://{own}/ HTTP/1.1", "Host: {own}"), 404),
        (("GET http://{own}/ HTTP/1.1", "Host: evil.example"), 421),
        (("GET http://[/ HTTP/1.1", "Host: {own}"), 400),
    ],
)
def test_stub_server_rejects_ambiguous_host(lines, status):
    with LoopbackServer() as server:
        assert said_to(server, *(line.format(own=server.url[7:]) for line in lines)) == status


def test_stub_server_is_reached_by_the_address_it_listens_at():
    with LoopbackServer(host="0.0.0.0") as server:
        assert httpx.get(f"{server.url}/").status_code == 404
        assert httpx.get(f"{server.url}/", headers={"Host": "0.0.0.0:1"}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((*(f"x{number}: {'y' * 60_000}" for number in range(3)),), 431),
        ((*["x: y"] * 200,), 431),
        (("x: y",) * 50, 404),
    ],
)
def test_stub_server_bounds_request_head(server, headers, status):
    assert said_to(server, "GET / HTTP/1.1", "Host: stub", *headers) == status


def test_stub_server_bounds_trailers(server):
    trailers = "x: y\r\n" * 50_000
    with socket.create_connection(server.url.removeprefix("http://").split(":"), timeout=20) as connection:
        connection.sendall(chunked(f"0\r\n{trailers}\r\n").encode())
        assert b" 431 " in connection.makefile("rb").readline()


def test_stub_server_bounds_kept_requests(monkeypatch):
    monkeypatch.setattr("qfmagic.testing.stub_server.KEPT_BYTES", 100_000)
    with LoopbackServer(kept=30) as server, httpx.Client() as client:
        for number in range(50):
            client.post(f"{server.url}/{number}", content=b"")
        assert [request.path for request in server.requests] == [f"/{number}" for number in range(20, 50)]
        for number in range(5):
            client.post(f"{server.url}/{number}", content=b"x" * 40_000)
        assert [request.path for request in server.requests] == ["/3", "/4"]
        client.post(f"{server.url}/long", content=b"x" * 200_000)
        assert server.requests == []
    with LoopbackServer(kept=0) as server:
        httpx.get(server.url)
        assert server.requests == []


def test_stub_server_rejects_bodies_beyond_memory_and_recovers(monkeypatch):
    monkeypatch.setattr("qfmagic.testing.stub_server.AT_ONCE", 1000)
    with LoopbackServer() as server, httpx.Client() as client:
        for _ in range(3):
            assert client.post(f"{server.url}/", content=b"x" * 1001).status_code == 503
            assert client.post(f"{server.url}/", content=(b"x" * 600 for _ in range(2))).status_code == 503
            assert client.post(f"{server.url}/", content=b"x" * 1000).status_code == 404


def test_stub_server_bounds_connections(monkeypatch):
    monkeypatch.setattr("qfmagic.testing.stub_server.CONNECTIONS", 2)
    with LoopbackServer() as server:
        address = server.url.removeprefix("http://").split(":")
        own = f"GET / HTTP/1.1\r\nHost: {server.url[7:]}\r\n\r\n".encode()
        served = [socket.create_connection(address, timeout=20) for _ in range(2)]
        for one in served:
            one.sendall(own)
            assert b" 404 " in one.makefile("rb").readline()
        with socket.create_connection(address, timeout=20) as third:
            assert b" 503 " in third.makefile("rb").readline()
        for one in served:
            one.close()
        deadline = threading.Event()
        for _ in range(100):  # the ends of the others may take a moment
            if said_to(server, "GET / HTTP/1.1", f"Host: {server.url[7:]}") == 404:
                break
            deadline.wait(0.05)
        else:
            pytest.fail("no connection is free again")


def test_stub_server_chunk_time_is_linear(server):
    """A million bytes one by one: as much work as bytes, where each chunk had been put to a copy of all before."""
    body = "1\r\nx\r\n" * 100_000 + "0\r\n\r\n"
    with socket.create_connection(server.url.removeprefix("http://").split(":"), timeout=60) as connection:
        connection.sendall(chunked(body).encode())
        assert b" 400 " in connection.makefile("rb").readline()


# ---- what else it promises


def test_stub_server_reports_failing_answer(capfd):
    def fail(request):
        raise ZeroDivisionError("in the answer")

    with LoopbackServer(fail) as server:
        reply = httpx.get(server.url)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal_error")
    assert "ZeroDivisionError: in the answer" in capfd.readouterr().err


def test_stub_server_serves_clients_in_parallel():
    """Each request waits for all the others: they're served at the same time."""
    all_there = threading.Barrier(16, timeout=20)

    def answer(_):
        all_there.wait()
        return Reply.of_json({"ok": True})

    with LoopbackServer(answer) as server, ThreadPoolExecutor(16) as pool, httpx.Client() as client:
        answers = pool.map(lambda _: client.get(server.url).json(), range(16))
        assert list(answers) == [{"ok": True}] * 16


# ---- whatever comes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
BEARER = {"authorization": f"Bearer {KEYS.bearer_token}"}
NAMES = ["messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", *registry().parameter_names()]
PLACES = [
    CHAT,
    "/v2/models",
    "/oauth/2.0/token",
    "/v1/BCE-BEARER/token",
    V1_CHAT.partition("?")[0],
    "/wenxinworkshop/service/list",
]
SIGNED = st.from_regex(r"bce-auth-v1/stub-access-key/.*/.*/.*/.*", fullmatch=True)


def served(method, path, query, headers, body):
    reply = StubService()(Incoming(method, path, query, headers, body))
    assert reply.status in (200, 400, 401, 404, 405)
    assert all(isinstance(piece, bytes) for piece in reply.chunks)


@given(
    name=st.sampled_from(NAMES),
    value=values,
    stream=st.booleans(),
    model=st.sampled_from(["ernie-5.1", "x"]) | values,
)
def test_stub_service_accepts_any_parameter_value(name, value, stream, model):
    body = json.dumps({"messages": HI, "stream": stream, "model": model, name: value}).encode()
    served("POST", CHAT, {}, BEARER, body)
    for endpoint in ("yi_34b_chat", "ernie-char-fiction-8k", "own_dolly"):
        served(
            "POST",
            f"/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{endpoint}",
            {"access_token": KEYS.access_token},
            {},
            body,
        )


@given(
    method=st.sampled_from(["POST", "GET", "HEAD"]),
    path=st.sampled_from(PLACES) | st.text(max_size=5).map("/v2/".__add__),
    query=st.dictionaries(st.sampled_from(["access_token", "expireInSeconds", "client_id"]), st.text(max_size=5)),
    authorization=st.just(BEARER["authorization"]) | SIGNED,
    body=st.binary(max_size=20),
)
def test_stub_service_accepts_any_request(method, path, query, authorization, body):
    served(method, path, query, {"authorization": authorization}, body)


@pytest.mark.parametrize("seconds", ["", "soon", "-300", "299", "2592001", "9" * 5000, "\u0665" * 3])
def test_stub_service_rejects_invalid_token_lifetime(seconds):
    headers = {"host": "iam", "x-bce-date": bce_date(0)}
    signed = sign(
        access_key=KEYS.access_key, secret_key=KEYS.secret_key, method="GET", path="/v1/BCE-BEARER/token",
        query={"expireInSeconds": seconds}, headers=headers, at=0,
    )  # fmt: skip
    request = Incoming(
        "GET", "/v1/BCE-BEARER/token", {"expireInSeconds": seconds}, {**headers, "authorization": signed}, b""
    )
    reply = StubService()(request)
    assert (reply.status, json.loads(reply.chunks[0])["code"]) == (400, "BadRequest")


def test_stub_service_rejects_malformed_json():
    for body in (b"[" * 100_000, b'{"a": NaN}', b'{"messages": "\\ud800"}', b"\xff", b'{"a": 1'):
        reply = StubService()(Incoming("POST", CHAT, {}, BEARER, body))
        assert json.loads(reply.chunks[0])["error"]["code"] == "malformed_json"
