"""A kernel's life: interrupts at every moment, forks, reloads, restarts, other loops and threads. Nothing hangs or is left."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from queue import Empty

import pytest

from qfmagic.core.i18n import text as text_of
from tests.notebook.conftest import Kernel
from tests.notebook.output.test_live import Watched, check_closed
from tests.support.faults.server import HOLD, STREAM, FaultServer, chunk, told
from tests.support.faults.table import BUSY, FINE, FIRST, GOOD, SO_FAR

INTERRUPTED = text_of("note.interrupted", "en")
MODEL = "ernie-5.1"
KEYS = {"QIANFAN_ACCESS_TOKEN": "t", "QIANFAN_BEARER_TOKEN": "b"}
HELPERS = """
import asyncio, gc, ipywidgets, json, os, signal, sys, threading
session = get_ipython().magics_manager.registry["QianfanMagics"].engine.session
async def tasks():
    return len(asyncio.all_tasks()) - 1
def state():
    gc.collect()
    turns = session.chats.get("main").turns
    return {
        "turns": [[turn.prompt, turn.answer.text, turn.state] for turn in turns],
        "history": [[pair.prompt, pair.answer] for pair in session.chats.get("main").history],
        "tasks": session.loop.submit(tasks()).result(timeout=5),
        "widgets": len(ipywidgets.widgets.widget._instances),
        "threads": sorted(thread.name for thread in threading.enumerate() if "qfmagic" in thread.name),
    }
"""
WHOLE = told({"id": "as-1", "choices": [{"index": 0, "message": {"content": GOOD}}]})
HELD = (STREAM, chunk(FIRST["v2"]), HOLD)


class Service:
    """Answers with what a test puts there."""

    def __init__(self):
        self.script = FINE["v2"]
        self.scripts = []  # for the next requests; then it is the script again
        self.bodies = []

    def __call__(self, head, body):
        if body:  # else the client left before it had sent it
            self.bodies.append(json.loads(body))
        return self.scripts.pop(0) if self.scripts else self.script


@pytest.fixture(scope="module")
def service():
    service = Service()
    with FaultServer(service) as server:
        service.url = server.url
        service.environ = dict.fromkeys(("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL"), server.url)
        yield service


@pytest.fixture(scope="module")
def kernel(service, tmp_path_factory):
    """One kernel for all that leaves it as it was; its asyncio watches itself, and every warning is an error."""
    home = tmp_path_factory.mktemp("home")
    slow = {"QIANFAN_LLM_API_RETRY_BACKOFF_FACTOR": "60"}
    kernel = Kernel(cwd=str(home), QFMAGIC_HOME=str(home), **service.environ, **KEYS, **slow)
    kernel.home = home
    assert kernel.run(f"%load_ext qfmagic\n%qf set model={MODEL}\n{HELPERS}").status == "ok"
    yield kernel
    kernel.close()


@pytest.fixture
def lab(kernel, service):
    """The kernel, with an empty conversation; afterwards nothing is left over in it, and it answers."""
    service.script = FINE["v2"]
    kernel.run("%qf reset")
    yield kernel
    service.script = FINE["v2"]
    assert kernel.run("%%qianfan once\nhi").plain == GOOD
    found = state(kernel)
    assert (found["tasks"], found["widgets"], found["threads"]) == (0, 0, ["qfmagic"])


def state(kernel):
    ran = kernel.run("print(json.dumps(state()))")
    assert ran.status == "ok", ran.error
    return json.loads(ran.stdout)


def journal(kernel):
    with closing(sqlite3.connect(kernel.home / "journal.sqlite")) as database:
        rows = database.execute("select record from turns where chat = 'main' order by seq")
        found = [json.loads(record) for (record,) in rows]
    return [[one["prompt"], one["answer"]["text"], one.get("state", "answered")] for one in found]


def shows(cell):
    return cell.until(lambda message: message["msg_type"] == "display_data")


# Where a question stands when the interrupt comes: what the service does, how the test knows, what has come by then.
MOMENTS = {
    "before the headers": ((HOLD,), shows, ""),
    "before the first text": ((STREAM, HOLD), shows, ""),
    "in a pause before asking again": (told(BUSY["v2"]), lambda cell: cell.update("wait"), ""),
    "in mid-stream": (HELD, lambda cell: cell.update("t"), SO_FAR),
}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupt_at_any_moment_keeps_kernel_usable(lab, service, moment, times):
    service.script, reached, text = MOMENTS[moment]
    cell = Watched(lab, "%%qianfan\nhi")
    reached(cell)
    began = time.monotonic()
    for _ in range(times):
        lab.manager.interrupt_kernel()
    try:
        reply = cell.end()
        assert time.monotonic() - began < 10  # machines may be busy; a second is usual
        assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
        # A later one may come when the cell has ended, and take the text from IPython; no stack of ours is ever in it.
        shown = "".join(reply["traceback"])
        assert len(reply["traceback"]) == 1 or (times > 1 and "qfmagic" not in shown)
    except Empty:
        if times == 1:
            raise
        # The last interrupt came when the cell had ended, and hit ipykernel while it sent the reply.
    check_closed(cell)
    final = cell.of("update_display_data")[-1]["data"]["text/plain"]
    assert final.startswith(f"{text}\n\n[◈ interrupted")
    service.script = FINE["v2"]
    assert lab.run("%%qianfan\nnext", "next").plain.split("\n\n[◈")[0] == GOOD  # the order of cells is unknown
    assert [message["content"] for message in service.bodies[-1]["messages"]] == ["next"]
    found = state(lab)
    assert found["turns"] == journal(lab) == [["hi", text, "interrupted"], ["next", GOOD, "answered"]]
    assert found["history"] == [["next", GOOD]]


def test_interrupt_while_connecting_ends_cell(lab, service):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, contextlib.ExitStack() as stack:
        for _ in range(4):  # with its queue full, further connections wait
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        lab.run(f"os.environ['QIANFAN_CONSOLE_API_BASE_URL'] = 'http://127.0.0.1:{deaf.getsockname()[1]}'")
        cell = Watched(lab, "%%qianfan\nhi")
        shows(cell)
        lab.manager.interrupt_kernel()
        assert cell.end()["ename"] == "KeyboardInterrupt"
        check_closed(cell)
        lab.run(f"os.environ['QIANFAN_CONSOLE_API_BASE_URL'] = {service.url!r}")


STEPPED = """
def ask(at, again=0):
    # Interrupt itself at the step of qfmagic's own code that has that number, and so many steps later again.
    global steps, sent
    steps, sent = 0, False
    def look(frame, event, _):
        global steps, sent
        if event in ("call", "return") and "/qfmagic/" in frame.f_code.co_filename:
            steps += 1
            sent |= frame.f_code.co_name == "run"
            if steps in (at, at + again):
                signal.raise_signal(signal.SIGINT)
    sys.setprofile(look)
    try:
        get_ipython().run_cell_magic("qianfan", "", "hi")
    finally:
        sys.setprofile(None)
"""


@pytest.mark.parametrize("again", [0, 3], ids=["once", "twice"])
def test_interrupt_at_any_step_leaves_consistent_turn(lab, again):
    lab.run(f"{STEPPED}\nfrom qfmagic.notebook.output.live import LiveView\nLiveView.PATIENCE = LiveView.GRACE = 0")
    # Between the making of a coroutine and its start nothing can be done about an interrupt; nothing is lost either.
    lab.run("import warnings\nwarnings.filterwarnings('ignore', 'coroutine .* was never awaited')")
    lab.run("ask(0)", "cell")
    steps = int(lab.value("steps"))
    seen = set()
    for at in range(7 if again else 3, steps, steps // 40):
        lab.run("%qf reset")
        ran = lab.run(f"ask({at}, {again})", "cell")
        found = state(lab)
        if at + again >= int(lab.value("steps")) and ran.status == "ok":
            continue  # the answer came in larger pieces this time, and took fewer steps
        assert ran.error[0] == "KeyboardInterrupt"
        assert ran.models == set()
        assert (found["widgets"], found["tasks"]) == (0, 0)
        assert found["turns"] == journal(lab)
        if found["turns"]:
            ((_, text, mark),) = found["turns"]
            (output,) = ran.outputs
            assert output["data"]["text/plain"] == (text if mark == "answered" else f"{text}\n\n[◈ {INTERRUPTED}]")
            assert mark != "answered" or text == GOOD
            seen.add(mark)
        else:
            assert ran.outputs == []
            seen.add("")
        assert lab.run("%%qianfan\nnext", "next").plain.split("\n\n[◈")[0] == GOOD  # the order of cells is unknown
    assert "answered" in seen
    assert "" in seen
    lab.run("LiveView.PATIENCE, LiveView.GRACE = 0.25, 0.008")


FORK = """
under_way = session.client().stream("hi")
assert next(under_way).text == "长城"
into, out = os.pipe()
child = os.fork()
if child == 0:
    try:
        said = [len(list(under_way)), session.client().ask("hi").text]
        get_ipython().run_line_magic("qianfan", "quiet -- in the child")
        said.append(session.last.text)
    except BaseException as error:
        said = [repr(error)]
    os.write(out, json.dumps(said).encode())
    os._exit(0)
os.close(out)
with open(into) as pipe:
    said = pipe.read()
print(json.dumps([json.loads(said), os.waitpid(child, 0)[1], under_way.drain(0.1)]))
under_way.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_with_open_stream_can_send(lab, service):
    lab.run("%%qianfan\nbefore")
    service.scripts = [HELD, WHOLE]
    ran = lab.run(f"import warnings\nwarnings.filterwarnings('ignore', 'This process', DeprecationWarning)\n{FORK}")
    assert ran.error is None
    assert json.loads(ran.stdout) == [[0, GOOD, GOOD], 0, []]
    lab.run("%%qianfan\nafter")
    found = state(lab)
    assert found["turns"] == journal(lab) == [["before", GOOD, "answered"], ["after", GOOD, "answered"]]


def test_answer_can_be_awaited_in_cell(lab, service):
    service.scripts = [WHOLE]
    assert lab.run("print((await session.client().aask('hi')).text)").stdout.strip() == GOOD
    pieces = "[delta.text async for delta in session.client().astream('hi')]"
    assert lab.run(f"print(''.join({pieces}))").stdout.strip() == GOOD


def test_threads_send_concurrently(lab):
    script = """
answers = []
def work(number):
    magic = get_ipython().run_line_magic("qianfan", f"chat=t{number} quiet hi")
    answers.extend([magic.text, "".join(delta.text for delta in session.client().stream("hi"))])
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(answers), set(answers) == {"长城，万里。"})
"""
    ran = lab.run(script)
    assert ran.error is None
    assert ran.stdout.strip() == "16 True"


RELOADED = """
kept = []
def work():
    stream = session.client().stream("hi")
    try:
        for delta in stream:
            kept.append(delta.text)
            came.set()
    except Exception as error:
        kept.append(repr(error))
    kept.append(stream.answer.finish_reason)
came = threading.Event()
thread = threading.Thread(target=work)
thread.start()
assert came.wait(10)
"""


@pytest.mark.parametrize("line", ["%reload_ext qfmagic", "%unload_ext qfmagic\n%load_ext qfmagic"])
def test_reload_stops_prompt_of_another_thread(lab, service, line):
    lab.run("%%qianfan\nbefore")
    service.script = HELD
    assert lab.run(RELOADED).error is None
    ran = lab.run(f"{line}\nthread.join(10)\nprint(json.dumps([kept, thread.is_alive()]))")
    assert ran.error is None
    assert json.loads(ran.stdout) == [[SO_FAR, "interrupted"], False]
    assert lab.run(f"{HELPERS}\n%qf set model={MODEL}").status == "ok"
    service.script = FINE["v2"]
    lab.run("%%qianfan\nafter")
    assert state(lab)["history"] == [["before", GOOD], ["after", GOOD]]


@pytest.mark.parametrize("way", ["restart", "shutdown"])
def test_kernel_ends_with_open_stream(start, service, tmp_path, way):
    service.script = HELD
    kernel = start(QFMAGIC_HOME=str(tmp_path), **service.environ, **KEYS)
    cell = Watched(kernel, f"%%qianfan model={MODEL}\nhi")
    cell.update("t")
    began = time.monotonic()
    if way == "shutdown":
        kernel.manager.shutdown_kernel()
        assert time.monotonic() - began < 4
        return
    kernel.manager.restart_kernel()
    assert time.monotonic() - began < 4
    service.script = FINE["v2"]
    kernel.client.wait_for_ready(timeout=30)
    kernel.run("%load_ext qfmagic")
    kernel.run("%qf resume .")
    assert "interrupted" in kernel.run("%qf history").plain
    assert kernel.run(f"%%qianfan model={MODEL}\nnext").plain == GOOD


def test_asyncio_run_works_in_cell_with_nest_asyncio(start, service):
    service.script = WHOLE
    kernel = start(**service.environ, **KEYS)
    kernel.run("%qf set nest_asyncio=true")
    kernel.run(f"import asyncio, qfmagic\nclient = qfmagic.Qianfan(model={MODEL!r})")
    queued = [kernel.send("print(asyncio.run(client.aask('hi')).text)") for _ in range(3)]
    assert [ran.stdout.strip() for ran in kernel.collect(*queued)] == [GOOD] * 3


TERMINAL = """
%load_ext qfmagic
%qf set model=ernie-5.1
%qianfan first
%qianfan second
"""


def test_ctrl_c_in_terminal_stops_answer(service, tmp_path):
    (tmp_path / "talk.ipy").write_text(TERMINAL, encoding="utf-8")
    environ = {**os.environ, **service.environ, **KEYS, "QFMAGIC_LANG": "en", "QFMAGIC_JOURNAL": "false"}
    environ |= {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONIOENCODING": "utf-8", "PYTHONASYNCIODEBUG": "1"}
    command = [sys.executable, "-W", "always::ResourceWarning", "-m", "IPython", "--colors=NoColor", "talk.ipy"]
    service.scripts = [FINE["v2"], HELD]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        shown = ""
        while not shown.endswith(f"{GOOD}\n{SO_FAR}"):
            new = process.stdout.read(1)
            assert new, process.stderr.read()
            shown += new
        process.send_signal(signal.SIGINT)
        rest, problems = process.communicate(timeout=20)
    assert f"[◈ {INTERRUPTED}]" in rest
    assert "KeyboardInterrupt" in rest + problems
    assert process.returncode == 1
    assert "Warning" not in problems
    assert "asking.py" not in rest + problems  # none of our stack
