"""What an audit says of a notebook while somebody works on it, as JupyterLab would save it at that moment."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qfmagic.audit.audit import audit
from qfmagic.audit.loading import load
from qfmagic.audit.text_report import shown
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette.file import read, rewrite
from qfmagic.transport.stub.service import StubKeys, StubService
from tests.support.services import v2


class Document:
    """Cells by name, in their order, run in a real kernel."""

    def __init__(self, kernel, **sources):
        self._kernel = kernel
        self._deleted = []
        self.cells = {name: self._cell(source) for name, source in sources.items()}

    def _cell(self, source):
        return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}

    def write(self, name, source, *, after=None):
        """Change a cell, or put a new one in behind another."""
        if name in self.cells:
            self.cells[name]["source"] = source
            return
        items = list(self.cells.items())
        at = list(self.cells).index(after) + 1
        self.cells = dict([*items[:at], (name, self._cell(source)), *items[at:]])

    def delete(self, name):
        del self.cells[name]
        self._deleted.append(name)

    def run(self, *names):
        for name in names or tuple(self.cells):
            self.save()
            ran = self._kernel.run(self.cells[name]["source"], cell=name, deleted=self._deleted)
            assert ran.status == "ok", ran.error
            self._deleted = []
            count = int(self._kernel.value("len(In) - 2"))
            kept = [
                {"output_type": "display_data", "data": one["data"], "metadata": one["metadata"]} for one in ran.outputs
            ]
            self.cells[name] |= {"outputs": kept, "execution_count": count}

    def save(self):
        cells = [{"id": name, **cell} for name, cell in self.cells.items()]
        Path("talk.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))

    def _audited(self):
        self.save()
        source = load(Path("talk.ipynb"))
        return audit(source.notebook, source.cassette, recorded=source.recorded), source

    def shown(self):
        """What is said of it, in lines."""
        return shown(*self._audited(), "en").splitlines()

    def found(self):
        report, _ = self._audited()
        names = list(self.cells)
        return [(finding.code, finding.cell and names[finding.cell - 1]) for finding in report.findings]

    def wrong(self):
        """What is found; that the cassette holds what was tried before too is another matter."""
        return [one for one in self.found() if one != ("cassette", None)]


def saved():
    """How JupyterLab names the notebook to its kernel."""
    return {"JPY_SESSION_NAME": str(Path("talk.ipynb").absolute())}


@pytest.fixture
def service():
    """The stub as if it were the service: nothing says that it is the stub."""
    stub = StubService()

    def answer(request):
        reply = stub(request)
        return reply._replace(headers={name: value for name, value in reply.headers.items() if name != "server"})

    with LoopbackServer(answer) as server:
        yield server


def test_audit_follows_edits_of_notebook(service, start):
    keys = {"QIANFAN_AK": StubKeys().ak, "QIANFAN_SK": StubKeys().sk}
    kernel = start(**service.environ, **keys, QFMAGIC_TRANSPORT="record", **saved())
    kernel.run("%qf set model=yi_34b_chat")
    page = Document(
        kernel,
        wall="%%qianfan temperature=0.3\n介绍下长城",
        long="%%qianfan\nHow long is it?",
        once="%%qianfan once\nhi",
        trip="%qianfan chat=trip what about 上海?",
        dry="%%qianfan dry\nhi",
        quiet="%%qianfan quiet\nhi",
        last="%%qianfan\nAnd now?",
    )
    assert page.wrong() == [(code, name) for name in page.cells for code in ["unasked"] if name != "dry"]
    page.run()
    assert page.found() == []

    page.write("wall", "%%qianfan temperature=0.3\nIntroduce the Silk Road")
    assert page.wrong() == [("changed", "wall")]
    page.run("wall")
    assert page.wrong() == [("stale", "long"), ("order", "long"), ("stale", "last")]
    page.run()
    assert page.wrong() == []

    page.write("between", "%%qianfan\nAnd how high?", after="wall")
    page.run("between")
    assert page.wrong() == [("stale", "long"), ("order", "long"), ("stale", "last")]
    page.run()
    assert page.wrong() == []

    page.delete("between")
    assert page.wrong() == [("stale", "long"), ("stale", "last")]
    page.run()
    assert page.wrong() == []

    page.write("again", "%qf retry", after="last")
    page.run("again")
    page.write("end", "%%qianfan\nThe end?", after="again")
    page.run("end")
    assert page.wrong() == []

    # Whatever was tried is on the cassette; what is shown is all found there, and the rest is told.
    assert page.found() == [("cassette", None)]

    page.cells["wall"]["outputs"][0]["data"]["text/markdown"] += " And more."
    assert page.wrong() == [("edited", "wall")]


def test_audit_matches_continued_and_formatted_answers(service, start):
    keys = {"QIANFAN_BEARER_TOKEN": StubKeys().bearer_token}
    kernel = start(**service.environ, **keys, QFMAGIC_TRANSPORT="record", **saved())
    kernel.run("%qf set model=ernie-5.1 system='Be brief.'")
    page = Document(
        kernel,
        begun="%%qianfan max_output_tokens=12\nWhich cities does a journey along the Silk Road lead through?",
        whole="%qf continue max_output_tokens=400",
        after="%%qianfan context=1\nAnd by sea?",
        new="%%qianfan new format=text\nAnother matter.",
        html="%%qianfan format=html once\nA table, please.",
    )
    page.run()
    assert page.found() == []


@dataclass
class Models:
    """Models that say their name and what they were asked; where JSON is wanted, each says at first that it is none."""

    asked: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, request):
        body = request.json()
        said = [message["content"] for message in body["messages"]]
        text = f"{body['model']} says: {said[-1]}"
        if any("JSON" in one for one in said):
            first = (body["model"], said[0]) not in self.asked
            self.asked.add((body["model"], said[0]))
            text = "no" if first else '{"mood": "fine"}'
        return v2(text, body["model"])


def test_audit_accepts_recorded_and_replayed_models_and_rows(start):
    several = "glm-5.3,deepseek-v3"
    cells = {
        "data": "rows = ['one', 'two', 'three', 'two']\n%qf set model=ernie-5.1",
        "both": f"%%qianfan model={several}\nHow long is it?",
        "compare": f"%%qf compare models={several} n=2\nHow long is it?",
        "over": f"%%qf compare models={several} over=rows\nRate {{{{ item }}}}",
        "map": "%%qf map rows into=rated\nRate {{ item }}",
        "fields": "%%qf map rows into=moods schema='mood str'\nThe mood of {{ item }}",
        "schema": "%%qianfan schema='mood str' into=mood\nThe mood?",
        "after": "%%qianfan\nAnd now?",
    }
    with LoopbackServer(Models()) as server:
        keys = {"QIANFAN_BEARER_TOKEN": StubKeys().bearer_token}
        page = Document(start(**server.environ, **keys, QFMAGIC_TRANSPORT="record", **saved()), **cells)
        page.run()
        assert page.found() == []
        recorded = page.shown()
    page = Document(start(QFMAGIC_TRANSPORT="replay", **saved()), **cells)
    page.run()
    assert page.found() == []
    assert [line.replace("replay", "record").split() for line in page.shown()] == [line.split() for line in recorded]
    first, second = several.split(",")
    assert [(line.split()[0], line.split()[-6]) for line in recorded[3:-2]] == [
        ("2", first), ("2", second), *[("3", first)] * 2, *[("3", second)] * 2, ("4", several),
        ("5", "ernie-5.1"), ("6", "ernie-5.1"), ("7", "ernie-5.1"), ("8", "ernie-5.1"),
    ]  # fmt: skip
    assert [line.split()[-1] for line in recorded[9:12]] == ["8/8", "4/4", "4/4"]

    # Hand edits, whatever asked.
    for name in ("both", "compare", "over", "map", "fields"):
        data = page.cells[name]["outputs"][0]["data"]
        data["text/markdown"] += " And more."
        assert page.found() == [("edited", name)]
        data["text/markdown"] = data["text/markdown"].removesuffix(" And more.")
        page.cells[name]["source"] += "?"
        assert page.found() == [("changed", name)]
        page.cells[name]["source"] = page.cells[name]["source"].removesuffix("?")

    # Without a cell, its answers are left over; what the cassette lacks is missing.
    for name in ("both", "compare", "over", "map", "fields"):
        outputs, page.cells[name]["outputs"] = page.cells[name]["outputs"], []
        assert ("cassette", None) in page.found()
        assert ("unasked", name) in page.found()
        page.cells[name]["outputs"] = outputs
    kept = Path("talk.qf.jsonl")
    exchanges = read(kept).exchanges
    rewrite(kept, [one for one in exchanges.values() if one.model != second])
    assert page.found() == [("missing", "both"), ("missing", "compare"), ("missing", "over")]
    rewrite(kept, [one for one in exchanges.values() if one.model != "ernie-5.1"])
    assert page.found() == [("missing", name) for name in ("map", "fields", "schema", "after")]
    kept.unlink()
    assert page.found() == [("cassette", None)]
