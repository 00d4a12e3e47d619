"""The panel in a real kernel, spoken to over its comm as a page does."""

import itertools
import json
import re
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import qfmagic
from qfmagic.client.settings import fingerprint
from qfmagic.core.i18n import messages
from qfmagic.notebook.panel import command_lines
from qfmagic.notebook.panel.widget import AT_ONCE
from qfmagic.notebook.parsing.scanner import _value, split_words
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.service import StubKeys, StubService
from tests.support.services import v2

VIEW = "application/vnd.jupyter.widget-view+json"
KEYS = StubKeys()
FRONTEND = Path(qfmagic.__file__).parent / "notebook" / "js" / "src"


class PanelPage:
    """What a page knows of one panel, and sends to it."""

    numbers = itertools.count(1)

    def __init__(self, kernel, code="%qf panel", cell="panel"):
        self.kernel = kernel
        self.traits, self.replies, self.frames, self.updates, self.closed = {}, [], [], 0, False
        request = kernel.send(code, cell=cell)
        heard = kernel.wait_for(request, "status")
        while heard[-1]["content"].get("execution_state") != "idle":
            heard += kernel.wait_for(request, "status")
        kernel.client.get_shell_msg(timeout=30)
        shown = [message["content"]["data"] for message in heard if message["msg_type"] == "display_data"]
        self.static, view = shown[-2], shown[-1]
        self.id = view[VIEW]["model_id"]
        for message in heard:
            self.hear(message)

    def hear(self, message):
        content = message["content"]
        if content.get("comm_id") != self.id:
            return
        self.frames.append(message)
        if message["msg_type"] == "comm_close":
            self.closed = True
            return
        data = content["data"]
        if data.get("method") == "custom":
            self.replies.append(data["content"])
        elif data.get("method") in (None, "update"):
            self.updates += data.get("method") == "update"
            self.traits.update(data["state"])

    @property
    def state(self):
        return self.traits["state"]

    def begin(self, do, **message):
        """Send a message; return its request's id and the panel's number for it."""
        number = next(self.numbers)
        content = {"comm_id": self.id, "data": {"method": "custom", "content": {"do": do, "id": number, **message}}}
        request = self.kernel.client.session.msg("comm_msg", content)
        self.kernel.client.shell_channel.send(request)
        return request["header"]["msg_id"], number

    def send(self, do, *others, **message):
        """Send a message and take in what comes back, for *others* too; return the reply."""
        _, number = self.begin(do, **message)
        while not (self.closed or any(reply["reply"] == number for reply in self.replies)):
            heard = self.kernel.client.get_iopub_msg(timeout=30)
            for page in (self, *others):
                page.hear(heard)
        return next((reply for reply in self.replies if reply["reply"] == number), None)

    def run(self, code, cell=None):
        """Run a cell and take in what the panel hears of it."""
        request = self.kernel.send(code, cell=cell)
        while True:
            message = self.kernel.client.get_iopub_msg(timeout=30)
            self.hear(message)
            ended = message["content"].get("execution_state") == "idle"
            if ended and message["parent_header"].get("msg_id") == request:
                break
        return self.kernel.client.get_shell_msg(timeout=30)["content"]["status"]

    def key(self, kind, **values):
        """Send keys as panel.js does: under the mask."""
        mask = bytes.fromhex(self.traits["mask"])
        plain = json.dumps(values).encode()
        return self.send("key", kind=kind, hidden=bytes(a ^ b for a, b in zip(plain, mask, strict=False)).hex())

    def field(self, name):
        fields = self.state["fields"]
        return next(one for one in fields["parameters"] + fields["others"] if one["name"] == name)

    def kind(self, kind):
        return next(one for one in self.state["keys"]["kinds"] if one["kind"] == kind)


@pytest.fixture
def page(start):
    """A panel on the stub, in English."""
    return PanelPage(start(QFMAGIC_TRANSPORT="stub"))


# ---- lines


@given(
    st.text(alphabet=st.sampled_from("ab5.{}[]\"'\\ \n\r\u2028=:,?$%中"), max_size=14),
)
@example('{{ a + "b" }} \\ "')
@example('["a", 1]')
def test_command_lines_pair_is_read_back(value):
    line = command_lines.pair("system", value)
    assert _value("system", line, len("system=")) == (value, len(line))
    assert split_words(command_lines.word(value)) == [value]
    assert len(command_lines.magic(f"set {line}").splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("set temperature=0.3", "%qf set temperature=0.3"),
        ('set system="a\nb"', 'get_ipython().run_line_magic("qf", \'set system="a\\nb"\')'),
    ],
)
def test_command_lines_magic_fits_a_cell(command, shown):
    assert command_lines.magic(command) == shown


def test_command_lines_cell_contains_all_settings():
    pairs = [("model", "yi_34b_chat"), ("temperature", "0.3"), ("stop", '["END"]'), ("system", "two\nlines")]
    first, second = command_lines.cell(pairs).split("\n")
    assert first == '%qf set model=yi_34b_chat temperature=0.3 stop=["END"]'
    assert second.startswith("get_ipython()")


def test_panel_labels_exist():
    sources = "".join(path.read_text("utf-8") for path in FRONTEND.glob("panel*.js"))
    asked = set(re.findall(r"""\bt\(\s*"([\w.]+)\"""", sources))
    assert len(asked) > 40
    assert not {name for name in asked if f"panel.{name}" not in messages()}


# ---- actions


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"model": "yi_34b_chat", "temperature": "0.3"}, "%qf set model=yi_34b_chat temperature=0.3"),
        ({"system": 'be "brief"'}, '%qf set system="be \\"brief\\""'),
        ({"stop": '["END", "{{"]'}, '%qf set stop=["END", "{{"]'),
        ({"system": "a\nb"}, 'get_ipython().run_line_magic("qf", \'set system="a\\nb"\')'),
        ({"context": "none"}, "%qf set context=none"),
    ],
)
def test_panel_change_shows_equivalent_line(start, values, line):
    """The line, run in another kernel, leaves the same settings."""
    page = PanelPage(start(QFMAGIC_TRANSPORT="stub"), "%qf set model=ernie-char-fiction-8k\n%qf panel")
    reply = page.send("set", values=values)
    assert (reply["error"], reply["line"]) == ("", line)
    written = {name: page.field(name)["written"] for name in values if name != "model"}
    other = PanelPage(start(QFMAGIC_TRANSPORT="stub"), f"%qf set model=ernie-char-fiction-8k\n{line}\n%qf panel")
    assert written == {name: other.field(name)["written"] for name in written}
    assert page.state["model"] == other.state["model"]


def test_panel_change_applies_to_next_cell(page):
    page.send("set", values={"model": "yi_34b_chat", "temperature": "0.25"})
    ran = page.kernel.run("%%qianfan\nhi")
    assert ran.metadata["model"] == "yi_34b_chat"
    assert ran.metadata["parameters"] == {"temperature": 0.25}


def test_panel_shows_parameters_of_model_with_ranges(page):
    page.send("set", values={"model": "yi_34b_chat"})
    names = [one["name"] for one in page.state["fields"]["parameters"]]
    assert names == ["temperature", "top_k", "top_p", "penalty_score", "stop", "user_id", "metadata"]
    shown = {
        name: (page.field(name)["low"], page.field(name)["high"], page.field(name)["slider"]) for name in names[:4]
    }
    assert shown == {
        "temperature": (0.01, 1.0, True),
        "top_k": (1, None, False),
        "top_p": (0, 1.0, True),
        "penalty_score": (1.0, 2.0, True),
    }
    page.send("set", values={"model": "ernie-char-fiction-8k"})
    assert page.field("system")["kind"] == "string"
    assert page.field("max_output_tokens")["default"] == "1024"


@pytest.mark.parametrize(
    ("lang", "values", "said"),
    [
        ("en", {"temperature": "2"}, "Invalid temperature=2 for Yi-34B-Chat. Allowed: float, (0, 1.0]"),
        ("zh", {"temperature": "2"}, "temperature=2 对 Yi-34B-Chat 无效"),
        ("en", {"temperature": "hot"}, "Invalid temperature=hot. Allowed: float"),
        ("en", {"model": "rwkv_4_world"}, "requires endpoint="),
        ("en", {"api": "v2", "endpoint": "mine"}, "V2 services are selected by model="),
        ("en", {"stop": "[1]"}, "Invalid stop=[1]. Allowed"),
        ("en", {"nonsense": "1"}, "Unknown setting 'nonsense'"),
        ("en", {"bearer_token": "x"}, "Don't put bearer_token in a cell"),
        ("zh", {"context": "many"}, "context=many 无效"),
        ("en", {"a b": "1"}, "Unknown setting 'a b'"),
    ],
)
def test_panel_rejects_invalid_value(start, lang, values, said):
    page = PanelPage(start(QFMAGIC_TRANSPORT="stub", QFMAGIC_LANG=lang), "%qf set model=yi_34b_chat\n%qf panel")
    before = json.dumps(page.state)
    reply = page.send("set", values=values)
    assert said in reply["error"]
    assert reply["fields"] == list(values)
    assert json.dumps(page.state) == before


def test_panel_reports_invalid_combination(page):
    """Each setting by itself was right when it was made."""
    page.send("set", values={"model": "ernie-char-fiction-8k", "user_id": "me"})
    assert page.send("set", values={"enable_user_memory": "true"})["error"] == ""
    assert page.state["problem"] == ""
    page.send("unset", names=["user_id"])
    assert "requires user_id=" in page.state["problem"]
    page.send("unset", names=["enable_user_memory"])
    page.send("set", values={"model": "ernie-5.1", "temperature": "1.5"})
    page.send("set", values={"model": "yi_34b_chat"})
    assert "Invalid temperature=1.5 for Yi-34B-Chat" in page.state["problem"]


@pytest.mark.parametrize("message", [{"do": "nonsense"}, {"do": "set"}, {"do": "set", "values": 3}, {"do": "drop"}, {}])
def test_panel_answers_unknown_messages(page, message):
    assert page.send(**{"do": None, **message})["error"]
    assert page.send("set", values={"timeout": "5"})["error"] == ""


def test_panel_unset_restores_default(page):
    page.send("set", values={"model": "yi_34b_chat", "temperature": "0.3", "stop": '["END"]'})
    assert page.state["line"] == '%qf set model=yi_34b_chat temperature=0.3 stop=["END"]'
    reply = page.send("unset", names=["temperature", "stop"])
    assert reply["line"] == "%qf unset temperature stop"
    assert page.field("temperature")["written"] == ""
    assert page.state["line"] == "%qf set model=yi_34b_chat"


def test_panel_names_parameters_not_supported_by_model(page):
    page.send("set", values={"model": "ernie-char-fiction-8k", "system": "short"})
    page.send("set", values={"model": "yi_34b_chat"})
    assert page.state["fields"]["unsent"] == ["system"]


# ---- the conversation


def test_panel_edits_conversation(page, tmp_path):
    page.run("%qf set model=yi_34b_chat")
    for number in range(3):
        page.run(f"%%qianfan\nquestion {number}", cell=f"cell-{number}")
    talk = page.state["talk"]
    assert [(turn["number"], turn["cell"], turn["goes"]) for turn in talk["turns"]] == [
        (1, "In 4", "yes"),
        (2, "In 5", "yes"),
        (3, "In 6", "yes"),
    ]
    assert talk["size"]["limit"] == 8000
    assert 0 < talk["size"]["share"] < 1
    for do, message, line in [
        ("drop", {"turn": 2}, "%qf drop 2"),
        ("restore", {"turn": 2}, "%qf restore 2"),
        ("undo", {}, "%qf undo"),
        ("fork", {"name": "my way", "turn": 1}, '%qf fork "my way" 1'),
        ("switch", {"name": "main"}, "%qf switch main"),
        ("export", {"path": str(tmp_path / "talk.md")}, f"%qf export {tmp_path / 'talk.md'}"),
        ("reset", {}, "%qf reset"),
    ]:
        reply = page.send(do, **message)
        assert (reply["error"], reply["line"]) == ("", line)
    assert page.state["talk"]["turns"] == []
    assert {one["name"]: one["count"] for one in page.state["talk"]["names"]} == {"main": 0, "my way": 1, "main~1": 3}
    assert "question 0" in (tmp_path / "talk.md").read_text("utf-8")


def test_panel_shows_states_of_turns(page):
    page.run("%%qianfan model=yi_34b_chat\none", cell="a")
    page.run("%%qianfan model=yi_34b_chat\ntwo", cell="b")
    page.run("%%qianfan model=yi_34b_chat\nother", cell="a")
    first, second = page.state["talk"]["turns"]
    assert (first["state"], first["versions"]) == ("answered", 1)
    assert (second["state"], second["said"]) == ("stale", "stale")
    page.send("drop", turn=2)
    assert page.state["talk"]["turns"][1]["state"] == "out"
    assert page.state["talk"]["turns"][1]["goes"] == "no"


def test_panel_reports_unwritable_export(page, tmp_path):
    page.run("%%qianfan model=yi_34b_chat\none")
    reply = page.send("export", path=str(tmp_path / "missing" / "a.md"))
    assert "missing" in reply["error"]
    assert reply["line"]


# ---- usage


def shown_usage(page, by="cell"):
    """The head, the rows and the sum of a grouping, as the tab shows them with the seconds."""
    usage = page.traits["usage"]
    group = usage["by"][by]
    return [group["head"], *(row["cells"] for row in group["rows"]), *([group["sum"]] if group["sum"] else [])]


def told_usage(page, line):
    """The same of ``%qf usage``, whose bars are left out."""
    marked = page.kernel.run(line).outputs[0]["data"]["text/markdown"]
    rows = [line.strip("| ").split(" | ") for line in marked.splitlines() if line.startswith("| ")]
    cells = [[re.sub(r"\\(.)", r"\1", cell).strip() for cell in row] for row in rows]
    return [row[: len(cells[0]) - 1] for row in cells]


KINDS = [
    ("%%qianfan model=yi_34b_chat\none two three", "a"),
    ("%%qianfan model=yi_34b_chat\none two three four", "a"),  # run again
    ("%%qianfan model=yi_34b_chat,ernie-5.1\nhi", "b"),
    ("%%qianfan model=yi_34b_chat once\nhi", "c"),
    ("%%qianfan model=yi_34b_chat chat=side\nhi", "d"),
    ("%%qf compare models=yi_34b_chat,ernie-5.1\nhi", "e"),
    ("%%qf map list('xyz') model=yi_34b_chat into=rated\n{{ item }}", "f"),
    ("%qf undo", "g"),
    ("%qf fork other", "h"),
    ("%qf reset", "i"),
]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_panel_usage_equals_usage_command(start, lang):
    """Whatever asked, and whatever has become of the conversations."""
    page = PanelPage(start(QFMAGIC_TRANSPORT="stub", QFMAGIC_LANG=lang))
    assert page.traits["usage"]["by"]["cell"]["rows"] == []
    for code, cell in KINDS:
        assert page.run(code, cell=cell) == "ok", code
    groups = page.traits["usage"]["by"]
    assert list(groups) == ["cell", "chat", "model", "day"]
    for by, group in groups.items():
        assert shown_usage(page, by) == told_usage(page, f"{group['line']} seconds")
    assert groups["cell"]["line"] == "%qf usage"
    assert groups["model"]["line"] == "%qf usage by=model"
    calls, free = (groups["cell"]["columns"].index(name) for name in ("calls", "free"))
    assert [row["cells"][calls] for row in groups["cell"]["rows"]] == ["2", "2", "1", "1", "2", "3"]
    assert groups["cell"]["sum"][calls] == groups["cell"]["sum"][free] == "11"  # the stub's, told to be free
    assert any("11" in note for note in page.traits["usage"]["below"])


def test_panel_usage_bars_are_shares_of_largest_row(page):
    page.run("%%qianfan model=yi_34b_chat once\nhi", cell="a")
    page.run(f"%%qianfan model=yi_34b_chat once\n{'many words ' * 40}", cell="b")
    rows = page.traits["usage"]["by"]["cell"]["rows"]
    assert rows[1]["prompt"] + rows[1]["completion"] == pytest.approx(100, abs=0.2)
    assert 0 < rows[0]["prompt"] + rows[0]["completion"] < 100


PRICES = "[[price]]\nmodel = 'priced'\ninput = 100\noutput = 200\nper = 1000\n"


def test_panel_usage_shows_costs_estimates_and_budget(start, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(PRICES, "utf-8")

    def answer(request):
        return v2("fine", prompt=0 if b"uncounted" in request.body else 10)

    with LoopbackServer(answer) as server:
        kernel = start(**server.environ, QIANFAN_BEARER_TOKEN=KEYS.bearer_token)
        page = PanelPage(kernel, f"%qf set prices={path} budget=10CNY\n%qf panel")
        usage = page.traits["usage"]
        assert usage["below"] == ["Budget: 0.00 CNY of 10.00 CNY used in this kernel."]
        assert usage["budget"] == 0
        assert page.run("%%qianfan model=priced once\ncounted", cell="a") == "ok"
        page.run("%qf set budget=1000tok")
        assert page.run("%%qianfan model=other once\nuncounted", cell="b") == "ok"
        page.run("%qf set budget=10CNY")
        rows = shown_usage(page, "model")
        assert rows == told_usage(page, "%qf usage by=model seconds")
        assert [row[rows[0].index("CNY")] for row in rows[1:]] == ["?", "5.00", "5.00 + ?"]
        assert [row[rows[0].index("tokens")][0] for row in rows[1:]] == ["~", "3", "~"]
        assert "free" not in rows[0]
        usage = page.traits["usage"]
        assert usage["budget"] == 0.53  # what has no price is counted at the dearest
        assert "Budget: 5.30 CNY of 10.00 CNY used in this kernel." in usage["below"]


def test_panel_usage_reports_unreadable_prices(page, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(PRICES, "utf-8")
    page.run(f"%qf set prices={path}")
    path.write_text("nonsense", "utf-8")
    assert page.run("%%qianfan model=yi_34b_chat\nhi") == "ok"
    assert str(path) in page.traits["usage"]["problem"]
    path.write_text(PRICES, "utf-8")
    page.run("1 + 1")
    assert page.traits["usage"]["problem"] == ""
    assert len(page.traits["usage"]["by"]["cell"]["rows"]) == 1


SESSION = "session = get_ipython().magics_manager.registry['QianfanMagics'].engine.session\n"


def test_panel_usage_shows_last_rows_and_counts_rest(page):
    page.run("%%qianfan model=yi_34b_chat\nhi")
    page.run(
        f"{SESSION}from dataclasses import replace\n(call,) = session.meter.calls\n"
        "for n in range(150):\n"
        "    one = replace(call, cell=str(n), label=f'In {n}')\n"
        "    session.meter._calls[one.alike] = one"
    )
    group = page.traits["usage"]["by"]["cell"]
    assert (len(group["rows"]), group["earlier"]) == (100, 51)
    assert [group["rows"][n]["cells"][0] for n in (0, -1)] == ["In 50", "In 149"]
    assert group["sum"][1] == "151"


def usage_updates(page):
    """How often the kernel sent what was used."""
    return sum("usage" in frame["content"]["data"].get("state", {}) for frame in page.frames)


def test_panel_usage_updates_while_cell_runs(page):
    """An answer is there before the cell that asked has ended."""
    running = page.kernel.send("%qianfan model=yi_34b_chat once hi\n__import__('threading').Event().wait(30)", "busy")
    while not page.traits["usage"]["by"]["cell"]["rows"]:
        page.hear(page.kernel.client.get_iopub_msg(timeout=20))
    page.kernel.manager.interrupt_kernel()
    assert page.kernel.collect(running)[0].error[0] == "KeyboardInterrupt"


def test_panel_usage_updates_are_bounded_during_map(page):
    """By the panel's clock no time goes by: the first rows' are sent, and what there is at the end."""
    page.run(f"{SESSION}session.watchers[0]._now = lambda: 1e6")
    before = usage_updates(page)
    assert page.run("%%qf map list(range(300)) model=yi_34b_chat into=rated\n{{ item }}", cell="map") == "ok"
    assert usage_updates(page) - before == AT_ONCE + 1
    (row,) = page.traits["usage"]["by"]["cell"]["rows"]
    assert row["cells"][1] == "300"


def test_panel_usage_updates_from_another_thread(page):
    """The last of it too, though it comes too soon after the first."""
    page.run("%%qianfan model=yi_34b_chat\nhi", cell="a")
    page.run(
        f"{SESSION}import threading\n"
        "def ask(go):\n"
        "    go.wait(20)\n"
        "    for _ in range(40): session.meter.after(session.last, kind='ask')\n"
        "go = threading.Event()\n"
        "get_ipython().kernel.io_loop.add_callback(go.set)\n"
        "threading.Thread(target=ask, args=(go,)).start()"
    )
    while page.traits["usage"]["by"]["model"]["rows"][0]["cells"][1] != "41":
        page.hear(page.kernel.client.get_iopub_msg(timeout=20))


# ---- following


def test_panel_follows_commands(page):
    page.run("%qf set model=yi_34b_chat temperature=0.7")
    assert page.field("temperature")["written"] == "0.7"
    assert page.field("temperature")["source"] == "%qf set"
    page.run("%config QianfanMagics.top_p = 0.4")
    assert (page.field("top_p")["written"], page.field("top_p")["source"]) == ("0.4", "%config")
    # The page chooses between the singular and the plural: words.js.
    assert page.traits["fixed"]["labels"]["talk.versions"] == "{n} earlier {n:version|versions}"
    page.run("%qf set lang=zh")
    assert page.traits["fixed"]["labels"]["tab.keys"] == "密钥"
    sent = page.updates
    page.run("1 + 1")
    assert page.updates == sent


def test_panels_agree(page):
    other = PanelPage(page.kernel, cell="second")
    reply = page.send("set", other, values={"timeout": "7"})
    assert reply["error"] == ""
    assert other.field("timeout")["written"] == "7"
    assert other.state == page.state
    assert other.replies == []  # what one did is told where it was done


def test_panel_cell_rerun_closes_first_panel(page):
    again = PanelPage(page.kernel)
    assert again.send("set", page, values={"timeout": "7"})["error"] == ""
    widgets = "__import__('ipywidgets').widgets.widget._instances.values()"
    assert page.kernel.value(f"sum(type(one).__name__ == 'PanelWidget' for one in {widgets})") == "1"


def test_panel_close_keeps_table(page):
    page.send("close")
    assert page.closed
    ran = page.kernel.run("1 + 1", cell="next")
    assert ran.status == "ok"


def test_panel_clicks_wait_for_running_cell(page):
    """Nothing is changed under a cell that runs, whichever thread the message arrives in."""
    running = page.kernel.send("import time\ntime.sleep(0.7)\nprint('done')", cell="busy")
    page.kernel.wait_for(running, "execute_input")
    _, number = page.begin("set", values={"timeout": "3"})
    seen = []
    while not any(reply["reply"] == number for reply in page.replies):
        message = page.kernel.client.get_iopub_msg(timeout=30)
        seen.append((message["msg_type"], message["content"].get("text", "")))
        page.hear(message)
    assert ("stream", "done\n") in seen


def test_panel_clicks_from_another_thread_wait(page):
    """As they do in a subshell of ipykernel 7.0 to 7.3."""
    ran = page.kernel.run(
        "import threading\n"
        "session = get_ipython().magics_manager.registry['QianfanMagics'].engine.session\n"
        "message = {'do': 'set', 'id': 1, 'values': {'timeout': '3'}}\n"
        "click = threading.Thread(target=session.watchers[0]._take, args=(None, message, []))\n"
        "click.start()\nclick.join()\n"
        "print(session.preferences.setting('timeout').value)"
    )
    assert ran.stdout == "None\n"
    assert page.kernel.value("session.preferences.setting('timeout').value") == "3"


def test_panel_is_closed_by_unload(page):
    page.run("%unload_ext qfmagic")
    assert page.closed


# ---- headless


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "Settings at the time this cell ran"), ("zh", "本单元格运行时的设置")]
)
def test_panel_without_front_end_is_a_table(start, lang, said):
    kernel = start(QFMAGIC_TRANSPORT="stub", QFMAGIC_LANG=lang)
    kernel.run("%qf set model=yi_34b_chat temperature=0.3")
    ran = kernel.run("%qf panel\nimport sys; print('anywidget' in sys.modules)")
    (output,) = ran.outputs
    assert set(output["data"]) == {"text/markdown", "text/plain"}
    assert output["data"]["text/plain"].startswith(said)
    assert "temperature" in ran.plain
    assert "(0, 1.0]" in ran.plain
    assert ran.stdout == "False\n"
    assert kernel.run("%qf panel").outputs[0]["data"] == output["data"]


def test_panel_in_terminal_is_a_table(shell, capsys):
    shell.run_line_magic("qf", "panel")
    assert "Settings at the time this cell ran" in capsys.readouterr().out


# ---- keys


def test_panel_keys_are_set_used_and_dropped(start):
    with LoopbackServer() as server:
        page = PanelPage(start(**server.environ))
        page.run("%qf set model=ernie-5.1")
        assert page.kind("bearer")["fingerprints"] == []
        reply = page.key("bearer", bearer_token=KEYS.bearer_token)
        assert reply["line"] == "%qf auth bearer"
        bearer = page.kind("bearer")
        assert bearer["fingerprints"] == [f"#{fingerprint(KEYS.bearer_token)}"]
        assert (bearer["source"], bearer["used"], bearer["given"]) == ("panel", ["V2"], True)
        assert page.send("check", kind="bearer")["said"] == "QIANFAN_BEARER_TOKEN: accepted."
        assert page.kind("bearer")["verdict"]["state"] == "good"
        assert page.run("%%qianfan\nhi") == "ok"
        page.key("bearer", bearer_token="bce-v3/ALTAK-wrong/0")
        assert page.kind("bearer")["verdict"] is None  # it was on other keys
        assert page.send("check", kind="bearer")["error"].startswith("QIANFAN_BEARER_TOKEN: invalid key.")
        assert page.kind("bearer")["verdict"]["state"] == "bad"
        assert page.send("forget", kind="bearer")["line"] == "%qf auth forget bearer"
        assert page.kind("bearer")["fingerprints"] == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("app", {"ak": KEYS.ak, "sk": KEYS.sk}),
        ("access_token", {"access_token": KEYS.access_token}),
        ("iam", {"access_key": KEYS.access_key, "secret_key": KEYS.secret_key}),
    ],
)
def test_panel_keys_of_every_kind_can_be_checked(start, kind, values):
    with LoopbackServer() as server:
        page = PanelPage(start(**server.environ))
        assert page.key(kind, **values)["error"] == ""
        assert page.send("check", kind=kind)["error"] == ""
        assert page.kind(kind)["verdict"]["state"] == "good"
        wrong = dict.fromkeys(values, "wrong")
        page.key(kind, **wrong)
        assert "invalid key" in page.send("check", kind=kind)["error"]
        assert page.kind(kind)["verdict"]["state"] == "bad"


def test_panel_key_check_of_unreachable_service_is_unknown(start):
    page = PanelPage(start(QIANFAN_CONSOLE_API_BASE_URL="http://127.0.0.1:9", QFMAGIC_LANG="zh"))
    page.key("bearer", bearer_token="bce-v3/ALTAK-x/y")
    assert "未能连上服务" in page.send("check", kind="bearer")["said"]
    assert page.kind("bearer")["verdict"]["state"] == "unknown"


def test_panel_key_check_does_not_block_kernel(start):
    """A service that doesn't answer holds no cell up."""
    asked, go, service = threading.Event(), threading.Event(), StubService()

    def slow(request):
        asked.set()
        go.wait(20)
        return service(request)

    with LoopbackServer(slow) as server:
        page = PanelPage(start(**server.environ))
        page.key("bearer", bearer_token=KEYS.bearer_token)
        _, number = page.begin("check", kind="bearer")
        assert asked.wait(20)
        assert page.run("1 + 1") == "ok"
        assert not any(reply["reply"] == number for reply in page.replies)
        go.set()
        while not any(reply["reply"] == number for reply in page.replies):
            page.hear(page.kernel.client.get_iopub_msg(timeout=30))
        assert page.kind("bearer")["verdict"]["state"] == "good"


def test_panel_key_check_on_stub_is_skipped(page):
    page.key("bearer", bearer_token="bce-v3/ALTAK-x/y")
    assert page.send("check", kind="bearer")["said"].startswith("Not tested: the stub")


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("bearer", {}, "No key was entered"),
        ("iam", {"access_key": "a"}, "QIANFAN_ACCESS_KEY is set, QIANFAN_SECRET_KEY is not"),
        ("bearer", {"bearer_token": "a b"}, "contains whitespace or non-ASCII characters"),
        ("nonsense", {"x": "y"}, "Unknown kind of keys"),
    ],
)
def test_panel_rejects_invalid_key_without_repeating_it(page, kind, values, said):
    reply = page.key(kind, **values)
    assert said in reply["error"]
    assert page.kind("bearer")["fingerprints"] == []


CANARIES = [
    "bce-v3/ALTAK-canaryBEARER/0123",
    "canaryACCESSKEY",
    "canarySECRETKEY",
    "canaryAK",
    "canarySK",
    "canary TOKEN",
]


def test_panel_key_is_found_nowhere_else(start, tmp_path):
    """Not in what the kernel sends, nor in any file or log it leaves, nor in what Python shows of the session."""
    log = tmp_path / "kernel.log"
    environ = {"QFMAGIC_HOME": str(tmp_path / "home"), "IPYTHONDIR": str(tmp_path / "ipython"), "HOME": str(tmp_path)}
    with LoopbackServer() as server:
        kernel = start(**server.environ, **environ)
        kernel.run(
            "import logging\n"
            f"logging.basicConfig(filename={str(log)!r}, level=logging.DEBUG, force=True)\n"
            "app = get_ipython().kernel.log\napp.setLevel(logging.DEBUG)\napp.propagate = True\n"
            "logging.getLogger('traitlets').setLevel(logging.DEBUG)"
        )
        page = PanelPage(kernel)
        heard = []
        page_hear, page.hear = page.hear, lambda message: (heard.append(message), page_hear(message))
        bearer, access, secret, ak, sk, token = CANARIES
        page.key("bearer", bearer_token=bearer)
        page.key("iam", access_key=access, secret_key=secret)
        page.key("app", ak=ak, sk=sk)
        assert "contains whitespace" in page.key("access_token", access_token=token)["error"]
        for kind in ("bearer", "iam", "app"):
            page.send("check", kind=kind)
        for code in (
            "%qf settings",
            "%qf doctor",
            "%qf auth check",
            "%xmode Verbose",
            "%%qianfan model=yi_34b_chat\nhi",
            "%%qianfan model=ernie-5.1\nhi",
            "session = get_ipython().magics_manager.registry['QianfanMagics'].engine.session",
            "print(session.keys, session.keys.settings(), vars(session.client()), session.verdicts, session.watchers)",
            "session.keys.settings().no_such_attribute",
            "print(repr(session.client().settings))",
            "%history -g",
            "%qf panel",
        ):
            page.run(code, cell="c")
        kernel.run("logging.shutdown()")
    assert log.stat().st_size > 10_000
    assert "*** MESSAGE TYPE:comm_msg***" in log.read_text()
    sent = [json.dumps(message, default=str) for message in heard]
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.endswith("history.sqlite") for path in files)
    for canary in CANARIES:
        assert not [frame[:400] for frame in sent if canary in frame]
        assert not [name for name, content in files.items() if canary.encode() in content]


# ---- %qf auth


@pytest.fixture
def typed(monkeypatch):
    """What is typed at the hidden prompts."""
    answers, prompts = [], []

    def ask(prompt):
        prompts.append(prompt)
        if not answers:
            raise EOFError
        return answers.pop(0)

    monkeypatch.setattr("getpass.getpass", ask)
    return answers, prompts


def test_auth_prompts_for_key_of_model(shell, typed, capsys):
    answers, prompts = typed
    answers.append("bce-v3/ALTAK-typed/1")
    shell.run_line_magic("qf", "auth")
    assert prompts == ["QIANFAN_BEARER_TOKEN: "]
    said = capsys.readouterr().out
    assert fingerprint("bce-v3/ALTAK-typed/1") in said
    assert "ALTAK-typed" not in said
    shell.run_line_magic("qf", "settings")
    assert "%qf auth" in capsys.readouterr().out
    shell.run_line_magic("qf", "auth forget")
    assert "Deleted: bearer" in capsys.readouterr().out
    shell.run_line_magic("qf", "auth check")
    assert "No keys." in capsys.readouterr().out


def test_auth_keeps_keys_of_environment_and_says_so(shell, typed, capsys, monkeypatch):
    monkeypatch.setenv("QIANFAN_AK", "a1")
    monkeypatch.setenv("QIANFAN_SK", "s1")
    shell.run_line_magic("qf", "auth forget")
    assert "QIANFAN_AK (environment)" in capsys.readouterr().out
    answers, prompts = typed
    answers += ["a2", "s2"]
    shell.run_line_magic("qf", "auth app")
    assert prompts == ["QIANFAN_AK: ", "QIANFAN_SK: "]
    shell.run_line_magic("qf", "auth forget app")
    assert fingerprint("a1") not in capsys.readouterr().out
    shell.run_line_magic("qf", "auth check")
    assert fingerprint("a1") in capsys.readouterr().out


def test_auth_aborted_sets_nothing(shell, typed, capsys):
    answers, _ = typed
    answers.append("half")
    shell.run_line_magic("qf", "auth iam")
    assert "Nothing was saved" in capsys.readouterr().out
    shell.run_line_magic("qf", "auth check")
    assert "No keys." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"), [("auth nonsense", "Unknown kind of keys"), ("auth check a b", "Usage"), ("panel x", "Usage")]
)
def test_auth_rejects_invalid_lines(shell, line, said, capsys):
    shell.run_cell(f"%qf {line}")
    assert said in capsys.readouterr().out


def test_auth_in_kernel_reads_key_from_hidden_prompt(start, tmp_path):
    """It comes by the front end's password field; it is in no message the kernel sends, and in no history."""
    kernel = start(QFMAGIC_TRANSPORT="stub", IPYTHONDIR=str(tmp_path))
    client, secret = kernel.client, "bce-v3/ALTAK-canaryPROMPT/1"
    name = client.execute("%qf auth bearer", allow_stdin=True)
    request = client.get_stdin_msg(timeout=30)
    assert request["content"] == {"prompt": "QIANFAN_BEARER_TOKEN: ", "password": True}
    client.input(secret)
    heard = kernel.wait_for(name, "display_data")
    assert fingerprint(secret) in json.dumps(heard, default=str)
    client.get_shell_msg(timeout=30)
    ran = kernel.run("%history -g\nIn, Out")
    shown = json.dumps([heard, ran.stdout, ran.result, ran.outputs], default=str)
    assert "%qf auth bearer" in shown
    assert "canaryPROMPT" not in shown
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"canaryPROMPT" in path.read_bytes()]


def test_panel_reports_missing_keys(start):
    page = PanelPage(start(), "%qf set model=ernie-5.1\n%qf panel")
    assert page.state["problem"].startswith("No keys for the V2 API")
    page.key("bearer", bearer_token="bce-v3/ALTAK-x/y")
    assert page.state["problem"] == ""


def test_auth_without_input_names_alternatives(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    ran = kernel.run("%qf auth")
    assert ran.error[0] == "OptionError"
    assert "QIANFAN_BEARER_TOKEN" in ran.error[1]


def test_load_ext_does_not_import_panel(start):
    kernel = start(QFMAGIC_TRANSPORT="stub")
    assert (
        kernel.value("[m for m in __import__('sys').modules if m.startswith(('anywidget', 'qfmagic.notebook.panel'))]")
        == "[]"
    )
