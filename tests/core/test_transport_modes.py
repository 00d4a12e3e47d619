"""The modes of the transport, a row each."""

import pytest

from qfmagic.core.i18n import text
from qfmagic.core.transport_modes import MODES, is_free
from qfmagic.notebook.parsing.option_table import help_table
from qfmagic.testing.plugin import MODES as IN_PYTEST


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_mode_is_named_where_users_choose_one(mode):
    syntax = help_table().commands["transport"].syntax
    assert mode.name in syntax
    assert (f"{mode.name} [PATH]" in syntax) is mode.taped
    assert all(mode.name in text("command.transport", lang, value="x") for lang in ("en", "zh"))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_mode_has_a_label_that_says_whether_its_answers_cost(mode):
    assert mode.label in MODES
    assert is_free(mode.label) is mode.keyless
    assert is_free(mode.name) is mode.free


def test_labels_of_other_clients_are_not_free():
    assert not is_free("")
    assert not is_free("mine")


def test_pytest_has_the_modes_with_a_repeatable_answer():
    assert sorted(IN_PYTEST) == ["auto", "live", "replay", "stub"]
