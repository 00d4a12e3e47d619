"""Every way to spell a key, at every place where keys are looked for: errors, cassettes, audits, requests."""

import json
from dataclasses import replace

import pytest

from qfmagic.audit.checks.secrets import Keyring, saved_keys
from qfmagic.client.auth.redact import redact
from qfmagic.core.errors import ConnectError, PromptError, RequestError
from qfmagic.core.keys.escapes import undone
from qfmagic.notebook.session.keys import check_holds_none
from qfmagic.transport.cassette.redaction import hidden
from tests.support.spelled import KEY, WAYS, told

from .test_recording import events_of, recorded_of, request_of


def everywhere(text):
    """A text, and what it says without its escapes."""
    return [text, *(layer.text for layer in undone(text))]


def an_error(said):
    error = RequestError(detail=f"bad: {said}!", code=said, request_id=said)
    redact(error, [KEY])
    return f"{error} {error.values} {error.code} {error.detail} {error.request_id}"


def values_of_an_error(said):
    error = ConnectError("connect.failed", reason=[{"deep": (said,)}])
    redact(error, [KEY])
    return f"{error.values}"


def a_cause(said):
    error = ConnectError("connect.failed", reason="x")
    error.__cause__ = OSError(said)
    redact(error, [KEY])
    return f"{error.__cause__!r}"


def recorded(*data, status=200, **more):
    exchange = recorded_of(request_of(stream=True), 0, status=status, headers={}, events=[(0.0, one) for one in data])
    return hidden(replace(exchange, **more), [KEY]).line()


def a_stream_in_pieces(said):
    size = max(1, len(said) // 7)
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    exchange = recorded_of(
        request_of(stream=True),
        0,
        status=200,
        headers={},
        events=[(0.0, one) for one in events_of(*({"result": piece, "is_end": False} for piece in pieces))],
    )
    return hidden(exchange, [KEY]).play().outcome.text


PLACES = {
    "error": an_error,
    "values of an error": values_of_an_error,
    "cause": a_cause,
    "cassette, error": lambda said: recorded(json.dumps({"error": {"message": said}}).encode(), status=400),
    "cassette, name": lambda said: recorded(json.dumps({said: {said: 1}}).encode(), status=400),
    "cassette, page": lambda said: recorded(f"<html>{said}".encode(), status=502),
    "cassette, JSON in JSON": lambda said: recorded(json.dumps({"error": json.dumps({"m": said})}).encode()),
    "cassette, list": lambda said: recorded(json.dumps([said]).encode()),
    "cassette, model": lambda said: recorded(*events_of({"model": said, "result": "x", "is_end": True})),
    "cassette, header": lambda said: recorded(b"{}", headers={"content-type": said}),
    "cassette, break": lambda said: recorded(b"{}", cut=said),
    "cassette, stream": a_stream_in_pieces,
    "audit": lambda said: Keyring({KEY: "QIANFAN_BEARER_TOKEN"}).masked(f"<p>{said}</p>"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_key_is_masked_in_any_spelling_and_place(way, place):
    left = PLACES[place](WAYS[way](KEY))
    assert not any(told(text) for text in everywhere(left))
    assert "***" in left or place == "cause"


@pytest.mark.parametrize("way", WAYS)
def test_key_in_any_spelling_is_found_by_audit_and_not_sent(way):
    spelled = WAYS[way](KEY)
    found = saved_keys(
        Keyring({KEY: "QIANFAN_BEARER_TOKEN"}), {"source": [f"a {spelled}"], "outputs": [{"x": spelled}]}
    )
    assert len(found) == 2
    with pytest.raises(PromptError, match="QIANFAN_BEARER_TOKEN"):
        check_holds_none({KEY: "QIANFAN_BEARER_TOKEN"}, {"messages": [{"content": spelled}]})


def test_spellings_cover_many_places():
    assert len(WAYS) * len(PLACES) >= 80
    assert len(WAYS) >= 80
