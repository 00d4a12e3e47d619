"""The stub checks requests as documented, and answers with the documented answers and error codes."""

import asyncio
import json

import httpx
import pytest

from qfmagic import Qianfan
from qfmagic.core.wire.signing import bce_date, sign
from qfmagic.testing.scripted import HeldStream, ScriptedTransport, UnscriptedRequest
from qfmagic.transport.stub.examples import examples, find_example
from qfmagic.transport.stub.reply import Incoming, Reply
from qfmagic.transport.stub.service import StubKeys, StubService
from qfmagic.transport.stub.transport import StubTransport

KEYS = StubKeys()
V1 = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
HI = [{"role": "user", "content": "hi"}]


def ask(path, body, *, query=None, headers=None, method="POST"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return StubService()(Incoming(method, path, query or {}, headers or {}, body))


def v1(endpoint="yi_34b_chat", messages=HI, **body):
    return ask(V1 + endpoint, {"messages": messages, **body}, query={"access_token": KEYS.access_token})


def v2(model="ernie-5.1", messages=HI, **body):
    return ask(
        "/v2/chat/completions",
        {"model": model, "messages": messages, **body},
        headers={"authorization": f"Bearer {KEYS.bearer_token}"},
    )


def payload(reply):
    return json.loads(b"".join(reply.chunks))


def events(reply):
    return [json.loads(chunk[6:]) for chunk in reply.chunks if chunk != b"data: [DONE]\n\n"]


ENDPOINTS = {
    "rwkv_4_world": "ab_rwkv",
    "dolly_12b": "ab_dolly",
    "ernie-char-fiction-8k": "ernie-char-fiction-8k",
    "yi_34b_chat": "yi_34b_chat",
}


@pytest.mark.parametrize("number", range(len(examples())))
def test_stub_answers_documented_prompts(number):
    example = examples()[number]
    raw = json.loads(__import__("pkgutil").get_data("qfmagic", "data/examples.json"))["examples"][number]
    reply = v1(ENDPOINTS[example.model], raw["messages"], stream=bool(example.events))
    answered = payload(reply) if example.body else events(reply)
    same = [
        e
        for e in examples()
        if e.model == example.model and e.messages == example.messages and bool(e.events) == bool(example.events)
    ]
    assert answered in [e.body or list(e.events) for e in same]
    assert reply.headers["server"] == "qfmagic-stub"


def test_stub_documented_answer_has_requested_form():
    whole = payload(v1(messages=[{"role": "user", "content": "推荐一些中国自驾游路线"}]))
    assert whole["result"] == find_example(["yi_34b_chat"], ["推荐一些中国自驾游路线"], stream=True).text
    pieces = events(v1(stream=True))
    assert "".join(event["result"] for event in pieces).startswith("Hello!")
    assert [event["is_end"] for event in pieces] == [False] * (len(pieces) - 1) + [True]
    assert [event["sentence_id"] for event in pieces] == list(range(len(pieces)))


def test_stub_answers_other_prompts_by_rule():
    messages = [*HI, {"role": "assistant", "content": "x"}, {"role": "user", "content": "今天几号？"}]
    assert (
        payload(v1(messages=messages))["result"] == "（替身回答）**Yi-34B-Chat**，第 2 轮，问题共 5 个字符：今天几号？"
    )
    english = payload(v1(messages=[{"role": "user", "content": "a " * 30}]))["result"]
    assert english.startswith("(stub) **Yi-34B-Chat**, turn 1, a question of 60 characters: a a")
    assert v1(messages=messages) == v1(messages=messages)


def test_stub_v2_stream_ends_with_usage_and_done():
    reply = v2(stream=True, stream_options={"include_usage": True})
    got = events(reply)
    assert reply.chunks[-1] == b"data: [DONE]\n\n"
    assert got[0]["choices"][0]["delta"]["role"] == "assistant"
    assert got[-1]["choices"] == []
    assert got[-1]["usage"]["total_tokens"] > 0
    assert got[-2]["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in events(v2(stream=True))[-1]
    assert payload(v2())["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize("model", ["ernie-5.1", "ernie-5.0", "my-tuned-service", "qwen4-1b", "a/b:1", "x" * 128])
def test_stub_v2_answers_any_valid_model_name(model):
    reply = v2(model)
    assert payload(reply)["model"] == model
    assert payload(reply)["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "model", ["ernie-lite-8k", "ernie-3.5-8k", "ernie-char-fiction-8k", "yi_34b_chat", "two words", "x" * 129, "模型"]
)
def test_stub_v2_rejects_retired_and_invalid_models(model):
    reply = v2(model)
    error = payload(reply)["error"]
    assert (reply.status, error["code"], error["type"]) == (401, "invalid_model", "invalid_request_error")
    assert error["message"].startswith("No permission to use the model")


def test_stub_v2_lists_served_models():
    def listed(key):
        return ask("/v2/models", b"", headers={"authorization": f"Bearer {key}"}, method="GET")

    rows = {row["id"]: row for row in payload(listed(KEYS.bearer_token))["data"]}
    assert (rows["ernie-5.1"]["type"], rows["ernie-5.1"]["max_completions_tokens"]) == ("chat", 65536)
    assert "max_completions_tokens" not in rows["deepseek-v4.1-flash"]
    assert not {"ernie-lite-8k", "yi_34b_chat", "ernie-char-fiction-8k"} & rows.keys()
    assert payload(listed("wrong"))["error"]["code"] == "invalid_iam_token"


def test_stub_answers_have_documented_headers():
    assert v1().headers["statement"] == v2().headers["statement"] == "AI-generated"
    limits = {name.removeprefix("x-ratelimit-") for name in v2().headers if name.startswith("x-ratelimit-")}
    assert limits == {
        f"{kind}-{of}" for kind in ("limit", "remaining") for of in ("requests", "input-tokens", "output-tokens")
    }
    assert not [name for name in v1().headers if name.startswith("x-ratelimit-")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"messages": []}, 336003),
        ({"messages": "hi"}, 336003),
        ({"messages": ["hi"]}, 336003),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 336003),
        ({"messages": [{"role": "system", "content": "x"}, *HI]}, 336003),
        ({"messages": [*HI, {"role": "assistant", "content": "x"}]}, 336003),
        ({"messages": [{"role": "user", "content": " "}]}, 336003),
        ({"messages": [{"role": "user", "content": "x" * 8001}]}, 336003),
        ({"messages": HI, "temperature": 0}, 336003),
        ({"messages": HI, "stop": ["x" * 21]}, 336003),
        ({"messages": HI, "system": "x"}, 336003),
        (b"{", 336002),
        (b"[]", 336002),
    ],
)
def test_stub_v1_rejects_invalid_request(body, code):
    reply = ask(f"{V1}yi_34b_chat", body, query={"access_token": KEYS.access_token})
    assert (reply.status, payload(reply)["error_code"]) == (200, code)


def test_stub_fiction_has_its_own_rules():
    assert payload(v1("ernie-char-fiction-8k", enable_user_memory=True))["error_code"] == 336003
    assert "result" in payload(v1("ernie-char-fiction-8k", enable_user_memory=True, user_id="u"))
    assert payload(v1("ernie-char-fiction-8k", system="x" * 24000))["error_code"] == 336003
    assert payload(v1("ernie-char-fiction-8k", [{"role": "user", "content": "长" * 9900}]))["error_code"] == 336103


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "", "messages": HI}, 400, "invalid_model"),
        ({"messages": HI}, 400, "invalid_model"),
        ({"model": "yi_34b_chat", "messages": HI}, 401, "invalid_model"),
        ({"model": "ernie-5.1", "messages": []}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": [{"role": "system", "content": "x"}]}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": "hi"}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": ["hi"]}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": [{"role": "human", "content": "x"}]}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": [{"role": "user", "content": None}]}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": [{"role": "user", "content": ["x"]}]}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": [*HI, {"role": "user", "content": " "}]}, 400, "invalid_messages"),
        ({"model": "ernie-5.1", "messages": HI, "temperature": "hot"}, 400, "invalid_argument"),
        (b"{", 400, "malformed_json"),
    ],
)
def test_stub_v2_rejects_invalid_request(body, status, code):
    reply = ask("/v2/chat/completions", body, headers={"authorization": f"Bearer {KEYS.bearer_token}"})
    assert (reply.status, payload(reply)["error"]["code"]) == (status, code)


def test_stub_v2_accepts_messages_of_any_order_and_parts():
    parts = [{"type": "text", "text": "and now?"}]
    messages = [*HI, {"role": "user", "content": parts}]
    assert "8 characters: and now?" in payload(v2(messages=messages))["choices"][0]["message"]["content"]


def test_stub_checks_credentials():
    assert payload(ask(f"{V1}yi_34b_chat", {}, query={"access_token": "x"}))["error_code"] == 110
    assert payload(ask("/v2/chat/completions", {}))["error"]["code"] == "invalid_iam_token"
    assert ask(f"{V1}yi_34b_chat", {}).headers["x-bce-error-code"] == "NotFound"
    tokens = {"client_id": KEYS.ak, "client_secret": KEYS.sk}
    assert payload(ask("/oauth/2.0/token", b"", query=tokens))["access_token"] == KEYS.access_token
    assert (
        payload(ask("/oauth/2.0/token", b"", query={**tokens, "client_id": "x"}))["error_description"]
        == "unknown client id"
    )
    assert (
        payload(ask("/oauth/2.0/token", b"", query={**tokens, "client_secret": "x"}))["error_description"]
        == "Client authentication failed"
    )


@pytest.mark.parametrize(("secret", "accepted"), [(KEYS.secret_key, True), ("wrong", False)])
def test_stub_checks_signatures(secret, accepted):
    headers = {"host": "iam", "x-bce-date": bce_date(0)}
    query = {"expireInSeconds": "600"}
    signed = sign(
        access_key=KEYS.access_key,
        secret_key=secret,
        method="GET",
        path="/v1/BCE-BEARER/token",
        query=query,
        headers=headers,
        at=0,
    )
    reply = ask("/v1/BCE-BEARER/token", b"", query=query, headers={**headers, "authorization": signed}, method="GET")
    assert (reply.status == 200) == accepted
    if accepted:
        assert payload(reply)["token"] == KEYS.bearer_token
        assert payload(reply)["expireTime"] > payload(reply)["createTime"]
    else:
        assert reply.headers["x-bce-error-code"] == "SignatureDoesNotMatch"


def test_stub_rejects_unknown_methods_and_paths():
    assert payload(ask("/nowhere", {}))["error_code"] == 3
    assert payload(ask(f"{V1}yi_34b_chat", {}, method="GET"))["error_code"] == 336101
    assert payload(ask("/v2/chat/completions", {}, method="GET"))["error"]["code"] == "method_not_supported"
    assert ask("/v1/BCE-BEARER/token", b"", headers={"authorization": "a/stub-access-key/b/300/host/c"}).status == 401


def call(transport, *, content=b"{}"):
    async def go():
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post("http://stub/oauth/2.0/token", content=content)

    return asyncio.run(go())


def test_stub_transport_serves_service():
    assert call(StubTransport()).status_code == 401
    assert StubTransport(StubService(StubKeys(ak="mine"))).keys.ak == "mine"


def test_scripted_transport_plays_in_order_and_rejects_rest():
    transport = ScriptedTransport(
        [Reply.of_json({"a": 1}), lambda request: Reply.of_json(request.json()), httpx.ReadError("cut")]
    )
    assert call(transport).json() == {"a": 1}
    assert call(transport, content=b'{"b":2}').json() == {"b": 2}
    with pytest.raises(AssertionError, match="1 scripted"):
        transport.finish()
    with pytest.raises(httpx.ReadError):
        call(transport)
    transport.finish()
    with pytest.raises(UnscriptedRequest, match="request 4"):
        call(transport)
    assert [request.path for request in transport.requests] == ["/oauth/2.0/token"] * 3


def test_held_stream_waits():
    gate = asyncio.Event()

    async def go():
        transport = ScriptedTransport([HeldStream([b"a"], gate.wait, [b"b"])])
        async with httpx.AsyncClient(transport=transport) as client, client.stream("GET", "http://x/") as response:
            parts = response.aiter_raw()
            assert await anext(parts) == b"a"
            gate.set()
            assert await anext(parts) == b"b"

    asyncio.run(go())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("model", "api", "prompt"),
    [
        ("ernie-5.1", "v2", "anything"),
        ("ernie-char-fiction-8k", "v1", "anything"),
        ("ernie-5.1", "v2", "介绍下长城"),
    ],
)
def test_stub_max_output_tokens_truncates_answer(stub_settings, model, api, prompt, stream):
    with Qianfan(settings=stub_settings, transport=StubTransport(), model=model, api=api) as client:
        whole = client.ask(prompt)
        asked = client.stream(prompt, max_output_tokens=4, stream=stream)
        list(asked)
        assert asked.answer.truncated
        assert asked.answer.text
        assert whole.text.startswith(asked.answer.text)
        assert whole.text != asked.answer.text
        assert asked.answer.usage.completion_tokens <= 4
        assert client.ask(prompt, max_output_tokens=1000).finish_reason == "stop"
