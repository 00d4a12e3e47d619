"""A list of models counts for a day, for its key and address alone, and a file that can't be used is no list."""

from dataclasses import replace

import pytest

from qfmagic.client.settings import Settings
from qfmagic.core.wire.model_list import ListedModel
from qfmagic.notebook.session.model_lists import KEPT_S, ModelLists

SETTINGS = Settings(bearer_token="bce-v3/ALTAK-x/1")
MODELS = (ListedModel(name="ernie-5.1", kind="chat", context=131072), ListedModel(name="own"))
NOW = 1_000_000.0


@pytest.fixture
def environ(tmp_path):
    return {"QFMAGIC_HOME": str(tmp_path / "home")}


def lists(environ, now=NOW):
    return ModelLists(environ, lambda: now)


def test_another_kernel_reads_the_list(environ):
    lists(environ).keep(SETTINGS, MODELS, saved=True)
    assert lists(environ).known(SETTINGS) == MODELS
    assert lists(environ, NOW + KEPT_S - 1).known(SETTINGS) == MODELS


@pytest.mark.parametrize("passed", [KEPT_S, -1.0])
def test_model_list_is_kept_for_a_day(environ, passed):
    lists(environ).keep(SETTINGS, MODELS, saved=True)
    assert lists(environ, NOW + passed).known(SETTINGS) == ()


@pytest.mark.parametrize(
    "other", [{"bearer_token": "bce-v3/ALTAK-y/2"}, {"bearer_token": ""}, {"console_base_url": "http://gateway"}]
)
def test_model_list_belongs_to_one_key_and_base(environ, other):
    lists(environ).keep(SETTINGS, MODELS, saved=True)
    assert lists(environ).known(replace(SETTINGS, **other)) == ()


def test_unsaved_model_list_stays_in_memory(environ, tmp_path):
    mine = lists(environ)
    mine.keep(SETTINGS, MODELS, saved=False)
    assert mine.known(SETTINGS) == MODELS
    assert lists(environ).known(SETTINGS) == ()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"at": "x", "data": []}', b'{"at": 1000000, "data": 5}', b"\xff"])
def test_damaged_model_list_file_is_ignored(environ, tmp_path, content):
    lists(environ).keep(SETTINGS, MODELS, saved=True)
    (path,) = (tmp_path / "home" / "models").iterdir()
    path.write_bytes(content)
    assert lists(environ).known(SETTINGS) == ()


def test_model_list_without_a_folder_stays_in_memory(environ, tmp_path):
    (tmp_path / "home").write_text("a file")
    mine = lists(environ)
    mine.keep(SETTINGS, MODELS, saved=True)
    assert mine.known(SETTINGS) == MODELS
