"""
A stand-in for the service that checks requests as documented, on both APIs and both token endpoints.

It answers the prompts of the four documented pages with the documented answers, and anything else by a rule that shows
the model, the number of the turn and the length of the question, or, where JSON is asked for, with JSON that fits. Its
error codes are the documented ones. On V2 it answers under every name a model can have, and refuses retired models.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ...core.answer import STUB_SERVER
from ...core.context import measure
from ...core.models import Model, ModelLimits, registry
from ...core.wire.signing import bce_date
from .catalogue import listed, refusal
from .checks import (
    Refused,
    check_signature,
    check_values,
    contents_of,
    contents_of_v2,
    json_object,
    refuse,
    role_of,
    signed_at,
    size_of,
    v1,
    v2,
)
from .chunking import cut
from .examples import Example, find_example
from .fake_json import made_up
from .reply import Incoming, Reply

V1_PREFIX = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
V2_PATH = "/v2/chat/completions"
MODELS_PATH = "/v2/models"
SERVICES_PATH = "/wenxinworkshop/service/list"
TOKEN_PATH = "/oauth/2.0/token"  # noqa: S105 - an address
BEARER_PATH = "/v1/BCE-BEARER/token"
# As in the pages' answers, and the limits' headers of V2: limits nobody gets near, as the stub has none.
CHAT_HEADERS = {"statement": "AI-generated"}
LIMITS = {"requests": 10**9, "input-tokens": 10**12, "output-tokens": 10**12}
RATE_HEADERS = {
    f"x-ratelimit-{kind}-{of}": str(limit) for of, limit in LIMITS.items() for kind in ("limit", "remaining")
}
PIECE = 12  # characters an event carries, where no page says


class StubKeys(NamedTuple):
    """The keys the stub accepts. They open nothing else."""

    ak: str = "stub-ak"
    sk: str = "stub-sk"
    access_key: str = "stub-access-key"
    secret_key: str = "stub-secret-key"  # noqa: S105
    bearer_token: str = "bce-v3/ALTAK-stub/0000000000000000"  # noqa: S105
    access_token: str = "24.stub.2592000.1.0"  # noqa: S105


class _ChatCall(NamedTuple):
    """A chat request that passed the checks."""

    title: str
    examples_of: Sequence[str]
    contents: list[str]
    body: Mapping[str, Any]


class StubService:
    """
    The stand-in, as a function from a request to a reply.

    Args:
        keys: What it accepts.
        clock: Seconds since 1970, for ``created``.
        kept: Retired models that are still served, as by a private gateway.
    """

    def __init__(
        self,
        keys: StubKeys | None = None,
        clock: Callable[[], float] | None = None,
        *,
        kept: Collection[str] = (),
    ) -> None:
        self.keys = keys or StubKeys()
        self._clock = clock or (lambda: 1700000000.0)
        self._kept = kept

    def __call__(self, request: Incoming) -> Reply:
        """Answer a request."""
        try:
            reply = self._routed(request)
        except Refused as refused:
            reply = refused.reply
        return Reply(reply.chunks, reply.status, {**reply.headers, "server": STUB_SERVER})

    def _routed(self, request: Incoming) -> Reply:
        if request.path == TOKEN_PATH:
            return self._oauth(request)
        if request.path == BEARER_PATH:
            return self._bearer(request)
        if request.path == V2_PATH:
            return self._chat_v2(request)
        if request.path.startswith(V1_PREFIX):
            return self._chat_v1(request, request.path.removeprefix(V1_PREFIX))
        if request.path == MODELS_PATH:
            return self._models(request)
        if request.path == SERVICES_PATH:
            return self._services(request)
        if request.path.startswith("/v2/"):
            return v2(404, "not_found", f"nothing is served at {request.path[:200]}")
        # V1's own error comes with HTTP 200; what is no place of the service's at all is plainly not found.
        return v1(3, "Unsupported openapi method", status=200 if request.path.startswith("/rpc/") else 404)

    # ---- what there is

    def _models(self, request: Incoming) -> Reply:
        self._check_bearer(request, "GET")
        served = [model for model in registry().models.values() if refusal(model, self._kept) is None]
        rows = [listed(model, int(self._clock())) for model in served]
        return Reply.of_json({"object": "list", "data": rows})

    def _services(self, request: Incoming) -> Reply:
        """The services of V1, which the official SDK asks for when it signs."""
        self._check_signature(request)
        apis = [(model.title, model.apis["v1"].endpoint) for model in registry().models.values() if "v1" in model.apis]
        common = [
            {"name": title, "url": V1_PREFIX + endpoint, "apiType": "chat"} for title, endpoint in apis if endpoint
        ]
        return Reply.of_json({"log_id": "stub", "result": {"common": common, "custom": []}})

    # ---- tokens

    def _oauth(self, request: Incoming) -> Reply:
        query = request.query
        if query.get("client_id") != self.keys.ak:
            error = {"error": "invalid_client", "error_description": "unknown client id"}
            return Reply.of_json(error, status=401)
        if query.get("client_secret") != self.keys.sk:
            error = {"error": "invalid_client", "error_description": "Client authentication failed"}
            return Reply.of_json(error, status=401)
        return Reply.of_json({"access_token": self.keys.access_token, "expires_in": 2592000})

    def _bearer(self, request: Incoming) -> Reply:
        self._check_signature(request)
        seconds = request.query.get("expireInSeconds", "1800")
        if not (seconds.isascii() and seconds.isdigit() and 300 <= int(seconds[:9]) <= 2592000):
            refuse(Reply.of_json({"code": "BadRequest", "message": "expireInSeconds: 300 to 2592000"}, status=400))
        at = signed_at(request)  # the client's own clock: it's the client that compares
        times = {"createTime": bce_date(at), "expireTime": bce_date(at + int(seconds))}
        return Reply.of_json({"userId": "stub", "token": self.keys.bearer_token, "status": "enable", **times})

    def _check_signature(self, request: Incoming) -> None:
        check_signature(request, self.keys.access_key, self.keys.secret_key)

    # ---- V1

    def _chat_v1(self, request: Incoming, endpoint: str) -> Reply:
        if request.method != "POST":
            refuse(v1(336101, "invalid HTTP method"))
        if "access_token" in request.query:
            if request.query["access_token"] != self.keys.access_token:
                refuse(v1(110, "Access token invalid or no longer valid"))
        else:
            self._check_signature(request)
        body = json_object(request.body)
        if body is None:
            refuse(v1(336002, "Invalid JSON Argument"))
        model = next(
            (m for m in registry().models.values() if "v1" in m.apis and m.apis["v1"].endpoint == endpoint), None
        )
        asked = self._checked_v1(model, endpoint, body)
        return _with_headers(self._answer_v1(asked), CHAT_HEADERS)

    def _checked_v1(self, model: Model | None, endpoint: str, body: Mapping[str, Any]) -> _ChatCall:
        own = [m for m in registry().models.values() if "v1" in m.apis and m.apis["v1"].endpoint is None]
        named = [m for m in own if m.name.split("_")[0] in endpoint.lower()]
        served = [model] if model else named
        contents = contents_of(body.get("messages"))
        if isinstance(contents, str):
            refuse(v1(336003, contents))
        # Of a self-deployed service the stub can't tell which model it runs, unless its name says so.
        rules = served[0].apis["v1"].parameters if served else registry().target(None, endpoint).parameters
        limits = served[0].limits if served else ModelLimits()
        check_values(rules, body, lambda text: v1(336003, text))
        system = body.get("system", "")
        size = size_of([*contents, system] if limits.system_counts else contents)
        if limits.max_chars is not None and size[0] > limits.max_chars:
            refuse(v1(336003, f"the max length of current question is {limits.max_chars}"))
        if limits.max_tokens is not None and size[1] > limits.max_tokens:
            refuse(v1(336103, "Prompt tokens too long"))
        return _ChatCall(model.title if model else endpoint, [m.name for m in served or own], contents, body)

    def _answer_v1(self, asked: _ChatCall) -> Reply:
        stream = bool(asked.body.get("stream"))
        example = find_example(asked.examples_of, asked.contents, stream=stream)
        text, usage, whole = self._text(asked, example)
        if example and whole and stream and example.events:
            return Reply.of_events(example.events)
        if example and whole and not stream and example.body:
            return Reply.of_json(example.body)
        common = {"id": _id("as-", asked), "object": "chat.completion", "created": int(self._clock())}
        tail = {"is_truncated": not whole, "need_clear_history": False}
        if not stream:
            return Reply.of_json({**common, "result": text, **tail, "usage": usage})
        pieces = _pieces(text)
        before = {**usage, "completion_tokens": 0, "total_tokens": usage["prompt_tokens"]}
        return Reply.of_events(
            {
                **common,
                "sentence_id": number,
                "is_end": number == len(pieces) - 1,
                "result": piece,
                **tail,
                "usage": usage if number == len(pieces) - 1 else before,
            }
            for number, piece in enumerate(pieces)
        )

    # ---- V2

    def _chat_v2(self, request: Incoming) -> Reply:
        self._check_bearer(request, "POST")
        body = json_object(request.body)
        if body is None:
            refuse(v2(400, "malformed_json", "malformed json"))
        name = body.get("model")
        if not isinstance(name, str) or not name:
            refuse(v2(400, "invalid_model", "model is empty"))
        model = registry().find(name) or registry().generic(name)
        if (text := refusal(model, self._kept)) is not None:
            refuse(v2(401, "invalid_model", text))
        return _with_headers(self._answer_v2(self._checked_v2(model, body)), {**CHAT_HEADERS, **RATE_HEADERS})

    def _check_bearer(self, request: Incoming, method: str) -> None:
        if request.method != method:
            refuse(v2(405, "method_not_supported", "method not supported"))
        if request.headers.get("authorization") != f"Bearer {self.keys.bearer_token}":
            refuse(v2(401, "invalid_iam_token", "IAM Certification failed"))

    def _checked_v2(self, model: Model, body: Mapping[str, Any]) -> _ChatCall:
        messages = body.get("messages")
        if isinstance(messages, list) and messages and role_of(messages[0]) == "system":
            messages = messages[1:]
        contents = contents_of_v2(messages)
        if isinstance(contents, str):
            refuse(v2(400, "invalid_messages", contents))
        check_values(model.apis["v2"].parameters, body, lambda text: v2(400, "invalid_argument", text))
        return _ChatCall(model.title, [model.name], contents, body)

    def _answer_v2(self, asked: _ChatCall) -> Reply:
        stream = bool(asked.body.get("stream"))
        example = find_example(asked.examples_of, asked.contents, stream=stream)
        text, usage, complete = self._text(asked, example)
        common = {"id": _id("as-", asked), "created": int(self._clock()), "model": asked.body["model"]}
        whole = {"index": 0, "finish_reason": "stop" if complete else "length", "flag": 0}
        if not stream:
            message = {"role": "assistant", "content": text}
            choices = [{**whole, "message": message}]
            return Reply.of_json({**common, "object": "chat.completion", "choices": choices, "usage": usage})
        common["object"] = "chat.completion.chunk"
        shown = example.events if example and complete else ()
        pieces = [str(event["result"]) for event in shown] or _pieces(text)
        events: list[dict[str, Any]] = [
            {**common, "choices": [{"index": 0, "delta": {"content": piece}, "flag": 0}]} for piece in pieces
        ]
        events[0]["choices"][0]["delta"] = {"role": "assistant", **events[0]["choices"][0]["delta"]}
        events.append({**common, "choices": [{**whole, "delta": {"content": ""}}]})
        options = asked.body.get("stream_options")
        if isinstance(options, Mapping) and options.get("include_usage"):
            events.append({**common, "choices": [], "usage": usage})
        return Reply.of_events(events, done=True)

    # ---- both

    def _text(self, asked: _ChatCall, example: Example | None) -> tuple[str, dict[str, int], bool]:
        """The answer, what it counts for, and whether it is whole: a limit of output tokens may cut it."""
        rule = _by_rule(asked.title, asked.contents)
        everything = example.text if example else made_up(asked.body, asked.contents, rule) or rule
        text = cut(everything, asked.body)
        if example and text == everything:
            return text, example.usage, True
        prompt, completion = sum(measure(c).tokens for c in asked.contents), measure(text).tokens
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return text, usage, text == everything


def _with_headers(reply: Reply, headers: Mapping[str, str]) -> Reply:
    return reply._replace(headers={**reply.headers, **headers})


def _by_rule(title: str, contents: Sequence[str]) -> str:
    question = contents[-1]
    turn = len(contents) // 2 + 1
    shown = " ".join(question.split())
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    if any("\u4e00" <= character <= "\u9fff" for character in question):
        return f"（替身回答）**{title}**，第 {turn} 轮，问题共 {len(question)} 个字符：{shown}"
    return f"(stub) **{title}**, turn {turn}, a question of {len(question)} characters: {shown}"


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _id(prefix: str, asked: _ChatCall) -> str:
    text = json.dumps([asked.title, asked.body], ensure_ascii=False, sort_keys=True)
    return f"{prefix}stub{hashlib.sha256(text.encode()).hexdigest()[:8]}"
