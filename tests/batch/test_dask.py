"""A map over a Dask frame: on a cluster of two processes, and without one."""

import asyncio
import json
import threading

import httpx
import pandas as pd
import pytest

import qfmagic
from qfmagic import Qianfan, Settings
from qfmagic.batch.dask import Payload, elsewhere
from qfmagic.batch.row_prompts import Questions
from qfmagic.client.settings import OFFLINE
from qfmagic.core.errors import ConnectError, CredentialError, OptionError, ParameterError, PromptError
from qfmagic.core.pacing.limits import RateLimits
from qfmagic.prompts.template import Template
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette.tape import CassetteTape
from qfmagic.transport.stub.service import StubKeys
from qfmagic.transport.stub.transport import StubTransport
from tests.support.clusters import told_there
from tests.support.services import KEYS, refusal, v2

MODEL = "ernie-5.1"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


class Service:
    """Answers what a test says; knows what was asked, and how many at once."""

    def __init__(self):
        self.answer = lambda text: v2(f"re: {text}")
        self.requests = []
        self.wait = 0.0  # seconds each answer waits
        self.most = self._now = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, request):
        with self._lock:
            self.requests.append(request)
            self._now += 1
            self.most = max(self.most, self._now)
        self.ended.wait(self.wait)
        reply = self.answer(json.loads(request.body)["messages"][-1]["content"])
        with self._lock:
            self._now -= 1
        return reply

    @property
    def bodies(self):
        return [json.loads(request.body) for request in self.requests]

    def client(self, **more):
        keys = {**KEYS, **more.pop("keys", {})}
        where = Settings(**keys, base_url=self.url, console_base_url=self.url, retry_count=1)
        return Qianfan(**{"model": MODEL, "settings": where, **more})


@pytest.fixture
def service():
    found = Service()
    with LoopbackServer(found) as server:
        found.url = server.url
        yield found
        found.ended.set()


def dask_frame(rows=12, parts=3):
    dataframe = pytest.importorskip("dask.dataframe")
    return dataframe.from_pandas(pd.DataFrame({"text": [f"t{n}" for n in range(rows)]}), npartitions=parts)


@pytest.fixture
def frame():
    return dask_frame()


def test_map_dask_runs_on_cluster_without_exposing_keys(cluster, connected, frame):
    token = StubKeys().access_token
    with LoopbackServer() as server:
        where = Settings(access_token=token, base_url=server.url, console_base_url=server.url, retry_count=1)
        mapped = qfmagic.map(frame, "Rate {{ text }}", client=Qianfan(model="yi_34b_chat", settings=where), workers=4)
        assert mapped.npartitions == 3
        result = mapped.compute()
        assert result["text"].tolist() == [f"t{n}" for n in range(12)]
        assert all(f"Rate t{n}" in answer for n, answer in enumerate(result["answer"]))
        assert result["error"].isna().all()
        mapped.compute()
        assert len(server.requests) == 12, "looked at twice, it isn't asked twice"
        seen = f"{connected.story()} {connected.get_task_stream()} {connected.who_has()} {mapped.dask} {mapped!r}"
        told = told_there(cluster)
        assert "qfmagic-map" in seen
        assert "qfmagic-map" in told
        assert token not in seen + told


def test_payload_repr_and_token_are_opaque():
    client = Qianfan(model=MODEL, settings=Settings(bearer_token="canary"))
    questions = Questions(Template.parse("{{ text }}"), client.target()[0])
    one, other = (Payload(elsewhere(client, "v2", 1), questions) for _ in range(2))
    assert "canary" not in f"{one!r} {one} {one.__dask_tokenize__()}"
    assert one.__dask_tokenize__() != other.__dask_tokenize__()


# ---- what the client says is what the workers do


def test_map_dask_uses_client_model_and_parameters(connected, frame, service):
    qfmagic.map(frame, "{{ text }}", client=service.client(temperature=0.3)).compute()
    assert {(body["model"], body["temperature"]) for body in service.bodies} == {(MODEL, 0.3)}
    service.requests.clear()
    qfmagic.map(frame, "{{ text }}", client=service.client(temperature=0.3), temperature=0.5, model="m").compute()
    assert {(body["model"], body["temperature"]) for body in service.bodies} == {("m", 0.5)}


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"model": None, "endpoint": "mine"}, "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/mine"),
        (
            {"model": "ernie-char-fiction-8k", "api": "v1"},
            "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/ernie-char-fiction-8k",
        ),
        ({"model": "yi_34b_chat", "api": "v2"}, "/v2/chat/completions"),
    ],
)
def test_map_dask_uses_client_endpoint_and_api(connected, frame, service, said, path):
    qfmagic.map(frame, "{{ text }}", client=service.client(**said)).compute()
    assert {request.path for request in service.requests} == {path}


def test_map_dask_uses_client_timeout(connected, frame, service):
    service.wait = 10
    client = service.client(timeout=0.2)
    errors = qfmagic.map(frame, "{{ text }}", client=client).compute()["error"]
    assert errors.str.startswith("ResponseTimeout").all()


def test_elsewhere_divides_client_limits_by_processes():
    client = Qianfan(settings=Settings(**KEYS, qps=100), limits=RateLimits.of(qps=4, rpm=60))
    assert elsewhere(client, "v2", 4)["limits"] == RateLimits(1, 15, None)
    client = Qianfan(settings=Settings(**KEYS, tpm=600))
    assert elsewhere(client, "v2", 2)["limits"] == RateLimits(None, None, 300)


def test_map_dask_supports_stub_transport(connected, frame):
    stub = StubTransport()
    client = Qianfan(settings=Settings(bearer_token=stub.keys.bearer_token), transport=stub)
    assert qfmagic.map(frame, "Rate {{ text }}", client=client).compute()["answer"].str.contains("Rate t").all()


def test_map_dask_rejects_custom_transport_and_tape(frame, tmp_path, monkeypatch):
    fake = httpx.MockTransport(lambda request: httpx.Response(500))
    tape = CassetteTape(tmp_path / "a.qf.jsonl", "record")
    for own in ({"transport": fake}, {"tape": tape}, {"transport": StubTransport(), "tape": tape}):
        with pytest.raises(OptionError, match="transport= or tape=") as caught:
            qfmagic.map(frame, "{{ text }}", client=Qianfan(settings=Settings(**KEYS), **own))
        assert caught.value.message("zh")
    with pytest.raises(CredentialError):
        qfmagic.map(frame, "{{ text }}", client=Qianfan(model=MODEL, settings=Settings()))
    monkeypatch.setenv(OFFLINE, "true")
    with pytest.raises(ConnectError, match=OFFLINE):
        qfmagic.map(frame, "{{ text }}", client=Qianfan(settings=Settings(**KEYS)))


# ---- asked again


def test_map_dask_recomputes_and_sends_failed_rows_alone(connected, frame, service):
    service.answer = lambda text: refusal("invalid_argument", "no", 400) if "t1" in text else v2("fine")
    rated = qfmagic.map(frame, "{{ text }}", client=service.client())
    assert rated.compute()["error"].notna().sum() == 3
    service.answer = lambda text: v2("now")
    service.requests.clear()
    failed = rated[~rated["error"].isna()][frame.columns]
    assert qfmagic.map(failed, "{{ text }}", client=service.client()).compute()["answer"].tolist() == ["now"] * 3
    assert len(service.requests) == 3
    again = qfmagic.map(frame, "{{ text }}", client=service.client(), fresh=True).compute()
    assert again["answer"].tolist() == ["now"] * 12
    assert len(rated.compute()) == 12, "the first result is still there"


def test_map_dask_uses_corrected_key(connected, frame, service):
    service.answer = lambda text: refusal("invalid_iam_token", "bad key", 401)
    first = qfmagic.map(frame, "{{ text }}", client=service.client(keys={"bearer_token": "old"}))
    assert first.compute()["error"].str.startswith("AuthenticationError").all()
    service.answer = lambda text: v2("fine")
    service.requests.clear()
    second = qfmagic.map(frame, "{{ text }}", client=service.client(keys={"bearer_token": "new"}))
    assert second.compute()["error"].isna().all()
    assert {request.headers["authorization"] for request in service.requests} == {"Bearer new"}


def test_map_dask_uses_changed_namespace_value(connected, frame, service):
    for value in (1, 2):
        known = pd.DataFrame({"v": range(1000)})
        known.loc[500, "v"] = value  # where its repr shows nothing
        mapped = qfmagic.map(
            frame, "{{ known.v[500] }} {{ text }}", client=service.client(), namespace={"known": known}
        )
        assert mapped.compute()["answer"].str.startswith(f"re: {value} t").all()


def test_map_dask_stopped_partition_keeps_answered_rows(connected, service):
    frame = dask_frame(rows=24, parts=2)
    service.answer = lambda text: refusal("account_overdue", "pay", 403) if text == "t1" else v2(f"re: {text}")
    result = qfmagic.map(frame, "{{ text }}", client=service.client(), workers=2).compute()
    answers, errors = result["answer"].tolist(), result["error"].tolist()
    assert answers[0] == "re: t0"
    assert sum(result["answer"].notna()) == len(service.requests) - 1, "all that was paid for is there"
    assert errors[1].startswith("QuotaError: ")
    assert errors[11] == errors[1], "why it wasn't asked"
    assert answers[12:] == [f"re: t{n}" for n in range(12, 24)]


# ---- how many at a time


@pytest.mark.parametrize("workers", [5, 2, 1])
def test_map_dask_limits_concurrency_to_workers(connected, service, workers):
    service.wait = 0.15  # so that whoever may comes meanwhile
    qfmagic.map(dask_frame(rows=4, parts=2), "{{ text }}", client=service.client(), workers=workers).compute()
    assert len(service.requests) == 4
    assert service.most <= workers


@pytest.mark.parametrize("workers", [1, 3])
def test_map_dask_without_cluster_runs_in_process(service, workers):
    service.wait = 0.15
    result = qfmagic.map(dask_frame(rows=6), "{{ text }}", client=service.client(), workers=workers)
    assert len(service.requests) == 6
    assert result.compute()["answer"].tolist() == [f"re: t{n}" for n in range(6)]
    assert service.most <= workers


# ---- what is told before anything is sent


def test_map_dask_rejects_unsupported_options(frame):
    client = Qianfan(model=MODEL, settings=Settings(**KEYS))
    for option in ({"sample": 3}, {"keep": "x"}, {"on_done": print}):
        with pytest.raises(OptionError, match=next(iter(option))):
            qfmagic.map(frame, "{{ text }}", client=client, **option)
    with pytest.raises(PromptError, match="Did you mean text"):
        qfmagic.map(frame, "{{ txt }}", client=client)
    with pytest.raises(OptionError, match="answer"):
        qfmagic.map(frame.assign(answer="x"), "{{ text }}", client=client)


@pytest.mark.parametrize("option", [{"temperature": 99}, {"bogus": 1}])
def test_map_dask_rejects_parameter_before_sending(frame, service, option):
    with pytest.raises(ParameterError, match=next(iter(option))):
        qfmagic.map(frame, "{{ text }}", client=service.client(model="yi_34b_chat"), **option)
    assert not service.requests


def test_map_dask_rejects_other_collections_with_hint(frame):
    import dask.array
    import dask.bag

    client = Qianfan(model=MODEL, settings=Settings(**KEYS))
    others = (frame["text"], dask.bag.from_sequence(["a"]), dask.array.ones(3), dask.delayed([1]))
    for other, kind in zip(others, ("Series", "Bag", "Array", "Delayed"), strict=True):
        with pytest.raises(OptionError, match=f"Dask {kind}.*to_frame") as caught:
            qfmagic.map(other, "{{ item }}", client=client)
        assert caught.value.message("zh")


def test_amap_rejects_dask_frame(frame, service):
    with pytest.raises(OptionError, match="Dask DataFrame"):
        asyncio.run(qfmagic.amap(frame, "{{ text }}", client=service.client()))
    assert not service.requests
