"""Values are checked as the pages state, before anything is sent."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import ParameterError
from qfmagic.core.models import registry
from qfmagic.core.models.params import Parameter, Range, check_parameters, parse_value

DOCUMENTED = {
    "rwkv_4_world": {"temperature", "top_k", "top_p", "penalty_score", "stop", "user_id", "metadata"},
    "dolly_12b": {"temperature", "top_k", "top_p", "penalty_score", "stop", "user_id"},
    "yi_34b_chat": {"temperature", "top_k", "top_p", "penalty_score", "stop", "user_id", "metadata"},
    "ernie-char-fiction-8k": {
        "temperature",
        "top_p",
        "penalty_score",
        "system",
        "stop",
        "max_output_tokens",
        "enable_user_memory",
        "user_memory_extract_level",
        "user_id",
        "metadata",
    },
}
ALLOWED = {
    "temperature": [1e-9, 0.01, 0.95, 1, 1.0],
    "top_k": [1, 40, 10**6, 10**400],
    "top_p": [0, 0.0, 0.7, 1.0],
    "penalty_score": [1, 1.0, 1.5, 2.0],
    "system": ["你是助手"],
    "stop": [[], ["END"], ["a" * 20] * 4],
    "max_output_tokens": [2, 1024],
    "enable_user_memory": [False],
    "user_memory_extract_level": [0, 1, 2],
    "user_id": ["u1"],
    "metadata": [{}, {f"k{i}": "v" for i in range(16)}],
}
REFUSED = {
    "temperature": [0, 0.0, -0.1, 1.01, math.nan, math.inf, "0.3", True],
    "top_k": [0, -1, 1.5, True, "1"],
    "top_p": [-0.01, 1.1, math.nan],
    "penalty_score": [0.99, 2.01, math.inf],
    "system": ["", 1],
    "stop": ["END", ["a" * 21], ["a"] * 5, [1]],
    "max_output_tokens": [1, 1025, 2.5],
    "enable_user_memory": [1, "true"],
    "user_memory_extract_level": [-1, 3, True],
    "user_id": ["", 7],
    "metadata": [{f"k{i}": "v" for i in range(17)}, {"k": 1}, {1: "v"}, []],
}


def check(model, **values):
    target = registry().target(model, "test1" if model in ("rwkv_4_world", "dolly_12b") else None)
    return check_parameters(values, target.parameters, model=target.title, source=target.source.title)


@pytest.mark.parametrize("model", DOCUMENTED)
def test_documented_model_accepts_only_its_parameters(model):
    target = registry().target(model, "test1" if model in ("rwkv_4_world", "dolly_12b") else None)
    assert set(target.parameters) == DOCUMENTED[model]
    for name in ALLOWED.keys() - DOCUMENTED[model]:
        with pytest.raises(ParameterError, match=name) as error:
            check(model, **{name: ALLOWED[name][0]})
        assert target.source.title in str(error.value)


@pytest.mark.parametrize("model", DOCUMENTED)
def test_documented_values_are_accepted(model):
    for name in DOCUMENTED[model]:
        for value in ALLOWED[name]:
            assert check(model, **{name: value}) == {name: value}


@pytest.mark.parametrize("model", DOCUMENTED)
def test_undocumented_values_are_rejected(model):
    for name in DOCUMENTED[model]:
        for value in REFUSED[name]:
            with pytest.raises(ParameterError) as error:
                check(model, **{name: value})
            for part in (name, repr(value), error.value.values["source"]):
                assert part in str(error.value)
                assert part in error.value.message("zh")


def test_parameter_error_shows_allowed_values():
    with pytest.raises(ParameterError, match=r"\(0, 1\.0\]"):
        check("yi_34b_chat", temperature=0)
    with pytest.raises(ParameterError, match="at most 4 entries, each at most 20 characters"):
        check("yi_34b_chat", stop=["a"] * 5)


def test_fiction_defaults_are_known_but_not_sent():
    parameters = registry().target("ernie-char-fiction-8k").parameters
    assert {name: p.default for name, p in parameters.items() if p.default is not None} == {
        "temperature": 0.95,
        "top_p": 0.7,
        "penalty_score": 1.0,
        "max_output_tokens": 1024,
        "enable_user_memory": False,
    }
    assert check("ernie-char-fiction-8k", temperature=None) == {}


def test_user_memory_requires_user_id():
    with pytest.raises(ParameterError, match="user_id"):
        check("ernie-char-fiction-8k", enable_user_memory=True)
    given = {"enable_user_memory": True, "user_id": "u1"}
    assert check("ernie-char-fiction-8k", **given) == given


def test_parameters_are_sent_in_table_order():
    assert list(check("yi_34b_chat", top_p=0.5, temperature=0.5)) == ["temperature", "top_p"]


@pytest.mark.parametrize("notation", ["(0, 1.0]", "[0, 1.0]", "[1, )", "(, 5)", "(, )"])
@given(value=st.floats())
def test_range_matches_its_notation(notation, value):
    range_ = Range.parse(notation)
    low, high = range_.low, range_.high
    expected = math.isfinite(value)
    expected &= low is None or (value > low if notation[0] == "(" else value >= low)
    expected &= high is None or (value < high if notation[-1] == ")" else value <= high)
    assert (value in range_) == expected


def test_range_rejects_invalid_notation():
    with pytest.raises(ValueError, match="not a range"):
        Range.parse("0 to 1")


def test_json_parameter_accepts_only_json_values():
    parameter = Parameter("tools", "json")
    assert parameter.accepts([{"type": "function"}])
    assert not parameter.accepts({1, 2})
    assert not parameter.accepts(math.nan)


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("string", "0.3", "0.3"),
        ("bool", "true", True),
        ("bool", "False", False),
        ("int", "40", 40),
        ("float", "0.3", 0.3),
        ("float", "1", 1),
        ("float", "1e-3", 0.001),
        ("list", '["END"]', ["END"]),
        ("map", '{"k":"v"}', {"k": "v"}),
        ("json", '{"type":"json_object"}', {"type": "json_object"}),
        ("json", "json_object", "json_object"),
        ("object", '{"type":"json_object"}', {"type": "json_object"}),
        ("object", "on", "on"),
        ("object", "true", True),
        ("list", "END", "END"),
        ("list", "END OF TEXT", "END OF TEXT"),
        ("array", '[{"type":"function"}]', [{"type": "function"}]),
    ],
)
def test_parse_value_reads_text(kind, written, value):
    parsed = parse_value(kind, written)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("bool", "maybe"),
        ("int", "1.5"),
        ("float", "hot"),
        ("list", "[END]"),
        ("list", "[1]"),
        ("map", '{"k":1}'),
        ("array", "[1]"),
    ],
)
def test_parse_value_rejects_invalid_text(kind, written):
    with pytest.raises(ValueError):
        parse_value(kind, written)
