"""JSON as others may write it: whatever comes, a value or a ValueError, wherever qfmagic reads JSON."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic.audit.loading import load
from qfmagic.client.auth.authorizer import _token_error
from qfmagic.client.checks.key_check import read_object
from qfmagic.core.errors import QianfanError
from qfmagic.core.safe_json import DEEPEST, TooDeep, check_depth, escaped_halves, read_json, read_json_at, write_json
from qfmagic.core.wire import Accumulator, feed_events, feed_rest, read_body
from qfmagic.core.wire.sse import SSEDecoder
from qfmagic.notebook.conversation.export import imported
from qfmagic.notebook.output.formats import pretty_json
from qfmagic.notebook.parsing.line import parse_line, parse_pairs
from qfmagic.notebook.parsing.option_table import help_table
from qfmagic.structured.schema import Schema
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.cassette.recording import Recorded, RecordingError
from qfmagic.transport.stub.reply import Incoming
from qfmagic.transport.stub.service import StubKeys, StubService

SHAPES = {"[": ("[", "]"), "{": ('{"a":', "}"), "mixed": ('[{"a":', "}]")}


def nested(levels, shape="[", *, closed=True, inside="1"):
    opening, closing = SHAPES[shape]
    times = levels // (2 if shape == "mixed" else 1)
    return opening * times + (inside + closing * times if closed else "")


HOSTILE = {
    **{f"{shape} {levels}": nested(levels, shape) for shape in SHAPES for levels in (DEEPEST + 2, 900, 20_000)},
    **{f"{shape} open": nested(20_000, shape, closed=False) for shape in SHAPES},
    "deep behind much": "[" + "[]," * 5000 + nested(DEEPEST) + "]",
    "digits": "9" * 5000,
    "a number beyond floats": "9" * 400,
    "an infinite number": "1e999",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "half a character": '"\\ud800"',
    "half a character as a name": '{"\\udfff": "\\ud800"}',
    "a name twice": '{"a": 1, "a": [2]}',
    "a null character": '"\\u0000"',
    "not closed": '["',
    "nothing": "",
}
EVERY = pytest.mark.parametrize("written", HOSTILE.values(), ids=HOSTILE)


# ---- the one place


@pytest.mark.parametrize("shape", SHAPES)
def test_read_json_rejects_nesting_over_limit(shape):
    fits = nested(DEEPEST, shape)
    assert read_json(fits) == read_json_at(f"x{fits} and more", 1)[0] == json.loads(fits)
    for written in (nested(DEEPEST + 2, shape), nested(900, shape), nested(100_000, shape)):
        with pytest.raises(TooDeep):
            read_json(written)
        with pytest.raises(TooDeep):
            read_json_at(written)
        with pytest.raises(TooDeep):
            read_json(written.encode())


VALUES = st.recursive(
    st.none() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=3), one, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(VALUES)
def test_read_json_matches_library(value):
    written = json.dumps(value)
    assert read_json(written) == read_json(written.encode()) == value
    assert read_json_at(f"{written} ]}}") == (value, len(written))


def test_read_json_is_independent_of_caller_depth():
    written = nested(DEEPEST)

    def deeper(levels: int) -> object:
        return deeper(levels - 1) if levels else read_json(written)

    assert deeper(100) == read_json(written)
    found = None
    with suppress(TooDeep):  # where the parser shares its caller's stack
        found = deeper(sys.getrecursionlimit() - DEEPEST - 20)
    assert found in (None, read_json(written))


def test_write_json_rejects_endless_values():
    endless: list[object] = []
    endless.append(endless)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(ValueError, match=r"nested too deeply|Circular"):
            write_json(value)
    with pytest.raises(TooDeep):
        check_depth(deep)
    while deep:  # else its end is by recursion
        deep = deep[0]


def test_escaped_halves_can_be_encoded_and_read():
    value = ["长城 \ud800", {"\udfff": "\U0001f600"}]
    written = escaped_halves(write_json(value, ensure_ascii=False))
    assert "长城" in written
    assert read_json(written.encode()) == value


# ---- wherever qfmagic reads JSON


def streamed(wire):
    def read(written):
        decoder, collector = SSEDecoder(), Accumulator(streamed=True)
        data = f"data: {written}\ndata: {written}\n\n{written}\n".encode()
        feed_events(wire, collector, decoder.feed(data))
        feed_rest(wire, collector, decoder.close())
        return collector.outcome()

    return read


def exchange(written):
    return Recorded.of_line(written)


def asked_of_stub(written):
    body = f'{{"model": "ernie-5.1", "messages": {written}}}'.encode()
    keys = StubKeys()
    headers = {"authorization": f"Bearer {keys.bearer_token}"}
    return StubService(keys)(Incoming("POST", "/v2/chat/completions", {}, headers, body))


READERS: dict[str, Callable[[str], object]] = {
    "option in quotes": lambda written: parse_line(f"stop='{written}' hi"),
    "option": lambda written: parse_line(f"stop={written} hi"),
    "set": lambda written: parse_pairs(f"stop='{written}'", help_table().on_line, "%qf set"),
    "set of any kind": lambda written: parse_pairs(f"response_format='{written}'", help_table().on_line, "%qf set"),
    "number": lambda written: parse_pairs(f"temperature='{written}'", help_table().on_line, "%qf set"),
    "format=json": pretty_json,
    "schema": lambda written: Schema.of(f'{{"type": "object", "properties": {{"a": {written}}}}}'),
    "answer to a schema": lambda written: Schema.of('{"type": "object"}').parse(f'{{"a": {written}}}'),
    "answer to a schema in prose": lambda written: Schema.of('{"type": "object"}').parse(f'It is {{"a": {written}}}.'),
    "imported header": imported,
    "imported turn": lambda written: imported(f'{{"qfmagic": 1, "conversation": "main"}}\n{written}'),
    "token": lambda written: _token_error(200, {}, written.encode()),
    "key check": lambda written: read_object(written.encode()),
    "stub": asked_of_stub,
}
BODIES = (
    "%s",
    '{"result": "x", "created": %s, "is_end": true}',
    '{"result": %s, "id": %s}',
    '{"result": "x", "usage": {"prompt_tokens": %s, "total_tokens": %s}, "is_end": true}',
    '{"choices": [{"message": {"content": "x", "z": %s}, "finish_reason": %s}]}',
    '{"choices": [{"delta": %s}]}',
    '{"error_code": %s, "error_msg": %s}',
    '{"error": {"code": %s, "message": %s}, "id": %s}',
)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # fastjsonschema's, of patterns
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@EVERY
def test_hostile_json_is_a_value_or_short_error(written, reader):
    error = None
    try:
        reader(written)
    except QianfanError as raised:
        error = raised
    for lang in ("en", "zh") if error else ():
        assert 0 < len(error.message(lang)) < 3000
        assert "\n" not in error.message(lang)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("wire", ["v1", "v2"])
@EVERY
def test_hostile_json_from_service_is_an_answer_or_error(written, wire, body):
    filled = body.replace("%s", written)
    for read in (streamed(wire), lambda written: read_body(wire, written.encode()).outcome()):
        error = outcome = None
        try:
            outcome = read(filled)
        except QianfanError as raised:
            error = raised
        assert (error is None) != (outcome is None)
        assert error is None or 0 < len(error.message("zh")) < 3000
        if outcome is not None:  # it can be kept
            write_json([outcome.extra, outcome.id, outcome.created])


@EVERY
def test_hostile_json_in_cassette_is_a_broken_line(tmp_path, written):
    with pytest.raises(RecordingError):
        exchange(written)
    path = tmp_path / "a.qf.jsonl"
    path.write_text(f"{cassette.HEADER}\n{written}\n{written}\n{cassette.END}\n")
    if written:
        with pytest.raises(QianfanError) as caught:
            cassette.read(path)
        assert caught.value.key == "cassette.broken"


@EVERY
def test_hostile_json_in_notebook_is_audited_or_an_error(tmp_path, written):
    path = tmp_path / "a.ipynb"
    cell = f'{{"cell_type": "code", "source": "", "outputs": [{{"data": {{"application/json": {written}}}}}]}}'
    path.write_text(f'{{"nbformat": 4, "cells": [{cell}], "metadata": {{}}}}')
    error = source = None
    try:
        source = load(path)
    except QianfanError as raised:
        error = raised
    assert (error is None) != (source is None)
    assert error is None or "\n" not in error.message("en")


@pytest.mark.parametrize(
    ("answer", "shown", "note"),
    [
        ('{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}', ""),
        ("no", "no", "note.json"),
        ("[NaN]", "[NaN]", "note.json"),
        (nested(900), nested(900), "note.json_deep"),
        ("[" * 20_000, "[" * 20_000, "note.json_deep"),
        # What would change, were it laid out, stays as it was written.
        ('{"a":1,"a":2}', '{"a":1,"a":2}', ""),
        ("[1e999]", "[1e999]", ""),
        ('["\\ud800"]', '[\n  "\\ud800"\n]', ""),
    ],
)
def test_pretty_json_keeps_invalid_answer(answer, shown, note):
    assert pretty_json(answer) == (shown, note)


def test_pretty_json_bounds_its_length():
    answer = "[" * 150 + ",".join(["1"] * 20_000) + "]" * 150
    shown, note = pretty_json(answer)
    assert (len(shown) < 30 * len(answer), note) == (True, "")
    assert json.loads(shown) == json.loads(answer)


def test_check_depth_accepts_deepest_allowed_value():
    value = []
    for _ in range(DEEPEST - 1):
        value = [value]
    check_depth(value)
    check_depth({"a": [1]})
    with pytest.raises(TooDeep):
        check_depth([value])
