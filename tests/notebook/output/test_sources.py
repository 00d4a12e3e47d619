"""Sources below an answer, and answers the safety check has something to say about, as a cell keeps them."""

import json

import pytest

from qfmagic.core.answer import Answer, Delta
from qfmagic.core.conversation import Conversation
from qfmagic.notebook.conversation.export import exported
from qfmagic.notebook.output.bundle import answer_body, answer_bundle, notes
from qfmagic.notebook.output.live import _summed
from qfmagic.notebook.output.views import TerminalView


def searched(*results):
    return Answer("Rain^[1]^.", extra={"search_results": list(results)})


def test_sources_stand_below_the_answer_as_links():
    answer = searched({"index": 1, "url": "https://a.example/w?a=1&b=(2)", "title": "A *page*"})
    bundle = answer_bundle(answer, ["a note"])
    assert "<https://a.example/w?" in bundle["text/markdown"] or "](https://a.example/w?" in bundle["text/markdown"]
    assert "[1] A *page* https://a.example/w?a=1&b=(2)" in bundle["text/plain"]
    assert bundle["text/plain"].index("Rain") < bundle["text/plain"].index("a.example")
    assert "a.example" in exported(Conversation().add("q", answer), ".md")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "http://[x",
        "https:",
        "//a.example",
        "ftp://a.example",
    ],
)
def test_source_list_links_web_addresses_only(address):
    marked = answer_bundle(searched({"url": address, "title": "A page"}), [])["text/markdown"]
    assert "](" not in marked
    assert f"<{address}" not in marked


@pytest.mark.parametrize("style", ["markdown", "text", "json", "code", "html"])
def test_withheld_answer_is_nowhere_in_its_cell(style):
    answer = Answer(
        "secret", reasoning="secret too", flag=3, extra={"search_results": [{"url": "https://secret.example"}]}
    )
    bundle = answer_bundle(answer, notes(answer, "en"), style)
    assert "secret" not in json.dumps(bundle)
    assert "withheld" in bundle["text/plain"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("x", finish_reason="content_filter"), "content_filter"),
        (Answer("x", flag=1), "flag 1"),
        (Answer("x", flag=2), "not part of the history"),
        (Answer("", extra={"tool_calls": [{"function": {"name": "rain"}}, {}]}), "rain"),
    ],
)
def test_notes_tell_what_the_safety_check_and_the_model_ask_for(answer, said):
    assert any(said in note for note in notes(answer, "en"))
    assert len(notes(answer, "zh")) == len(notes(answer, "en"))


def test_deltas_that_take_back_leave_what_comes_after_them():
    deltas = [Delta("hm", "a"), Delta("42", "hm", takes_back="text"), Delta("!")]
    assert _summed(deltas) == ("42!", "ahm", "text")
    assert _summed([*deltas, Delta(takes_back="all")]) == ("", "", "all")
    assert _summed(deltas[:1]) == ("hm", "a", None)


def test_terminal_prints_the_whole_answer_after_a_withdrawal():
    written = []
    view = TerminalView(written.append)
    for delta in (Delta("hm"), Delta("4", "hm", takes_back="text"), Delta("2")):
        view.add(delta)
    view.finish({"text/plain": "42"}, {})
    assert "".join(written) == "hm\n42\n"


def test_terminal_prints_state_of_search_before_text_alone():
    written = []
    view = TerminalView(written.append)
    for delta in (Delta(status="searching\x1b[1m"), Delta("4"), Delta(status="reading"), Delta("2")):
        view.add(delta)
    view.finish({"text/plain": "42"}, {})
    shown = "".join(written)
    assert shown.startswith("[searching")
    assert "\x1b" not in shown
    assert shown.endswith("]\n42\n")


def test_withheld_answer_has_no_note_about_its_format():
    assert answer_body(Answer("secret", flag=3), "json", "en")[1] == []
    assert answer_body(Answer("secret"), "json", "en")[1] != []
