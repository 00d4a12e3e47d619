"""Text for terminals."""

import json
from pathlib import Path

import pytest

from qfmagic.core.i18n import reader_language
from qfmagic.core.terminal import NOTE_MARK, aligned, fitted, printable, unmarked, visible, width

VISIBLE_CASES = json.loads((Path(__file__).parent / "visible_cases.json").read_text("ascii"))  # the page's too


@pytest.mark.parametrize(("text", "shown"), VISIBLE_CASES)
def test_visible_escapes_hidden_characters(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("piece", ["\u202e", "\u200d", "a\u200d", "\U0001f525\ufe0f", "\ufe0f"])
def test_visible_escapes_all_if_too_many(piece):
    shown = visible(piece * 30_000)
    assert "[U+" in shown
    assert visible(shown) == shown


def test_visible_escapes_selector_without_base():
    assert visible("\ufe0f") == "[U+FE0F]"
    assert visible("\u1820\u180b a\u180b") == "\u1820\u180b a[U+180B]"


def test_unmarked_removes_note_mark():
    assert unmarked(f"{NOTE_MARK} *a note*") == "[U+25C8] *a note*"


def test_printable_escapes_control_characters():
    assert printable("a\x1b[31mb\x07\x9b\tc\r\nd\re") == "a\\x1b[31mb\\x07\\x9b\tc\nd\ne"


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("长城 wall", 9),
        ("“x” …", 5),
        ("e\u0301", 1),
        ("\uff71\uff76\uff9e", 3),
        ("\u1112\u1161\u11ab", 2),
        ("\U0001f44d\U0001f3fd", 2),
        ("\U0001f469\u200d\U0001f469\u200d\U0001f467", 2),
        ("\u2764\ufe0f", 2),
        ("\U0001f1e8\U0001f1f3", 2),
        ("a\tb\u0301", 2),
    ],
)
def test_width_counts_columns_of_a_terminal(content, columns):
    assert width(content) == columns


@pytest.mark.parametrize(
    ("content", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("a\n  b\tc", 9, "a b c"),
        ("0123456789", 9, "012345..."),
        ("长城长城长城", 10, "长城长..."),
        ("长城长城长城", 12, "长城长城长城"),
        ("a" + "\u0301" * 200 + "bcdef", 4, "a" + "\u0301" * 31 + "..."),
    ],
)
def test_fitted_truncates_to_columns(content, columns, shown):
    assert fitted(content, columns) == shown
    assert width(shown) <= columns


def test_aligned_puts_columns_of_numbers_at_the_right():
    rows = [("model", "tokens", "n"), ("a", "7", "10"), ("长城", "12", "")]
    assert aligned(rows, [1, 2]) == ["model  tokens   n", "a           7  10", "长城       12"]


def test_aligned_lines_up_chinese_columns():
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
def test_reader_language_prefers_choice_over_environment(chosen, environ, lang):
    assert reader_language(chosen, environ) == lang
