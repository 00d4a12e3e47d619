"""What a kernel sends while an answer comes: only new text, and in the end nothing of the widget is left."""

import threading

import pytest

from qfmagic.core.answer import Delta
from qfmagic.notebook.output.live import LiveView
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from tests.support.held import KEY_ENVIRON, Held, held_json, held_reply

WIDGET = "application/vnd.jupyter.widget-view+json"
ASK = "%%qianfan model=ernie-5.1\nhi"


@pytest.fixture
def service():
    """A server, its next reply, and an event that tells when a client left."""

    class Service:
        left = threading.Event()
        reply = None

    service = Service()
    service.left = threading.Event()
    with LoopbackServer(lambda _: service.reply, on_disconnect=service.left.set) as server:
        service.server = server
        yield service
        if isinstance(service.reply.chunks, Held):
            service.reply.chunks.let_all()


@pytest.fixture
def lab(start, service):
    """A kernel that is told what JupyterLab tells."""
    return start(**service.server.environ, **KEY_ENVIRON)


class Watched:
    """A cell that runs, watched message by message."""

    def __init__(self, kernel, code, cell="cell"):
        self.kernel = kernel
        self.name = kernel.send(code, cell)
        self.messages = []

    def until(self, wanted, timeout=20):
        """Take messages until one is wanted; return it."""
        while True:
            message = self.kernel.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") == self.name:
                self.messages.append(message)
                if wanted(message):
                    return message

    def update(self, key):
        """Wait for a message to the page that has *key*; return what it says."""
        found = self.until(lambda message: key in said(message))
        return said(found)[key]

    def end(self):
        self.until(lambda message: message["content"].get("execution_state") == "idle")
        reply = self.kernel.client.get_shell_msg(timeout=20)
        return reply["content"]

    def of(self, kind):
        return [message["content"] for message in self.messages if message["msg_type"] == kind]


def said(message):
    """What a message says to the live answer's page."""
    return message["content"].get("data", {}).get("content", {}) if message["msg_type"] == "comm_msg" else {}


def opened(watched):
    return {content["comm_id"]: content["data"]["state"]["_model_name"] for content in watched.of("comm_open")}


def check_closed(watched):
    """Every model is closed, and the one output is the static bundle."""
    assert {content["comm_id"] for content in watched.of("comm_close")} == set(opened(watched))
    assert sorted(opened(watched).values()) == ["AnyModel", "WidgetModel"]


def test_live_view_sends_only_new_text_and_closes(lab, service):
    service.reply = held_reply(["one ", "two ", {"reasoning_content": "hm"}, "three"])
    held = service.reply.chunks
    cell = Watched(lab, ASK)
    shown = cell.until(lambda message: message["msg_type"] == "display_data")["content"]
    assert WIDGET in shown["data"]  # before any text: the reader sees that the question is on its way
    assert "%qf resume" in shown["data"]["text/plain"]  # for a document that is saved now and never again
    for text in ("one ", "two "):
        held.let()
        assert cell.update("t") == text
    held.let()
    assert cell.update("r") == "hm"
    held.let_all()
    assert cell.end()["status"] == "ok"
    check_closed(cell)
    (final,) = cell.of("update_display_data")
    assert final["transient"] == shown["transient"]
    assert final["data"]["text/plain"] == "one two three"
    assert final["data"]["text/markdown"] == (
        "<details><summary>Reasoning</summary>\n\nhm\n\n</details>\n\none two three"
    )
    assert WIDGET not in final["data"]
    numbers = [said(message)["n"] for message in cell.messages if "n" in said(message)]
    assert numbers == list(range(len(numbers)))
    again = lab.run("%qf show 1").plain
    assert "hm" not in again


def test_live_view_reasoning_is_not_sent_back(lab, service):
    service.reply = held_reply([{"reasoning_content": "secret thought"}, "three"])
    service.reply.chunks.let_all()
    lab.run(ASK, "a")
    service.reply = held_reply(["ok"])
    service.reply.chunks.let_all()
    lab.run(ASK, "b")
    body = service.server.requests[-1].json()
    assert [message["content"] for message in body["messages"]] == ["hi", "three", "hi"]


def test_live_view_script_is_sent_once_per_page(lab, service):
    sizes = []
    for _ in range(2):
        service.reply = held_reply(["x"])
        cell = Watched(lab, ASK)
        cell.until(lambda message: message["msg_type"] == "display_data")
        service.reply.chunks.let_all()
        cell.end()
        states = [content["data"]["state"] for content in cell.of("comm_open")]
        sizes.append(sum(len(state.get("_esm", "")) for state in states))
    assert sizes[0] > 100_000
    assert sizes[1] < 6_000


def test_failed_prompt_without_view_sends_no_script(lab, service):
    """A refusal that comes at once is a common first answer: without keys, with a wrong one."""
    service.reply = Reply.of_json({"error": {"code": "invalid_model", "message": "x"}}, status=404)
    assert lab.run(ASK, "first").opened == 0
    service.reply = held_reply(["x"])
    cell = Watched(lab, ASK)
    cell.until(lambda message: message["msg_type"] == "display_data")
    service.reply.chunks.let_all()
    cell.end()
    states = [content["data"]["state"] for content in cell.of("comm_open")]
    assert sum(len(state.get("_esm", "")) for state in states) > 100_000


def test_stop_button_ends_stream_and_cell(lab, service):
    """As the page does it: the click goes to a subshell, over the comm that only takes clicks."""
    service.reply = held_reply(["partial", "never"])
    cell = Watched(lab, ASK)
    state = cell.until(lambda message: "labels" in message["content"].get("data", {}).get("state", {}))
    stop = state["content"]["data"]["state"]["stop"]
    service.reply.chunks.let()
    cell.update("t")
    subshell = create_subshell(lab)
    send_click(lab, stop, subshell, "hello")
    assert cell.update("stop") is True
    queued = lab.send("print('ran on')", "next")
    send_click(lab, stop, subshell, "stop")
    reply = cell.end()
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    service.reply.chunks.let_all()  # a server sees that the client left when it writes
    assert service.left.wait(5)
    check_closed(cell)
    assert cell.of("update_display_data")[-1]["data"]["text/plain"].startswith("partial\n\n[◈ interrupted")
    assert lab.collect(queued)[0].status == "aborted"  # Run All stops
    assert "interrupted" in lab.run("%qf history").plain


def create_subshell(kernel):
    message = kernel.client.session.msg("create_subshell_request", {})
    kernel.client.control_channel.send(message)
    return kernel.client.get_control_msg(timeout=10)["content"]["subshell_id"]


def send_click(kernel, model, subshell, what):
    content = {"comm_id": model, "data": {"method": "custom", "content": {"do": what}}}
    message = kernel.client.session.msg("comm_msg", content)
    message["header"]["subshell_id"] = subshell
    kernel.client.shell_channel.send(message)


@pytest.mark.parametrize("pieces", [0, 1])
def test_kernel_interrupt_ends_stream_and_cell(lab, service, pieces):
    service.reply = held_reply(["partial", "never"])
    cell = Watched(lab, ASK)
    cell.until(lambda message: message["msg_type"] == "display_data")
    if pieces:
        service.reply.chunks.let(pieces)
        cell.update("t")
    lab.manager.interrupt_kernel()
    assert cell.end()["ename"] == "KeyboardInterrupt"
    service.reply.chunks.let_all()
    assert service.left.wait(5)
    check_closed(cell)


@pytest.mark.parametrize("line", [False, True])
def test_failed_prompt_leaves_no_view(lab, service, line):
    error = {"error": {"code": "invalid_model", "message": "no such model", "type": "invalid_request_error"}}
    service.reply = held_json(error, 404)
    cell = Watched(lab, "%qianfan model=ernie-5.1 hi" if line else ASK)
    cell.until(lambda message: message["msg_type"] == "display_data")
    service.reply.chunks.let_all()
    assert cell.end()["status"] == "error"
    check_closed(cell)
    if line:
        assert cell.of("update_display_data")[-1]["data"] == {"text/plain": ""}
    else:
        assert cell.of("clear_output")


def test_live_view_fast_answer_opens_no_widget():
    """The view waits a moment: one that is replaced at once would only flicker."""
    clock = [0.0]
    published = []
    view = LiveView(lambda *args, **kwargs: published.append(args), None, lang="en", model="m", now=lambda: clock[0])
    view.tick()
    view.add(Delta("all of it"))
    clock[0] = 0.001
    assert 0 < view.tick() <= LiveView.GRACE
    view.finish({"text/plain": "all of it"}, {})
    view.close()
    assert published == [({"text/plain": "all of it"},)]


def test_live_view_shows_retry_pause_and_can_be_stopped(lab, service):
    busy = Reply.of_json({"error": {"code": "rpm_rate_limit_exceeded", "message": "slow down"}}, status=429)
    service.reply = busy._replace(headers={**busy.headers, "retry-after": "60"})
    cell = Watched(lab, ASK)
    wait = cell.update("wait")
    assert "Retrying in" in wait
    assert "(2 of 3)" in wait
    lab.manager.interrupt_kernel()
    assert cell.end()["ename"] == "KeyboardInterrupt"
    check_closed(cell)
    assert len(service.server.requests) == 1


def test_live_view_shows_answer_after_retry(lab, service):
    ok = held_reply(["fine"])
    ok.chunks.let_all()
    lab.run("%qf set retry_timeout=30")
    replies = [Reply.of_json({"error": {"code": "x", "message": "busy"}}, status=503), ok]
    type(service).reply = property(lambda _: replies.pop(0) if len(replies) > 1 else replies[0])
    try:
        cell = Watched(lab, ASK)
        assert "Retrying in" in cell.update("wait")
        assert cell.end()["status"] == "ok"
    finally:
        type(service).reply = ok
    assert cell.of("update_display_data")[-1]["data"]["text/plain"] == "fine"
    texts = [said(message) for message in cell.messages if "t" in said(message)]
    assert all(message.get("wait") == "" for message in texts[:1])


def test_live_view_shows_state_of_search_until_text(lab, service):
    service.reply = held_reply([{"content": "Searching\nthe web", "delta_tag": "search_status"}, "Rain"])
    cell = Watched(lab, ASK)
    service.reply.chunks.let()
    assert cell.update("wait") == "Searching the web"
    service.reply.chunks.let()
    assert said(cell.until(lambda message: "t" in said(message))).items() >= {"t": "Rain", "wait": ""}.items()
    service.reply.chunks.let_all()
    assert cell.end()["status"] == "ok"
    (final,) = cell.of("update_display_data")
    assert final["data"]["text/plain"] == "Rain"


def test_live_view_says_why_text_was_taken_back(lab, service):
    service.reply = held_reply(["secret", {"flag": 4}, "more"])
    cell = Watched(lab, ASK)
    service.reply.chunks.let()
    assert cell.update("t") == "secret"
    service.reply.chunks.let()
    found = said(cell.until(lambda message: "b" in said(message)))
    assert (found["b"], "withheld" in found["wait"]) == ("all", True)
    service.reply.chunks.let_all()
    assert cell.end()["status"] == "ok"
    (final,) = cell.of("update_display_data")
    assert "withheld" in final["data"]["text/plain"]
    assert "secret" not in str(final["data"])
