"""Parameters, further fields, addresses and retries as they are written in cells and sent over a socket."""

import json

import pandas as pd
import pytest

from qfmagic.core.errors import OptionError, ParameterError, QianfanError, UnavailableError
from qfmagic.notebook.magics import _LOADED
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply

MODEL = "deepseek-v4-pro"
EXTRA = """extra='{"top_logprobs": 3}'"""


def whole(text="ok"):
    event = {"id": "as-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    return Reply.of_events([event], done=True)


def refusal(status, code):
    return Reply.of_json({"error": {"code": code, "message": "no", "type": "x"}}, status=status)


@pytest.fixture
def service():
    replies = {}
    with LoopbackServer(lambda _: replies.get("next") or whole()) as server:
        server.replies = replies
        yield server


@pytest.fixture
def lab(shell, service, monkeypatch):
    """The shell, asking a service over a socket."""
    monkeypatch.setenv("QFMAGIC_TRANSPORT", "live")
    monkeypatch.setenv("QIANFAN_CONSOLE_API_BASE_URL", service.url)
    monkeypatch.setenv("QIANFAN_BEARER_TOKEN", "a-key-for-tests")
    monkeypatch.setenv("QIANFAN_LLM_API_RETRY_JITTER", "0")
    shell.run_line_magic("qf", f"set model={MODEL}")
    return shell


def ask(shell, line="", prompt="hi"):
    return shell.run_cell_magic("qianfan", line, prompt)


def fields(service):
    ours = {"model", "messages", "stream", "stream_options"}
    found = [json.loads(request.body) for request in service.requests]
    return [{name: body[name] for name in body.keys() - ours} for body in found]


def test_short_forms_are_sent_as_the_documented_objects(lab, service):
    ask(lab, "stop=END thinking=off web_search=on response_format=json_object reasoning_effort=max")
    assert fields(service) == [
        {
            "stop": ["END"],
            "thinking": {"type": "disabled"},
            "web_search": {"enable": True},
            "response_format": {"type": "json_object"},
            "reasoning_effort": "max",
        }
    ]


def test_settings_take_short_forms_for_models_that_have_them(lab, service):
    lab.run_line_magic("qf", 'set stop=END thinking=on extra={"a":1}')
    ask(lab)
    ask(lab, 'model=ernie-5.0 thinking=off extra={"b":2}')
    assert fields(service) == [
        {"stop": ["END"], "thinking": {"type": "enabled"}, "a": 1},
        {"stop": ["END"], "enable_thinking": False, "b": 2},
    ]
    with pytest.raises(ParameterError, match="stop='END'"):
        lab.run_line_magic("qf", "set model=yi_34b_chat stop=END")


def test_settings_refuse_what_the_model_does_not_take(lab):
    for line in ("reasoning_effort=low", "thinking=perhaps", 'extra={"model":1}', 'web_search={"n":1}'):
        with pytest.raises(ParameterError):
            lab.run_line_magic("qf", f"set {line}")


def test_option_on_the_line_replaces_its_other_name_in_the_settings(lab, service):
    lab.run_line_magic("qf", "set max_output_tokens=5 user_id=a")
    ask(lab, "max_completion_tokens=6 user=b")
    assert fields(service) == [{"max_completion_tokens": 6, "user": "b"}]


def test_extra_is_shown_sent_and_kept(lab, service, capsys):
    ask(lab, f"{EXTRA} dry")
    assert '"top_logprobs": 3' in capsys.readouterr().out
    plain = ask(lab, "once")
    answer = ask(lab, EXTRA)
    assert fields(service) == [{}, {"top_logprobs": 3}]
    session = _LOADED[lab].engine.session
    (turn,) = session.chats.get("main").turns
    assert turn.answer.request["top_logprobs"] == 3
    assert answer.request == {**plain.request, "top_logprobs": 3}
    lab.run_line_magic("qf", "retry seed=5")
    assert fields(service)[-1] == {"top_logprobs": 3, "seed": 5}


def test_extra_changes_the_requests_hash():
    from qfmagic import Qianfan, Settings

    with Qianfan(settings=Settings(), model="ernie-4.0-8k", api="v1") as client:
        hashes = [client.plan("hi", extra=extra).request.hash for extra in (None, {}, {"a": 1})]
    assert hashes[0] == hashes[1] != hashes[2]


def test_extra_goes_with_every_row(lab, service):
    lab.user_ns["df"] = pd.DataFrame({"text": ["a"]})
    lab.run_cell_magic("qf", f"map df into=out {EXTRA} seed=1", "Rate {{ text }}")
    lab.run_cell_magic("qf", f"compare models={MODEL} {EXTRA}", "Rate it.")
    lab.run_cell_magic("qf", f"compare models={MODEL} over=df {EXTRA}", "Rate {{ text }}")
    assert fields(service) == [{"top_logprobs": 3, "seed": 1}, {"top_logprobs": 3}, {"top_logprobs": 3}]


@pytest.mark.parametrize("line", ["top_logprobs=3", "thinkin=on"])
def test_unknown_options_are_told_about_extra(lab, line):
    with pytest.raises(OptionError, match=f"""extra='{{"{line.partition("=")[0]}": ...}}'"""):
        ask(lab, line)


def test_schema_is_sent_natively_where_the_row_supports_it(lab, service):
    service.replies["next"] = whole('{"n": 1}')
    assert ask(lab, "schema='n int'").value == {"n": 1}
    (sent,) = fields(service)
    assert sent["response_format"]["type"] == "json_schema"
    assert sent["response_format"]["json_schema"]["schema"]["properties"]["n"]


# ---- retries


def test_retry_count_on_the_line_limits_attempts(lab, service):
    service.replies["next"] = refusal(500, "internal_error")
    lab.run_line_magic("qf", "set retry_count=2 backoff_factor=0")
    for line, count in (("", 2), ("retry_count=1", 1), ("retry_count=3", 3)):
        before = len(service.requests)
        with pytest.raises(UnavailableError):
            ask(lab, line)
        assert len(service.requests) - before == count
    lab.user_ns["df"] = pd.DataFrame({"text": ["a"]})
    before = len(service.requests)
    with pytest.raises(QianfanError):
        lab.run_cell_magic("qf", "map df retry_count=1", "Rate {{ text }}")
    assert len(service.requests) - before == 1


# ---- addresses


def test_app_id_and_base_are_settings(lab, service, capsys):
    lab.run_line_magic("qf", "set app_id=app-1")
    ask(lab)
    assert service.requests[-1].headers["appid"] == "app-1"
    lab.run_line_magic("qf", "set base=coding")
    capsys.readouterr()
    ask(lab, "dry")
    assert "POST https://qianfan.baidubce.com/v2/coding/chat/completions" in capsys.readouterr().out
    with pytest.raises(OptionError, match="tokenplan-personal"):
        lab.run_line_magic("qf", "set base=plan")


def test_unnamed_base_is_shown_without_a_name(lab, capsys):
    lab.run_line_magic("qf", "set base=default")
    ask(lab, "dry")
    assert "qianfan.baidubce.com" not in capsys.readouterr().out


def test_map_cell_warns_on_the_coding_plan(lab, monkeypatch, capsys):
    from qfmagic.client.bases import Base

    titles = {"en": "Coding Plan", "zh": "Coding Plan"}
    here = Base(
        "coding", f"{_LOADED[lab].engine.session.keys.settings().console_base_url}/v2", titles, purpose="coding"
    )
    monkeypatch.setattr("qfmagic.client.settings.bases", lambda: {"coding": here})
    lab.user_ns["df"] = pd.DataFrame({"text": ["a"]})
    lab.run_cell_magic("qf", "map df into=out", "Rate {{ text }}")
    assert "programming tools only" in capsys.readouterr().out
    lab.run_line_magic("qf", "transport stub")
    lab.run_cell_magic("qf", "map df into=out", "Rate {{ text }}")
    assert "programming tools only" not in capsys.readouterr().out


def test_stub_answers_at_any_base(shell):
    shell.run_line_magic("qf", f"set base=aistudio model={MODEL}")
    assert ask(shell).transport == "stub"


def test_auth_and_doctor_name_the_address(lab, service, monkeypatch, capsys):
    from qfmagic.client.bases import Base

    titles = {"en": "Coding Plan", "zh": "Coding Plan"}
    here = Base("coding", f"{service.url}/v2", titles)
    monkeypatch.setattr("qfmagic.client.settings.bases", lambda: {"coding": here})
    lab.run_line_magic("qf", "auth check bearer")
    assert "V2 base=coding" in capsys.readouterr().out
    lab.run_line_magic("qf", "doctor")
    assert f"V2 requests go to base=coding (Coding Plan, {service.url}/v2)" in capsys.readouterr().out


def test_auth_asks_for_the_token_of_the_address(lab, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or "a-token-for-tests")
    lab.run_line_magic("qf", "set base=aistudio")
    lab.run_line_magic("qf", "auth")
    assert asked == ["AISTUDIO_ACCESS_TOKEN: "]
    assert "AISTUDIO_ACCESS_TOKEN" in capsys.readouterr().out
    with pytest.raises(OptionError, match="AISTUDIO_ACCESS_TOKEN"):
        ask(lab, "aistudio_access_token=x")


# ---- the panel's fields


def test_fields_of_the_panel_have_the_words_of_a_parameter(lab):
    from qfmagic.notebook.panel.fields import field_rows

    lab.run_line_magic("qf", 'set stop=END thinking=on web_search={"enable":true} reasoning_effort=max')
    session = _LOADED[lab].engine.session
    rows = field_rows(session, session.preferences.target())
    fields = {row["name"]: row for row in rows["parameters"]}
    assert rows["unsent"] == []
    assert (fields["thinking"]["kind"], fields["thinking"]["written"]) == ("choice", "on")
    assert fields["thinking"]["choices"] == ["on", "off"]
    assert (fields["reasoning_effort"]["choices"], fields["reasoning_effort"]["written"]) == (["high", "max"], "max")
    assert (fields["web_search"]["kind"], fields["web_search"]["written"]) == ("json", '{"enable": true}')
    assert (fields["stop"]["kind"], fields["stop"]["value"]) == ("list", ["END"])


@pytest.mark.parametrize(("base", "shown"), [("default", False), ("aistudio", True)])
def test_panel_prompts_for_the_token_of_the_base(lab, base, shown):
    from qfmagic.notebook.panel.state import panel_state

    lab.run_line_magic("qf", f"set base={base}")
    state = panel_state(_LOADED[lab].engine.session)
    assert ("aistudio" in [row["kind"] for row in state["keys"]["kinds"]]) == shown
