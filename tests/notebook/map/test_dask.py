"""``%%qf map`` over a Dask frame: in a shell, and in a real kernel on a cluster of two processes."""

import json

import pandas as pd
import pytest

from qfmagic.core.errors import OptionError, PromptError
from qfmagic.testing.stub_server import LoopbackServer
from tests.support.clusters import told_there
from tests.support.services import serve, v2

MODEL = "ernie-5.1"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
KEYS = {
    "QIANFAN_BEARER_TOKEN": "bce-v3/ALTAK-canaryBEARER/0123456789",
    "QIANFAN_ACCESS_TOKEN": "24.canaryACCESS0123456789",
    "QIANFAN_SK": "canarySK0123456789",
    "QIANFAN_AK": "canaryAK0123456789",
}
SETUP = """
import distributed, logging, pandas as pd, dask.dataframe as dd
connected = distributed.Client({address!r})
ddf = dd.from_pandas(pd.DataFrame({{"text": [f"t{{n}}" for n in range(6)], "n": range(6)}}), npartitions=3)
%qf set model={model}
"""


@pytest.fixture
def asked():
    """What the service was asked, and at what address it is."""
    found = []

    def answer(request):
        found.append(request)
        return v2(f"re: {json.loads(request.body)['messages'][-1]['content']}")

    with LoopbackServer(answer) as server:
        yield server, found


def test_map_dask_cell_runs_on_cluster_without_exposing_keys(start, cluster, asked):
    server, requests = asked
    kernel = start(**server.environ, **KEYS)
    ran = kernel.run(SETUP.format(address=cluster.scheduler_address, model=MODEL), timeout=60)
    assert ran.status == "ok", ran.error
    ran = kernel.run("%%qf map ddf into=rated temperature=0.5 prefix=m_\nRate {{ text }}\n", "cell-1")
    assert ran.status == "ok", ran.error
    assert len(ran.outputs) == 1
    assert "3 partitions" in ran.plain
    assert "rated" in ran.plain
    assert "not counted in %qf usage" in ran.plain
    assert set(ran.outputs[0]["data"]) == {"text/plain", "text/markdown"}
    shown = kernel.run(
        "print(type(rated), rated.npartitions); result = rated.compute(); print(result); rated", "cell-2"
    )
    assert "DataFrame'> 3" in shown.stdout
    assert kernel.value("result['m_answer'].tolist() == [f're: Rate t{n}' for n in range(6)]") == "True"
    assert kernel.value("(result.dtypes == rated.dtypes).all(), str(result['m_prompt_tokens'].dtype)") == "True Int64"
    assert len(requests) == 6
    assert {json.loads(request.body)["temperature"] for request in requests} == {0.5}
    assert {request.headers["authorization"] for request in requests} == {f"Bearer {KEYS['QIANFAN_BEARER_TOKEN']}"}

    names = kernel.run("print(rated, rated.dask, connected.who_has(), connected.story(), list(rated.dask))", "cell-3")
    logs = kernel.run("print(connected.get_worker_logs(), connected.get_scheduler_logs())", "cell-4")
    told = f"{ran} {shown} {names} {logs} {told_there(cluster)}"
    assert "qfmagic-map" in told
    assert "canary" not in told

    ran = kernel.run("%%qf map ddf\nJudge {{ text }} {{ 'canary' + 'SK0123456789' }}\n", "cell-5")
    assert ran.status == "error", "the two halves spell a key"
    assert "QIANFAN_SK" in ran.error[1]
    kernel.run("half = 'canary'", "cell-6")
    ran = kernel.run("%%qf map ddf\nJudge {{ text }} {{ half + 'SK0123456789' }}\n", "cell-7")
    assert ran.status == "ok", ran.error
    ran = kernel.run("errors = _.compute()['error']; print(errors.tolist())", "cell-8")
    assert ran.stdout.count("QIANFAN_SK") == 6, "a key that stands in a question isn't sent"
    assert "canary" not in ran.stdout
    assert len(requests) == 6


# ---- without a cluster, in a shell


@pytest.fixture
def frame(shell):
    dataframe = pytest.importorskip("dask.dataframe")
    shell.user_ns["ddf"] = dataframe.from_pandas(pd.DataFrame({"text": ["a", "b"]}), npartitions=2)
    return shell.user_ns["ddf"]


def test_map_dask_cell_supports_stub_and_quiet(shell, frame, capsys):
    shell.run_cell("%%qf map ddf into=rated model=yi_34b_chat schema='score int' quiet\nRate {{ text }}\n")
    assert not capsys.readouterr().out
    rated = shell.user_ns["rated"].compute()
    assert rated["answer"].notna().all()
    assert list(rated.columns)[:4] == ["text", "answer", "score", "error"]


def test_map_dask_cell_recomputes_on_rerun(shell, frame):
    cell = "%%qf map ddf model=yi_34b_chat\n{{ word }} {{ text }}\n"
    for word in ("Rate", "Judge"):
        shell.user_ns["word"] = word
        shell.run_cell(cell)
        assert shell.user_ns["_"].compute()["answer"].str.contains(f"{word} a|{word} b").all()


# ---- what is refused, with nothing sent


@pytest.fixture
def service(shell, frame, monkeypatch):
    found = serve(shell, monkeypatch)
    shell.run_line_magic("qf", f"set model={MODEL}")
    return found


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        ("ddf dry", "{{ text }}\n", "dry is not supported"),
        ("ddf sample=1", "{{ text }}\n", "sample is not supported"),
        ("ddf model=a,b", "{{ text }}\n", "only with one"),
        ("ddf into=1x", "{{ text }}\n", "into"),
        ("ddf", "\n", "no question"),
        ("ddf", "{{ txt }}\n", "Did you mean text?"),
        ("ddf workers=0", "{{ text }}\n", "workers"),
        ("ddf temperature=9 model=yi_34b_chat", "{{ text }}\n", "temperature"),
        ("ddf.text", "{{ item }}\n", "Dask Series"),
        ("ddf.text", "\n", "Dask Series"),
        ("ddf", "{{ text }}\n", "transport="),
    ],
)
def test_map_dask_cell_rejects_invalid_line_before_sending(shell, service, head, body, told):
    with pytest.raises((OptionError, PromptError, ValueError), match=told) as caught:
        shell.run_cell_magic("qf", f"map {head}", body)
    assert not service.bodies
    assert caught.value.message("zh")


def test_map_dask_cell_rejects_budget(shell, service):
    shell.run_line_magic("qf", "set budget=40tok")
    with pytest.raises(OptionError, match="budget.*40") as caught:
        shell.run_cell_magic("qf", "map ddf", "{{ text }}\n")
    assert "40" in caught.value.message("zh")
    assert not service.bodies


def test_map_dask_cell_rejects_cassette(shell, service):
    for mode in ("record", "auto"):
        shell.run_line_magic("qf", f"transport {mode} a.qf.jsonl")
        with pytest.raises(OptionError, match=mode):
            shell.run_cell_magic("qf", "map ddf", "{{ text }}\n")
    assert not service.bodies
