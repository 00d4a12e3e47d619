"""The table holds what its sources say, and a request goes where the names lead."""

import re

import pytest

from qfmagic.core.errors import ModelError
from qfmagic.core.i18n import read_table
from qfmagic.core.models import (
    DEFAULT_MODEL,
    Capabilities,
    ModelLimits,
    Registry,
    Retirement,
    did_you_mean,
    registry,
    suggest,
)

V2_LIST = [
    "ernie-4.0-8k",
    "ernie-4.0-8k-latest",
    "ernie-4.0-8k-preview",
    "ernie-4.0-turbo-8k",
    "ernie-4.0-turbo-8k-latest",
    "ernie-4.0-turbo-8k-preview",
    "ernie-4.0-turbo-128k",
    "ernie-3.5-8k",
    "ernie-3.5-8k-preview",
    "ernie-3.5-128k",
    "ernie-speed-8k",
    "ernie-speed-128k",
    "ernie-speed-pro-8k",
    "ernie-lite-8k",
    "ernie-lite-pro-128k",
    "ernie-tiny-8k",
    "ernie-char-8k",
    "ernie-char-fiction-8k",
    "ernie-novel-8k",
]


@pytest.mark.parametrize(
    ("model", "wires", "endpoint", "limits"),
    [
        ("rwkv_4_world", ("v1",), None, ModelLimits(4800)),
        ("dolly_12b", ("v1",), None, ModelLimits(4800)),
        ("ernie-char-fiction-8k", ("v1", "v2"), "ernie-char-fiction-8k", ModelLimits(24000, 6144, system_counts=True)),
        ("yi_34b_chat", ("v1",), "yi_34b_chat", ModelLimits(8000)),
    ],
)
def test_registry_has_documented_models(model, wires, endpoint, limits):
    row = registry().models[model]
    assert (row.wires, row.apis["v1"].endpoint, row.limits) == (wires, endpoint, limits)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("Yi-34B-Chat", "yi_34b_chat"),
        ("yi-34b-chat", "yi_34b_chat"),
        ("RWKV-4-World", "rwkv_4_world"),
        ("Dolly-12B", "dolly_12b"),
        ("ERNIE-Character-Fiction-8K", "ernie-char-fiction-8k"),
        ("ERNIE-Bot", "ernie-3.5-8k"),
        ("ERNIE Speed", "ernie-speed-8k"),
        ("ernie-lite-8k-0308", "ernie-lite-8k"),
        ("ERNIE_5.1", "ernie-5.1"),
        ("Ernie 5.1", "ernie-5.1"),
        ("deepseek_v4_pro", "deepseek-v4-pro"),
        ("eb-instant", "ernie-lite-8k-0922"),
        ("completions_pro", "ernie-4.0-8k"),
        ("completions", "ernie-3.5-8k"),
    ],
)
def test_registry_finds_names_by_alias_in_any_case(alias, name):
    assert registry().find(alias).name == name
    assert registry().find(f" {alias.upper()} ").name == name


def test_registry_sends_listed_v2_names_to_v2():
    for name in V2_LIST:
        target = registry().target(name, api="v2")
        assert (target.wire, target.model, target.endpoint) == ("v2", name, None)


def test_registry_keeps_v1_endpoints_of_sdk_models():
    assert registry().target("ernie-speed-8k", api="v1").endpoint == "ernie_speed"
    assert registry().target("ERNIE-3.5-8K", api="v1").endpoint == "completions"
    assert registry().target("Mixtral-8x7B-Instruct").endpoint == "mixtral_8x7b_instruct"
    assert registry().target("ERNIE-4.0-8K").wire == "v2"


def test_registry_sends_unknown_name_to_v2_unchanged():
    target = registry().target("My-Own/Model:1")
    assert (target.wire, target.model, target.known, target.limits) == ("v2", "My-Own/Model:1", False, ModelLimits())


def test_registry_endpoint_alone_has_common_rules():
    target = registry().target(None, "ngxxxol8_test1")
    assert (target.wire, target.model, target.endpoint) == ("v1", "ngxxxol8_test1", "ngxxxol8_test1")
    assert target.limits == ModelLimits()
    assert {"temperature", "top_k", "system"} <= set(target.parameters)


def test_registry_endpoint_with_model_has_model_rules():
    target = registry().target("dolly_12b", "ngxxxol8_test1")
    assert (target.endpoint, target.limits.max_chars) == ("ngxxxol8_test1", 4800)
    assert "metadata" not in target.parameters


def test_registry_api_overrides_row():
    assert registry().target("yi_34b_chat", api="v2").wire == "v2"
    assert registry().target("ernie-char-fiction-8k").wire == "v1"
    assert registry().target("ernie-char-fiction-8k", api="v2").wire == "v2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rwkv_4_world",), "endpoint="),
        (("dolly_12b",), "endpoint="),
        ((None,), "model="),
        (("",), "model="),
        (("yi_34b_chat", None, "v3"), "v1, v2"),
        (("ernie-5.1", None, "v1"), "Unknown V1 model"),
        (("yi_34b_cht", None, "v1"), "yi_34b_chat"),
        ((None, "test1", "v2"), "V1 service"),
        (("yi_34b_cat", "test1"), "yi_34b_chat"),
        (("ernie-5.1", "test1"), "not a V1 model"),
        ((None, "https://aip.baidubce.com/chat/test1"), "after /chat/"),
        ((None, "test1?x=1"), "after /chat/"),
        ((None, "../token"), "after /chat/"),
        ((None, "a/../../token"), "after /chat/"),
        ((None, ""), "after /chat/"),
    ],
)
def test_registry_rejects_incomplete_names(arguments, said):
    with pytest.raises(ModelError, match=said):
        registry().target(*arguments)


def test_suggest_lists_near_names_once():
    assert registry().suggest("deepsek-v4-pro")[0] == "deepseek-v4-pro"
    assert len(set(registry().suggest("ernie"))) == len(registry().suggest("ernie"))
    assert suggest("temprature", ["temperature", "top_p"]) == ["temperature"]
    assert suggest("zzzz", ["temperature"]) == []


@pytest.mark.parametrize("name", ["ernie-lite-8k", "ernie-sped-8k", "ernie-5.1", "ernie-5.0", "deepseek-v3.1-25082"])
def test_suggestions_skip_retired_names_and_the_name_itself(name):
    names = registry().suggest(name)
    assert name not in names
    assert all(registry().models[near].offered for near in names)
    assert all("v2" in registry().models[near].apis for near in registry().suggest(name, wire="v2"))


def test_suggestions_include_listed_names():
    assert registry().suggest("my-tuned-servic", ["My-tuned-service"]) == ["My-tuned-service"]


def test_registry_offers_no_retired_names():
    names = [model.name for model in registry().offered()]
    assert names[:5] == ["rwkv_4_world", "dolly_12b", "ernie-char-fiction-8k", "yi_34b_chat", DEFAULT_MODEL]
    assert not {"ernie-lite-8k", "ernie-5.0", "gemma-7b-it"} & {*names}


def test_generic_row_accepts_v2_parameters():
    row = registry().generic("my-tuned-service")
    assert (row.name, row.title, row.wires) == ("my-tuned-service", "my-tuned-service", ("v2",))
    assert row.apis["v2"].parameters == registry().target("my-tuned-service").parameters


def test_loose_name_matches_one_model():
    """Names that differ in case, dashes, dots and blanks alone must not be two models'."""
    owners = {}
    for row in registry().models.values():
        for name in row.names:
            loose = re.sub(r"[-_.\s]+", "-", name.lower())
            assert owners.setdefault(loose, row.name) == row.name


@pytest.mark.parametrize(
    ("retirement", "lang", "said"),
    [
        (Retirement("2026-01-27", "b"), "en", "a was retired on 2026-01-27: use b."),
        (Retirement("2026-01-27", "b"), "zh", "a 已于 2026-01-27 下线：请改用 b。"),
        (Retirement("", "b"), "en", "a is retired: use b."),
        (
            Retirement("2026-10-29", "b", announced=True),
            "en",
            "The retirement of a was announced for 2026-10-29: use b.",
        ),
    ],
)
def test_retirement_says_day_and_successor(retirement, lang, said):
    assert retirement.said("a").describe(lang) == said


@pytest.mark.parametrize(
    ("day", "created", "after"),
    [
        ("2026-01-27", 1769472000, True),
        ("2026-01-27", 1769471999, False),
        ("2026-01-27", None, True),
        ("", 1795824000, True),
        ("", 1700000000, False),
        ("2026-01-27", 1, True),  # no time stamp of an answer: the service is younger
        ("2026-01-27", 1672531200, False),
    ],
)
def test_retirement_precedes_answers_of_the_day_and_later(day, created, after):
    """What was recorded before is replayed as it was."""
    assert Retirement(day, "b").precedes(created) is after


def test_target_warns_of_its_retirement():
    assert registry().target("ernie-lite-8k").warnings("en") == [
        "ernie-lite-8k was retired on 2026-01-27: use ernie-5.1."
    ]
    assert registry().target("ernie-5.1").warnings("en") == []


def test_parameter_names_begin_with_documented_ones():
    names = registry().parameter_names()
    assert next(iter(names.items())) == ("temperature", "float")
    assert names["web_search"] == "object"
    assert next(reversed(names)) == "extra"


def test_model_rows_name_a_source_and_unique_names():
    table = read_table("models.toml")
    names = [name.lower() for row in table["model"] for name in {row["name"], row["title"], *row.get("aliases", ())}]
    owners = {}
    for row in table["model"]:
        assert row["source"] in table["sources"]
        for name in {row["name"].lower(), row["title"].lower(), *(a.lower() for a in row.get("aliases", ()))}:
            assert owners.setdefault(name, row["name"]) == row["name"]
    assert names


def test_parameter_type_is_equal_in_all_models():
    """The magics read a value before they know the model."""
    kinds = {}
    for model in Registry(read_table("models.toml")).models.values():
        for api in model.apis.values():
            for parameter in api.parameters.values():
                kinds.setdefault(parameter.name, set()).add(parameter.type)
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        (("ernie-4.0-8k",), "json_object"),
        (("ernie-5.1",), "json_object"),
        (("deepseek-v4-pro",), "json_schema"),
        (("ernie-4.0-8k", None, "v1"), None),
        (("yi_34b_chat",), None),
        (("who-knows",), None),
    ],
)
def test_target_takes_json_where_row_supports_it(arguments, way):
    assert registry().target(*arguments).json_way == way


def test_capabilities_are_read_from_the_row():
    row = registry().models["deepseek-v4-pro"]
    assert row.retirement is None
    assert row.capabilities == Capabilities(
        context="1M",
        max_output=393216,
        thinking=True,
        thinking_switch="thinking",
        efforts=("high", "max"),
        vision=False,
        tools=True,
        json_schema=True,
        as_of="2026-09-16",
    )
    assert registry().target("deepseek-v4-pro").capabilities == row.capabilities
    assert registry().models["glm-5.3"].capabilities.thinking
    assert registry().target("who-knows").capabilities == Capabilities()


@pytest.mark.parametrize(
    ("arguments", "retirement"),
    [
        (("ernie-lite-8k",), Retirement("2026-01-27", "ernie-5.1")),
        (("ernie-lite-8k", None, "v1"), None),
        (("ernie-5.0",), Retirement("2026-10-29", "ernie-5.1", announced=True)),
        (("ernie-3.5-8k",), Retirement("", "ernie-5.1")),
        (("gemma-7b-it",), Retirement("2026-08-31", "ernie-5.1")),
        (("ernie-char-fiction-8k",), None),
        (("ernie-char-fiction-8k", None, "v2"), Retirement("2026-04-23", "ernie-5.1")),
        (("ernie-5.1",), None),
        (("who-knows",), None),
    ],
)
def test_target_knows_the_retirement_from_its_api(arguments, retirement):
    assert registry().target(*arguments).retirement == retirement


def test_retired_rows_name_a_current_model():
    for row in registry().models.values():
        if row.retirement:
            successor = registry().models[row.retirement.instead]
            assert (successor.name, successor.retirement, successor.wires) == (row.retirement.instead, None, ("v2",))


def test_v2_rows_are_dated_or_retired():
    for row in registry().models.values():
        assert row.capabilities.as_of or row.retirement or row.wires[0] == "v1", row.name


def test_name_of_resolves_titles_and_keeps_unknown_names():
    assert registry().name_of("Yi-34B-Chat") == "yi_34b_chat"
    assert registry().name_of("no-such-model") == "no-such-model"


def test_did_you_mean_is_empty_without_near_misses():
    assert did_you_mean([]) == ""
    assert did_you_mean(["a", "b"]).describe("en") == "Did you mean a, b?"


@pytest.mark.parametrize(
    "name", ["ernie-4.5-turbo-vl-32k", "ernie-4.5-turbo-vl-128k", "ernie-4.5-turbo-vl", "ernie-functions-8k"]
)
def test_name_of_a_v2_model_is_sent_unchanged(name):
    target = registry().target(name)
    assert (target.wire, target.model) == ("v2", name)
    assert target.retirement
