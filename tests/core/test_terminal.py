"""Text for terminals."""

import json
from pathlib import Path

import pytest

from qfmagic.core.i18n import reader_language
from qfmagic.core.terminal import NOTE_MARK, aligned, fitted, printable, unmarked, visible, width

VISIBLE_CASES = json.loads((Path(__file__).parent / "visible_cases.json").read_text("ascii"))  # the page's too


@pytest.mark.parametrize(("text", "shown"), VISIBLE_CASES)
def test_visible_spells_out_what_hides(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("piece", ["\u202e", "\u200d", "a\u200d", "\U0001f525\ufe0f", "\ufe0f"])
def test_visible_spells_out_all_where_there_are_too_many_to_judge(piece):
    shown = visible(piece * 30_000)
    assert "[U+" in shown
    assert visible(shown) == shown


def test_visible_spells_out_a_selector_that_follows_nothing_it_selects():
    assert visible("\ufe0f") == "[U+FE0F]"
    assert visible("\u1820\u180b a\u180b") == "\u1820\u180b a[U+180B]"


def test_unmarked_leaves_no_mark_of_our_notes():
    assert unmarked(f"{NOTE_MARK} *a note*") == "[U+25C8] *a note*"


def test_what_a_terminal_would_obey_is_made_visible():
    assert printable("a\x1b[31mb\x07\x9b\tc\r\nd\re") == "a\\x1b[31mb\\x07\\x9b\tc\nd\ne"


def test_chinese_characters_take_two_columns():
    assert width("长城 wall") == 9


@pytest.mark.parametrize(
    ("content", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("a\n  b\tc", 9, "a b c"),
        ("0123456789", 9, "012345..."),
        ("长城长城长城", 10, "长城长..."),
        ("长城长城长城", 12, "长城长城长城"),
    ],
)
def test_a_text_is_fitted_into_columns(content, columns, shown):
    assert fitted(content, columns) == shown
    assert width(shown) <= columns


def test_columns_line_up_under_chinese_characters():
    assert aligned([("a", "b", "c"), ("长城", "x", ""), ("hello", "长", "z")]) == [
        "a      b   c",
        "长城   x",
        "hello  长  z",
    ]
    assert aligned([]) == []


@pytest.mark.parametrize(
    ("chosen", "environ", "lang"),
    [
        ("zh", {"LANG": "en_US.UTF-8"}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("auto", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("auto", {"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ("auto", {"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "C"}, "zh"),
        ("auto", {}, "en"),
    ],
)
def test_the_readers_language_is_the_chosen_one_or_the_environments(chosen, environ, lang):
    assert reader_language(chosen, environ) == lang
