"""Reasoning between tags in front of an answer, and tags that are text, however the content is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.wire import Accumulator
from qfmagic.core.wire.think_tags import ThinkTags

CONTENTS = {
    # content: its text and its reasoning
    "": ("", ""),
    "hello": ("hello", ""),
    " <b": (" <b", ""),
    "a < b </ c <think": ("a < b </ c <think", ""),
    "<think>hm</think>42": ("42", "hm"),
    " \n<think>\nhm\n</think>\n\n42\n": ("42\n", "hm"),
    "<think>\n\n</think>\n\n42": ("42", ""),
    "</think>\n42": ("42", ""),
    "hm\n</think>\n\n42": ("42", "hm"),
    "hm, 6 * 7</think>42": ("42", "hm, 6 * 7"),
    'She says "yes"</think>42': ("42", 'She says "yes"'),
    '<think>She says "yes"</think>42': ("42", 'She says "yes"'),
    '<think>the tag "</think>" ends it</think>42': ("42", 'the tag "</think>" ends it'),
    "<think>the tag `</think>` ends it\n</think>42": ("42", "the tag `</think>` ends it"),
    "<think>```\nan open fence\n</think>42": ("42", "```\nan open fence"),
    "<think>cut off": ("", "cut off"),
    '<think>cut off "': ("", 'cut off "'),
    "<think>cut off </thi": ("", "cut off </thi"),
    "<think>": ("<think>", ""),
    "hm</think>a </think> b <think>": ("a </think> b <think>", "hm"),
    "Write <think>a</think> so.": ("Write <think>a</think> so.", ""),
    "Write `</think>` so.": ("Write `</think>` so.", ""),
    "Write ``a`</think>`` so.": ("Write ``a`</think>`` so.", ""),
    'Write "</think>" so.': ('Write "</think>" so.', ""),
    "写「</think>」。": ("写「</think>」。", ""),
    "Thus:\n```xml\n</think>\n```\nEnd.": ("Thus:\n```xml\n</think>\n```\nEnd.", ""),
    "- ~~~\n</think>\n~~~": ("- ~~~\n</think>\n~~~", ""),
    "```\n```python\n</think>": ("```\n```python\n</think>", ""),
    "```\na\n```\nhm\n</think>42": ("42", "```\na\n```\nhm"),
    "Use `<think>` here\n</think>42": ("42", "Use `<think>` here"),
    "<think>a</think>\n<think>b</think>42": ("42", "a\nb"),
    "<think>\n</think>\n<think>b</think>\n\n42": ("42", "b"),
    "<think>a</think> <think": ("<think", "a"),
    "a</think><think>b</think>\n<think>c</think>42": ("42", "a\nb\nc"),
    '{"tag": "a </think> b"}': ('{"tag": "a </think> b"}', ""),
}


def told_apart(pieces, **options):
    collector, shown, reasoned = Accumulator(streamed=True, **options), "", ""
    for piece in pieces:
        collector.add_content(piece)
        shown, reasoned = after(collector.take(), shown, reasoned)
    collector.finish()
    shown, reasoned = after(collector.take(), shown, reasoned)
    outcome = collector.outcome()
    assert (shown, reasoned) == (outcome.text, outcome.reasoning)
    return outcome.text, outcome.reasoning


def after(delta, shown, reasoned):
    if delta is None:
        return shown, reasoned
    return ("" if delta.takes_back else shown) + delta.text, reasoned + delta.reasoning


@pytest.mark.parametrize("content", CONTENTS)
def test_think_tags_of_a_whole_content(content):
    assert told_apart([content]) == CONTENTS[content]


@pytest.mark.parametrize("content", CONTENTS)
def test_think_tags_cut_into_single_signs(content):
    assert told_apart(list(content)) == CONTENTS[content]


PARTS = st.sampled_from(
    ["<think>", "</think>", "`", "```", "\n", '"', " ", "a", "<", "think>", "「", "」", "~~~", "> "]
)


@given(st.lists(PARTS, max_size=14).map("".join), st.data())
def test_think_tags_are_the_same_however_the_content_is_cut(content, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    text, reasoning = told_apart(pieces)
    assert (text, reasoning) == told_apart([content])
    assert text in content


def test_lone_closing_tag_is_text_after_separate_reasoning():
    collector = Accumulator(streamed=True)
    collector.add_thought("hm")
    collector.add_content("a</think>b")
    collector.finish()
    assert (collector.outcome().text, collector.outcome().reasoning) == ("a</think>b", "hm")


def test_text_that_was_handed_out_is_taken_back_once():
    collector = Accumulator(streamed=True)
    collector.add_content("hm")
    assert collector.take()[:2] == ("hm", "")
    collector.add_content("!</think>42")
    delta = collector.take()
    assert (delta.text, delta.reasoning, delta.takes_back) == ("42", "hm!", "text")
    assert collector.take() is None


def test_many_mentions_take_time_that_grows_with_the_length_alone():
    tags = ThinkTags()
    assert sum(len(tags.feed("`</think>` ").text) for _ in range(20_000)) == 11 * 20_000
