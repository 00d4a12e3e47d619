"""Calls from Python in a notebook keep its promises: what answers, the cassette, usage, the budget, limits, settings."""

import json

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.audit.audit import audit
from qfmagic.audit.loading import load
from qfmagic.core.errors import BudgetError
from qfmagic.core.pacing.limits import RateLimits
from qfmagic.notebook.session.process_session import process_session
from qfmagic.testing.harness import NotebookHarness
from qfmagic.transport.stub.transport import StubTransport
from tests.support.services import KEYS, Service, v2

IMPORTS = "import qfmagic, threading\nfrom qfmagic import Qianfan, aextract, extract\n"
THREADS = """
found = []
threads = [threading.Thread(target=lambda: found.append(Qianfan().ask("hi"))) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 2
"""
WAYS = {
    "magic": "%%qianfan once\nhi",
    "line magic": "answer = %qianfan once hi",
    "ask": "Qianfan().ask('hi')",
    "stream": "with Qianfan().stream('hi') as stream: list(stream)",
    "aask": "await Qianfan().aask('hi')",
    "astream": "async for _ in Qianfan().astream('hi'): pass",
    "threads": THREADS,
    "map": "qfmagic.map(['hi', 'ho'], '{{ item }}')",
    "amap": "await qfmagic.amap(['hi', 'ho'], '{{ item }}')",
    "map of iterator": "list(qfmagic.map(iter(['hi', 'ho']), '{{ item }}'))",
    "map command": "%%qf map ['hi', 'ho'] into=rows\n{{ item }}",
    "extract": "extract('hi', 'n int')",
    "aextract": "await aextract('hi', 'n int')",
}
FROM_PYTHON = [name for name in WAYS if name not in ("magic", "line magic", "map command")]
every_way = pytest.mark.parametrize("way", WAYS)


def code_of(way):
    return WAYS[way] if way not in FROM_PYTHON else IMPORTS + WAYS[way]


class CountingService(Service):
    """Each answer is another number, which fits every schema here."""

    def __init__(self):
        super().__init__()
        self.answers["ernie-5.1"] = lambda _: v2(json.dumps({"n": len(self.bodies)}))


@pytest.fixture
def service():
    return CountingService()


@pytest.fixture
def notebook(service, tmp_path):
    environ = {"QIANFAN_BEARER_TOKEN": KEYS["bearer_token"], "QFMAGIC_TRANSPORT": "live", "QFMAGIC_LANG": "en"}
    with NotebookHarness(service, environ={**environ, "QFMAGIC_JOURNAL": "false"}) as notebook:
        yield notebook


@every_way
def test_transport_of_notebook_answers(notebook, service, way):
    notebook.session.network = None
    notebook.run("%qf transport stub")
    notebook.run(code_of(way), "a")
    assert service.bodies == []
    assert {call.transport for call in notebook.session.meter.calls} == {"stub"}


@every_way
def test_call_is_recorded_and_replayed(notebook, service, tmp_path, way):
    notebook.run(f"%qf transport record {tmp_path / 'a.qf.jsonl'}")
    notebook.run(code_of(way), "a")
    sent = len(service.bodies)
    assert sent >= 1
    notebook.run(f"%qf transport replay {tmp_path / 'a.qf.jsonl'}")
    notebook.run(code_of(way), "a")
    assert len(service.bodies) == sent
    recorded, replayed = (
        [c for c in notebook.session.meter.calls if c.transport == name] for name in ("record", "replay")
    )
    assert [(c.times, c.prompt_tokens) for c in recorded] == [(c.times, c.prompt_tokens) for c in replayed]


@every_way
def test_call_is_counted_for_its_cell(notebook, service, way):
    notebook.run(code_of(way), "a")
    calls = notebook.session.meter.calls
    assert {call.cell for call in calls} == {"a"}
    assert sum(call.times for call in calls) == len(service.bodies)
    assert sum(call.prompt_tokens for call in calls) == 10 * len(service.bodies)


@every_way
def test_spent_budget_stops_call(notebook, service, way):
    notebook.run("%%qianfan once\nfirst")
    notebook.run("%qf set budget=31tok")
    code = code_of(way) if way != "threads" else IMPORTS + "try:\n    Qianfan().ask('hi')\nfinally: pass"
    with pytest.raises(BudgetError):
        notebook.run(code.replace("hi", "hi, and how are you doing today?"))
    assert len(service.bodies) == 1
    assert not notebook.session.meter.reserved


@every_way
def test_settings_of_notebook_apply(notebook, service, way):
    service.answers["deepseek-v3.2"] = service.answers["ernie-5.1"]
    notebook.run("%qf set model=deepseek-v3.2 temperature=0.25")
    notebook.run(code_of(way))
    assert {(body["model"], body["temperature"]) for body in service.bodies} == {("deepseek-v3.2", 0.25)}


def test_client_sends_through_the_notebooks_own_client(notebook):
    """And so keeps its limits, retries and keys, which are that client's."""
    notebook.run("%qf set rpm=7 retry_count=2")
    client = Qianfan()
    assert client.sender() is notebook.session.client()
    assert (client.settings.limits.rpm, client.settings.retry_count) == (7, 2)
    limited = Qianfan(limits=RateLimits(rpm=3))
    assert limited.sender().arguments()["limits"].rpm == 3
    assert limited.sender() is limited.sender()


@pytest.mark.parametrize("way", FROM_PYTHON)
def test_calls_from_python_leave_a_line_that_audit_counts(notebook, tmp_path, way):
    path = tmp_path / "a.qf.jsonl"
    notebook.run(f"%qf transport record {path}")
    cell = notebook.run(code_of(way), "a")
    output = cell.outputs[-1]
    count = sum(call.times for call in notebook.session.meter.calls)
    assert f"{count} request{'s' * (count > 1)} from Python · ernie-5.1 · {10 * count}+{20 * count} tokens" in cell.text
    assert output.metadata["qfmagic_python"]["exchanges"] == [
        {"wire": "v2", "model": "ernie-5.1", "least": count, "most": count}
    ]
    saved = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "execution_count": 1,
        "source": code_of(way),
        "outputs": [{"output_type": "display_data", "data": output.data, "metadata": output.metadata}],
    }
    (tmp_path / "a.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [saved]})
    )
    source = load(tmp_path / "a.ipynb")
    report = audit(source.notebook, source.cassette, recorded=source.recorded)
    assert report.findings == ()
    nothing = audit({**source.notebook, "cells": []}, source.cassette)
    assert {finding.key for finding in nothing.findings} == {"audit.cassette.unshown"}


def test_line_of_one_cell_is_not_repeated_below_the_next(notebook):
    notebook.run(IMPORTS + "Qianfan().ask('hi')")
    assert notebook.run("1 + 1").outputs == ()


def test_failed_call_frees_the_budget_and_leaves_no_line(notebook, service):
    notebook.run("%qf set budget=1000tok")
    service.answers["m"] = lambda _: (_ for _ in ()).throw(RuntimeError("down"))
    with pytest.raises(RuntimeError):
        notebook.run(IMPORTS + "Qianfan(model='m').ask('hi')")
    assert notebook.last.outputs == ()
    assert not notebook.session.meter.reserved


def test_client_with_its_own_transport_stands_apart(notebook, service):
    stub = StubTransport()
    with Qianfan(settings=Settings(bearer_token=stub.keys.bearer_token), transport=stub) as client:
        client.ask("hi")
        assert "apart" in repr(client)
    assert "follows" in repr(Qianfan())
    assert notebook.session.meter.calls == ()


def test_client_made_before_the_extension_was_loaded_follows_it(service, monkeypatch):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", "b")
    client = Qianfan()
    assert "apart" in repr(client)
    with NotebookHarness() as notebook:
        client.ask("hi")
        assert len(notebook.requests) == 1
    assert "apart" in repr(client)


def test_environment_says_what_answers_outside_of_ipython(monkeypatch, tmp_path):
    for name in ("QIANFAN_BEARER_TOKEN", "QIANFAN_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "stub")
    with Qianfan() as client:
        assert client.ask("hi").transport == "stub"
        assert sum(call.times for call in process_session().meter.calls) >= 1
