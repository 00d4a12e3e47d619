"""Models in a notebook: the default answers, retired ones are named, and the service's own list is used."""

import json
import os
import threading
from pathlib import Path

import pytest

from qfmagic.core.models import DEFAULT_MODEL
from qfmagic.notebook.completion import CursorPlace, candidates
from qfmagic.notebook.panel.state import fixed, panel_state
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import StubKeys, StubService

KEYS = StubKeys()
KEY = {"QIANFAN_BEARER_TOKEN": KEYS.bearer_token}
LISTED = [
    {"id": "my-tuned-service", "type": "chat", "context_length": "131072", "pricing": {"prompt": "0.004"}},
    {"id": "ernie-5.1"},
    {"id": "bge-large-zh", "type": "embeddings"},
]


class Current:
    """V2 as it is today: a clock of today, and a list of its own."""

    def __init__(self, kept=()):
        self._stub = StubService(clock=lambda: 1_796_000_000.0, kept=kept)

    def __call__(self, request):
        if request.path == "/v2/models" and request.headers.get("authorization") == f"Bearer {KEYS.bearer_token}":
            return Reply.of_json({"object": "list", "data": LISTED})
        return self._stub(request)


def test_cell_without_options_uses_a_current_model(start):
    with LoopbackServer(Current()) as server:
        ran = start(**server.environ, **KEY).run("%%qianfan\nhi")
    assert ran.status == "ok", ran.error
    assert ran.metadata["model"] == DEFAULT_MODEL
    assert "retired" not in ran.plain


@pytest.fixture
def live(shell, monkeypatch, capsys):
    """Runs lines against :class:`Current`; returns what they print."""
    with LoopbackServer(Current(kept=["ernie-lite-8k"])) as server:
        for name, value in {**server.environ, **KEY, "QFMAGIC_TRANSPORT": "live"}.items():
            monkeypatch.setenv(name, value)

        def run(code):
            capsys.readouterr()
            run.error = shell.run_cell(code).error_in_exec
            return capsys.readouterr().out

        run.server = server
        yield run


@pytest.fixture
def session(shell):
    shell.run_line_magic("qf", "settings")  # the first command makes it
    return shell.magics_manager.registry["QianfanMagics"].engine.session


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1"),
        ("zh", "ernie-lite-8k 已于 2026-01-27 下线：请改用 ernie-5.1"),
    ],
)
def test_retired_model_is_sent_and_named_once(live, lang, said):
    live(f"%qf set lang={lang}")
    assert live("%%qianfan model=ernie-lite-8k\nhi").count(said) == 1
    assert live("%%qianfan model=ernie-lite-8k dry\nhi").count(said) == 1
    assert live("%qf set model=ernie-lite-8k").count(said) == 1
    assert live("%%qianfan\nhi").count(said) == 1
    assert live("%%qf map list('ab') model=ernie-lite-8k\n{{ item }}").count(said) == 1
    assert live("%%qf map list('ab') model=ernie-lite-8k dry\n{{ item }}").count(said) == 1
    assert live("%%qf compare models=ernie-lite-8k,ernie-5.1\nhi").count(said) == 1
    assert said not in live("%%qianfan model=ernie-5.1\nhi")


def test_retired_model_is_named_before_its_answer(start):
    """The view of a question and the bar of a map show it while the service is silent."""
    gate, stub = threading.Event(), Current(kept=["ernie-lite-8k"])
    said = "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1"

    def answer(request):
        gate.wait()
        return stub(request)

    with LoopbackServer(answer) as server:
        kernel = start(**server.environ, **KEY)
        for cell in ("%%qianfan model=ernie-lite-8k\nhi", "%%qf map list('ab') model=ernie-lite-8k\n{{ item }}"):
            gate.clear()
            sent = kernel.send(cell, "cell-1")
            seen = ""
            while said not in seen:  # the bar's blanks are as wide as a digit
                content = kernel.client.get_iopub_msg(timeout=30)["content"]
                seen = json.dumps(content, ensure_ascii=False).replace("\N{FIGURE SPACE}", " ")
            gate.set()
            assert kernel.collect(sent)[0].status == "ok"


def test_map_names_no_successor_but_what_the_key_may_use(live):
    shown = live("%%qf map list('ab') model=deepseek-v3.1-250821\n{{ item }}")
    assert "retired on 2026-06-30: use ernie-5.1." in shown
    assert "use deepseek-v4-pro" not in shown


def test_answer_older_than_the_retirement_replays_without_note(live, monkeypatch, tmp_path):
    with LoopbackServer(StubService(clock=lambda: 1_700_000_000.0, kept=["ernie-lite-8k"])) as early:
        for name, value in early.environ.items():
            monkeypatch.setenv(name, value)
        live(f"%qf transport record {tmp_path / 'c.jsonl'}")
        assert "retired" not in live("%%qianfan model=ernie-lite-8k once\nhi")
    live(f"%qf transport replay {tmp_path / 'c.jsonl'}")
    shown = live("%%qianfan model=ernie-lite-8k once\nhi")
    assert "ERNIE-Lite-8K" in shown
    assert "retired" not in shown


def test_rejected_model_is_not_suggested_again(live):
    live("%%qianfan model=deepseek-v3.1-250821\nhi")
    said = str(live.error)
    assert "deepseek-v3.1-250821 was retired on 2026-06-30: use ernie-5.1." in said
    assert "This key can use ernie-5.1, my-tuned-service" in said


# ---- %qf models


def test_models_table_omits_retired_models(live):
    table = live("%qf models")
    assert "context 128k, input 119k, output 65536" in table
    assert "thinking (thinking, high, max), no vision, tools, json_schema" in table
    assert not [name for name in ("ernie-lite-8k ", "ernie-5.0 ", "gemma-7b-it ") if name in table]
    retired = live("%qf models retired")
    assert [line.split() for line in retired.splitlines() if line.startswith("ernie-lite-8k ")] == [
        ["ernie-lite-8k", "2026-01-27", "ernie-5.1"]
    ]
    assert "2026-10-29 (announced)" in retired


def test_model_details_show_retirement_and_features(live):
    assert "retired on 2026-01-27" in live("%qf models ernie-lite-8k")
    shown = live("%qf models DEEPSEEK_V4_PRO")
    assert "context 1M, output 393216 · thinking (thinking, high, max)" in shown
    assert "2026-09-16" in shown
    assert "下线" in live("%qf set lang=zh\n%qf models ernie-5.0")


def test_unlisted_model_shows_the_generic_row(live):
    shown = live("%qf models glm-5.33")
    assert live.error is None
    assert "not in the model table: sent to V2 unchanged" in shown
    assert "Did you mean glm-5.3" in shown
    assert "temperature" in shown
    assert "· none" not in shown, "no limit was read"


def test_live_model_list_is_shown_and_feeds_completion(live):
    assert "my-tuned-service?" not in live("%qf models my-tuned-servic")
    table = live("%qf models live")
    rows = [line.split() for line in table.splitlines() if line.startswith(("my-", "ernie", "bge"))]
    assert rows == [["ernie-5.1"], ["my-tuned-service", "chat", "131072", "0.004"], ["bge-large-zh", "embeddings"]]
    assert "Did you mean my-tuned-service?" in live("%qf models my-tuned-servic")
    assert "· context 131072 · listed by the service for this key" in live("%qf models my-tuned-service")
    assert "· listed by the service for this key" in live("%qf models ernie-5.1")
    assert "not listed by the service for this key" in live("%qf models glm-5.3")
    assert [request.path for request in live.server.requests] == ["/v2/models"]


def test_live_model_list_is_saved_without_the_key(live):
    live("%qf models live")
    (path,) = (Path(os.environ["QFMAGIC_HOME"]) / "models").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    saved = json.loads(path.read_text("utf-8"))
    assert [row["id"] for row in saved["data"]] == ["my-tuned-service", "ernie-5.1", "bge-large-zh"]
    assert KEYS.bearer_token not in path.read_text("utf-8")
    assert KEYS.bearer_token not in str(path)


def test_completion_and_the_panel_offer_what_the_service_listed(live, session):
    def offered():
        line = CursorPlace("%%qianfan", "model=", "")
        return candidates(line, session, {}).texts, [row["name"] for row in fixed(session)["models"]]

    for names in offered():
        assert DEFAULT_MODEL in names
        assert "my-tuned-service" not in names
        assert "ernie-lite-8k" not in names
    live("%qf models live")
    for names in offered():
        assert names.count("my-tuned-service") == names.count(DEFAULT_MODEL) == 1
        assert "bge-large-zh" not in names


def test_panel_shows_the_retirement_of_the_model(live, session):
    live("%qf set model=ernie-lite-8k")
    assert "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1." in panel_state(session)["model"]["facts"]
    live("%qf set model=ernie-5.1")
    assert "context 128k, input 119k, output 65536" in panel_state(session)["model"]["facts"]


def test_stub_lists_its_models(shell, capsys):
    shell.run_line_magic("qf", "models live")
    assert "ernie-5.1" in capsys.readouterr().out
    assert not (Path(os.environ["QFMAGIC_HOME"]) / "models").exists()


# ---- keys


def test_key_check_sends_no_prompt(live):
    assert "QIANFAN_BEARER_TOKEN: accepted." in live("%qf auth check")
    found = live("%qf doctor")
    assert "QIANFAN_BEARER_TOKEN: accepted." in found
    lines = [line for line in found.splitlines() if line[:1] in "✓!✗" and line.strip()]
    assert not [line for line in lines if "V1" in line]
    asked = [request.path for request in live.server.requests if request.headers.get("authorization")]
    assert asked == ["/v2/models", "/v2/models"]


def test_key_check_list_feeds_near_misses(live):
    live("%qf auth check")
    assert "Did you mean my-tuned-service?" in live("%qf models my-tuned-servic")
