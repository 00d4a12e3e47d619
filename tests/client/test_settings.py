"""Settings and credentials by the official SDK's names and precedence."""

import pytest

from qfmagic.client.auth.credentials import available, choose
from qfmagic.client.settings import Settings, fingerprint
from qfmagic.core.errors import CredentialError, OptionError

ALL = {
    "QIANFAN_AK": "ak",
    "QIANFAN_SK": "sk",
    "QIANFAN_ACCESS_KEY": "iak",
    "QIANFAN_SECRET_KEY": "isk",
    "QIANFAN_ACCESS_TOKEN": "the-token",
    "QIANFAN_BEARER_TOKEN": "the-bearer",
}


def settings(*names, **more):
    return Settings.from_env({name: ALL[name] for name in ALL if name.removeprefix("QIANFAN_") in names}, **more)


def test_settings_prefer_arguments_then_environment_then_file(tmp_path):
    (tmp_path / ".env").write_text(
        "QIANFAN_AK=file\nQIANFAN_SK=file\nQIANFAN_APP_ID='app$1'\nqianfan_bearer_token=no\n"
    )
    found = Settings.from_env(
        {"QIANFAN_SK": "environment", "QIANFAN_AK": "environment"}, directory=tmp_path, ak="argument"
    )
    assert (found.ak, found.sk, found.app_id, found.bearer_token) == ("argument", "environment", "app$1", "")
    assert found.sources == {"ak": "argument", "sk": "QIANFAN_SK (environment)", "app_id": "QIANFAN_APP_ID (.env)"}


def test_settings_read_named_env_file(tmp_path):
    (tmp_path / "keys").write_text("QIANFAN_AK=x\n")
    assert Settings.from_env({"QIANFAN_DOT_ENV_CONFIG_FILE": str(tmp_path / "keys")}).ak == "x"
    assert Settings.from_env({"QIANFAN_DOT_ENV_CONFIG_FILE": str(tmp_path / "none")}).ak == ""


def test_settings_do_not_change_environment(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("QIANFAN_AK=x\n")
    monkeypatch.chdir(tmp_path)
    import os

    assert Settings.from_env().ak == "x"
    assert "QIANFAN_AK" not in os.environ


def test_settings_convert_values_to_field_types():
    found = Settings.from_env(
        {"QIANFAN_NO_AUTH": "TRUE", "QIANFAN_LLM_API_RETRY_TIMEOUT": "12.5", "QIANFAN_IAM_SIGN_EXPIRATION_SEC": "60"}
    )
    assert (found.no_auth, found.timeout, found.sign_expiration) == (True, 12.5, 60)
    for name, value in [("QIANFAN_NO_AUTH", "maybe"), ("QIANFAN_LLM_API_RETRY_TIMEOUT", "soon")]:
        with pytest.raises(OptionError, match=f"Invalid {name}='{value}'"):
            Settings.from_env({name: value})


def test_settings_defaults_match_sdk():
    plain = Settings.from_env({})
    assert (plain.base_url, plain.console_base_url, plain.iam_base_url, plain.timeout) == (
        "https://aip.baidubce.com",
        "https://qianfan.baidubce.com",
        "https://iam.bj.baidubce.com",
        300.0,
    )


def test_settings_repr_shows_no_keys():
    shown = (
        repr(Settings.from_env(ALL))
        + repr(available(Settings.from_env(ALL), "v1"))
        + repr(choose(Settings.from_env(ALL), "v2"))
    )
    for value in ALL.values():
        assert f"'{value}'" not in shown
    assert fingerprint("secret") == fingerprint("secret") != fingerprint("Secret")


@pytest.mark.parametrize(
    ("names", "v1", "v2"),
    [
        (["ACCESS_TOKEN", "AK", "SK", "ACCESS_KEY", "SECRET_KEY"], "access_token", "iam"),
        (["AK", "SK", "ACCESS_KEY", "SECRET_KEY"], "app", "iam"),
        (["AK", "SK", "ACCESS_KEY"], "app", None),
        (["ACCESS_KEY", "SECRET_KEY"], "iam", "iam"),
        (["BEARER_TOKEN", "ACCESS_KEY", "SECRET_KEY"], "iam", "bearer"),
        (["BEARER_TOKEN"], None, "bearer"),
        (["AK", "SK"], "app", None),
        ([], None, None),
    ],
)
def test_choose_selects_key_for_api(names, v1, v2):
    found = settings(*names)
    for wire, kind in (("v1", v1), ("v2", v2)):
        if kind:
            assert choose(found, wire).kind == kind
        else:
            with pytest.raises(CredentialError):
                choose(found, wire)


@pytest.mark.parametrize(
    ("names", "wire", "said"),
    [
        ([], "v1", "%qf transport stub"),
        ([], "v2", "QIANFAN_BEARER_TOKEN"),
        (["AK"], "v1", "QIANFAN_AK is set, QIANFAN_SK is not"),
        (["SECRET_KEY"], "v2", "QIANFAN_ACCESS_KEY is not"),
        (["BEARER_TOKEN"], "v1", "api=v2"),
        (["AK", "SK"], "v2", "are for V1"),
    ],
)
def test_choose_error_names_missing_variables(names, wire, said):
    with pytest.raises(CredentialError, match=said):
        choose(settings(*names), wire)


def test_choose_supports_private_deployments():
    assert choose(Settings(enable_private=True, access_code="c"), "v1").kind == "access_code"
    assert choose(Settings(no_auth=True), "v2").kind == "none"
