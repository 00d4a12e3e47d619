"""The list of models a key may use: where it is asked for, and what it adds to the error of a refused model."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest

import qfmagic
from qfmagic import Qianfan, Settings
from qfmagic.client.model_place import list_place
from qfmagic.core.errors import AccessError, AuthenticationError, ConnectError, CredentialError, ProtocolError
from qfmagic.core.models import registry
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import StubKeys, StubService

KEYS = StubKeys()


@pytest.mark.parametrize(
    ("base", "route", "place"),
    [
        ("https://qianfan.baidubce.com", "/v2/chat/completions", "https://qianfan.baidubce.com/v2/models"),
        ("https://qianfan.baidubce.com/", "/v2/chat/completions", "https://qianfan.baidubce.com/v2/models"),
        (
            "https://qianfan.baidubce.com/v2/tokenplan/personal",
            "/chat/completions",
            "https://qianfan.baidubce.com/v2/models",
        ),
        (
            "https://qianfan.baidubce.com",
            "/v2/coding/chat/completions",
            "https://qianfan.baidubce.com/v2/models",
        ),
        ("https://api.baiduqianfan.ai/v1", "/chat/completions", "https://api.baiduqianfan.ai/v1/models"),
        ("http://gateway:8000/ai", "/v2/chat/completions", "http://gateway:8000/ai/v2/models"),
        ("http://[", "/v2/chat/completions", "http://[/v2/models"),
    ],
)
def test_model_list_is_requested_from_plain_base(base, route, place):
    assert "".join(list_place(Settings(console_base_url=base, chat_v2_route=route))) == place


def client_of(server, **given):
    keys = given or {"bearer_token": KEYS.bearer_token}
    urls = dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), server.url)
    return Qianfan(settings=Settings(**{**urls, **keys}))


@pytest.mark.parametrize("given", [{}, {"access_key": KEYS.access_key, "secret_key": KEYS.secret_key}])
def test_models_lists_names_available_to_key(given):
    with LoopbackServer() as server, client_of(server, **given) as client:
        models = client.models()
    assert [model.name for model in models[:2]] == ["ernie-5.1", "ernie-5.0-thinking-latest"]
    assert (server.requests[-1].method, server.requests[-1].path) == ("GET", "/v2/models")


def test_models_requires_key_and_list():
    with LoopbackServer() as server:
        with client_of(server, access_token="t") as client, pytest.raises(CredentialError):
            client.models()
        with client_of(server, bearer_token="wrong-key-1") as client, pytest.raises(AuthenticationError) as caught:
            client.models()
    assert "wrong-key-1" not in str(caught.value)
    said = "did not return a list of models: '<html>log in'"
    with LoopbackServer(lambda _: Reply((b"<html>log in",))) as server, client_of(server) as client:  # noqa: SIM117
        with pytest.raises(ProtocolError, match=said):
            client.models()
    nobody = Settings(bearer_token="k", console_base_url="http://127.0.0.1:9")
    with Qianfan(settings=nobody) as client, pytest.raises(ConnectError):
        client.models()


class Restricted:
    """A service whose key may use some models alone; *listing* answers the request for the list."""

    def __init__(self, *names, listing=None):
        self._names, self._listing, self._stub = names, listing, StubService()

    def __call__(self, request):
        if request.path == "/v2/models":
            rows = [{"id": name} for name in self._names]
            return self._listing(request) if self._listing else Reply.of_json({"object": "list", "data": rows})
        if request.path == "/v2/chat/completions" and json.loads(request.body)["model"] not in self._names:
            error = {"code": "invalid_model", "message": "No permission to use the model", "type": "x"}
            return Reply.of_json({"error": error}, status=401)
        return self._stub(request)


def refused(service, model=None, **given):
    with LoopbackServer(service) as server, client_of(server, **given) as client, pytest.raises(AccessError) as caught:
        client.ask("hi", **({"model": model} if model else {}))
    assert caught.value.message("zh")
    return str(caught.value), server


def test_rejected_model_error_names_available_models():
    said, _ = refused(Restricted("glm-5.3", "own-1"))
    assert "This key can use glm-5.3, own-1 (%qf models live lists all)." in said
    assert "ernie-5.1" not in said.split("This key")[1]
    said, _ = refused(Restricted("own-service-1", "glm-5.3"), "own-servic-1")
    assert "This key can use own-service-1, glm-5.3" in said


@pytest.mark.filterwarnings("ignore:ernie-lite-8k was retired:FutureWarning")
def test_retired_model_error_names_day_and_available_successor():
    said, _ = refused(Restricted("ernie-5.1", "glm-5.3"), "ernie-lite-8k")
    assert "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1. This key can use ernie-5.1, glm-5.3" in said
    said, _ = refused(Restricted("glm-5.3"), "ernie-lite-8k")
    assert "ernie-lite-8k was retired on 2026-01-27: use glm-5.3." in said
    assert "ernie-5.1" not in said
    said, _ = refused(Restricted(listing=lambda _: Reply((b"",), 500)), "ernie-lite-8k")
    assert "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1." in said


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("eb-instant", "ernie-lite-8k-0922 was retired on 2026-08-31: use ernie-5.1."),
        ("ernie-lite-8k", "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1."),
    ],
)
def test_error_before_sending_names_successor_of_retired_model(model, said):
    """A key for V2 alone doesn't reach V1, where the model was."""
    keys = {"bearer_token": "k"} if model == "eb-instant" else {"access_token": "t"}
    with Qianfan(settings=Settings(**keys)) as client, pytest.raises(CredentialError) as caught:
        client.ask("hi", model=model)
    assert str(caught.value).endswith(said)
    nobody = Settings(bearer_token="k", access_token="t", console_base_url="http://127.0.0.1:9", retry_count=1)
    nobody = replace(nobody, base_url=nobody.console_base_url)
    with Qianfan(settings=nobody) as client, pytest.raises(ConnectError) as unreached:
        client.ask("hi", model=model)
    assert said in str(unreached.value)


@pytest.mark.parametrize(
    "listing",
    [
        lambda _: Reply((b"",), 404),
        lambda _: Reply((b"<html>",)),
        lambda _: Reply.of_json({"error": {"code": "invalid_iam_token", "message": "x"}}, status=401),
        lambda _: Reply.of_json({"data": []}),
    ],
)
def test_model_list_failure_keeps_first_error(listing):
    said, _ = refused(Restricted(listing=listing), "deepsek-v4-pro")
    assert "Similar names in the table: deepseek-v4-pro" in said
    said, _ = refused(Restricted(listing=listing), "zzzz")
    assert said.endswith("activate the model in the console.")


def test_model_list_timeout_bounds_delay_of_error(monkeypatch):
    monkeypatch.setattr("qfmagic.client.service.HINT_TIMEOUT_S", 0.05)
    over = threading.Event()

    def silent(_):
        over.wait(20)
        return Reply((b"",))

    try:
        with LoopbackServer(Restricted(listing=silent)) as server, client_of(server) as client:
            with pytest.raises(AccessError, match="does not exist on V2"):
                client.ask("hi")
            over.set()
    finally:
        over.set()


def test_model_list_is_requested_once_for_many_errors():
    service = Restricted("glm-5.3")
    with LoopbackServer(service) as server, client_of(server) as client:
        plan = client.plan("hi")
        for running in [client.submit(client.run(plan)) for _ in range(5)]:
            assert isinstance(running.exception(timeout=20), AccessError)
    assert [request.path for request in server.requests].count("/v2/models") == 1


def test_model_error_suggests_no_retired_model():
    for model in registry().models.values():
        if not model.offered:
            assert not {row.name for row in registry().models.values() if not row.offered} & {
                *registry().suggest(f"{model.name}x")
            }


async def awaited(call, *arguments, **options):
    return await call(*arguments, **options)


async def streamed(client, model):
    return [delta async for delta in client.astream("hi", model=model)]


@pytest.mark.parametrize(
    "call",
    [
        lambda client, model: client.plan("hi", model=model),
        lambda client, model: client.ask("hi", model=model),
        lambda client, model: client.ask("hi", model=model, stream=True).answer,
        lambda client, model: [*client.stream("hi", model=model)],
        lambda client, model: asyncio.run(awaited(client.aask, "hi", model=model)),
        lambda client, model: asyncio.run(streamed(client, model)),
        lambda client, model: qfmagic.extract("hi", "n int", client=client, model=model),
        lambda client, model: asyncio.run(awaited(qfmagic.aextract, "hi", "n int", client=client, model=model)),
        lambda client, model: qfmagic.map(["hi"], "{{ item }}", client=client, model=model),
        lambda client, model: [*qfmagic.map(iter(["hi"]), "{{ item }}", client=client, model=model)],
        lambda client, model: asyncio.run(awaited(qfmagic.amap, ["hi"], "{{ item }}", client=client, model=model)),
    ],
    ids=["plan", "ask", "ask-stream", "stream", "aask", "astream", "extract", "aextract", "map", "iterator", "amap"],
)
def test_client_warns_of_retired_model_at_the_callers_line(call):
    said = "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1"
    with (
        LoopbackServer(StubService(kept=["ernie-lite-8k"])) as server,
        client_of(server) as client,
        pytest.warns(FutureWarning, match=said) as caught,
    ):
        call(client, "ernie-lite-8k")
    assert {warning.filename for warning in caught} == {__file__}
