"""V2's documented fields as parameters: what is sent for each value, and what is refused."""

import math

import pytest

from qfmagic.core.errors import ParameterError
from qfmagic.core.models import registry
from qfmagic.core.models.params import EXTRA, Parameter, answer_limit, check_parameters
from qfmagic.core.plan import plan_request

UNKNOWN = "a-model-without-a-row"
ENABLED, DISABLED = {"type": "enabled"}, {"type": "disabled"}
TOOL = {"type": "function", "function": {"name": "rain"}}
# Each parameter: its values, and what each is sent as.
SENT = {
    "max_tokens": [(1, 1), (65536, 65536)],
    "max_completion_tokens": [(1, 1)],
    "max_output_tokens": [(5, 5)],
    "seed": [(1, 1), (2147483646, 2147483646)],
    "penalty_score": [(1.0, 1.0), (2, 2)],
    "repetition_penalty": [(1.1, 1.1)],
    "frequency_penalty": [(-0.5, -0.5)],
    "presence_penalty": [(0, 0)],
    "thinking": [("on", ENABLED), ("off", DISABLED), (True, ENABLED), (False, DISABLED), (ENABLED, ENABLED)],
    "enable_thinking": [(True, True)],
    "thinking_budget": [(100, 100)],
    "thinking_strategy": [("short_think", "short_think")],
    "reasoning_effort": [("low", "low"), ("max", "max")],
    "web_search": [
        ("on", {"enable": True}),
        ("off", {"enable": False}),
        ({"enable": True, "search_mode": "required", "search_number": 28}, None),
    ],
    "response_format": [
        ("json_object", {"type": "json_object"}),
        ("text", {"type": "text"}),
        ({"type": "json_schema", "json_schema": {"type": "object"}}, None),
    ],
    "stop": [("END", ["END"]), (["END"], ["END"]), (["a"] * 4, None)],
    "user": [("u", "u")],
    "metadata": [({f"k{n}": "v" for n in range(16)}, None)],
    "tools": [([TOOL], [TOOL])],
    "tool_choice": [("auto", "auto"), ("none", "none"), ("required", "required"), (TOOL, TOOL)],
    "parallel_tool_calls": [(False, False)],
}
REFUSED = {
    "max_tokens": [0, -1, 1.5, "many", True],
    "max_completion_tokens": [0],
    "max_output_tokens": [0],
    "seed": [0, 2147483647, 1.0],
    "penalty_score": [0.9, 2.1],
    "repetition_penalty": ["x", math.nan],
    "thinking": ["maybe", {}, {"type": "auto"}, 1, [ENABLED]],
    "enable_thinking": ["on", 1],
    "thinking_budget": [99],
    "thinking_strategy": ["long"],
    "reasoning_effort": ["none", ""],
    "web_search": ["yes", 1, {"search_num": 5}, {"search_number": 29}, {"reference_number": 0}, {"enable": "on"}],
    "response_format": ["xml", {}, {"type": "xml"}, {"json_schema": {}}, {"type": "json_schema"}],
    "stop": ["", "a" * 21, ["a"] * 5, [1]],
    "user": [""],
    "metadata": [{f"k{n}": "v" for n in range(17)}],
    "tools": [TOOL, [{}], [{"type": "function"}], [{"type": "function", "function": {}}], ["rain"], [{1: 2}]],
    "tool_choice": ["sometimes", {"type": "function"}],
    "parallel_tool_calls": ["true"],
}


def check(model=UNKNOWN, /, **values):
    target = registry().target(model)
    return check_parameters(values, target.parameters, model=target.title, source=target.source.title)


@pytest.mark.parametrize(("name", "value", "sent"), [(name, *case) for name, cases in SENT.items() for case in cases])
def test_documented_parameter_is_sent_as_documented(name, value, sent):
    checked = check(**{name: value})
    assert checked == {name: value if sent is None else sent}
    assert check(**checked) == checked  # as for a repair, which sends the same again


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_documented_parameter_rejects_other_values(name, value):
    with pytest.raises(ParameterError) as error:
        check(**{name: value})
    assert name in error.value.message("en")
    assert error.value.message("zh")


def test_parameters_a_field_of_an_object_is_named():
    with pytest.raises(ParameterError, match=r"web_search\.search_number=29.*\[1, 28\]"):
        check(web_search={"search_number": 29})
    with pytest.raises(ParameterError, match=r"web_search=\{'search_num': 5\}.*on, off, object with enable, "):
        check(web_search={"search_num": 5})
    with pytest.raises(ParameterError, match=r"tools\.function=\{\}.*object with name"):
        check(tools=[{"type": "function", "function": {}}])


def test_parameters_sent_under_one_name_exclude_each_other():
    with pytest.raises(ParameterError, match=r"user= and user_id= set the same field"):
        check(user="a", user_id="b")
    with pytest.raises(ParameterError, match="max_completion_tokens"):
        check(max_output_tokens=5, max_completion_tokens=6)
    assert check(max_tokens=5, max_completion_tokens=6) == {"max_completion_tokens": 6, "max_tokens": 5}


# ---- what a row says


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("deepseek-v4-pro", "on", ("thinking", ENABLED)),
        ("ernie-5.0", "on", ("enable_thinking", True)),
        ("ernie-5.0", False, ("enable_thinking", False)),
        (UNKNOWN, "off", ("thinking", DISABLED)),
        ("glm-5.3", "on", ("", True)),  # it always thinks, and nothing is sent
    ],
)
def test_thinking_is_sent_as_the_switch_of_the_row(model, given, sent):
    parameters = registry().target(model).parameters
    (value,) = check(model, thinking=given).values()
    assert (parameters["thinking"].wire_name, value) == sent


def test_switch_of_a_model_that_always_thinks_is_not_sent():
    plan = plan_request(registry().target("glm-5.3"), "hi", parameters={"thinking": "on", "reasoning_effort": "max"})
    assert plan.request.body.keys() == {"model", "messages", "stream", "reasoning_effort"}
    assert plan.request.parameters == {"thinking": True, "reasoning_effort": "max"}
    with pytest.raises(ParameterError, match=r"Invalid thinking='off' for GLM-5.3. Allowed: on\."):
        check("glm-5.3", thinking="off")


def test_rows_narrow_the_parameters():
    assert check("deepseek-v4-pro", reasoning_effort="max") == {"reasoning_effort": "max"}
    for model, values in (
        ("deepseek-v4-pro", {"reasoning_effort": "low"}),
        ("glm-5.3", {"thinking": "off"}),  # it always thinks
        ("ernie-5.1", {"max_tokens": 65537}),
        ("ernie-5.1", {"web_search": {"search_mode": "auto"}}),
        ("qwq-32b", {"penalty_score": 1.0}),
    ):
        with pytest.raises(ParameterError):
            check(model, **values)
        assert check(**values)  # a model without a row takes them all


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("ernie-x1-turbo-32k", {"response_format": "json_object"}),
        ("ERNIE-X1-Turbo-32K", {"stop": "END"}),
        ("deepseek-r1", {"penalty_score": 1.0}),
        ("qwen2.5-72b-instruct", {"seed": 1}),
        ("ernie-9", {"web_search": {"search_mode": "auto"}}),
    ],
)
def test_models_without_a_row_lack_what_the_page_excludes(model, values):
    with pytest.raises(ParameterError):
        check(model, **values)
    assert check(**values)


def test_rows_of_models_without_a_capability_lack_its_parameters():
    from qfmagic.core.i18n import read_table
    from qfmagic.core.models import Registry

    table = read_table("models.toml")
    row = {"name": "x", "title": "x", "source": "v2", "wires": ["v2"], "v2": {"parameters": "v2"}}
    without = {"thinking": False, "tools": False, "web_search": False}
    table = {**table, "model": [{**row, **without}, {**row, "name": "ernie-y", "title": "y", "web_search": False}]}
    parameters = Registry(table).target("x").parameters
    gone = {"thinking", "reasoning_effort", "thinking_budget", "tools", "tool_choice", "web_search"}
    assert not gone & parameters.keys()
    assert "web_search" not in Registry(table).target("ernie-y").parameters


# ---- extra


def test_extra_is_checked_for_any_model():
    assert check("yi_34b_chat", extra={"a": None}) == {"extra": {"a": None}}
    assert list(check(extra={"a": 1}, seed=1)) == ["seed", "extra"]
    assert check(extra='{"a": 1}') == {"extra": {"a": 1}}, "as the error about an unknown option writes it"
    for value in ("on", "[1]", [1], {1: 2}, {"a": math.nan}, {"a": {1, 2}}):
        with pytest.raises(ParameterError, match="Invalid extra="):
            check(extra=value)
    for name in ("model", "messages", "stream"):
        with pytest.raises(ParameterError, match=f"Invalid field '{name}' in extra="):
            check(extra={name: 1})


def test_unknown_parameters_are_told_about_extra():
    with pytest.raises(ParameterError, match="""extra='{"top_logprobs": ...}'"""):
        check(top_logprobs=3)


@pytest.mark.parametrize(
    ("parameters", "limit"),
    [
        ({}, 0),
        ({"max_output_tokens": 5}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 7}, 7),
        ({"extra": {"max_tokens": 3}}, 3),
        ({"extra": {"max_tokens": "all"}}, 0),
        ({"extra": '{"max_tokens": 3}'}, 3),
        ({"extra": "on"}, 0),
    ],
)
def test_answer_limit_is_the_least_that_is_given(parameters, limit):
    assert answer_limit(parameters) == limit


def test_words_are_what_may_stand_as_a_value():
    parameters = registry().target(UNKNOWN).parameters
    assert parameters["thinking"].words == ("on", "off")
    assert parameters["reasoning_effort"].words == ("low", "medium", "high", "max")
    assert parameters["enable_thinking"].words == ("true", "false")
    assert parameters["seed"].words == ()
    assert parameters["thinking"].word_of(DISABLED) == "off"
    assert parameters["seed"].word_of(5) == "5"
    assert EXTRA.describe("en") == "object"
    assert Parameter("x", "array").accepts([{"any": 1}])
