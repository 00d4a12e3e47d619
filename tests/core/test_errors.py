"""Errors say in both languages what happened and what to do."""

import hashlib
import json
import pickle
import re
import string

import pytest

from qfmagic.core.errors import (
    SERVICE_ERRORS,
    ContextLengthError,
    InputError,
    ParameterError,
    QianfanError,
    ServiceError,
    TransportError,
)
from qfmagic.core.i18n import Text, messages, read_table, text
from qfmagic.core.wire import error_rows, make_error


def fields(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("key", messages())
def test_messages_match_in_both_languages(key):
    entry = messages()[key]
    assert set(entry) == {"en", "zh"}
    assert fields(entry["en"]) == fields(entry["zh"])
    assert re.search("[\u4e00-\u9fff]", entry["zh"]) or "{" in entry["zh"]


WAYS = {None, "backoff", "few", "minute", "token"}


@pytest.mark.parametrize(("table", "code"), [(table, code) for table, rows in error_rows().items() for code in rows])
def test_error_rows_have_class_retry_cause_and_remedy(table, code):
    row = error_rows()[table][code]
    assert row.get("retry") in WAYS
    if table == "transport":
        assert code in messages()
    elif code != "other":
        assert row["class"] in SERVICE_ERRORS
        assert f"cause.{row['cause']}" in messages()
        assert f"remedy.{row['remedy']}" in messages()


def test_error_rows_by_words_have_texts():
    for row in read_table("errors.toml")["words"]:
        assert row["class"] in SERVICE_ERRORS
        assert {f"cause.{row['cause']}", f"remedy.{row['remedy']}"} <= messages().keys()
        assert row["contains"] == row["contains"].lower()


def test_causes_and_remedies_are_used():
    rows = [row for table in error_rows().values() for row in table.values()] + read_table("errors.toml")["words"]
    for column in ("cause", "remedy"):
        assert {f"{column}.{row[column]}" for row in rows if column in row} == {
            key for key in messages() if key.startswith(f"{column}.")
        }


def test_error_uses_its_language():
    error = ContextLengthError(
        "context.prompt", system="", sizes=[Text("context.chars", {"size": 9000, "limit": 8000})]
    )
    assert "9000 characters (limit 8000)" in str(error)
    error.lang = "zh"
    assert "9000 个字符（上限 8000）" in str(error)
    assert error._render_traceback_() == [f"ContextLengthError: {error}"]


def test_text_formats_values_for_readers():
    assert text("option.value", "en", name="a", value=None, allowed=["x", "y"]) == "Invalid a=. Allowed: x, y."
    assert text("option.unknown", "zh", name="x", suggestions=Text("option.did_you_mean", {"names": ["y"]})).startswith(
        "未知选项 'x'。您是否想写 y？"
    )


def test_text_has_singular_for_one_and_plural_for_other_counts():
    said = [text("compare.unasked", "en", count=1, of=count) for count in (0, 1, 2)]
    assert said == [f"1 of {word} not sent" for word in ("0 questions", "1 question", "2 questions")]
    assert text("compare.unasked", "zh", count=1, of=1) == "1 个问题中有 1 个未发送"
    assert text("timeout.first", "en", seconds=2).startswith("No answer within 2 s.")  # other formats stay


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("ask.go_on", "f94cff263b0bc136"),
        ("schema.instruction", "ee2e47c739d0a0ed"),
        ("schema.repair", "7466a879473e914d"),
        ("schema.no_json", "c1bc597b00f18c72"),
        ("schema.broken", "d308a973d9457a77"),
        ("schema.unfit", "8b9e3a9cf97e7edd"),
        ("schema.several", "efc16a4a5639efe5"),
    ],
)
def test_text_sent_to_models_never_changes(key, sent):
    """Recorded requests are found by their hash, and these texts are part of it."""
    assert hashlib.sha256(json.dumps(messages()[key], sort_keys=True).encode()).hexdigest()[:16] == sent


def test_error_classes_form_a_tree():
    assert issubclass(ParameterError, InputError)
    assert issubclass(InputError, ValueError)
    assert issubclass(TransportError, QianfanError)
    assert all(issubclass(kind, ServiceError) for kind in SERVICE_ERRORS.values())


def test_service_error_shows_code_text_id_cause_and_remedy():
    error = make_error("v1", 110, "Access token invalid", request_id="as-1")
    assert str(error).startswith(
        "Qianfan returned an error (code 110): Access token invalid. [id as-1] The access token is invalid or has expired. Set a new"
    )
    assert str(ServiceError(status=503)) == "Qianfan returned an error (code 503): no explanation given."
    hinted = error.with_hint("keys.used", used="QIANFAN_AK")
    assert str(hinted).endswith("Keys used: QIANFAN_AK.")
    assert "所用密钥：QIANFAN_AK。" in hinted.message("zh")
    assert (hinted.code, hinted.request_id, hinted.retry) == (110, "as-1", "token")


def test_error_details_show_whole_chain():
    error = TransportError("connect.cut", reason="x")
    error.__cause__ = OSError("the inner cause")
    assert "OSError: the inner cause" in error.details()
    hinted = error.with_hint("retry.tried", attempts=3, seconds=4.1)
    assert str(hinted).endswith("Failed after 3 attempts in 4.1 s.")
    assert "4.1 秒内已尝试 3 次" in hinted.details("zh")
    assert "OSError: the inner cause" in hinted.details()


@pytest.mark.parametrize(
    "error",
    [
        ParameterError("parameter.value", name="t", value="0", allowed="(0, 1]", model="m", source="s"),
        ServiceError(code="x", detail="y", status=429).with_hint("keys.used", used="z"),
    ],
)
def test_errors_survive_pickling(error):
    """Workers of other processes hand them on."""
    error.lang = "zh"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        ("coding_plan_api_key_required", "authentication", "plan_key_required"),
        ("token_plan_person_api_key_not_allowed", "authentication", "plan_key_elsewhere"),
        ("token_plan_team_not_subscribed", "quota", "not_subscribed"),
        ("token_plan_person_subscription_expired", "quota", "subscription"),
        ("token_plan_person_model_not_supported", "access", "plan_model"),
        ("coding_plan_hour_quota_exceeded", "quota", "hour_quota"),
        ("coding_plan_month_quota_exceeded", "quota", "plan_quota"),
        ("token_plan_team_rate_limit_exceeded", "rate", "qps"),
    ],
)
def test_plan_codes_match_by_suffix(code, kind, cause):
    error = make_error("v2", code, "no", status=403)
    assert (type(error), error.cause) == (SERVICE_ERRORS[kind], f"cause.{cause}")


def test_error_of_an_unknown_code_is_judged_by_its_status():
    assert make_error("v2", "other_key_trouble", "no", status=403).cause == "cause.permission"
