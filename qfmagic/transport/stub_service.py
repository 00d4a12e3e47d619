"""
A stand-in for the service that checks requests as documented, on both APIs and both token endpoints.

It answers the prompts of the four documented pages with the documented answers, and anything else by a rule that shows
the model, the number of the turn and the length of the question. Its error codes are the documented ones.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ..core.context import measure
from ..core.models import Limits, Model, registry
from ..core.params import Parameter
from ..core.signing import DATE_HEADER, sign
from .cutting import cut
from .examples import Example, find_example
from .reply import Incoming, Reply

V1_PREFIX = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
V2_PATH = "/v2/chat/completions"
TOKEN_PATH = "/oauth/2.0/token"  # noqa: S105 - an address
BEARER_PATH = "/v1/BCE-BEARER/token"
SERVER = "qfmagic-stub"  # its answers say so on their face, whatever carries them
PIECE = 12  # characters an event carries, where no page says


class StubKeys(NamedTuple):
    """The keys the stub accepts. They open nothing else."""

    ak: str = "stub-ak"
    sk: str = "stub-sk"
    access_key: str = "stub-access-key"
    secret_key: str = "stub-secret-key"  # noqa: S105
    bearer_token: str = "bce-v3/ALTAK-stub/0000000000000000"  # noqa: S105
    access_token: str = "24.stub.2592000.1.0"  # noqa: S105


class _Refused(Exception):
    def __init__(self, reply: Reply) -> None:
        self.reply = reply


class _Asked(NamedTuple):
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
        clock: Seconds since 1970, for token times and ``created``.
    """

    def __init__(self, keys: StubKeys | None = None, clock: Callable[[], float] | None = None) -> None:
        self.keys = keys or StubKeys()
        self._clock = clock or (lambda: 1700000000.0)

    def __call__(self, request: Incoming) -> Reply:
        """Answer a request."""
        try:
            reply = self._routed(request)
        except _Refused as refused:
            reply = refused.reply
        return Reply(reply.chunks, reply.status, {**reply.headers, "server": SERVER})

    def _routed(self, request: Incoming) -> Reply:
        if request.path == TOKEN_PATH:
            return self._oauth(request)
        if request.path == BEARER_PATH:
            return self._bearer(request)
        if request.path == V2_PATH:
            return self._chat_v2(request)
        if request.path.startswith(V1_PREFIX):
            return self._chat_v1(request, request.path.removeprefix(V1_PREFIX))
        return Reply.of_json({"error_code": 3, "error_msg": "Unsupported openapi method"})

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
        created = int(self._clock())
        expires = created + int(request.query.get("expireInSeconds", 1800))
        times = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (created, expires)]
        return Reply.of_json(
            {
                "userId": "stub",
                "token": self.keys.bearer_token,
                "status": "enable",
                "createTime": times[0],
                "expireTime": times[1],
            }
        )

    def _check_signature(self, request: Incoming) -> None:
        given = request.headers.get("authorization", "")
        parts = given.split("/")
        if len(parts) != 6 or parts[1] != self.keys.access_key:
            raise _Refused(_gateway("NotFound", "NotFound, cause: Could not find credential."))
        names = [name for name in parts[4].split(";") if name]
        expected = sign(
            access_key=self.keys.access_key,
            secret_key=self.keys.secret_key,
            method=request.method,
            path=request.path,
            query=request.query,
            headers={name: request.headers.get(name, "") for name in names},
            at=_time(request.headers.get(DATE_HEADER, "")),
            expires=int(parts[3]),
        )
        if given != expected:
            text = "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match"
            raise _Refused(_gateway("SignatureDoesNotMatch", text))

    # ---- V1

    def _chat_v1(self, request: Incoming, endpoint: str) -> Reply:
        if request.method != "POST":
            raise _Refused(_v1(336101, "invalid HTTP method"))
        if "access_token" in request.query:
            if request.query["access_token"] != self.keys.access_token:
                raise _Refused(_v1(110, "Access token invalid or no longer valid"))
        else:
            self._check_signature(request)
        body = _object(request.body) or _refuse(_v1(336002, "Invalid JSON Argument"))
        model = next(
            (m for m in registry().models.values() if "v1" in m.apis and m.apis["v1"].endpoint == endpoint), None
        )
        asked = self._checked_v1(model, endpoint, body)
        return self._answer_v1(asked)

    def _checked_v1(self, model: Model | None, endpoint: str, body: Mapping[str, Any]) -> _Asked:
        own = [m for m in registry().models.values() if "v1" in m.apis and m.apis["v1"].endpoint is None]
        named = [m for m in own if m.name.split("_")[0] in endpoint.lower()]
        served = [model] if model else named
        contents = _contents(body.get("messages"))
        if isinstance(contents, str):
            raise _Refused(_v1(336003, contents))
        # Of a self-deployed service the stub can't tell which model it runs, unless its name says so.
        rules = served[0].apis["v1"].parameters if served else registry().target(None, endpoint).parameters
        limits = served[0].limits if served else Limits()
        _check_values(rules, body, lambda text: _v1(336003, text))
        system = body.get("system", "")
        size = _size([*contents, system] if limits.system_counts else contents)
        if limits.max_chars is not None and size[0] > limits.max_chars:
            raise _Refused(_v1(336003, f"the max length of current question is {limits.max_chars}"))
        if limits.max_tokens is not None and size[1] > limits.max_tokens:
            raise _Refused(_v1(336103, "Prompt tokens too long"))
        return _Asked(model.title if model else endpoint, [m.name for m in served or own], contents, body)

    def _answer_v1(self, asked: _Asked) -> Reply:
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
        if request.method != "POST":
            raise _Refused(_v2(405, "method_not_supported", "method not supported"))
        if request.headers.get("authorization") != f"Bearer {self.keys.bearer_token}":
            raise _Refused(_v2(401, "invalid_iam_token", "IAM Certification failed"))
        body = _object(request.body) or _refuse(_v2(400, "malformed_json", "malformed json"))
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise _Refused(_v2(400, "invalid_model", "model is empty"))
        model = registry().find(name)
        if model is None or "v2" not in model.apis:
            text = "The model does not exist or you do not have access to it."
            raise _Refused(_v2(401, "invalid_model", text))
        return self._answer_v2(self._checked_v2(model, body))

    def _checked_v2(self, model: Model, body: Mapping[str, Any]) -> _Asked:
        messages = body.get("messages")
        system = ""
        if isinstance(messages, list) and messages and _role(messages[0]) == "system":
            system, messages = str(messages[0].get("content", "")), messages[1:]
        contents = _contents(messages)
        if isinstance(contents, str):
            raise _Refused(_v2(400, "invalid_messages", contents))
        _check_values(model.apis["v2"].parameters, body, lambda text: _v2(400, "invalid_argument", text))
        _check_length(model.limits, _size([*contents, system]))
        return _Asked(model.title, [model.name], contents, body)

    def _answer_v2(self, asked: _Asked) -> Reply:
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
        if (asked.body.get("stream_options") or {}).get("include_usage"):
            events.append({**common, "choices": [], "usage": usage})
        return Reply.of_events(events, done=True)

    # ---- both

    def _text(self, asked: _Asked, example: Example | None) -> tuple[str, dict[str, int], bool]:
        """The answer, what it counts for, and whether it is whole: a limit of output tokens may cut it."""
        everything = example.text if example else _by_rule(asked.title, asked.contents)
        text = cut(everything, asked.body)
        if example and text == everything:
            return text, example.usage, True
        prompt, completion = sum(measure(c).tokens for c in asked.contents), measure(text).tokens
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return text, usage, text == everything


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


def _id(prefix: str, asked: _Asked) -> str:
    text = json.dumps([asked.title, asked.body], ensure_ascii=False, sort_keys=True)
    return f"{prefix}stub{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _refuse(reply: Reply) -> Any:
    raise _Refused(reply)


def _v1(code: int, text: str) -> Reply:
    return Reply.of_json({"error_code": code, "error_msg": text, "id": "as-stub"})


def _v2(status: int, code: str, text: str) -> Reply:
    kind = "access_denied" if code == "invalid_model" and status == 401 else "invalid_request_error"
    return Reply.of_json({"error": {"code": code, "message": text, "type": kind}, "id": "as-stub"}, status=status)


def _gateway(code: str, text: str) -> Reply:
    return Reply((b"",), 401, {"x-bce-error-code": code, "x-bce-error-message": text})


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, Mapping) else None


def _contents(messages: object) -> list[str] | str:
    """The messages' texts, or what is wrong with the messages."""
    if not isinstance(messages, list) or not messages:
        return "messages is empty"
    for number, message in enumerate(messages):
        if _role(message) != ("assistant" if number % 2 else "user"):
            return f"the role of messages[{number}] is invalid: roles must be user and assistant in turn"
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            return f"the content of messages[{number}] can not be empty"
    if len(messages) % 2 == 0:
        return "the length of messages must be an odd number"
    return [message["content"] for message in messages]


def _check_values(parameters: Mapping[str, Parameter], body: Mapping[str, Any], refuse: Callable[[str], Reply]) -> None:
    known = {parameter.wire_name: parameter for parameter in parameters.values()}
    foreign = registry().parameter_names().keys() - parameters.keys()
    for name, value in body.items():
        if name in known and not known[name].accepts(value):
            raise _Refused(refuse(f"{name} is invalid: {known[name].describe('en')}"))
        if name in known and (other := known[name].requires) and value and not body.get(other):
            raise _Refused(refuse(f"{name} needs {other}"))
        if name in foreign and name not in known:
            raise _Refused(refuse(f"this model does not take {name}"))


def _size(texts: Sequence[str]) -> tuple[int, int]:
    sizes = [measure(text) for text in texts]
    return sum(size.chars for size in sizes), sum(size.tokens for size in sizes)


def _check_length(limits: Limits, size: tuple[int, int]) -> None:
    if limits.max_chars is not None and size[0] > limits.max_chars:
        raise _Refused(_v2(400, "characters_too_long", f"characters too long: {size[0]} > {limits.max_chars}"))
    if limits.max_tokens is not None and size[1] > limits.max_tokens:
        raise _Refused(_v2(400, "tokens_too_long", f"tokens too long: {size[1]} > {limits.max_tokens}"))
