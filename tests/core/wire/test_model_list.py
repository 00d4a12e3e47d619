"""The service's list of models: read whatever a row lacks, and never a name that was refused or retired."""

import pytest

from qfmagic.core.wire.model_list import SHOWN, ListedModel, is_well_formed, read_model_list, usable_names

FULL = {
    "id": "ernie-5.1",
    "object": "model",
    "owned_by": "Baidu",
    "created": 1778300000,
    "type": "chat",
    "context_length": 131072,
    "max_completions_tokens": 65536,
    "max_tokens": "32768",
    "pricing": {"prompt": "0.004", "completion": 0.018},
}
READ = ListedModel(
    name="ernie-5.1",
    kind="chat",
    owner="Baidu",
    created=1778300000,
    context=131072,
    max_output=65536,
    max_answer=32768,
    input_price="0.004",
    output_price="0.018",
)


def test_model_list_reads_every_field():
    assert read_model_list({"object": "list", "data": [FULL]}) == (READ,)


def test_model_list_row_is_written_like_service():
    assert read_model_list({"data": [READ.row(), ListedModel(name="a").row()]}) == (READ, ListedModel(name="a"))


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a"},
        {"id": "a", "owned_by": "", "created": 0},
        {"id": "a", "type": 5, "created": "yesterday", "context_length": -1, "pricing": "free"},
        {"id": "a", "created": 1.5e300, "max_tokens": True, "pricing": {"prompt": "-1", "completion": None}},
        {"id": "a", "context_length": None, "max_tokens": [], "pricing": {"prompt": "1e9"}},
    ],
)
def test_model_list_missing_fields_are_none(row):
    assert read_model_list({"data": [row]}) == (ListedModel(name="a"),)


@pytest.mark.parametrize("written", [131072, "131072", 131072.0, "131072.0"])
def test_model_list_reads_numbers_from_strings(written):
    (model,) = read_model_list({"data": [{"id": "a", "context_length": written}]})
    assert model.context == 131072


def test_model_list_skips_rows_without_name():
    rows = ["a", None, {}, {"id": 5}, {"id": "two words"}, {"id": "\x1b[31mred"}, {"id": "b"}, {"id": "b"}]
    assert [model.name for model in read_model_list({"data": rows})] == ["b"]


@pytest.mark.parametrize("payload", [{}, {"data": {}}, {"data": None}])
def test_model_list_rejects_other_content(payload):
    assert read_model_list(payload) is None


@pytest.mark.parametrize(
    ("name", "fine"),
    [("ernie-5.1", True), ("a/b:1", True), ("", False), ("a b", False), ("模型", False), ("x" * 129, False)],
)
def test_model_list_names_are_printable_ascii(name, fine):
    assert is_well_formed(name) is fine


def listed(*names, **fields):
    return [ListedModel(name=name, **fields) for name in names]


def test_usable_names_begin_with_near_misses_and_the_successor():
    models = listed("glm-5.3", "ernie-5.1", "deepseek-v4-pro", "deepseek-v4-flash")
    assert usable_names("deepseek-v4-pr", models)[0] == "deepseek-v4-pro"
    assert usable_names("glm-4.7", models)[0] == "glm-5.3"
    assert usable_names("who-knows", models)[0] == "ernie-5.1"


def test_usable_names_skip_rejected_retired_and_other_models():
    models = [*listed("ernie-5.1", "ernie-lite-8k", "own-1"), ListedModel(name="bge-large-zh", kind="embeddings")]
    assert usable_names("ernie-5.1", models) == ["own-1"]
    assert usable_names("ernie-5.1", []) == []


def test_usable_names_of_a_key_with_models_of_its_own_are_the_newest():
    models = [ListedModel(name=f"own-{number}", created=number) for number in range(SHOWN + 3)]
    assert usable_names("zzz", models) == [f"own-{number}" for number in range(SHOWN + 2, 2, -1)]
