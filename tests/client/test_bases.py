"""The named addresses of V2: where requests go, with which key, and what is said where they don't belong together."""

import json
import warnings

import pytest

import qfmagic
from qfmagic import Qianfan, Settings
from qfmagic.client.auth.credentials import available, choose
from qfmagic.client.bases import base_of, base_of_code, bases
from qfmagic.client.model_place import list_place
from qfmagic.core.errors import AuthenticationError, CredentialError, OptionError
from qfmagic.core.i18n import read_table
from qfmagic.testing.scripted import ScriptedTransport
from qfmagic.transport.stub.reply import Reply

CHAT = "/chat/completions"
ADDRESSES = {
    "default": ("https://qianfan.baidubce.com/v2", "https://qianfan.baidubce.com/v2/models"),
    "tokenplan-personal": (
        "https://qianfan.baidubce.com/v2/tokenplan/personal",
        "https://qianfan.baidubce.com/v2/models",
    ),
    "tokenplan-team": ("https://qianfan.baidubce.com/v2/tokenplan/team", "https://qianfan.baidubce.com/v2/models"),
    "coding": ("https://qianfan.baidubce.com/v2/coding", "https://qianfan.baidubce.com/v2/models"),
    "international": ("https://api.baiduqianfan.ai/v1", "https://api.baiduqianfan.ai/v1/models"),
    "aistudio": ("https://aistudio.baidu.com/llm/lmapi/v3", "https://aistudio.baidu.com/llm/lmapi/v3/models"),
}
KEYS = {"bearer_token": "b-key", "aistudio_token": "a-token"}


def whole():
    choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    return Reply.of_json({"id": "as-1", "choices": [choice]})


def refusal(code, status=401):
    return Reply.of_json({"error": {"code": code, "message": "no", "type": "x"}}, status=status)


@pytest.mark.parametrize("name", ADDRESSES)
def test_requests_go_to_the_named_address_with_its_key(name):
    url, models = ADDRESSES[name]
    transport = ScriptedTransport([whole()])
    settings = Settings(**KEYS, base=name)
    with Qianfan(settings=settings, transport=transport, model="m") as client:
        client.ask("hi")
    (request,) = transport.requests
    assert f"https://{request.headers['host']}{request.path}" == url + CHAT
    assert request.headers["authorization"] == f"Bearer {'a-token' if name == 'aistudio' else 'b-key'}"
    assert "".join(list_place(settings)) == models
    assert settings.named_base == base_of(name)


def test_names_of_the_help_are_those_of_the_table():
    (row,) = [row for row in read_table("help.toml")["setting"] if row["name"] == "base"]
    assert row["choices"] == list(bases()) == list(ADDRESSES)


def test_named_base_is_known_however_it_was_set():
    settings = Settings(console_base_url="https://qianfan.baidubce.com", chat_v2_route=f"/v2/coding{CHAT}")
    assert settings.named_base.name == "coding"
    assert Settings(console_base_url="https://gateway.example").named_base is None


def test_settings_refuse_a_name_without_an_address():
    with pytest.raises(OptionError, match="base=plan.*tokenplan-personal"):
        Settings.from_env({"QFMAGIC_BASE": "plan"}, dotenv=False)


def test_settings_read_the_address_and_the_token_from_the_environment():
    found = Settings.from_env({"QFMAGIC_BASE": "aistudio", "AISTUDIO_ACCESS_TOKEN": "t"}, dotenv=False)
    assert choose(found, "v2").variables == "AISTUDIO_ACCESS_TOKEN"
    assert "t" in found.secrets
    assert available(Settings(**KEYS), "v2")[0].kind == "bearer"  # elsewhere that token is not sent


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_missing_token_error_names_variable_and_base(lang):
    with pytest.raises(CredentialError) as error:
        choose(Settings(bearer_token="b", base="aistudio"), "v2")
    assert "AISTUDIO_ACCESS_TOKEN" in error.value.message(lang)
    assert "base=aistudio" in error.value.message(lang)


@pytest.mark.parametrize(
    ("base", "code", "said"),
    [
        (
            "coding",
            "coding_plan_api_key_required",
            "base=coding (Coding Plan, https://qianfan.baidubce.com/v2/coding) takes",
        ),
        ("default", "coding_plan_api_key_not_allowed", "%qf set base=coding"),
        ("default", "token_plan_person_api_key_not_allowed", "%qf set base=tokenplan-personal"),
        ("tokenplan-team", "token_plan_team_api_key_required", "base=tokenplan-team (Token Plan, team"),
    ],
)
def test_key_of_another_base_is_named_from_its_code(base, code, said):
    transport = ScriptedTransport([refusal(code)])
    settings = Settings(bearer_token="b", base=base)
    with (
        Qianfan(settings=settings, transport=transport, model="m") as client,
        pytest.raises(AuthenticationError) as error,
    ):
        client.ask("hi")
    assert said in error.value.message("en")
    assert f"Address in use: base={base} " in error.value.message("en")
    assert error.value.message("zh")


def test_other_codes_are_about_no_address():
    assert base_of_code("invalid_iam_token") is None
    assert base_of_code(None) is None


def test_python_map_warns_on_the_coding_plan():
    def answered(base):
        settings = Settings(bearer_token="b", base=base)
        with Qianfan(settings=settings, transport=ScriptedTransport([whole()]), model="m") as client:
            return qfmagic.map(["x"], "{{ item }}?", client=client, stream=False)

    with pytest.warns(UserWarning, match="base=coding .*programming tools") as caught:
        assert answered("coding")[0]["answer"] == "ok"
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answered("default")
    assert json.dumps([base.warning("v1") for base in bases().values()]) == json.dumps([None] * len(bases()))
