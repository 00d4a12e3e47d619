"""Errors say in both languages what happened and what to do."""

import pickle
import re
import string

import pytest

from qfmagic.core.catalogue import Text, messages, text
from qfmagic.core.errors import (
    SERVICE_ERRORS,
    ContextLengthError,
    InputError,
    ParameterError,
    QianfanError,
    ServiceError,
    TransportError,
)
from qfmagic.core.wire import error_rows


def fields(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("key", messages())
def test_both_languages_say_the_same_things(key):
    entry = messages()[key]
    assert set(entry) == {"en", "zh"}
    assert fields(entry["en"]) == fields(entry["zh"])
    assert re.search("[\u4e00-\u9fff]", entry["zh"]) or "{" in entry["zh"]


def test_every_error_row_has_a_class_and_a_remedy_that_exist():
    for rows in error_rows().values():
        for row in rows.values():
            assert row["class"] in SERVICE_ERRORS
            assert f"remedy.{row.get('remedy', 'keys')}" in messages()


def test_an_error_speaks_its_language():
    error = ContextLengthError(
        "context.prompt", system="", sizes=[Text("context.chars", {"size": 9000, "limit": 8000})]
    )
    assert "9000 characters (limit 8000)" in str(error)
    error.lang = "zh"
    assert "9000 个字符（上限 8000）" in str(error)
    assert error._render_traceback_() == [f"ContextLengthError: {error}"]


def test_values_are_shown_as_a_reader_expects():
    assert text("option.value", "en", name="a", value=None, allowed=["x", "y"]) == "a= isn't possible; allowed: x, y."
    assert text("option.unknown", "zh", name="x", suggestions=Text("option.did_you_mean", {"names": ["y"]})).startswith(
        "未知选项 'x'。您是否想写 y？"
    )


def test_the_tree():
    assert issubclass(ParameterError, InputError)
    assert issubclass(InputError, ValueError)
    assert issubclass(TransportError, QianfanError)
    assert all(issubclass(kind, ServiceError) for kind in SERVICE_ERRORS.values())


def test_a_service_error_shows_code_text_id_and_advice():
    error = ServiceError(code=110, detail="Access token invalid", request_id="as-1", remedy="remedy.token")
    assert (
        str(error)
        == "Qianfan refused (code 110): Access token invalid. [id as-1] The access token is not valid (any more)."
    )
    assert str(ServiceError(status=503)) == "Qianfan refused (code 503): no explanation given."
    hinted = error.with_hint("keys.used", used="QIANFAN_AK")
    assert str(hinted).endswith("Used: QIANFAN_AK.")
    assert "所用密钥：QIANFAN_AK。" in hinted.message("zh")
    assert (hinted.code, hinted.request_id) == (110, "as-1")


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
