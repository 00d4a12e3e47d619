"""Keys among the arguments of the Python API: refused without their values, in the traceback's variables too."""

import asyncio
import traceback

import pytest

import qfmagic
from qfmagic import Qianfan, Settings
from qfmagic.client.auth.credentials import choose
from qfmagic.core.errors import CredentialError
from tests.core.keys.test_pasted import AK, HEX, SK, V2, drawn

KEY = "bce-v3/ALTAK-canary/00112233445566778899"
NAMES = ["api_key", "apiKey", "bearer", "bearer_token", "token", "access_token", "ak", "sk", "access_key", "secret_key"]
PLAIN = Settings(bearer_token="b")


def shown(error):
    """All that a tool shows of an error that shows variables."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    inside = [frame for frame in captured.stack if "/qfmagic/" in frame.filename and "/tests/" not in frame.filename]
    return f"{error} {error.values} {[frame.locals for frame in inside]}"


def refused(call):
    with pytest.raises(CredentialError) as error:
        call()
    assert KEY not in shown(error.value)
    assert error.value.__cause__ is None
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_client_rejects_key_by_its_name(name):
    said = refused(lambda: Qianfan(model="m", **{name: KEY}))
    assert name in said
    assert "QIANFAN_" in said
    assert "settings=Settings(" in said


def test_client_rejects_key_by_its_position():
    assert "Qianfan(model=...)" in refused(lambda: Qianfan(KEY))


@pytest.mark.parametrize("name", ["model", "endpoint", "api", "nonsense"])
def test_client_rejects_key_by_its_form(name):
    assert name in refused(lambda: Qianfan(**{name: V2.replace(V2, KEY)}))


@pytest.mark.parametrize("name", ["headers", "default_headers", "extra_headers", "nonsense"])
@pytest.mark.parametrize("value", [{"Authorization": f"Bearer {KEY}"}, {"a": [{"b": KEY}]}, {"X-API-Key": KEY}])
def test_client_rejects_key_within_a_value(name, value):
    assert name in refused(lambda: Qianfan(model="m", **{name: value}))


@pytest.mark.parametrize("name", ["temperature", "user", "system"])
def test_client_rejects_key_as_a_parameter(name):
    assert name in refused(lambda: Qianfan(model="m", **{name: KEY}))


def test_client_rejects_headers_with_keys_of_any_form():
    with pytest.raises(CredentialError) as error:
        Qianfan(model="m", default_headers={"authorization": "Bearer of-a-gateway"})
    assert "of-a-gateway" not in str(error.value)


def test_client_accepts_parameters_without_keys():
    with Qianfan(model="m", settings=PLAIN, system="Explain bce-v3/ALTAK keys", metadata={"key": "a"}) as client:
        client.plan("hi")


CALLS = {
    "plan": lambda client, **more: client.plan("hi", **more),
    "ask": lambda client, **more: client.ask("hi", **more),
    "stream": lambda client, **more: client.stream("hi", **more),
    "aask": lambda client, **more: asyncio.run(client.aask("hi", **more)),
    "astream": lambda client, **more: client.astream("hi", **more),
    "map": lambda client, **more: qfmagic.map(["a"], "{{ item }}", client=client, **more),
    "amap": lambda client, **more: asyncio.run(qfmagic.amap(["a"], "{{ item }}", client=client, **more)),
    "extract": lambda client, **more: qfmagic.extract("hi", "name str", client=client, **more),
    "aextract": lambda client, **more: asyncio.run(qfmagic.aextract("hi", "name str", client=client, **more)),
}


@pytest.mark.parametrize("call", CALLS)
def test_client_calls_reject_keys(call):
    with Qianfan(model="m", settings=PLAIN) as client:
        assert "api_key" in refused(lambda: CALLS[call](client, api_key=KEY))
        assert "nonsense" in refused(lambda: CALLS[call](client, nonsense=KEY))


# ---- keys of the wrong kind


def chosen(wire, **keys):
    with pytest.raises(CredentialError) as error:
        choose(Settings(**keys), wire)
    assert not any(key in str(error.value) for key in keys.values() if key.isalnum() or "/" in key)
    return str(error.value)


@pytest.mark.parametrize(
    ("wire", "keys", "said"),
    [
        ("v2", {"ak": V2}, "QIANFAN_AK contains a V2 API key"),
        ("v1", {"ak": V2, "sk": "x"}, "QIANFAN_AK contains a V2 API key"),
        ("v2", {"access_token": V2}, "QIANFAN_ACCESS_TOKEN contains a V2 API key"),
        ("v2", {"bearer_token": AK}, "an application's API key or secret key"),
        ("v2", {"bearer_token": SK}, "an application's API key or secret key"),
        ("v2", {"bearer_token": drawn(32, HEX)}, "one half of an IAM key pair"),
        ("v2", {"bearer_token": f"{AK}:{SK}"}, "two keys in one variable"),
        ("v2", {"bearer_token": drawn(40, HEX)}, "AI Studio"),
        ("v2", {"bearer_token": V2.rpartition("/")[0]}, "only a part of a V2 API key"),
        ("v1", {"ak": SK, "sk": AK}, "swapped"),
        ("v2", {"access_key": drawn(32, HEX), "secret_key": f"ALTAK{drawn(21)}"}, "an IAM access key"),
    ],
)
def test_choose_reports_key_of_another_kind(wire, keys, said):
    assert said in chosen(wire, **keys)


def test_choose_accepts_keys_of_gateways():
    for base in ("http://127.0.0.1:4000", "https://aistudio.baidu.com/llm/lmapi/v3"):
        for key in (AK, drawn(32, HEX), drawn(40, HEX)):
            assert choose(Settings(console_base_url=base, bearer_token=key), "v2").key == key


def test_settings_read_keys_as_pasted():
    found = Settings.from_env({"QIANFAN_BEARER_TOKEN": f"“Bearer {V2}”\n", "QIANFAN_NO_AUTH": '"true"'}, dotenv=False)
    assert (found.bearer_token, found.no_auth) == (V2, True)
