"""A service in the process, which a notebook takes for the real one."""

import asyncio
import json

import httpx

from qfmagic.testing.harness import magics_of
from qfmagic.transport.stub.reply import Reply

KEYS = {"access_token": "t", "bearer_token": "b"}


def v2(text, model="m", prompt=10, completion=20, **more):
    """The events of a whole V2 answer; without counts, the service says none."""
    usage = (
        {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        if prompt
        else {}
    )
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
    event = {
        "id": "as-1",
        "model": model,
        "created": 1,
        "choices": [choice],
        **({"usage": usage} if usage else {}),
        **more,
    }
    return Reply.of_events([event], done=True)


def refusal(code="invalid_model", message="no such model", status=401):
    return Reply.of_json({"error": {"code": code, "message": message, "type": "x"}}, status=status)


class Service(httpx.AsyncBaseTransport):
    """Answers each model's questions with what a test says; ``bodies`` holds what was asked."""

    def __init__(self):
        self.bodies = []
        self.answers = {}
        self.gates = {}  # by model: what is waited for before its answer goes on behind the first piece

    async def handle_async_request(self, request):
        body = json.loads(await request.aread())
        self.bodies.append(body)
        reply = self.answers.get(body.get("model"), v2("fine"))
        reply = reply(body) if callable(reply) else reply
        return httpx.Response(
            reply.status, headers=dict(reply.headers), stream=_Body(reply.chunks, self.gates.get(body.get("model")))
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, chunks, gate):
        self._chunks, self._gate = chunks, gate

    async def __aiter__(self):
        for number, chunk in enumerate(self._chunks):
            if number and self._gate is not None:
                await asyncio.to_thread(self._gate.wait)
            yield chunk


def session_of(shell):
    """The session of a shell with the extension loaded."""
    return magics_of(shell).engine.session


def send_through(shell, transport, monkeypatch):
    """Have *transport* answer a notebook's requests as if it were the service: what it answers costs something."""
    environ = {"QFMAGIC_TRANSPORT": "live", "QIANFAN_LLM_API_RETRY_COUNT": "1"}
    environ |= {"QIANFAN_ACCESS_TOKEN": KEYS["access_token"], "QIANFAN_BEARER_TOKEN": KEYS["bearer_token"]}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    session_of(shell).network = transport
    return transport


def serve(shell, monkeypatch):
    """Have a service answer the notebook's requests."""
    return send_through(shell, Service(), monkeypatch)
