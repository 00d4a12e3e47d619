"""Requests as the pages write them, answers and errors in every shape the service has."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.answer import Answer
from qfmagic.core.errors import (
    AccessError,
    AuthenticationError,
    ContentError,
    GoneError,
    ParameterError,
    PromptError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestError,
    ServiceError,
    UnavailableError,
)
from qfmagic.core.messages import Message, TextPart
from qfmagic.core.models import registry
from qfmagic.core.usage import Usage, added, read_usage
from qfmagic.core.wire import (
    Accumulator,
    body_error,
    build_request,
    error_rows,
    feed_events,
    feed_rest,
    iam_error,
    make_error,
    read_body,
    service_error,
)
from qfmagic.core.wire.content import add_tool_calls, merge_call
from qfmagic.core.wire.sse import STRAY, Event, SSEDecoder
from qfmagic.transport.stub.examples import examples

HI = [Message("user", "hi")]


def request(model, *, endpoint=None, api=None, stream=False, messages=HI, **parameters):
    return build_request(registry().target(model, endpoint, api), messages, parameters, stream=stream)


def streamed(wire, *payloads, done=False):
    collector = Accumulator(streamed=True)
    events = [Event(payload if isinstance(payload, str) else json.dumps(payload)) for payload in payloads]
    feed_events(wire, collector, events + [Event("[DONE]")] * done)
    return collector


def v1(result="a", **more):
    return {"id": "as-1", "object": "chat.completion", "created": 1, "result": result, **more}


def v2(content="a", **more):
    return {"id": "as-1", "choices": [{"index": 0, "delta": {"content": content}, **more}]}


# ---- requests


def test_request_v1_has_documented_body():
    made = request("yi_34b_chat", temperature=0.3, stop=["END"])
    assert made.body == {
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        "temperature": 0.3,
        "stop": ["END"],
    }
    assert (made.wire, made.endpoint, made.model, made.stream) == ("v1", "yi_34b_chat", "yi_34b_chat", False)


def test_request_sends_system_as_parameter_on_v1_and_message_on_v2():
    on_v1 = request("ernie-char-fiction-8k", system="导游", max_output_tokens=100)
    on_v2 = request("ernie-char-fiction-8k", api="v2", system="导游", max_output_tokens=100, user_id="u")
    assert on_v1.body["system"] == "导游"
    assert on_v1.body["max_output_tokens"] == 100
    assert on_v2.body == {
        "model": "ernie-char-fiction-8k",
        "messages": [{"role": "system", "content": "导游"}, {"role": "user", "content": "hi"}],
        "stream": False,
        "max_completion_tokens": 100,
        "user": "u",
    }


def test_request_v2_stream_includes_usage():
    assert request("ernie-5.1", stream=True).body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in request("ernie-5.1").body


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([Message("user", "a"), Message("assistant", "b")], "number of messages: 2"),
        ([Message("assistant", "a")], "Message 1"),
        ([Message("user", "a"), Message("user", "b"), Message("user", "c")], "Message 2"),
        ([Message("user", "a"), Message("assistant", " "), Message("user", "b")], "Message 2 is empty"),
        ([Message("user", " \n")], "Empty prompt"),
        ([], "Empty prompt"),
        ([Message("system", "be brief"), Message("user", "a")], "parameter system="),
        ([Message("user", "a"), Message("tool", "b"), Message("user", "c")], "Message 2 has the role 'tool'"),
        ([Message("user", [TextPart(" ")])], "Empty prompt"),
    ],
)
def test_request_v1_rejects_invalid_messages(messages, said):
    with pytest.raises(PromptError, match=said):
        request("yi_34b_chat", messages=messages)


@pytest.mark.parametrize(
    "messages",
    [
        [Message("system", "be brief")],
        [Message("system", "be brief"), Message("user", "a")],
        [Message("user", "a"), Message("user", "b")],
        [Message("user", "a"), Message("assistant", "Once upon")],
        [Message("user", "a"), Message("assistant", ""), Message("tool", "12"), Message("user", "b")],
    ],
)
def test_request_v2_encodes_messages_of_any_order(messages):
    assert request("ernie-5.1", messages=messages).body["messages"] == [one.as_dict() for one in messages]


@pytest.mark.parametrize("messages", [[], [Message("user", "a"), Message("user", " \n")], [Message("user", "")]])
def test_request_v2_rejects_messages_without_prompt(messages):
    with pytest.raises(PromptError, match="Empty prompt"):
        request("ernie-5.1", messages=messages)


def test_request_v2_rejects_two_system_prompts():
    messages = [Message("system", "be brief"), *HI]
    assert len(request("ernie-5.1", messages=messages, system=None).body["messages"]) == 2
    with pytest.raises(PromptError, match="system="):
        request("ernie-5.1", messages=messages, system="be long")


def test_request_encodes_parts_by_api():
    messages = [Message("user", (TextPart("a"), TextPart("b")))]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert request("ernie-5.1", messages=messages).body["messages"] == [{"role": "user", "content": parts}]
    assert request("yi_34b_chat", messages=messages).body["messages"] == [{"role": "user", "content": "a\n\nb"}]


def test_request_checks_parameters_first():
    with pytest.raises(ParameterError, match="system"):
        request("yi_34b_chat", system="x")


def test_request_hash_depends_on_request_and_target_only():
    first = request("yi_34b_chat", temperature=0.3, top_p=0.5)
    assert first.hash == request("yi_34b_chat", top_p=0.5, temperature=0.3).hash
    assert len(first.hash) == 16
    others = [
        request("yi_34b_chat"),
        request("yi_34b_chat", temperature=0.3, top_p=0.5, stream=True),
        request("yi_34b_chat", endpoint="other", temperature=0.3, top_p=0.5),
    ]
    assert len({first.hash, *(other.hash for other in others)}) == 4


# ---- answers


@pytest.mark.parametrize(
    "example", examples(), ids=lambda e: f"{e.model}-{'stream' if e.events else 'body'}-{len(e.messages)}"
)
def test_documented_answers_are_decoded(example):
    if example.body:
        outcome = read_body("v1", json.dumps(example.body).encode()).outcome()
        assert outcome.usage == Usage(**example.body["usage"])
    else:
        outcome = streamed("v1", *example.events).outcome()
        last = example.events[-1]["usage"]
        assert outcome.usage.completion_tokens == last["total_tokens"] - last["prompt_tokens"]
    assert outcome.text == example.text
    assert outcome.finish_reason == "stop"
    assert outcome.extra == {}


def test_documented_streams_count_tokens():
    """RWKV and Fiction state increments, Dolly and Yi the whole in the last event."""
    counts = {
        e.model: streamed("v1", *e.events).outcome().usage.completion_tokens for e in examples() if len(e.events) > 2
    }
    assert counts == {"rwkv_4_world": 401, "ernie-char-fiction-8k": 401, "dolly_12b": 276, "yi_34b_chat": 511}


def test_usage_of_cut_stream_is_unknown():
    usage = {"prompt_tokens": 6, "completion_tokens": 0, "total_tokens": 6}
    assert streamed("v1", v1(usage=usage)).outcome().usage == Usage(6, None, None)
    assert streamed("v1", v1(usage=usage, is_end=True)).outcome(interrupted=True).usage == Usage(6, None, None)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, Usage()),
        ("x", Usage()),
        ({}, Usage()),
        ({"total_tokens": None, "prompt_tokens": 1}, Usage(1)),
        ({"prompt_tokens": True, "total_tokens": -1}, Usage()),
        ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 5}, Usage(9, 3, 5)),
    ],
)
def test_usage_with_odd_values_is_read_partly(usage, read):
    assert streamed("v1", v1(usage=usage, is_end=True)).outcome().usage == read


def test_outcome_keeps_leading_blanks_and_unknown_fields():
    outcome = streamed("v1", v1(" a", flag=0), v1("\n b", search_info={"x": 1}, is_end=True)).outcome()
    assert outcome.text == " a\n b"
    assert outcome.extra == {"flag": 0, "search_info": {"x": 1}}
    chunk = v2(" a", flag=3) | {"service_tier": "x"}
    chunk["choices"][0]["delta"]["tool_calls"] = []
    outcome = streamed("v2", chunk, done=True).outcome()
    assert outcome.text == " a"
    assert (outcome.extra, outcome.flag) == ({"service_tier": "x"}, 3)


def test_outcome_finish_reason_covers_both_apis():
    assert streamed("v1", v1(is_truncated=True, is_end=True)).outcome().finish_reason == "length"
    assert (
        streamed("v1", v1(is_truncated=True, finish_reason="normal", is_end=True)).outcome().finish_reason == "length"
    )
    assert streamed("v1", v1(finish_reason="normal", is_end=True)).outcome().finish_reason == "normal"
    assert streamed("v1", v1()).outcome().finish_reason == "incomplete"
    assert streamed("v1", v1()).outcome(interrupted=True).finish_reason == "interrupted"
    assert streamed("v2", v2(finish_reason="length"), done=True).outcome().finish_reason == "length"
    assert streamed("v2", v2(finish_reason="stop")).outcome().finish_reason == "incomplete"
    assert streamed("v2", v2(is_end=True)).outcome().finish_reason == "stop"


def test_outcome_has_safety_flags():
    outcome = streamed("v1", v1(), v1("", need_clear_history=True, ban_round=-1, is_end=True)).outcome()
    assert (outcome.need_clear_history, outcome.ban_round, outcome.text) == (True, -1, "a")
    outcome = streamed("v2", v2(need_clear_history=True, ban_round=2), done=True).outcome()
    assert (outcome.need_clear_history, outcome.ban_round) == (True, 2)


def test_outcome_separates_reasoning():
    chunk = v2("")
    chunk["choices"][0]["delta"]["reasoning_content"] = "想"
    collector = streamed("v2", chunk, v2("好"), done=True)
    assert collector.take()[:2] == ("好", "想")
    assert (collector.outcome().text, collector.outcome().reasoning) == ("好", "想")
    assert streamed("v1", v1("好", reasoning_content="想", is_end=True)).outcome().reasoning == "想"


def test_outcome_v2_usage_is_read_from_its_chunk():
    usage = {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7}
    collector = streamed("v2", v2(), v2("", finish_reason="stop"), {"choices": [], "usage": usage}, done=True)
    assert collector.outcome().usage == Usage(2, 5, 7)
    assert streamed("v2", {**v2(), "usage": None}, done=True).outcome().usage == Usage()


def test_read_body_decodes_v2():
    body = {
        "id": "as-1",
        "created": 5,
        "object": "chat.completion",
        "model": "m",
        "usage": {"total_tokens": 3},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": " x"}, "finish_reason": "stop"}],
    }
    outcome = read_body("v2", json.dumps(body).encode()).outcome()
    assert (outcome.text, outcome.id, outcome.created, outcome.finish_reason) == (" x", "as-1", 5, "stop")
    for odd in (
        '{"choices":[]}',
        '{"choices":[{"finish_reason":"stop"}]}',
        '{"choices":[{"message":null}]}',
        '{"choices":[null]}',
    ):
        with pytest.raises(ProtocolError, match="Unknown JSON structure"):
            read_body("v2", odd.encode())
    for odd in (
        {"choices": "x"},
        {"choices": ["x"]},
        {"choices": [{"delta": "x"}]},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": {"content": [5]}}]},
    ):
        with pytest.raises(ProtocolError, match="Unknown JSON structure"):
            streamed("v2", odd)
    with pytest.raises(ProtocolError, match="Unknown JSON structure"):
        streamed("v1", v1(reasoning_content=5))
    with pytest.raises(ProtocolError, match="Unknown JSON structure"):
        streamed("v1", v1(5))


def test_outcome_ignores_message_that_repeats_deltas():
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}]}
    pieces = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in "ab"]
    assert streamed("v2", *pieces, whole, done=True).outcome().text == "ab"
    assert streamed("v2", whole, done=True).outcome().text == "ab"


@pytest.mark.parametrize(("flags", "flag"), [((0, 1, 0), 1), ((2, "3", 1), 3), ((0, 0, "x"), 0)])
def test_outcome_keeps_gravest_flag_of_events(flags, flag):
    pieces = [{"choices": [{"index": 0, "delta": {"content": "a"}, "flag": each}]} for each in flags]
    assert streamed("v2", *pieces, done=True).outcome().flag == flag


def test_outcome_ignores_text_after_end_mark():
    assert streamed("v1", v1("a", is_end=True), v1("b")).outcome().text == "a"


@pytest.mark.parametrize(
    ("wire", "end"), [("v1", json.dumps(v1("b", is_end=True))), ("v2", "[DONE]"), ("v2", " [DONE] ")]
)
@pytest.mark.parametrize("after", ["zzz", '{"error_code":1}', json.dumps(v1("c")), json.dumps(v2("c"))])
def test_outcome_ignores_end_in_any_chunks(wire, end, after):
    text = json.dumps(v1("a") if wire == "v1" else v2("a"))
    together, apart = Accumulator(streamed=True), Accumulator(streamed=True)
    feed_events(wire, together, [Event(text), Event(end), Event(after)])
    for data in (text, end, after):
        feed_events(wire, apart, [Event(data)])
    assert together.outcome() == apart.outcome()
    assert together.outcome().finish_reason == "stop"


def test_surrogate_halves_are_joined_or_replaced():
    collector = Accumulator(streamed=True)
    feed_events("v1", collector, [Event('{"id":"x","result":"a\\ud83d"}')])
    assert collector.take().text == "a"
    feed_events("v1", collector, [Event('{"result":"\\ude00b"}'), Event('{"result":"\\ud83d","is_end":true}')])
    assert collector.take().text == "😀b\ufffd"
    assert collector.outcome().text == "a😀b\ufffd"


def test_feed_events_raises_error_of_any_event_type():
    for kind in ("error", "result", "pluginMeta"):
        with pytest.raises(UnavailableError):
            feed_events("v1", Accumulator(streamed=True), [Event('{"error_code":336100,"error_msg":"busy"}', kind)])


def test_feed_events_ignores_error_code_zero_with_result():
    assert streamed("v1", v1("a", error_code=0, is_end=True)).outcome().text == "a"
    with pytest.raises(ServiceError):
        streamed("v1", {"error_code": 0, "error_msg": "?"})


def test_read_body_skips_bom():
    assert read_body("v1", b"\xef\xbb\xbf" + json.dumps(v1()).encode()).outcome().text == "a"


def test_error_detail_has_no_control_characters():
    assert make_error("v1", 1, "a\x1b]0;owned\x07\nb.").detail == "a ]0;owned b"


def test_outcome_broken_is_incomplete():
    outcome = streamed("v1", v1("a", is_end=True)).outcome(broken=True)
    assert outcome.finish_reason == "incomplete"


def test_take_returns_each_text_once():
    collector = streamed("v1", v1("a"), v1("b"))
    assert collector.take().text == "ab"
    assert collector.take() is None


def test_outcome_keeps_plugin_events():
    collector = Accumulator(streamed=True)
    feed_events("v1", collector, [Event('{"plugins":[]}', "pluginMeta"), Event(json.dumps(v1(is_end=True)), "chat")])
    outcome = collector.outcome()
    assert outcome.text == "a"
    assert outcome.extra == {"events": [{"event": "pluginMeta", "data": {"plugins": []}}]}


def test_stream_without_blank_lines_is_decoded():
    lines = "\n".join(json.dumps(payload) for payload in (v1("a"), v1("b", is_end=True)))
    assert streamed("v1", lines).outcome().text == "ab"


def test_stream_of_one_body_is_decoded():
    collector = Accumulator(streamed=True)
    feed_events("v1", collector, [Event(json.dumps(v1("ab")), STRAY, sse=False)])
    assert (collector.outcome().text, collector.outcome().finish_reason) == ("ab", "stop")


@given(st.data())
def test_stream_outcome_is_independent_of_chunks(data):
    example = data.draw(st.sampled_from([e for e in examples() if e.events]))
    stream = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in example.events).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder, collector = SSEDecoder(), Accumulator(streamed=True)
    for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        feed_events("v1", collector, decoder.feed(stream[a:b]))
    feed_rest("v1", collector, decoder.close())
    assert collector.outcome().text == example.text
    assert collector.ended


@given(st.integers(0, 4000))
def test_stream_cut_anywhere_is_incomplete(cut):
    example = next(e for e in examples() if e.model == "yi_34b_chat" and e.events)
    stream = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in example.events).encode()
    decoder, collector = SSEDecoder(), Accumulator(streamed=True)
    feed_events("v1", collector, decoder.feed(stream[:cut]))
    try:
        feed_rest("v1", collector, decoder.close())
    except ProtocolError:
        assert not collector.pieces
    outcome = collector.outcome()
    assert example.text.startswith(outcome.text)
    assert (outcome.finish_reason == "stop") == (outcome.text == example.text)


def test_feed_rest_rejects_torn_json_after_stray_text():
    collector = streamed("v1", v1())
    with pytest.raises(ProtocolError):
        feed_rest("v1", collector, [Event("<html>", STRAY, sse=False)])
    feed_rest("v1", collector, [Event('{"resu')])
    feed_rest("v1", collector, [])
    with pytest.raises(ProtocolError):
        feed_rest("v1", Accumulator(streamed=True), [Event('{"resu')])


# ---- errors


@pytest.mark.parametrize(
    ("wire", "payload", "kind", "code"),
    [
        ("v1", {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, AuthenticationError, 110),
        ("v1", {"error_code": "18", "error_msg": "qps", "id": "as-1"}, RateLimitError, 18),
        ("v1", {"code": 336501, "msg": "rpm"}, RateLimitError, 336501),
        ("v1", {"code": "InternalError", "message": "x", "requestId": "r"}, ServiceError, "InternalError"),
        ("v1", {"error_code": 336003, "error_msg": "the max length of current question is 2000"}, RequestError, 336003),
        ("v1", {"error_code": 3, "error_msg": "Unsupported openapi method"}, GoneError, 3),
        ("v1", {"error_code": 17, "error_msg": "daily"}, QuotaError, 17),
        ("v1", {"error_code": 6, "error_msg": "no permission"}, AccessError, 6),
        ("v1", {"error_code": 336100, "error_msg": "high load"}, UnavailableError, 336100),
        ("v1", {"error_code": 999, "error_msg": "?"}, ServiceError, 999),
        ("v1", {"error_code": None, "error_msg": "?"}, ServiceError, None),
        ("v1", {"error_code": 18, "error_msg": "x", "result": "looks fine"}, RateLimitError, 18),
        (
            "v2",
            {"error": {"code": "rpm_rate_limit_exceeded", "message": "x", "type": "t"}},
            RateLimitError,
            "rpm_rate_limit_exceeded",
        ),
        (
            "v2",
            {"error": {"code": "invalid_iam_token", "message": "x"}, "id": "as-1"},
            AuthenticationError,
            "invalid_iam_token",
        ),
        ("v2", {"error": {"message": "x", "code": None}}, ServiceError, None),
        ("v2", {"error": {"message": "x"}}, ServiceError, None),
        ("v2", {"error": {"code": "brand_new", "message": "x"}, "choices": []}, ServiceError, "brand_new"),
        (
            "token",
            {"error": "invalid_client", "error_description": "unknown client id"},
            AuthenticationError,
            "invalid_client",
        ),
    ],
)
def test_service_error_recognizes_every_shape(wire, payload, kind, code):
    error = service_error(wire, payload)
    assert type(error) is kind
    assert error.code == code
    if wire != "token":
        with pytest.raises(kind):
            streamed(wire, payload)
        with pytest.raises(kind):
            read_body(wire, json.dumps(payload).encode())


@pytest.mark.parametrize(
    ("wire", "payload"),
    [
        ("v1", {}),
        ("v1", {"result": None}),
        ("v1", {"id": "as-1", "usage": {"total_tokens": 1}}),
        ("v2", {}),
        ("v2", {"choices": None}),
        ("v2", {"choices": []}),
        ("v2", {"id": "x"}),
    ],
)
def test_service_error_accepts_results_only(wire, payload):
    assert service_error("v1", v1()) is None
    with pytest.raises(ProtocolError):
        read_body(wire, json.dumps(payload).encode())
    collector = streamed(wire, payload)
    try:
        feed_rest(wire, collector, [])
    except ProtocolError:
        assert collector.skipped
    assert not collector.answered


@pytest.mark.parametrize("body", [b"", b"<html>502 Bad Gateway</html>", b"[1]", b"null", b"\xff", b'"x"', b"x" * 500])
def test_read_body_rejects_other_content(body):
    with pytest.raises(ProtocolError):
        read_body("v1", body)
    decoder, collector = SSEDecoder(), Accumulator(streamed=True)
    try:
        feed_events("v1", collector, decoder.feed(b"data: " + body + b"\n\n"))
        feed_rest("v1", collector, decoder.close())
    except ProtocolError:
        pass
    assert not collector.answered


def test_stream_error_keeps_earlier_text():
    collector = Accumulator(streamed=True)
    events = [Event(json.dumps(v1("a"))), Event('{"error_code":336100,"error_msg":"busy"}')]
    with pytest.raises(UnavailableError):
        feed_events("v1", collector, events)
    assert collector.take().text == "a"


@pytest.mark.parametrize(
    ("wire", "code", "status", "kind"),
    [
        ("v1", None, 404, GoneError),
        ("v1", None, 410, GoneError),
        ("v2", None, 404, AccessError),
        ("v2", "odd", 429, RateLimitError),
        ("v2", None, 503, UnavailableError),
        ("v2", None, 418, ServiceError),
        ("v2", ["odd"], 401, AuthenticationError),
    ],
)
def test_unknown_code_is_classified_by_status(wire, code, status, kind):
    assert type(make_error(wire, code, "x", status=status)) is kind


def test_token_is_renewed_for_documented_codes_only():
    renewed = {
        (wire, code) for wire, rows in error_rows().items() for code, row in rows.items() if row.get("retry") == "token"
    }
    assert renewed == {("v1", "13"), ("v1", "100"), ("v1", "110"), ("v1", "111"), ("v2", "invalid_iam_token")}
    assert make_error("v1", 110, "").retry == "token"
    assert make_error("v1", 14, "").retry is None
    assert make_error("v2", None, "").retry is None


@pytest.mark.parametrize(
    ("code", "detail", "status", "kind", "cause"),
    [
        ("NotFound", "NotFound, cause: Could not find credential.", 401, AuthenticationError, "wrong_access_key"),
        ("SignatureDoesNotMatch", "Signature does not match", 403, AuthenticationError, "wrong_secret_key"),
        ("RequestExpired", "Request has expired", 400, AuthenticationError, "signature_expired"),
        ("AccessDenied", "Access denied.", 403, AccessError, "permission"),
        ("AccountDisabled", "the account is disabled", 403, AccessError, "disabled"),
        ("AccountOverdue", "", 403, QuotaError, "overdue"),
        ("Mystery", "?", 401, AuthenticationError, "iam"),
        (None, "?", 503, UnavailableError, "unavailable"),
        ("ServiceInternalError", "?", 500, UnavailableError, "fault"),
    ],
)
def test_iam_error_classifies_gateway_answers(code, detail, status, kind, cause):
    error = iam_error(code, detail, status=status, request_id="r")
    assert (type(error), error.cause, error.request_id) == (kind, f"cause.{cause}", "r")


def test_error_words_apply_to_key_errors_only():
    assert make_error("v2", "invalid_iam_token", "this key is disabled").cause == "cause.disabled"
    assert make_error("v2", "invalid_argument", "this option is disabled").cause == "cause.argument"
    assert make_error("v1", 14, "IAM Certification failed: Signature does not match").cause == "cause.wrong_secret_key"
    assert service_error("v1", {"error_code": 1, "error_msg": "x", "id": {}}).request_id is None


@pytest.mark.parametrize(
    ("wire", "code", "kind", "cause", "retry"),
    [
        ("v2", "token_plan_team_api_key_required", AuthenticationError, "plan_key_required", None),
        ("v2", "coding_plan_api_key_not_allowed", AuthenticationError, "plan_key_elsewhere", None),
        ("v2", "token_plan_person_not_subscribed", QuotaError, "not_subscribed", None),
        ("v2", "token_plan_team_subscription_expired", QuotaError, "subscription", None),
        ("v2", "token_plan_person_model_not_supported", AccessError, "plan_model", None),
        ("v2", "coding_plan_hour_quota_exceeded", QuotaError, "hour_quota", None),
        ("v2", "coding_plan_month_quota_exceeded", QuotaError, "plan_quota", None),
        ("v2", "token_plan_team_rate_limit_exceeded", RateLimitError, "qps", "backoff"),
        ("v2", "token_plan_team_tpm_rate_limit_exceeded", RateLimitError, "tpm", "minute"),
        ("v2", "new_internal_error", UnavailableError, "fault", "backoff"),
        ("v2", "tools_unsafe", ContentError, "content", None),
        ("v2", "AccessDenied", AccessError, "permission", None),
        ("v2", 216003, AuthenticationError, "keys", None),
        ("v1", 336006, RequestError, "messages", None),
    ],
)
def test_codes_have_their_class_by_name_or_by_end(wire, code, kind, cause, retry):
    error = make_error(wire, code, "x", status=403)
    assert (type(error), error.cause, error.retry) == (kind, f"cause.{cause}", retry)


@pytest.mark.parametrize(
    ("status", "body", "kind", "cause", "said"),
    [
        (413, b"<h1>Too large</h1>", RequestError, "too_long", "<h1>Too large</h1>"),
        (402, b"", QuotaError, "overdue", ""),
        (
            422,
            b'{"detail":[{"loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}',
            RequestError,
            "stream_options",
            "body.stream_options: Extra inputs are not permitted",
        ),
        (422, b'{"detail":"temperature too high"}', RequestError, "argument", "temperature too high"),
        (400, b'{"error":{"errors":[{"param":"n","message":"x"}]}}', RequestError, "argument", "n: x"),
        (400, b'{"message":"maximum context length is 8"}', RequestError, "too_long", "maximum context length is 8"),
        (530, b"[[[[[[1]]]]]]", UnavailableError, "fault", "[[[[[[1]]]]]]"),
        (521, b'{"x": 1}', UnavailableError, "gateway", '{"x": 1}'),
    ],
)
def test_bodies_without_an_error_of_the_service_are_told_by_their_status(status, body, kind, cause, said):
    error = body_error("v2", body, status=status)
    assert (type(error), error.cause, error.detail) == (kind, f"cause.{cause}", said)


def test_code_that_repeats_a_status_is_read_as_the_status():
    assert type(make_error("v2", 502, "x")) is UnavailableError
    assert type(make_error("v2", 502, "x", status=400)) is RequestError


def test_error_event_is_an_error_whatever_its_data():
    for data in ('{"message":"busy"}', "busy"):
        with pytest.raises(ServiceError, match="busy"):
            feed_events("v2", Accumulator(streamed=True), [Event(data, "error")])


def test_events_of_an_unknown_type_are_skipped():
    collector = Accumulator(streamed=True)
    feed_events("v2", collector, [Event("12%", "progress"), Event("3", "progress"), Event(json.dumps(v2()))])
    assert collector.outcome().text == "a"
    with pytest.raises(ProtocolError):
        feed_events("v2", collector, [Event('{"torn', "progress")])


def test_body_of_events_is_read_as_a_stream():
    body = f"data: {json.dumps(v2())}\n\ndata: [DONE]\n\n".encode()
    assert read_body("v2", body).outcome().text == "a"
    with pytest.raises(ProtocolError, match="without a response"):
        read_body("v2", b": comment\n\n")


def test_function_call_fragments_are_joined():
    chunks = [v2("") for _ in range(2)]
    chunks[0]["choices"][0]["delta"]["function_call"] = {"name": "rain", "arguments": "{"}
    chunks[1]["choices"][0]["delta"]["function_call"] = {"arguments": "}"}
    assert streamed("v2", *chunks, done=True).outcome().extra == {"function_call": {"name": "rain", "arguments": "{}"}}


def test_odd_fragments_of_tool_calls_do_no_harm():
    calls = []
    add_tool_calls(calls, [7, {"function": {"arguments": "{}"}}, {"id": "c", "function": "odd"}])
    add_tool_calls(calls, [{"id": "d", "function": {"name": "sun"}}])
    add_tool_calls(calls, "odd")
    assert calls == [{"function": {"arguments": "{}"}, "id": "c"}, {"id": "d", "function": {"name": "sun"}}]
    call = {"function": "odd"}
    merge_call(call, {"function": {"name": "sun"}})
    assert call == {"function": "odd"}


def test_odd_values_beside_the_text_are_left_out():
    chunk = v2(ban_round="2", flag=True) | {"created": "now", "model": 7}
    outcome = streamed("v2", chunk, done=True).outcome()
    assert (outcome.created, outcome.served_model, outcome.flag, outcome.ban_round) == (None, "", 0, None)
    assert Answer("", extra={"tool_calls": 7, "search_results": [{"url": 7}, 3]}).tool_calls == ()
    assert Answer("", extra={"search_results": [{"url": 7}, 3], "search_info": 3}).sources == ()
    assert Answer("").raw is None


def test_service_error_is_escaped_and_bounded():
    error = make_error("v2", "\x1b[31m", "x" * 5000, request_id="\x07id")
    assert (error.code, error.request_id) == ("[31m", "id")
    assert len(error.message("en")) < 1200


@pytest.mark.parametrize("wire", ["v1", "v2"])
def test_json_nested_too_deep_is_rejected(wire):
    deep = "[" * 100_000
    with pytest.raises(ProtocolError):
        read_body(wire, deep.encode())
    with pytest.raises(ProtocolError):
        feed_events(wire, Accumulator(streamed=True), SSEDecoder().feed(f"data: {deep}\n\n".encode()))


def test_parts_of_reasoning_and_text_may_come_alone():
    parts = [{"type": "thinking", "thinking": "hm"}]
    outcome = streamed("v2", v2(parts), v2([]), v2([{"type": "text", "text": "a"}]), done=True).outcome()
    assert (outcome.text, outcome.reasoning) == ("a", "hm")


@pytest.mark.parametrize(
    ("count", "tokens"), [(9, 9), ("9", 9), (9.0, 9), (9.5, None), ("x", None), ("９", None), (True, None), (-1, None)]
)
def test_usage_reads_counts_as_numbers_and_texts(count, tokens):
    assert read_usage({"prompt_tokens": count}).prompt_tokens == tokens
    assert read_usage({"input_tokens": count}).prompt_tokens == tokens


def test_outcome_collects_annotations_of_all_events():
    events = [{"choices": [{"index": 0, "delta": {"content": "a", "annotations": [n]}}]} for n in (1, 2, 2)]
    assert streamed("v2", *events, done=True).outcome().extra["annotations"] == [1, 2]


def test_usages_are_added_up_as_far_as_they_are_known():
    first, second = Usage(1, 2, 3, cached_tokens=1), Usage(10, 20, 30, cached_tokens=4, search_tokens=5)
    assert added([first, second]) == Usage(11, 22, 33, cached_tokens=5)
    assert read_usage({"prompt_tokens": 9, "cached_tokens": 2, "prompt_tokens_details": 3}).cached_tokens == 2
