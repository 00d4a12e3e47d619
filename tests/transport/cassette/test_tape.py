"""The tape: which recording answers which request."""

from pathlib import Path

import pytest

from qfmagic.core.wire import ChatRequest
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.cassette.recording import recorded_of
from qfmagic.transport.cassette.tape import CassetteTape

PATH = Path("a.qf.jsonl")


def request(temperature):
    return ChatRequest("v2", "m", None, {"messages": [], "temperature": temperature}, {"temperature": temperature})


@pytest.mark.parametrize(("recorded", "asked"), [(1.0, 1), (1, 1.0), (0.5, 0.5)])
def test_number_in_another_spelling_finds_its_recording(recorded, asked):
    made = recorded_of(request(recorded), 0, status=200, headers={}, events=[(0.1, b"data: [DONE]\n\n")], cut="")
    cassette.rewrite(PATH, [made])
    assert CassetteTape(PATH, "replay").has(request(asked), "cell")
    assert not CassetteTape(PATH, "replay").has(request(0.75), "cell")
    assert not CassetteTape(PATH, "replay").has(request(True), "cell")
