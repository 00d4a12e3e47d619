"""The magics in a real kernel, over real sockets where it matters."""

import json
import threading

import pytest

from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import StubKeys

KEYS = StubKeys()
KEY_ENVIRON = {"QIANFAN_ACCESS_TOKEN": KEYS.access_token, "QIANFAN_BEARER_TOKEN": KEYS.bearer_token}


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


@pytest.mark.parametrize(("model", "wire"), [("yi_34b_chat", "v1"), ("ernie-5.1", "v2")])
def test_conversation_of_six_turns_sends_history(start, server, model, wire):
    """Each request carries every turn before it, as they were shown."""
    kernel = start(**server.environ, **KEY_ENVIRON)
    shown = []
    for number in range(6):
        ran = kernel.run(f"%%qianfan model={model} temperature=0.5\n第 {number} 个问题")
        assert ran.status == "ok", ran.error
        (output,) = ran.outputs
        shown.append(output["data"]["text/plain"].split("\n\n[◈")[0])
        assert ran.metadata["wire"] == wire
        assert ran.metadata["turn"] == number + 1
        assert len(ran.metadata["parents"]) == number
    bodies = [json.loads(request.body) for request in server.requests]
    for number, body in enumerate(bodies):
        contents = [message["content"] for message in body["messages"]]
        expected = [text for n in range(number) for text in (f"第 {n} 个问题", shown[n])]
        assert contents == [*expected, f"第 {number} 个问题"]
        assert body["temperature"] == 0.5
        assert body["stream"] is True
    assert "第 6 轮" in shown[-1]


def test_queued_cells_run_in_order(start, server):
    """Run All queues its cells; nest_asyncio loses them on ipykernel 7.3 and later."""
    kernel = start(**server.environ, **KEY_ENVIRON)
    ids = [kernel.send(f"%%qianfan model=yi_34b_chat\nquestion {n}", cell=f"cell-{n}") for n in range(4)]
    ran = kernel.collect(*ids)
    assert [one.status for one in ran] == ["ok"] * 4
    assert ["turn 1" in ran[0].plain, "turn 2" in ran[1].plain, "turn 3" in ran[2].plain, "turn 4" in ran[3].plain] == [
        True
    ] * 4
    assert len(json.loads(server.requests[-1].body)["messages"]) == 7


def test_queued_cells_run_with_nest_asyncio(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    assert kernel.run("%qf set nest_asyncio=true").status == "ok"
    assert kernel.run("import asyncio\nprint(asyncio.run(asyncio.sleep(0, 7)))").stdout.strip() == "7"
    ids = [kernel.send(f"%%qianfan model=yi_34b_chat\nquestion {n}") for n in range(4)]
    assert [one.status for one in kernel.collect(*ids)] == ["ok"] * 4


def test_answer_is_shown_once_and_kept(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    ran = kernel.run("%%qianfan model=yi_34b_chat into=kept\nhi")
    assert len(ran.outputs) == 1
    assert ran.result is None
    assert ran.updates == 0
    assert set(ran.outputs[0]["data"]) == {"text/markdown", "text/plain"}
    assert kernel.value("_ is kept, Out[max(Out)] is kept, kept.usage.total_tokens") == "True True 28"
    again = kernel.run("kept")
    assert again.outputs[0]["data"]["text/plain"].startswith("Hello! How can I assist")
    assert kernel.run("x = %qianfan model=yi_34b_chat hi").plain.count("Hello!") == 1
    assert kernel.value("x.text[:6]") == "Hello!"


def test_live_cell_ends_as_static_output(start):
    kernel = start(QFMAGIC_TRANSPORT="stub", QFMAGIC_STUB_PACE="0.03")
    live = kernel.run("%%qianfan model=yi_34b_chat once\n推荐一些中国自驾游路线", cell="a")
    static = kernel.run("%%qianfan model=yi_34b_chat once\n推荐一些中国自驾游路线")
    assert live.updates == 1  # the view gives its place to the static form
    assert static.updates == 0
    assert live.outputs[0]["data"] == static.outputs[0]["data"]
    assert live.metadata["request"] == static.metadata["request"]


def test_output_metadata_has_provenance(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    metadata = kernel.run("%%qianfan model=yi_34b_chat temperature=0.3\n介绍下长城").metadata
    assert metadata["usage"]["total_tokens"] > 400
    expected = {
        "transport": "stub",
        "wire": "v1",
        "model": "yi_34b_chat",
        "endpoint": "yi_34b_chat",
        "parameters": {"temperature": 0.3},
        "chat": "main",
        "turn": 1,
        "parents": [],
        "finish": "stop",
    }
    assert {name: metadata[name] for name in expected} == expected
    assert metadata["context"]["max_chars"] == 8000
    assert {"version", "request", "id", "created", "seconds"} <= set(metadata)


def test_errors_are_brief_and_change_nothing(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    kernel.run("%%qianfan model=yi_34b_chat\nhi")
    for cell, said in [
        ("%%qianfan", "Empty prompt"),
        ("%%qianfan model=yi_34b_chat\n", "Empty prompt"),
        ("%%qianfan model=yi_34b_chat\n \n", "Empty prompt"),
        ("%%qianfan modle=x\nhi", "Did you mean model"),
        ("%%qianfan model=yi-34b-chat api=v2\nhi", "No permission to use the model yi_34b_chat"),
        ("%%qianfan model=yi_34b_chat temperature=2\nhi", "(0, 1.0]"),
        ("%%qianfan model=yi_34b_chat temperature=hot\nhi", "Invalid temperature='hot'"),
        ("%%qianfan model=rwkv_4_world\nhi", "endpoint="),
        ("%%qianfan model=yi_34b_chat\n" + "长" * 8001, "8001 characters (limit 8000)"),
        ("%%qianfan {{ 1/0 }}\nhi", "not an option"),
        ("%%qianfan model=yi_34b_chat\n{{ 1/0 }}", "ZeroDivisionError"),
    ]:
        ran = kernel.run(cell)
        assert ran.status == "error", cell
        assert said in ran.error[1], (cell, ran.error)
        assert len(ran.traceback) == 1
        assert ran.outputs == []
    assert kernel.run("%%qianfan model=yi_34b_chat\nanother").metadata["turn"] == 2


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "No keys for the V1 API"),
        ({"QIANFAN_AK": "wrong", "QIANFAN_SK": "wrong"}, "Unknown API key (QIANFAN_AK)"),
        (
            {"QIANFAN_AK": "wrong", "QIANFAN_SK": "wrong", "QIANFAN_ACCESS_KEY": "a", "QIANFAN_SECRET_KEY": "b"},
            "are also set",
        ),
        ({"QIANFAN_AK": "half"}, "QIANFAN_SK is not"),
        ({"QIANFAN_ACCESS_TOKEN": "x", "QIANFAN_BASE_URL": "http://127.0.0.1:9"}, "Cannot connect to 127.0.0.1:9"),
    ],
)
def test_invalid_keys_and_addresses_fail_the_cell(start, server, environ, said):
    kernel = start(**{**server.environ, **environ})
    first = kernel.send("%%qianfan model=yi_34b_chat\nhi")
    after = kernel.send("print('ran on')")
    failed, stopped = kernel.collect(first, after)
    assert failed.status == "error"
    assert said in failed.error[1]
    assert stopped.status == "aborted"  # Run All stops there
    assert kernel.value("1 + 1") == "2"


def test_html_reply_is_reported(start):
    page = Reply((b"<html><body>Please log in</body></html>",), 200, {"content-type": "text/html"})
    with LoopbackServer(lambda _: page) as server:
        ran = start(**server.environ, **KEY_ENVIRON).run("%%qianfan model=yi_34b_chat\nhi")
    assert ran.error[0] == "ProtocolError"
    assert "Please log in" in ran.error[1]


def test_interrupt_closes_stream_and_keeps_text(start):
    """The Stop square: the connection is closed at once, the text stays, Run All stops."""
    gone = threading.Event()
    with LoopbackServer(pace=0.15, on_disconnect=gone.set) as server:
        kernel = start(**server.environ, **KEY_ENVIRON)
        name = kernel.send("%%qianfan model=yi_34b_chat\n推荐一些中国自驾游路线", cell="a")
        after = kernel.send("print('ran on')", cell="b")
        seen = kernel.wait_for(name, "display_data")
        kernel.manager.interrupt_kernel()
        interrupted, stopped = kernel.collect(name, after, first=seen)
        assert gone.wait(timeout=5)  # the server sees the connection close; the stream had a second to go
        assert len(server.requests) == 1
    assert interrupted.error[0] == "KeyboardInterrupt"
    assert len(interrupted.traceback) == 1
    assert stopped.status == "aborted"
    partial = interrupted.plain
    assert partial.startswith("中国幅员")
    assert "interrupted: partial answer kept" in partial
    assert "事项" not in partial
    history = kernel.run("%qf history").plain
    assert "0 of 0 turns" in history
    assert "interrupted" in history


def test_extension_can_be_reloaded_and_unloaded(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    assert kernel.run("%%qianfan model=yi_34b_chat\nhi").status == "ok"
    assert kernel.run("%reload_ext qfmagic").status == "ok"
    assert kernel.run("%%qianfan model=yi_34b_chat\nhi").status == "ok"
    kernel.run("%unload_ext qfmagic")
    assert (
        kernel.value(
            "[name for kind in get_ipython().magics_manager.magics.values() for name in kind if name in ('qianfan', 'qf')]"
        )
        == "[]"
    )
    assert kernel.value("[t.name for t in __import__('threading').enumerate() if t.name == 'qfmagic']") == "[]"
    assert kernel.run("import qfmagic; qfmagic.Answer('x')").result["text/plain"].startswith("Answer('x'")


def test_options_precede_set_and_config(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    assert kernel.run("%config QianfanMagics.model = 'yi_34b_chat'").status == "ok"
    assert kernel.run("%%qianfan\nhi").metadata["model"] == "yi_34b_chat"
    kernel.run("%qf set model=ernie-5.1")
    assert kernel.run("%%qianfan\nhi").metadata["model"] == "ernie-5.1"
    assert kernel.run("%%qianfan model=glm-5.3\nhi").metadata["model"] == "glm-5.3"
    kernel.run("%qf unset model")
    assert kernel.run("%%qianfan\nhi").metadata["model"] == "yi_34b_chat"


def test_question_mark_is_part_of_prompt(start):
    """IPython would take the line for a question about its last word."""
    kernel = start(QFMAGIC_TRANSPORT="stub")
    kernel.run("%qf set model=yi_34b_chat")
    assert "what is this?" in kernel.run("%qianfan once -- what is this?").plain
    assert "真的吗??" in kernel.run("x = %qianfan once 真的吗??").plain
    assert kernel.value("x.request['messages'][-1]['content']") == "真的吗??"
    assert kernel.run("%qianfan?").status == "ok"
    for magic, line in (("qianfan", "into=NAME"), ("qianfan", "temperature="), ("qf", "restore TURN")):
        shown = kernel.value(f"get_ipython().inspector.info(get_ipython().find_line_magic('{magic}'))['docstring']")
        assert line in shown
    assert kernel.run("print?").outputs == []


def test_assigned_answer_is_shown_on_request(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    assert kernel.run("a = %qianfan model=yi_34b_chat hi").plain.count("Hello!") == 1
    assert kernel.run("a").plain.count("Hello!") == 1


def test_nest_asyncio_is_set_by_config(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    kernel.run("%config QianfanMagics.nest_asyncio = True")
    assert kernel.run("import asyncio\nprint(asyncio.run(asyncio.sleep(0, 7)))").stdout.strip() == "7"


def test_kernel_messages_contain_no_key(start):
    kernel = start(QIANFAN_BEARER_TOKEN="very\nsecret")
    for cell in (
        "%%qianfan\nhi",
        '%%qianfan ak="very-secret\nhi',
        "%%qianfan hello ak=very-secret\nhi",
        "%qf settings",
        "%qf set sk='very-secret",
    ):
        ran = kernel.run(cell)
        assert "very" not in str(ran).replace(cell, "")


def test_cell_body_is_sent_unchanged(start):
    """IPython takes prompts of pasted sessions, and the blanks of blank lines, out of other cells."""
    kernel = start(QFMAGIC_TRANSPORT="stub")
    body = "explain\n    >>> f(1)\n    2\n  \nIn [1]: x\n...: y\n%ls ?\n!ls\nend?"
    kernel.run(f"%%qianfan model=yi_34b_chat into=a raw\n{body}".replace("\\n", "\n"))
    assert kernel.value("ascii(a.request['messages'][-1]['content'])") == ascii(body.replace("\\n", "\n"))
    assert kernel.run("\n\n%%qianfan model=yi_34b_chat\nhi").status == "ok"
