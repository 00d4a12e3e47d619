"""The client, against the stub, scripts and real sockets."""

import asyncio
import gc
import json
import logging
import subprocess
import sys
import threading
import time

import httpx
import pytest

from qfmagic import Conversation, Message, Qianfan, Settings
from qfmagic.core.answer import Answer
from qfmagic.core.errors import (
    AuthenticationError,
    ConnectError,
    CredentialError,
    GoneError,
    ParameterError,
    PromptError,
    ProtocolError,
    QianfanError,
    RateLimitError,
    ResponseTimeout,
    TransportError,
    UnavailableError,
)
from qfmagic.core.wire.signing import sign
from qfmagic.testing.scripted import HeldStream, ScriptedTransport
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.checks import check_signature, signed_at
from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import StubKeys, StubService
from qfmagic.transport.stub.transport import StubTransport
from tests.support.faults.server import FaultServer
from tests.support.faults.table import FINE

KEYS = StubKeys()
HELLO = "Hello! How can I assist you today?"


def v1(result, **more):
    return {"id": "as-1", "result": result, "is_end": False, **more}


END = v1("", is_end=True, usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 3})


@pytest.fixture
def client(stub_settings):
    with Qianfan(settings=stub_settings, transport=StubTransport(), label="stub", model="yi_34b_chat") as client:
        yield client


@pytest.fixture
def scripted():
    """Build clients that play a script, and check at the end that it was played whole."""
    made = []

    def build(*steps, **options):
        transport = ScriptedTransport(steps)
        settings = Settings(access_token="t", bearer_token="b", retry_count=1)
        options = {"settings": settings, "model": "yi_34b_chat", **options}
        client = Qianfan(transport=transport, **options)
        made.append((client, transport))
        return client

    build.transports = made
    yield build
    for client, transport in made:
        client.close()
        transport.finish()


def held(*payloads):
    """A stream that sends these events and then nothing more."""
    forever = asyncio.Event
    return HeldStream([f"data: {json.dumps(p)}\n\n".encode() for p in payloads], lambda: forever().wait())


# ---- asking


def test_client_ask_returns_answer(client):
    answer = client.ask("hi")
    assert str(answer).startswith(HELLO)
    assert (answer.usage.total_tokens, answer.transport, answer.wire, answer.endpoint) == (
        28,
        "stub",
        "v1",
        "yi_34b_chat",
    )
    assert answer.request["messages"] == [{"role": "user", "content": "hi"}]
    assert answer.seconds >= 0


def test_client_stream_yields_deltas(client):
    with client.stream("推荐一些中国自驾游路线") as stream:
        pieces = [delta.text for delta in stream]
    assert "".join(pieces) == stream.answer.text
    assert len(pieces) == 12
    assert stream.answer.usage.completion_tokens == 511


def test_client_aask_and_astream_match_sync(client):
    async def go():
        answer = await client.aask("hi")
        async with client.astream("hi") as stream:
            text = "".join([delta.text async for delta in stream])
        return answer, text, stream.answer

    answer, text, streamed = asyncio.run(go())
    assert answer.text == text == streamed.text


def test_client_ask_works_inside_running_loop(client):
    async def go():
        return client.ask("hi").text

    assert asyncio.run(go()).startswith(HELLO)


def test_client_supports_many_threads(client):
    found = []
    threads = [threading.Thread(target=lambda: found.append(client.ask("hi").text)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 16
    assert len(set(found)) == 1


def test_client_ask_sends_history(client):
    conversation = Conversation().add("hi", client.ask("hi"))
    answer = client.ask("介绍下长城", history=conversation)
    assert [m["content"] for m in answer.request["messages"]] == ["hi", conversation.turns[0].answer.text, "介绍下长城"]
    assert answer.text.startswith("The Great Wall")
    assert len(client.ask("x", history=conversation, context="none").request["messages"]) == 1


def test_client_ask_sends_messages(client):
    answer = client.ask([Message("user", "hi"), Message("assistant", "Hello"), Message("user", "bye")])
    assert [m["content"] for m in answer.request["messages"]] == ["hi", "Hello", "bye"]
    for wrong in ([], [Message("assistant", "x")], [Message("user", "x"), Message("assistant", "y")]):
        with pytest.raises(PromptError):
            client.ask(wrong)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}],
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Once upon"}],
    ],
    ids=["system", "parts", "prefix"],
)
def test_client_sends_dict_messages_unchanged_on_v2(messages):
    with LoopbackServer() as server:
        settings = Settings(bearer_token=KEYS.bearer_token, console_base_url=server.url)
        with Qianfan(settings=settings, model="ernie-5.1") as client:
            answers = [client.ask(messages), client.ask([Message(**message) for message in messages])]
    assert [json.loads(request.body)["messages"] for request in server.requests] == [messages] * 2
    assert answers[0].text == answers[1].text
    assert all(answer.request["messages"] == messages for answer in answers)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ({"role": "human", "content": "hi"}, "role='human'"),
        ([{"role": "user", "text": "hi"}], "'text'"),
        ([{"role": "user", "content": None}], "NoneType"),
        ([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}], "system="),
    ],
    ids=["role", "key", "content", "system on V1"],
)
def test_client_rejects_invalid_messages_before_sending(scripted, prompt, said):
    with pytest.raises(PromptError, match=said):
        scripted().ask(prompt)


def test_client_arguments_override_defaults():
    client = Qianfan(settings=Settings(), model="yi_34b_chat", temperature=0.5)
    assert client.plan("hi").request.body["temperature"] == 0.5
    assert client.plan("hi", temperature=0.1).request.body["temperature"] == 0.1
    assert client.plan("hi", endpoint="own").request.endpoint == "own"
    assert client.plan("hi", model="ernie-5.1", temperature=None).request.wire == "v2"
    assert Qianfan(settings=Settings()).plan("hi").request.model == "ernie-5.1"
    with pytest.raises(ParameterError, match="0.5|system"):
        client.plan("hi", system="x")


# ---- credentials


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"ak": KEYS.ak, "sk": KEYS.sk}, "yi_34b_chat"),
        ({"access_token": KEYS.access_token}, "yi_34b_chat"),
        ({"access_key": KEYS.access_key, "secret_key": KEYS.secret_key}, "yi_34b_chat"),
        ({"bearer_token": KEYS.bearer_token}, "ernie-5.1"),
        ({"access_key": KEYS.access_key, "secret_key": KEYS.secret_key}, "ernie-5.1"),
    ],
    ids=["oauth", "token", "signature", "bearer", "bearer-from-iam"],
)
@pytest.mark.parametrize("path", ["", "/gateway"])
def test_client_authorizes_with_every_kind_of_key(settings, model, path):
    """The signature covers the port and the base address's own path, as they are sent."""
    stub = StubService()

    def behind(request):
        if request.headers.get("authorization", "").startswith("bce-auth-v1"):
            return stub(request) if not path else signed_for_whole_path(request)
        return stub(request._replace(path=request.path.removeprefix(path)))

    def signed_for_whole_path(request):
        check_signature(request, KEYS.access_key, KEYS.secret_key)  # raises if it doesn't cover the path as it was sent
        inner = request._replace(path=request.path.removeprefix(path))
        _, _, _, expires, signed, _ = request.headers["authorization"].split("/")
        authorization = sign(
            access_key=KEYS.access_key, secret_key=KEYS.secret_key, method=inner.method, path=inner.path,
            query=inner.query, headers={name: inner.headers[name] for name in signed.split(";")},
            at=signed_at(request), expires=int(expires),
        )  # fmt: skip
        return stub(inner._replace(headers={**inner.headers, "authorization": authorization}))

    with LoopbackServer(behind) as server:
        url = server.url + path
        full = Settings(**settings, base_url=url, console_base_url=url, iam_base_url=url)
        with Qianfan(settings=full) as client:
            assert client.ask("hi", model=model).text
            assert client.ask("hi", model=model).transport == "stub"
    chats = [request for request in server.requests if "chat" in request.path]
    assert len(chats) == 2
    assert len(server.requests) - len(chats) <= 1  # one token for both


@pytest.mark.parametrize(
    ("settings", "model", "kind", "said"),
    [
        ({}, "yi_34b_chat", CredentialError, "QIANFAN_ACCESS_KEY"),
        ({}, "ernie-5.1", CredentialError, "QIANFAN_BEARER_TOKEN"),
        ({"ak": "wrong-1", "sk": "wrong-2"}, "yi_34b_chat", AuthenticationError, r"Unknown API key \(QIANFAN_AK\)"),
        ({"ak": KEYS.ak, "sk": "wrong-2"}, "yi_34b_chat", AuthenticationError, r"secret key \(QIANFAN_SK\)"),
        (
            {"access_key": "wrong-1", "secret_key": "wrong-2"},
            "yi_34b_chat",
            AuthenticationError,
            r"access key \(QIANFAN_ACCESS_KEY\)",
        ),
        (
            {"access_key": KEYS.access_key, "secret_key": "wrong-2"},
            "ernie-5.1",
            AuthenticationError,
            "QIANFAN_SECRET_KEY",
        ),
        ({"access_token": "wrong-1"}, "yi_34b_chat", AuthenticationError, "Keys used: QIANFAN_ACCESS_TOKEN"),
        ({"bearer_token": "wrong-1"}, "ernie-5.1", AuthenticationError, "V2 API key"),
        (
            {"ak": "wrong-1", "sk": "wrong-2", "access_key": "wrong-3", "secret_key": "wrong-4"},
            "yi_34b_chat",
            AuthenticationError,
            "QIANFAN_ACCESS_KEY, QIANFAN_SECRET_KEY are also set",
        ),
    ],
)
def test_client_distinguishes_wrong_keys(settings, model, kind, said):
    with (
        Qianfan(settings=Settings(**settings), transport=StubTransport()) as client,
        pytest.raises(kind, match=said) as error,
    ):
        client.ask("hi", model=model)
    assert "wrong-" not in str(error.value)


class Tokens:
    """A service whose tokens can be made invalid."""

    def __init__(self):
        self.issued, self.valid, self.accepting = 0, set(), True

    def __call__(self, request):
        if request.path == "/oauth/2.0/token":
            self.issued += 1
            self.valid = {f"t{self.issued}"}
            return Reply.of_json({"access_token": f"t{self.issued}", "expires_in": 3600})
        if not self.accepting or request.query["access_token"] not in self.valid:
            return Reply.of_json({"error_code": 110, "error_msg": "Access token invalid or no longer valid"})
        return Reply.of_json({"id": "as-1", "result": "ok"})


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def service_and_clock():
    """The async client by itself, with a clock to turn."""
    from qfmagic.client.exchange import HttpExchange
    from qfmagic.client.service import Service
    from qfmagic.core.models import registry
    from qfmagic.core.plan import plan_request

    tokens, clock = Tokens(), Clock()

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            from qfmagic.transport.stub.reply import incoming

            reply = tokens(await incoming(request))
            return httpx.Response(reply.status, headers=dict(reply.headers), content=b"".join(reply.chunks))

    def ask(times=1, *, before=lambda: None):
        async def go():
            service = Service(Settings(ak="a", sk="s"), Transport(), clock=clock)
            plan = plan_request(registry().target("yi_34b_chat"), "hi")
            answers = []
            for _ in range(times):
                answers.append(await service.run(HttpExchange(plan.request, 5.0)))
                before()
            many = await asyncio.gather(*(service.run(HttpExchange(plan.request, 5.0)) for _ in range(8)))
            await service.aclose()
            return answers + many

        return asyncio.run(go())

    return tokens, clock, ask


def test_token_is_fetched_once_for_concurrent_requests(service_and_clock):
    tokens, _, ask = service_and_clock
    ask(times=0)
    assert tokens.issued == 1


def test_token_is_renewed_before_it_expires(service_and_clock):
    tokens, clock, ask = service_and_clock

    def later():
        clock.now += 3001

    ask(before=later)
    assert tokens.issued == 2


def test_token_rejected_is_renewed_once(service_and_clock):
    tokens, clock, ask = service_and_clock

    def revoke():
        tokens.valid = set()

    ask(before=revoke)
    assert tokens.issued == 2

    tokens.accepting = False
    tokens.issued = 0
    clock.now += 61
    with pytest.raises(AuthenticationError):
        ask()
    assert tokens.issued == 2  # one more try, with a new token, and then the error


def test_token_revoked_is_renewed_once_for_concurrent_requests(service_and_clock):
    tokens, _, ask = service_and_clock
    ask(before=tokens.valid.clear)
    assert tokens.issued <= 2


# ---- what goes wrong


def test_client_reports_unreachable_service():
    with (
        Qianfan(settings=Settings(bearer_token="b", console_base_url="http://127.0.0.1:9", retry_count=1)) as client,
        pytest.raises(ConnectError, match="127.0.0.1:9"),
    ):
        client.ask("hi")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (Reply((b"<html>login</html>",), 200, {"content-type": "text/html"}), ProtocolError, "<html>login"),
        (Reply((b"<html>bad gateway</html>",), 502, {"content-type": "text/html"}), UnavailableError, "bad gateway"),
        (
            Reply((b'{"error_code":336100,"error_msg":"busy"}',), 200, {"content-type": "text/html"}),
            UnavailableError,
            "busy",
        ),
        (Reply((b'{"error_code":18,"error_msg":"qps"}',), 429), RateLimitError, "qps"),
        (Reply((b"",), 404), GoneError, "31 August 2026"),
        (Reply((b"",), 410), GoneError, "redeploy your service on V2"),
        (Reply((b"",), 200), (ProtocolError,), "response"),
        (Reply((b'{"id":"as-1"}',), 200), ProtocolError, "Unknown JSON structure"),
        (Reply((b'{"id":"as-1","result":"fine"}',), 500), UnavailableError, "500"),
        (httpx.ReadError("reset by peer"), TransportError, "reset by peer"),
        (httpx.ConnectTimeout("slow"), ConnectError, "within 10 s"),
    ],
)
def test_client_reports_invalid_answers(scripted, stream, reply, kind, said):
    client = scripted(reply)
    with pytest.raises(kind, match=said), client.stream("hi", stream=stream) as answer:
        for _ in answer:
            pass


def test_client_error_for_removed_v1_names_v2(scripted):
    client = scripted(
        Reply.of_json({"error_code": 3, "error_msg": "Unsupported openapi method"}), model="ernie-char-fiction-8k"
    )
    with pytest.raises(GoneError, match="%%qianfan model=ernie-5.1"):
        client.ask("hi")


def test_stream_error_keeps_partial_answer(scripted):
    client = scripted(Reply.of_events([v1("So far"), {"error_code": 336100, "error_msg": "busy"}]))
    stream = client.stream("hi")
    assert next(stream).text == "So far"
    with pytest.raises(UnavailableError) as error:
        next(stream)
    assert error.value.partial.text == "So far"
    assert not error.value.partial.complete


def test_stream_without_end_is_incomplete(scripted):
    client = scripted(Reply.of_events([v1("So far")]))
    with client.stream("hi") as stream:
        assert [delta.text for delta in stream] == ["So far"]
    assert (stream.answer.finish_reason, stream.answer.usage.total_tokens) == ("incomplete", None)


def test_stream_cut_connection_keeps_partial_answer():
    import socket

    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        connection.recv(65536)
        event = f"data: {json.dumps(v1('So far'))}\n\n".encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(event), event))
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Qianfan(settings=Settings(access_token="t", base_url=url), model="yi_34b_chat") as client:
        stream = client.stream("hi")
        with pytest.raises(TransportError, match="Connection lost") as error:
            list(stream)
    assert error.value.partial.text == "So far"
    thread.join()
    listener.close()


def test_stream_times_out_before_first_text(scripted):
    with pytest.raises(ResponseTimeout, match="No answer within 0.05 s"):
        scripted(held()).stream("hi", timeout=0.05).__next__()


def test_stream_times_out_between_texts_and_keeps_partial_answer(scripted):
    stream = scripted(held(v1("So far"))).stream("hi", timeout=0.1)
    assert next(stream).text == "So far"
    with pytest.raises(ResponseTimeout, match="no data for 0.1 s") as error:
        next(stream)
    assert error.value.partial.text == "So far"


@pytest.mark.parametrize("sign", [b": keep-alive\n\n", b"\n", b"data:\n\n", b"event: ping\ndata: {}\n\n"])
def test_stream_keep_alive_events_are_not_text(scripted, sign):
    class Chatter(httpx.AsyncByteStream):
        async def __aiter__(self):
            for _ in range(12):
                yield sign
                await asyncio.sleep(0.05)
            yield b"data: " + json.dumps(v1("At last", is_end=True)).encode() + b"\n\n"

    assert [delta.text for delta in scripted(Chatter()).stream("hi", timeout=0.3)] == ["At last"]


# ---- leaving


@pytest.mark.parametrize("leave", ["close", "with", "drop"])
def test_stream_closed_early_closes_connection(scripted, leave):
    body = held(v1("So far"))
    client = scripted(body)
    stream = client.stream("hi")
    assert next(stream).text == "So far"
    if leave == "with":
        with stream:
            pass
    elif leave == "close":
        stream.close()
    else:
        client.close()
        assert body.closed
        return
    assert body.closed
    assert stream.answer.text == "So far"
    assert stream.answer.finish_reason == "interrupted"
    assert list(stream) == []


def test_astream_canceled_closes_connection(scripted):
    body = held(v1("So far"))
    client = scripted(body)

    async def go():
        task = asyncio.create_task(collect())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def collect():
        async with client.astream("hi") as stream:
            async for _ in stream:
                started.set()

    started = asyncio.Event()
    asyncio.run(go())
    client.close()
    assert body.closed


def test_client_can_be_used_after_close(client):
    client.ask("hi")
    client.close()
    client.close()
    assert client.ask("hi").text.startswith(HELLO)


def test_client_close_ends_thread(client):
    client.ask("hi")
    assert any(thread.name == "qfmagic" for thread in threading.enumerate())
    client.close()
    gc.collect()
    assert not any(thread.name == "qfmagic" for thread in threading.enumerate())


SCRIPT = """
import sys
from qfmagic import Qianfan, Settings
client = Qianfan(settings=Settings(access_token={token!r}, base_url={url!r}), model="yi_34b_chat")
stream = client.stream("推荐一些中国自驾游路线")
print(next(stream).text[:4])
"""


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyboardInterrupt"])
def test_interpreter_exits_with_open_stream(end):
    with LoopbackServer(pace=0.5) as server:
        script = SCRIPT.format(token=KEYS.access_token, url=server.url) + end
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", script],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert time.monotonic() - started < 6  # the whole stream takes longer
    assert done.stdout.strip() == "中国幅员"
    # asyncio's debug mode tells of the moment the first connection's certificates take to read
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <Task")]
    assert not said or end.startswith("raise")
    assert not any(word in line for line in said for word in ("Task", "Warning", "Exception ignored"))


def test_client_logs_no_secret(caplog):
    with LoopbackServer() as server, caplog.at_level(logging.DEBUG):
        settings = Settings(ak=KEYS.ak, sk="very-secret-sk", base_url=server.url)
        with Qianfan(settings=settings, model="yi_34b_chat") as client, pytest.raises(QianfanError):
            client.ask("hi")
        with Qianfan(settings=Settings(ak=KEYS.ak, sk=KEYS.sk, base_url=server.url), model="yi_34b_chat") as client:
            client.ask("hi")
    assert "send_request_headers" in caplog.text
    for secret in ("very-secret-sk", KEYS.sk, KEYS.access_token):
        assert secret not in caplog.text


def test_client_reuses_connections():
    with (
        FaultServer([FINE["v1"]]) as server,
        Qianfan(settings=Settings(access_token="t", base_url=server.url), model="yi_34b_chat") as client,
    ):
        for _ in range(3):
            with client.stream("hi") as stream:
                list(stream)
    assert (server.connections, len(server.heads)) == (1, 3)


def test_client_decodes_gzip():
    import gzip

    stream = "".join(f"data: {json.dumps(p)}\n\n" for p in (v1("压缩"), END)).encode()
    packed = Reply((gzip.compress(stream),), 200, {"content-encoding": "gzip"})
    with (
        LoopbackServer(lambda _: packed) as server,
        Qianfan(settings=Settings(access_token="t", base_url=server.url), model="yi_34b_chat") as client,
    ):
        with client.stream("hi") as answer:
            assert "".join(delta.text for delta in answer) == "压缩"
        assert answer.answer.usage.completion_tokens == 2


def test_answer_keeps_rate_headers_and_unknown_fields(scripted):
    reply = Reply.of_json(
        {"id": "as-1", "result": "x", "search_info": 1}, headers={"x-ratelimit-limit-requests": "300"}
    )
    answer = scripted(reply).ask("hi")
    assert answer.headers["x-ratelimit-limit-requests"] == "300"
    assert answer.extra == {"search_info": 1}


def test_package_exports_public_names():
    import qfmagic

    for name in qfmagic.__all__:
        assert getattr(qfmagic, name) is not None
    assert set(qfmagic.__all__) <= set(dir(qfmagic))
    assert isinstance(Answer("x"), qfmagic.Answer)
    with pytest.raises(AttributeError):
        _ = qfmagic.nothing


def test_package_import_loads_nothing():
    script = "import sys, qfmagic; print(sorted({'httpx', 'IPython', 'asyncio', 'tomllib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_stream_dropped_ends_request(scripted, kind):
    body = held(v1("So far"))
    client = scripted(body)

    def first():
        for delta in client.stream("hi"):
            return delta.text

    async def afirst():
        async for delta in client.astream("hi"):
            return delta.text

    assert (first() if kind == "sync" else asyncio.run(afirst())) == "So far"
    gc.collect()
    for _ in range(100):
        if body.closed:
            break
        threading.Event().wait(0.02)
    assert body.closed


def test_client_threads_share_first_connection_and_token():
    with LoopbackServer() as server:
        settings = Settings(ak=KEYS.ak, sk=KEYS.sk, base_url=server.url)
        with Qianfan(settings=settings, model="yi_34b_chat") as client:
            threads = [threading.Thread(target=client.ask, args=("hi",)) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=30)
        assert [request.path for request in server.requests].count("/oauth/2.0/token") == 1


def test_client_dropped_leaves_no_open_connection():
    script = (
        "from qfmagic import Qianfan, Settings\n"
        "client = Qianfan(settings=Settings(access_token={token!r}, base_url={url!r}), model='yi_34b_chat')\n"
        "print(client.ask('hi').text[:5])\n"
    )
    with LoopbackServer() as server:
        text = script.format(token=KEYS.access_token, url=server.url)
        for end in ("", "del client\nimport gc; gc.collect()\n"):
            done = subprocess.run(
                [sys.executable, "-X", "dev", "-c", text + end], capture_output=True, text=True, timeout=30, check=False
            )
            assert done.stdout.strip() == "Hello"
            assert "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize("key", ["SECRET\nKEY", "密钥", "SEC RET"])
def test_client_rejects_malformed_key_without_showing_it(key):
    for settings in (Settings(bearer_token=key), Settings.from_env({"QIANFAN_BEARER_TOKEN": key})):
        with (
            Qianfan(settings=settings) as client,
            pytest.raises(CredentialError, match="QIANFAN_BEARER_TOKEN") as error,
        ):
            client.ask("hi")
        assert key not in str(error.value)


def test_settings_strip_blanks_around_key():
    assert Settings.from_env({"QIANFAN_BEARER_TOKEN": " key\r\n"}).bearer_token == "key"


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://h:abc", "ftp://h", "nonsense", "http://"])
def test_client_rejects_invalid_address(address):
    with Qianfan(settings=Settings(bearer_token="b", console_base_url=address)) as client, pytest.raises(ConnectError):
        client.ask("hi")


@pytest.mark.parametrize("timeout", [0, -1, "5", float("nan"), float("inf")])
def test_client_rejects_invalid_timeout(timeout):
    from qfmagic.core.errors import OptionError

    with pytest.raises(OptionError, match="timeout"):
        Qianfan(settings=Settings(), timeout=timeout)
    with pytest.raises(OptionError, match="timeout"):
        Qianfan(settings=Settings()).ask("hi", timeout=timeout)


@pytest.mark.slow
def test_client_distinguishes_connect_timeout_from_silence():
    import socket

    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fill = [socket.socket() for _ in range(4)]
    for one in fill:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with (
        Qianfan(settings=Settings(access_token="t", base_url=url), model="yi_34b_chat") as client,
        pytest.raises(ConnectError, match="within 0.3 s"),
    ):
        client.ask("hi", timeout=0.3)
    for one in [*fill, listener]:
        one.close()


@pytest.mark.slow
def test_client_uses_proxy_of_settings_or_environment(monkeypatch):
    with LoopbackServer(allowed=("far.invalid",)) as proxy:
        far = Settings(access_token=KEYS.access_token, base_url="http://far.invalid")
        with Qianfan(
            settings=Settings(access_token=KEYS.access_token, base_url="http://far.invalid", proxy=proxy.url),
            model="yi_34b_chat",
        ) as client:
            assert client.ask("hi").text
        monkeypatch.setenv("http_proxy", proxy.url)
        with Qianfan(settings=far, model="yi_34b_chat") as client:
            assert client.ask("hi").text
        assert len(proxy.requests) == 2
        monkeypatch.setenv("no_proxy", "far.invalid")
        with Qianfan(settings=far, model="yi_34b_chat") as client, pytest.raises(ConnectError):
            client.ask("hi")
