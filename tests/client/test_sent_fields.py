"""What is sent over a real socket: fields, headers, envelopes; and what one call decides about retrying."""

import asyncio
import json
from dataclasses import replace

import pytest

from qfmagic import Qianfan, Settings, extract
from qfmagic.client.call_options import CallOptions
from qfmagic.core.errors import OptionError, RequestError, UnavailableError
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette.tape import CassetteTape, NoNetwork
from qfmagic.transport.stub.reply import Reply

GOOD = '{"n": 1}'
NATIVE = "deepseek-v4-pro"


def whole(text=GOOD):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Reply.of_json({"id": "as-1", "choices": [choice]})


def refusal(status, code):
    return Reply.of_json({"error": {"code": code, "message": "no", "type": "x"}}, status=status)


def client_of(server, **options):
    quick = {"backoff_factor": 0, "retry_jitter": 0, "console_base_url": server.url, "base_url": server.url}
    return Qianfan(
        settings=Settings(bearer_token="b", access_token="t", **quick, **options.pop("settings", {})), **options
    )


def bodies(server):
    return [json.loads(request.body) for request in server.requests]


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("m", {"stop": "END", "thinking": "on"}, {"stop": ["END"], "thinking": {"type": "enabled"}}),
        pytest.param(
            *("ernie-5.0", {"thinking": True}, {"enable_thinking": True}),
            marks=pytest.mark.filterwarnings("ignore:The retirement"),
        ),
        ("m", {"web_search": "on", "response_format": "json_object"}, None),
        ("m", {"user": "u", "max_tokens": 5, "seed": 7}, {"user": "u", "max_tokens": 5, "seed": 7}),
        ("m", {"max_output_tokens": 5, "user_id": "u"}, {"max_completion_tokens": 5, "user": "u"}),
        (
            "m",
            {"temperature": 1, "extra": {"temperature": 2, "top_logprobs": 3}},
            {"temperature": 2, "top_logprobs": 3},
        ),
        ("yi_34b_chat", {"extra": {"new": True}}, {"new": True}),
    ],
)
def test_parameters_are_fields_of_the_body(model, given, sent):
    replies = {"yi_34b_chat": Reply.of_json({"id": "as-1", "result": "ok", "is_end": True})}
    with LoopbackServer(lambda _: replies.get(model, whole())) as server, client_of(server, model=model) as client:
        answer = client.ask("hi", **given)
    (body,) = bodies(server)
    expected = {"web_search": {"enable": True}, "response_format": {"type": "json_object"}} if sent is None else sent
    assert {name: body[name] for name in body.keys() - {"model", "messages", "stream"}} == expected
    assert answer.request == body


def test_app_id_is_sent_as_a_header():
    with LoopbackServer(lambda _: whole()) as server, client_of(server, settings={"app_id": "app-1"}) as client:
        client.ask("hi")
    assert server.requests[0].headers["appid"] == "app-1"


# ---- JSON in the form a service accepts


def takes(envelope):
    """A service that takes one of the two."""

    def answer(request):
        given = json.loads(request.body)["response_format"]["json_schema"]
        return whole() if ("schema" in given) == (envelope == "wrapped") else refusal(400, "invalid_argument")

    return answer


def envelopes(server):
    return ["schema" in body["response_format"]["json_schema"] for body in bodies(server)]


@pytest.mark.parametrize(("envelope", "seen"), [("wrapped", [True, True]), ("bare", [True, False, False])])
def test_schema_is_sent_in_the_supported_envelope(envelope, seen):
    with LoopbackServer(takes(envelope)) as server, client_of(server, model=NATIVE) as client:
        values = [extract("One?", "n int", client=client).value for _ in range(2)]
    assert values == [{"n": 1}, {"n": 1}]
    assert envelopes(server) == seen  # the second question knows


def test_schema_rejected_in_both_envelopes_raises_the_first_error():
    with (
        LoopbackServer(lambda _: refusal(400, "invalid_argument")) as server,
        client_of(server, model=NATIVE) as client,
        pytest.raises(RequestError),
    ):
        extract("One?", "n int", client=client)
    assert envelopes(server) == [True, False]


def unsupported(code, status, *kinds):
    """A service that rejects these kinds of ``response_format``, and says so."""

    def answer(request):
        kind = json.loads(request.body).get("response_format", {}).get("type")
        if kind not in kinds:
            return whole()
        error = {"code": code, "message": "response_format is not supported by this model"}
        return Reply.of_json(
            {"error": error} if code else {"detail": [{"loc": ["body", "response_format"], "msg": "x"}]}, status=status
        )

    return answer


@pytest.mark.parametrize(("code", "status"), [("invalid_argument", 400), ("no_parameter_permission", 401), (None, 422)])
@pytest.mark.parametrize(
    ("model", "kinds", "sent"),
    [
        (NATIVE, ("json_schema",), ["json_schema", "json_schema", "json_object", "json_object"]),
        (NATIVE, ("json_schema", "json_object"), ["json_schema", "json_schema", "json_object", None, None]),
        ("ernie-5.1", ("json_object",), ["json_object", None, None]),
    ],
)
def test_schema_is_asked_for_in_words_where_the_field_is_rejected(code, status, model, kinds, sent):
    with LoopbackServer(unsupported(code, status, *kinds)) as server, client_of(server, model=model) as client:
        client.ask("hi")  # says nothing about JSON
        values = [extract(question, "n int", client=client).value for question in ("One?", "Two?")]
    assert values == [{"n": 1}, {"n": 1}]
    assert [body.get("response_format", {}).get("type") for body in bodies(server)[1:]] == sent, (
        "the second question knows"
    )


def test_response_format_of_the_user_is_not_dropped():
    with (
        LoopbackServer(unsupported("invalid_argument", 400, "json_object")) as server,
        client_of(server, model="m") as client,
        pytest.raises(RequestError, match="response_format is not supported"),
    ):
        client.ask("One?", response_format="json_object")
    assert len(server.requests) == 1


def test_schema_is_not_sent_again_after_another_error():
    with (
        LoopbackServer(lambda _: refusal(400, "tokens_too_long")) as server,
        client_of(server, model=NATIVE) as client,
        pytest.raises(RequestError),
    ):
        extract("One?", "n int", client=client)
    assert len(server.requests) == 1


def test_recording_matches_whatever_envelope_was_sent(tmp_path):
    path = tmp_path / "x.qf.jsonl"
    with (
        LoopbackServer(takes("bare")) as server,
        client_of(server, model=NATIVE, tape=CassetteTape(path, "record")) as one,
    ):
        for question in ("One?", "Two?"):
            extract(question, "n int", client=one)
    tape = CassetteTape(path, "replay")
    with Qianfan(settings=Settings(), transport=NoNetwork(), tape=tape, model=NATIVE) as player:
        for question in ("One?", "Two?"):
            assert extract(question, "n int", client=player).value == {"n": 1}


def test_recording_of_an_earlier_version_matches_a_schema_request(tmp_path):
    """Version 0.1.0 had no row of this model, and asked it in words alone."""
    path = tmp_path / "x.qf.jsonl"
    with LoopbackServer(lambda _: whole()) as server, client_of(server, tape=CassetteTape(path, "record")) as one:
        extract("One?", "n int", client=one, model="a-model-without-a-row")
    written = path.read_text(encoding="utf-8")
    assert "response_format" not in written
    from qfmagic.transport.cassette import file as cassette

    (recorded,) = cassette.read(path).exchanges.values()
    body = {**recorded.body, "model": NATIVE}
    asked = replace(recorded, body=body, model=NATIVE).request
    path.unlink()
    cassette.append(path, [replace(recorded, body=body, model=NATIVE, hash=asked.hash)])
    tape = CassetteTape(path, "replay")
    with Qianfan(settings=Settings(), transport=NoNetwork(), tape=tape, model=NATIVE) as player:
        assert extract("One?", "n int", client=player).value == {"n": 1}


def test_extract_takes_a_calls_own_options_and_no_stream():
    with LoopbackServer(lambda _: whole()) as server, client_of(server, model=NATIVE) as client:
        value = extract("One?", "n int", client=client, timeout=5, retry_count=1, backoff_factor=0).value
        with pytest.raises(OptionError, match="stream"):
            extract("One?", "n int", client=client, stream=True)
    assert value == {"n": 1}
    assert len(server.requests) == 1


# ---- one call's own


def test_retry_count_of_a_call_limits_its_attempts():
    with LoopbackServer(lambda _: refusal(500, "internal_error")) as server, client_of(server) as client:
        for count in (1, 2):
            before = len(server.requests)
            with pytest.raises(UnavailableError):
                client.ask("hi", retry_count=count, backoff_factor=0, timeout=5)
            assert len(server.requests) - before == count


@pytest.mark.parametrize(
    "given", [{"timeout": 0}, {"timeout": "1"}, {"retry_count": 0}, {"retry_count": 1.5}, {"backoff_factor": -1}]
)
def test_call_options_are_checked(given):
    with pytest.raises(OptionError, match=next(iter(given))):
        CallOptions(**given).checked()


def test_ask_returns_the_stream_that_is_asked_for():
    event = {"id": "as-1", "choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}

    async def asked(client):
        stream = await client.aask("hi", stream=True)
        return "".join([delta.text async for delta in stream]), stream.answer.text, (await client.aask("hi")).text

    def answer(request):
        return Reply.of_events([event], done=True) if json.loads(request.body)["stream"] else whole("ok")

    with LoopbackServer(answer) as server, client_of(server) as client:
        with client.ask("hi", stream=True) as stream:
            assert "".join(delta.text for delta in stream) == "ok"
        assert client.ask("hi", stream=False).text == "ok"
        assert asyncio.run(asked(client)) == ("ok", "ok", "ok")
    assert [body["stream"] for body in bodies(server)] == [True, False, True, False]
