"""Every row of the table through a real cell: as a page runs it (live, in Chinese), and as a headless run does."""

import json
import sqlite3
from contextlib import closing

import pytest

from qfmagic.core.i18n import text
from tests.notebook.conftest import Kernel
from tests.support.faults.server import FaultServer, told
from tests.support.faults.table import FAULTS, FINE, GOOD, SO_FAR

from .test_faults import MODELS

NO_PAUSES = dict.fromkeys(
    (f"QIANFAN_LLM_API_RETRY_{name}" for name in ("BACKOFF_FACTOR", "JITTER", "MAX_WAIT_INTERVAL")), "0"
)
SMALLER_BOUNDS = """
import asyncio, json, os
import ipywidgets
import qfmagic.client.attempt
from qfmagic.core.wire.sse import SSEDecoder
qfmagic.client.attempt.MAX_BODY = 4 * 2**20
SSEDecoder.__init__.__defaults__ = (2**20,)
session = get_ipython().magics_manager.registry["QianfanMagics"].engine.session
async def tasks():
    return len(asyncio.all_tasks()) - 1
def turns(chat):
    return [[turn.prompt, turn.answer.text, turn.state, turn.cell] for turn in session.chats.get(chat).turns]
"""
LISTED = told({"object": "list", "data": [{"id": "ernie-5.1"}]})
# What a message has to name: what can be done about it.
ADVICE = {
    "connect.cut": ("Run the cell again", "重新运行"),
    "connect.protocol": ("%qf doctor", "%qf doctor"),
    "protocol.empty": ("Run the cell again", "重新运行"),
    "protocol.json": ("base address", "服务地址"),
    "protocol.event": ("Run the cell again", "重新运行"),
    "protocol.packed_broken": ("Run the cell again", "重新运行"),
    "protocol.packed_cut": ("Run the cell again", "重新运行"),
    "protocol.encoding": ("proxy", "代理"),
    "protocol.endless": ("max_output_tokens", "max_output_tokens"),
    "timeout.first": ("timeout=SECONDS", "timeout=秒数"),
    "timeout.between": ("timeout=SECONDS", "timeout=秒数"),
    "AccessError": ("console", "控制台"),
    "AuthenticationError": ("Set ", "请"),
    "ContentError": ("Change the text", "修改文本"),
    "GoneError": ("model=ernie-5.1", "model=ernie-5.1"),
    "QuotaError": ("billing page", "计费页面"),
    "RateLimitError": ("%qf set|Retry in a moment", "%qf set|稍后再试"),
    "RequestError": ("Use dry to show", "选项 dry"),
    "ServiceError": ("%qf doctor", "%qf doctor"),
    "UnavailableError": ("Retry in a moment", "稍后再试"),
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    keys = {"QIANFAN_ACCESS_TOKEN": "t", "QIANFAN_BEARER_TOKEN": "b"}
    kernel = Kernel(cwd=str(home), QFMAGIC_HOME=str(home), **keys, **NO_PAUSES)
    kernel.home = home
    assert kernel.run(f"%load_ext qfmagic\n{SMALLER_BOUNDS}").status == "ok"
    yield kernel
    kernel.close()


class Service:
    """Answers well, but for one question: that gets the row's scripts."""

    def __init__(self, fault):
        self.fine = FINE[fault.wire]
        self.scripts = [self.fine]
        self.bodies = []

    def __call__(self, head, body):
        if head.startswith("GET"):  # a rejected model has the list of models fetched
            return LISTED
        self.bodies.append(json.loads(body))
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def sent(self):
        """The messages of the last request."""
        return [message["content"] for message in self.bodies[-1]["messages"]]


class Talk:
    """One conversation in the kernel, about one row."""

    def __init__(self, kernel, fault, url, *, live):
        self.kernel, self.fault, self.live = kernel, fault, live
        self.lang = "zh" if live else "en"
        self.chat = f"{fault.wire}-{FAULTS.index(fault)}-{self.lang}"
        urls = dict.fromkeys(("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL"), url)
        options = f"lang={self.lang} chat={self.chat} model={MODELS[fault.wire]} timeout={fault.timeout}"
        assert kernel.run(f"os.environ.update({urls})\n%qf set {options}").status == "ok"

    def run(self, code):
        """Run a cell; whatever it opened in the page is closed at its end."""
        self.cell = f"{self.chat} {code}"
        ran = self.kernel.run(code, self.cell if self.live else None)
        assert ran.models == set()
        return ran

    def turns(self):
        ran = self.kernel.run(
            f"left = len(ipywidgets.widgets.widget._instances), session.loop.submit(tasks()).result(timeout=5)\n"
            f"print(json.dumps([left, turns({self.chat!r})]))"
        )
        left, turns = json.loads(ran.stdout)
        assert left == [0, 0]
        return turns

    def journal(self):
        """What the journal holds of this conversation: question, answer, state."""
        with closing(sqlite3.connect(self.kernel.home / "journal.sqlite")) as database:
            rows = database.execute("select record, partial from turns where chat = ? order by seq", (self.chat,))
            found = [(json.loads(record), partial) for record, partial in rows]
        assert not any(partial for _, partial in found)
        return [[one["prompt"], one["answer"]["text"], one.get("state", "answered")] for one, _ in found]


def check_message(ran, fault, lang):
    """A line that says what happened, by the service's own code and id, and what to do about it."""
    kind, code = fault.error
    name, message = ran.error
    assert name == kind
    assert ran.traceback == [f"{kind}: {message}"]
    assert "\n" not in message
    assert len(message) < 500
    advice = ADVICE[code if code in ADVICE else kind][lang == "zh"]
    assert any(phrase in message for phrase in advice.split("|"))
    whole = message.replace("...", "")
    assert not any(stop in whole for stop in ("..", "。。", ".。", "  "))
    if kind not in ("TransportError", "ProtocolError", "ResponseTimeout"):
        assert ("错误码" if lang == "zh" else "code") in message
        if code is not None:
            assert str(code) in message
        assert ("[id as-1]" in message) == ("as-1" in str(fault.scripts[-1]) and not fault.text)
    assert ("%qf continue" in message) == (fault.text != "")


def check_shown(ran, answer, state, lang):
    """What came is there, and marked if it isn't whole; of a question without an answer nothing is."""
    if state == "failed":
        assert ran.outputs == []
        return
    (output,) = ran.outputs
    data = output["data"]
    assert set(data) == {"text/markdown", "text/plain"}
    assert data["text/plain"].startswith(answer.rstrip())
    marks = [text(f"note.{name}", lang) for name in ("interrupted", "incomplete")]
    assert any(mark in data["text/plain"] for mark in marks) == (state == "interrupted")
    assert (ran.metadata["finish"] == "stop") == (state == "answered")


@pytest.mark.parametrize("live", [True, False], ids=["live", "static"])
@pytest.mark.parametrize("fault", FAULTS, ids=[f"{row.wire}: {row.name}" for row in FAULTS])
def test_cell_handles_every_fault(kernel, fault, live):
    service = Service(fault)
    with FaultServer(service) as server:
        talk = Talk(kernel, fault, server.url, live=live)
        assert talk.run("%%qianfan\nbefore").status == "ok"
        service.scripts = list(fault.scripts)
        ran = talk.run("%%qianfan\nhi")
        service.scripts = [service.fine]
        assert len(service.bodies) == 1 + fault.asked
        if fault.error is None:
            assert (ran.status, ran.error) == ("ok", None)
        else:
            assert ran.status == "error"
            check_message(ran, fault, talk.lang)
        state = "failed" if fault.text == "" else "answered" if _whole(fault) else "interrupted"
        turns = talk.turns()
        answer = turns[-1][1] if fault.text is None else fault.text
        check_shown(ran, answer, state, talk.lang)
        check_kept(talk, turns, answer, state)
        assert talk.run("%%qianfan timeout=30\nnext").status == "ok"
        assert service.sent() == ["before", GOOD, *(["hi", answer] if state == "answered" else []), "next"]
        if state == "interrupted":
            check_continue(talk, service, answer)
        elif state == "failed" and live:  # elsewhere there is no turn to ask again: its cell is run again
            check_retry(talk, service)


def _whole(fault):
    return fault.error is None and fault.finish == "stop"


def check_kept(talk, turns, answer, state):
    """The conversation, its journal and ``%qf history`` agree; a question without an answer keeps its cell's place."""
    kept = [] if state == "failed" and not talk.live else [["hi", answer, state]]
    assert turns[0][:3] == ["before", GOOD, "answered"]
    assert [turn[:3] for turn in turns[1:]] == kept
    assert talk.journal() == [turn[:3] for turn in turns]
    assert [turn[3] for turn in turns[1:]] == [talk.cell if talk.live else None for _ in kept]
    history = talk.kernel.run("%qf history").plain
    counts = (2, 2) if state == "answered" else (1, 1)
    head = history.splitlines()[0]
    assert f"send {counts[0]} of {counts[1]} turn" in head or f"会发送 {counts[1]} 轮中的 {counts[0]} 轮" in head
    last = [line for line in history.splitlines() if "hi" in line.split()]
    assert [text(f"state.{state}", talk.lang) in line for line in last] == [True for _ in kept]


def check_continue(talk, service, answer):
    ran = talk.run("%qf continue 2")
    if talk.fault.wire == "v1" and len(answer) > 8000:  # on V2 no limit is known
        assert ran.error == ("OptionError", text("command.no_room_to_go_on", talk.lang, number=2))
        check_retry(talk, service)
        return
    assert ran.status == "ok"
    assert service.sent() == ["before", GOOD, "hi", answer, text("ask.go_on", talk.lang)]
    assert ran.plain.startswith(answer + GOOD)
    assert talk.turns()[1][:3] == ["hi", answer + GOOD, "answered"]
    check_whole(talk, service, answer + GOOD)


def check_retry(talk, service):
    ran = talk.run("%qf retry 2")
    assert ran.status == "ok"
    assert service.sent() == ["before", GOOD, "hi"]
    assert ran.plain.startswith(GOOD)
    assert talk.turns()[1][:3] == ["hi", GOOD, "answered"]
    check_whole(talk, service, GOOD)


def check_whole(talk, service, answer):
    """The turn has taken its place in the history."""
    assert talk.journal() == [turn[:3] for turn in talk.turns()]
    assert talk.run("%%qianfan timeout=30\nat last").status == "ok"
    assert service.sent() == ["before", GOOD, "hi", answer, "next", GOOD, "at last"]


def test_silent_fault_opens_view_and_model(kernel):
    """The checks above are of something: a row that waits does open a view, and leaves what it had opened."""
    (silent,) = [row for row in FAULTS if row.wire == "v1" and row.name == "silence in the middle"]
    with FaultServer(silent.scripts) as server:
        ran = Talk(kernel, silent, server.url, live=True).run("%%qianfan once\nhi")
    assert ran.opened == 2
    assert ran.plain.startswith(SO_FAR)
