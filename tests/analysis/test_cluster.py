"""A map over a Dask frame: on a cluster of two processes, and without one."""

import pickle

import pandas as pd
import pytest

import qfmagic
from qfmagic import Qianfan, Settings
from qfmagic.analysis.cluster import Payload, _shared
from qfmagic.core.errors import OptionError, PromptError
from qfmagic.testing.server import LoopbackServer
from qfmagic.transport.stub_service import StubKeys

KEYS = StubKeys()


@pytest.fixture
def frame():
    dataframe = pytest.importorskip("dask.dataframe")
    return dataframe.from_pandas(pd.DataFrame({"text": [f"t{n}" for n in range(12)]}), npartitions=3)


def settings(url, **more):
    return Settings(access_token=KEYS.access_token, base_url=url, console_base_url=url, retry_count=1, **more)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_partitions_are_asked_on_the_cluster_and_no_key_shows_there(frame):
    distributed = pytest.importorskip("distributed")
    with (
        LoopbackServer() as server,
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as connected,
        Qianfan(model="yi_34b_chat", settings=settings(server.url)) as client,
    ):
        mapped = qfmagic.map(frame, "Rate {{ text }}", client=client, model="yi_34b_chat", workers=4)
        assert mapped.npartitions == 3
        result = mapped.compute()
        assert result["text"].tolist() == [f"t{n}" for n in range(12)]
        assert all(f"Rate t{n}" in answer for n, answer in enumerate(result["answer"]))
        assert result["error"].isna().all()
        mapped.compute()
        assert len(server.requests) == 12, "looked at twice, it isn't asked twice"
        seen = f"{connected.story()} {connected.get_task_stream()} {connected.who_has()} {mapped.dask} {mapped!r}"
        logs = f"{connected.get_worker_logs()} {connected.get_scheduler_logs()}"
        assert "qfmagic-map" in seen
        assert KEYS.access_token not in seen + logs


def test_a_payload_shows_no_key_but_takes_it_along():
    payload = Payload(settings("http://x"), "live", "Rate {{ text }}", {"schema": None, "prefix": ""})
    other = Payload(Settings(access_token="another"), "live", "Rate {{ text }}", {"schema": None, "prefix": ""})
    assert KEYS.access_token not in f"{payload!r} {payload} {payload.__dask_tokenize__()}"
    assert payload.__dask_tokenize__() == other.__dask_tokenize__(), "the key is no part of the name"
    assert KEYS.access_token.encode() in pickle.dumps(payload)


def test_limits_are_divided_among_the_processes():
    limits = _shared(Settings(qps=4, rpm=60, tpm=0), 4).limits
    assert (limits.qps, limits.rpm, limits.tpm) == (1, 15, None)


def test_what_has_no_meaning_on_a_cluster_is_told(frame):
    for option in ({"sample": 3}, {"keep": "x"}, {"fresh": True}):
        with pytest.raises(OptionError, match=next(iter(option))):
            qfmagic.map(frame, "{{ text }}", client=Qianfan(settings=Settings()), **option)
    with pytest.raises(PromptError, match="Did you mean text"):
        qfmagic.map(frame, "{{ txt }}", client=Qianfan(settings=Settings()))
    with pytest.raises(OptionError, match="cassette"):
        qfmagic.map(frame, "{{ text }}", client=Qianfan(settings=Settings(), label="record"))
