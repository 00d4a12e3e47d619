"""The order of a page's cells, and a conversation in that order."""

import zlib

import pytest

from qfmagic.core.answer import Answer
from qfmagic.core.conversation import Conversation, Turn
from qfmagic.core.page_order import PageOrder, arranged, fingerprint


def talk(*cells, **changes):
    """A conversation with a turn for each cell; None is a turn without one."""
    turns = [Turn(f"q-{cell}", Answer("ok"), cell=cell, id=n, **changes) for n, cell in enumerate(cells, 1)]
    return Conversation("main", tuple(turns))


def cells_of(conversation):
    return [turn.cell for turn in conversation.turns]


def page(*cells, texts=None):
    return PageOrder.of((cell, (texts or {}).get(cell)) for cell in cells)


@pytest.mark.parametrize(
    ("text", "as_page_encodes_it"),
    [("%%qianfan\nhi", b"%%qianfan\nhi"), ("长城", "长城".encode()), ("a\ud83d!", b"a\xef\xbf\xbd!"), ("", b"")],
)
def test_fingerprint_is_crc32_of_utf8(text, as_page_encodes_it):
    assert fingerprint(text) == f"{zlib.crc32(as_page_encodes_it):08x}"


def test_page_order_tells_cells_with_one_id_apart():
    found = PageOrder.of([("a", "1"), ("a", "2"), ("b", None), ("a", None)])
    assert found.cells == ("a", "a#2", "b", "a#3")
    assert found.texts == {"a": "1", "a#2": "2"}
    assert "a#3" in found
    assert "c" not in found


@pytest.mark.parametrize(
    ("before", "order", "after"),
    [
        ("abc", "cab", ["c", "a", "b"]),
        ("abc", "abc", ["a", "b", "c"]),
        ("abc", "cxa", ["c", "a", "b"]),  # b is not on the page: it follows what it followed
        ("xab", "ba", ["x", "b", "a"]),
        ((None, "a", "b", None), "ba", [None, "b", None, "a"]),
        ((), "ab", []),
    ],
)
def test_arranged_sorts_turns_by_page(before, order, after):
    assert cells_of(arranged(talk(*before), page(*order))) == after


def test_arranged_returns_same_value_where_nothing_changes():
    before = talk("a", None, "b")
    assert arranged(before, page("a", "b")) is before


def test_arranged_puts_cells_outside_last_unless_page_has_them():
    before = talk("console", "a", "elsewhere", "b")
    found = arranged(before, page("b", "a", "elsewhere"), {"console", "elsewhere"})
    assert cells_of(found) == ["b", "a", "elsewhere", "console"]


@pytest.mark.parametrize(("why", "back"), [("deleted", True), ("dropped", False), ("gone", False), ("undone", False)])
def test_arranged_brings_back_what_page_has_again(why, back):
    before = talk("a", removed=why)
    (turn,) = arranged(before, page("a")).turns
    assert turn.in_history is back
    assert arranged(before, page("b")) is before


@pytest.mark.parametrize(
    ("answered", "shown", "edited"),
    [("1", {"a": "1"}, False), ("1", {"a": "2"}, True), ("1", {}, True), (None, {"a": "1"}, False)],
)
def test_edited_compares_text_answered_with_text_shown(answered, shown, edited):
    (turn,) = talk("a", text=answered).turns
    assert page("a", texts=shown).edited(turn) is edited
    assert not page("b").edited(turn)
    (alone,) = talk(None, text=answered).turns
    assert not page("a", texts=shown).edited(alone)


@pytest.mark.parametrize(
    ("cell", "order", "outside", "at"),
    [
        ("x", ("a", "x", "b"), (), 1),
        ("x", ("a", "b", "x"), (), 3),
        ("x", ("a", "b", "x"), ("c",), 2),
        ("x", (), ("c",), 2),
        (None, (), ("c",), 2),
        ("b", ("a",), ("c",), 2),
    ],
)
def test_place_is_before_turns_outside_page(cell, order, outside, at):
    assert talk("a", "b", "c").place_for(cell, order, outside) == at
