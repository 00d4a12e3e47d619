"""Every option and command, as a user types them, in a plain IPython shell."""

import json

import pytest

from qfmagic.core.answer import Answer
from qfmagic.core.errors import InputError, OptionError, QianfanError
from qfmagic.notebook.parsing.option_table import help_table
from qfmagic.testing.harness import magics_of
from qfmagic.testing.scripted import ScriptedTransport
from qfmagic.transport.stub.reply import Reply
from tests.support.services import session_of as session


def ask(shell, line="", cell="hi"):
    return shell.run_cell_magic("qianfan", f"model=yi_34b_chat {line}", cell)


def sent(answer):
    return [message["content"] for message in answer.request["messages"]]


@pytest.fixture
def play(shell):
    """Let the notebook's client answer from a script."""

    def use(*steps):
        session(shell).network = transport = ScriptedTransport(steps)
        return transport

    return use


# ---- asking


def test_qianfan_works_as_cell_and_line(shell, capsys):
    assert sent(ask(shell)) == ["hi"]
    answer = shell.run_line_magic("qianfan", "model=yi_34b_chat What's {x} $y {{ 1 + 1 }}?")
    assert sent(answer)[-1] == "What's {x} $y 2?"
    assert "Hello!" in capsys.readouterr().out


def test_answer_is_printed_as_it_streams_and_once(shell, capsys):
    shell.run_cell("%%qianfan model=yi_34b_chat\nhi")
    shown = capsys.readouterr().out
    assert shown.count("Hello! How can I assist") == 1
    assert "[◈ simulated answer, not from Qianfan]" in shown
    shell.run_cell("_")
    assert capsys.readouterr().out.count("Hello! How can I assist") == 1


def test_answer_is_bound_to_underscore_out_and_into(shell):
    shell.run_cell("%%qianfan model=yi_34b_chat into=kept\nhi")
    assert isinstance(shell.user_ns["kept"], Answer)
    shell.run_cell("x = _")
    assert shell.user_ns["x"] is shell.user_ns["kept"]


def test_turns_continue_and_once_and_new_do_not(shell):
    first = ask(shell)
    assert sent(ask(shell, "once", "aside")) == ["aside"]
    second = ask(shell, "", "second")
    assert sent(second) == ["hi", first.text, "second"]
    assert sent(ask(shell, "new", "afresh")) == ["afresh"]
    assert sent(ask(shell, "", "then"))[0] == "afresh"


def test_chat_option_selects_conversation(shell):
    ask(shell)
    assert sent(ask(shell, "chat=other", "there")) == ["there"]
    assert len(sent(ask(shell, "chat=other", "again"))) == 3
    assert len(sent(ask(shell, "", "here"))) == 3


@pytest.mark.parametrize(
    ("option", "count"), [("context=all", 5), ("context=none", 1), ("context=1", 3), ("context=0", 1)]
)
def test_context_option_limits_history(shell, option, count, capsys):
    ask(shell)
    ask(shell)
    assert len(sent(ask(shell, option))) == count
    assert ("of 2 earlier turns" in capsys.readouterr().out) == (count < 5)


def test_raw_sends_text_unchanged(shell):
    assert sent(ask(shell, "raw", "{{ 1 + 1 }}")) == ["{{ 1 + 1 }}"]


def test_dry_shows_request_and_sends_nothing(shell, capsys):
    assert ask(shell, "dry temperature=0.3", "你好") is None
    shown = capsys.readouterr().out
    assert "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/yi_34b_chat" in shown
    body = json.loads(shown[shown.index("{") :])
    assert body == {"messages": [{"role": "user", "content": "你好"}], "stream": True, "temperature": 0.3}
    assert session(shell).chats.conversations == {}
    ask(shell, "dry api=v2")
    assert "https://qianfan.baidubce.com/v2/chat/completions" in capsys.readouterr().out


def test_quiet_shows_nothing(shell, capsys):
    answer = ask(shell, "quiet")
    assert capsys.readouterr().out == ""
    assert answer.text.startswith("Hello!")


def test_stream_false_requests_whole_answer(shell):
    assert ask(shell, "stream=false").request["stream"] is False


@pytest.mark.parametrize(
    ("line", "parameters"),
    [
        ("temperature=0.3 top_k=5", {"temperature": 0.3, "top_k": 5}),
        ('stop=\'["END", "x y"]\'', {"stop": ["END", "x y"]}),
        ('stop=["END","x y"] top_p=0', {"stop": ["END", "x y"], "top_p": 0}),
        ('metadata={"k": "v w"}', {"metadata": {"k": "v w"}}),
        ("user_id='a b'", {"user_id": "a b"}),
        ('user_id="it\'s"', {"user_id": "it's"}),
        ("temperature={{ 1 / 4 }} user_id={{ 'u' * 3 }}", {"temperature": 0.25, "user_id": "uuu"}),
        ("user_id={{who}}", {"user_id": "me"}),
        ("user_id=u-{{ who }}-{{ 1 }}", {"user_id": "u-me-1"}),
        ('user_id="{{ "x y" }}"', {"user_id": "x y"}),
        (r"user_id=a\ b\'c", {"user_id": "a b'c"}),
        ("""stop='["{{"]' raw""", {"stop": ["{{"]}),
    ],
)
def test_options_are_parsed_as_written(shell, line, parameters):
    shell.user_ns["who"] = "me"
    request = ask(shell, line).request
    assert {name: value for name, value in request.items() if name not in ("messages", "stream")} == parameters


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("once -- model=this is text", "model=this is text"),
        ("once 介绍 key=value", "介绍 key=value"),
        ("once --  what's   up", "what's   up"),
        ("once user_id=u-{{ 1 }} hello", "hello"),
        (r"once \frac{a}{b} $x$ 'unclosed", r"\frac{a}{b} $x$ 'unclosed"),
    ],
)
def test_text_after_options_is_unchanged(shell, line, text):
    assert sent(shell.run_line_magic("qianfan", f"model=yi_34b_chat {line}")) == [text]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("temprature=1", "Did you mean temperature"),
        ("temperature=1 temperature=0.5", "Duplicate option temperature"),
        ("temperature=", "temperature=''"),
        ("temperature=hot", r"\(0, 1.0\]"),
        ("stop=END", "at most 4 entries"),
        ("stream=maybe", "bool"),
        ("format=pdf", "markdown, text, json, code, html"),
        ("user_id='open", "Unclosed quote in user_id"),
        ("timeout=soon", "float"),
        ("context=some", "all, none"),
        ("model=a,,b", "Empty name"),
        ("into=2x", "Python variable"),
        ("into=class", "Python variable"),
        ("once=true", "Unknown option 'once'"),
        ("base=coding", "base is a setting of the notebook.*%qf set base="),
        ("max_token=5", "Unknown option 'max_token'. Did you mean max_tokens"),
        ("some text", "in the cell's body"),
        ("timeout=-1", "timeout"),
        ("chat=", "chat"),
    ],
)
def test_qianfan_rejects_invalid_lines(shell, line, said):
    given = line if line.startswith("model") else f"model=yi_34b_chat {line}"
    with pytest.raises(InputError, match=said):
        shell.run_cell_magic("qianfan", given, "hi")
    assert session(shell).chats.conversations == {}


@pytest.mark.parametrize("name", ["ak", "sk", "access_key", "SECRET_KEY", "bearer_token", "api_key", "access_token"])
def test_keys_on_line_are_rejected(shell, name):
    for magic, line in (("qianfan", f"{name}=hunter2 hi"), ("qf", f"set {name}=hunter2")):
        with pytest.raises(OptionError, match="environment") as error:
            shell.run_line_magic(magic, line)
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("style", "text", "plain", "marked"),
    [
        ("markdown", "**b** <img src=x onerror=alert(1)>", "**b** <img", "**b** &lt;img"),
        ("text", "**b** <img>", "**b** <img>", "```\n**b** <img>\n```"),
        ("json", 'Here:\n```json\n{"a": 1}\n```', '{\n  "a": 1\n}', '```json\n{\n  "a": 1\n}\n```'),
        ("json", "no", "no\n\n[◈ invalid JSON", "invalid JSON"),
        ("code", "```python\nx = 1\n```", "x = 1", "```python\nx = 1"),
        ("code", "nothing", "no code block in the answer", "no code block in the answer"),
        ("html", "<b>x</b><script>alert(1)</script>", "<b>x</b>", "&lt;b>"),
    ],
)
def test_format_option_changes_bundle(shell, play, style, text, plain, marked):
    from qfmagic.notebook.output.bundle import answer_bundle

    play(Reply.of_json({"id": "x", "result": text}))
    answer = ask(shell, f"stream=false format={style}")
    bundle = answer_bundle(answer, ["note"], style)
    assert plain in bundle["text/plain"]
    assert marked in bundle["text/markdown"]
    if style == "html":
        assert 'sandbox=""' in bundle["text/html"]
        assert "script" not in bundle["text/html"].replace("not shown in the frame: script", "")


def test_code_format_inserts_cell(shell, play):
    play(Reply.of_json({"id": "x", "result": "Use:\n```python\nx = 1\ny = 2\n```\nand\n```\nz\n```"}))
    inputs = []
    shell.set_next_input = lambda text, replace: inputs.append((text, replace))
    ask(shell, "stream=false format=code")
    assert inputs == [("x = 1\ny = 2", False)]


def test_terminal_output_is_escaped(shell, play, capsys):
    play(Reply.of_json({"id": "x", "result": "a\x1b]0;owned\x07\x1b[2Jb\r\n\tc"}))
    ask(shell, "stream=false")
    assert "a\\x1b]0;owned\\x07\\x1b[2Jb\n\tc" in capsys.readouterr().out


def test_text_before_error_is_kept(shell, play, capsys):
    play(Reply.of_events([{"id": "x", "result": "So far"}, {"error_code": 336100, "error_msg": "busy"}]))
    with pytest.raises(QianfanError, match="busy"):
        ask(shell)
    shown = capsys.readouterr().out
    assert "So far" in shown
    assert "incomplete: the answer ended early" in shown
    turns = session(shell).chats.get("main").turns
    assert [(turn.state, turn.answer.text) for turn in turns] == [("interrupted", "So far")]
    play(Reply.of_json({"id": "x", "result": "ok"}))
    assert sent(ask(shell, "stream=false", "again")) == ["again"]


def test_failed_new_keeps_conversation(shell, play):
    ask(shell)
    play(Reply.of_json({"error_code": 17, "error_msg": "daily"}))
    with pytest.raises(QianfanError):
        ask(shell, "new")
    assert len(session(shell).chats.get("main").turns) == 1


def test_expression_error_names_expression_line_and_raw(shell):
    with pytest.raises(InputError, match=r"\{\{ missing \}\} in line 2 .*NameError.* raw"):
        ask(shell, "", "fine\n{{ missing }}")
    with pytest.raises(InputError, match="SyntaxError"):
        ask(shell, "", "{{ 1 + }}")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ x }}", "<3>"),
        ("{{x}}{{x}}", "<3><3>"),
        ("{{ {'a': {'b': 1}} }}", "{'a': {'b': 1}}"),
        ("{{ {1: {2: 3}}[1][2] }}", "3"),
        ("{{}} {{  }}", "{{}} {{  }}"),
        ("{ x } $x {x}", "{ x } $x {x}"),
        ("{{ '{{ x }}' }}", "{{ x }}"),
        ("{{ x", "{{ x"),
        ("{% if %}", "{% if %}"),
        ("{{ [y for y in 'ab'] }}", "['a', 'b']"),
    ],
)
def test_expressions_in_prompt_are_evaluated(shell, template, text):
    shell.user_ns["x"] = "<3>"
    assert sent(ask(shell, "once", template)) == [text]


# ---- steering


def steer(shell, line, capsys):
    shell.run_line_magic("qf", line)
    return capsys.readouterr().out


def test_set_settings_and_unset_change_preferences(shell, capsys):
    steer(shell, "set model=yi_34b_chat temperature=0.5 user_id='a b'", capsys)
    answer = shell.run_cell_magic("qianfan", "", "hi")
    assert (answer.model, answer.request["temperature"], answer.request["user_id"]) == ("yi_34b_chat", 0.5, "a b")
    shown = steer(shell, "settings", capsys)
    assert "temperature" in shown
    assert "%qf set" in shown
    steer(shell, "unset temperature", capsys)
    assert "temperature" not in shell.run_cell_magic("qianfan", "", "hi").request


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("set", "Usage"),
        ("set temperature", "Usage"),
        ("set nothing=1", "Unknown setting"),
        ("set temprature=1", "Did you mean temperature"),
        ("set model=yi_34b_chat temperature=7", "(0, 1.0]"),
        ("set model=rwkv_4_world", "endpoint="),
        ("set context=some", "all, none"),
        ("set lang=fr", "en, zh, auto"),
        ("unset", "Usage"),
        ("unset nothing", "Unknown setting"),
        ("settings now", "Usage"),
        ("transport carrier-pigeon", "live"),
        ("histry", "Did you mean history"),
        ("reset nobody", "Unknown conversation"),
        ("history chat", "Usage"),
        ("help sett", "Did you mean set"),
        ("set into=x", "Unknown setting"),
    ],
)
def test_qf_rejects_invalid_lines(shell, line, said, capsys):
    steer(shell, "set model=ernie-5.1", capsys)
    before = dict(session(shell).preferences.changed)
    with pytest.raises(InputError) as error:
        shell.run_line_magic("qf", line)
    assert said in str(error.value)
    assert session(shell).preferences.changed == before


def test_unsupported_parameter_is_reported(shell, capsys):
    steer(shell, "set model=ernie-char-fiction-8k system=导游", capsys)
    assert ask(shell, "once").request.get("system") is None
    assert "system not supported by yi_34b_chat, not sent" in capsys.readouterr().out


def test_model_or_endpoint_on_line_replaces_setting(shell, capsys):
    steer(shell, "set model=dolly_12b endpoint=ab_dolly", capsys)
    assert shell.run_cell_magic("qianfan", "once", "hi").endpoint == "ab_dolly"
    assert ask(shell, "once").endpoint == "yi_34b_chat"
    assert shell.run_cell_magic("qianfan", "once endpoint=other", "hi").model == "other"
    steer(shell, "set model=yi_34b_chat", capsys)
    assert shell.run_cell_magic("qianfan", "once", "hi").endpoint == "yi_34b_chat"


def test_history_shows_turns(shell, capsys):
    assert "no turns yet" in steer(shell, "history", capsys)
    ask(shell)
    ask(shell, "", "介绍下长城")
    steer(shell, "set model=yi_34b_chat context=1", capsys)
    shown = steer(shell, "history", capsys)
    assert "1 of 2 turns" in shown
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["1", "2"]
    assert "not sent (limit)" in lines[-2]
    assert "介绍下长城" in lines[-1]
    assert "no turns yet" in steer(shell, "history chat=other", capsys)


def test_reset_keeps_old_conversation(shell, capsys):
    ask(shell)
    assert "1 turn kept as main~1" in steer(shell, "reset", capsys)
    assert sent(ask(shell)) == ["hi"]
    ask(shell, "chat=other")
    steer(shell, "reset other", capsys)
    assert session(shell).chats.get("other").turns == ()


def test_models_shows_rows(shell, capsys):
    shown = steer(shell, "models", capsys)
    assert "yi_34b_chat" in shown
    assert "+ endpoint=" in shown
    shown = steer(shell, "models ERNIE-Character-Fiction-8K", capsys)
    assert "(0, 1.0]" in shown
    assert "0.95" in shown
    assert "24000 chars, 6144 tokens, system prompt included" in shown


def test_transport_shows_and_changes_mode(shell, capsys):
    assert "stub" in steer(shell, "transport", capsys)
    steer(shell, "transport live", capsys)
    with pytest.raises(InputError, match="No keys"):
        ask(shell)


def test_help_shows_every_row(shell, capsys):
    for lang in ("en", "zh"):
        steer(shell, f"set lang={lang}", capsys)
        shown = steer(shell, "help", capsys)
        for rows in (help_table().options, help_table().described, help_table().commands, help_table().settings):
            for row in rows.values():
                assert row.help(lang) in shown
        assert help_table().commands["reset"].help(lang) in steer(shell, "help reset", capsys)


def test_messages_support_chinese(shell, capsys):
    steer(shell, "set lang=zh", capsys)
    ask(shell)
    assert "模拟回答" in capsys.readouterr().out
    with pytest.raises(InputError, match="temperature=2 对 Yi-34B-Chat 无效"):
        ask(shell, "temperature=2")


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
        ({"LC_ALL": "zh_TW", "LANG": "C"}, "zh"),
        ({"QFMAGIC_LANG": "en", "LANG": "zh_CN"}, "en"),
    ],
)
def test_session_language_follows_environment(environ, lang):
    from qfmagic.notebook.session.session import Session

    assert Session(environ).lang == lang


def test_settings_show_fingerprints_and_sources_without_keys(shell, capsys, monkeypatch):
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", "bce-v3/ALTAK-verysecret/123")
    shown = steer(shell, "settings", capsys)
    assert "QIANFAN_BEARER_TOKEN (environment)" in shown
    assert "verysecret" not in shown
    assert "ALTAK" not in shown


def test_session_client_uses_new_keys(shell, capsys, monkeypatch):
    steer(shell, "transport live", capsys)
    first = session(shell).client()
    assert session(shell).client() is first
    monkeypatch.setenv("QIANFAN_ACCESS_TOKEN", "t")
    assert session(shell).client() is not first


def test_traits_match_settings(shell):
    magics = magics_of(shell)
    table = help_table()
    expected = {name for name, row in (table.options | table.described | table.settings).items() if row.settable}
    assert set(magics.trait_names(config=True)) == expected


def test_help_parameters_match_models():
    kinds = help_table().parameters
    from qfmagic.core.models import registry

    assert {name: row.kind for name, row in kinds.items()} == registry().parameter_names()
