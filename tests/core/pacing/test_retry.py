"""When a request is sent again: pure decisions, every row of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import ConnectError, ProtocolError, ResponseTimeout, TransportError
from qfmagic.core.pacing.clock_skew import clock_hint, http_date, service_time
from qfmagic.core.pacing.retry import (
    Attempted,
    GiveUp,
    RetryPolicy,
    decide,
    retry_after,
    retry_way,
    to_the_minute,
    used_up,
)
from qfmagic.core.pause import Wait
from qfmagic.core.wire import error_rows, make_error

NOON = 1_763_812_800.0 + 43.0  # 43 seconds past a full minute
BUSY = make_error("v1", 336100, "busy")


def decided(error=BUSY, *, headers=(), attempt=1, elapsed=0.0, now=NOON, draw=0.5, **policy):
    return decide(Attempted(error, dict(headers), attempt, elapsed, now), RetryPolicy(**policy), draw)


@pytest.mark.parametrize(
    ("attempt", "policy", "seconds"),
    [
        (1, {}, 1.5),
        (2, {}, 2.5),
        (3, {"attempts": 9}, 4.5),
        (8, {"attempts": 9}, 120.0),
        (5000, {"attempts": 9000, "total": 1e9}, 120.0),
        (1, {"factor": 0, "jitter": 0}, 0.0),
        (2, {"factor": 3, "jitter": 4, "max_wait": 7}, 7.0),
    ],
)
def test_decide_pauses_match_sdk(attempt, policy, seconds):
    assert decided(attempt=attempt, **policy).seconds == seconds


def test_decide_counts_attempts():
    assert decided(attempts=1) == GiveUp()
    assert decided() == Wait(1.5, decided().reason, 2, 3)
    tired = decided(attempt=3, elapsed=4.12)
    assert (tired.hint.key, tired.hint.values) == ("retry.tried", {"attempts": 3, "seconds": 4.1})


def test_decide_retries_once_for_rows_with_few():
    error = make_error("v1", 336000, "x")
    assert decided(error, attempts=9).attempts == 2
    assert isinstance(decided(error, attempts=9, attempt=2), GiveUp)


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (make_error("v1", 17, ""), None),
        (make_error("v1", 99999, "new"), None),
        (make_error("v2", "brand_new", ""), None),
        (make_error("v2", "brand_new", "", status=429), "backoff"),
        (make_error("v2", None, "", status=503), "backoff"),
        (make_error("v1", 336501, ""), "minute"),
        (make_error("v2", "invalid_iam_token", ""), "token"),
        (ConnectError("connect.failed", host="h", reason="r"), "backoff"),
        (TransportError("connect.cut", reason="r"), "backoff"),
        (ConnectError("connect.certificate", host="h", reason="r"), None),
        (ResponseTimeout("timeout.first", seconds=300), None),
        (ProtocolError("protocol.json", start="<"), None),
    ],
)
def test_retry_way_follows_error_table(error, way):
    assert retry_way(error) == way
    assert isinstance(decided(error), Wait) == (way in ("backoff", "minute"))


def test_retry_policy_codes_replace_error_table():
    policy = RetryPolicy(codes=frozenset({"17", "336501", "brand_new"}))
    for error, way in [
        (make_error("v1", 17, ""), "backoff"),
        (make_error("v1", 336501, ""), "minute"),
        (make_error("v1", 18, ""), None),
        (make_error("v2", "brand_new", ""), "backoff"),
        (make_error("v1", 110, ""), "token"),
        (make_error("v2", None, "", status=503), "backoff"),
        (TransportError("connect.cut", reason="r"), "backoff"),
    ]:
        assert retry_way(error, policy) == way


def test_decide_waits_for_next_minute_on_minute_limit():
    assert decided(make_error("v1", 336502, "")).seconds == 17.5
    assert decided(make_error("v1", 336502, ""), max_wait=5).seconds == 5
    assert decided(make_error("v1", 18, ""), headers={"x-ratelimit-remaining-requests": "0"}).seconds == 17.5
    assert decided(headers={"x-ratelimit-remaining-requests": "0"}).seconds == 1.5  # busy is no limit
    assert to_the_minute(120.0) == 60.0
    assert not used_up({"x-ratelimit-remaining-requests": "1"})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Sat, 22 Nov 2025 12:01:00 GMT", 17.0),
        ("Sat, 22 Nov 2025 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("٧", None),
        ("Sat, 99 Nov 2025 11:00:00 GMT", None),
    ],
)
def test_retry_after_parses_seconds_and_dates(value, seconds):
    assert retry_after({"retry-after": value}, NOON) == seconds
    if seconds is not None:
        assert decided(headers={"retry-after": value}).seconds == seconds + 0.5


def test_decide_bounds_total_time():
    tired = decided(elapsed=599.0)
    assert tired.hint.key == "retry.too_long"
    assert isinstance(decided(elapsed=598.4), Wait)
    assert "3600 s" not in tired.hint.describe("en")
    assert "a pause of 3600.5 s" in decided(headers={"retry-after": "3600"}).hint.describe("en")
    assert isinstance(decided(headers={"retry-after": "9" * 400}), GiveUp)


@given(
    st.sampled_from([(wire, code) for wire in ("v1", "v2") for code in error_rows()[wire]]),
    st.sampled_from([200, 400, 401, 429, 500, 503]),
    st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-remaining-tokens", "date"]), st.text() | st.just("0")),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 20),
)
def test_decide_ends_for_any_failures(named, status, headers, draw, attempts):
    elapsed, attempt = 0.0, 1
    policy = RetryPolicy(attempts=attempts)
    error = make_error(*named, "x", status=status)
    while isinstance(pause := decide(Attempted(error, headers, attempt, elapsed, NOON), policy, draw), Wait):
        assert pause.seconds >= 0
        elapsed += pause.seconds
        attempt += 1
    assert attempt <= attempts
    assert elapsed <= policy.total


@pytest.mark.parametrize(
    ("error", "attempt", "said"),
    [
        (BUSY, 2, "The service is overloaded. Retrying in 2.5 s (3 of 3)."),
        (
            make_error("v2", "new", "x", status=503),
            1,
            "The service is temporarily unavailable. Retrying in 1.5 s",
        ),
        (TransportError("connect.cut", reason="x"), 1, "Connection lost before the answer. Retrying"),
        (ConnectError("connect.failed", host="h", reason="x"), 1, "Cannot connect to the service."),
        (ProtocolError("protocol.empty"), 1, "Connection lost"),
    ],
)
def test_wait_describes_its_reason(error, attempt, said):
    pause = decided(error, attempt=attempt)
    assert pause.describe("en").startswith(said)
    assert "秒后重试" in pause.describe("zh")


def test_wait_describes_unknown_code():
    error = make_error("v2", "new", "x")
    assert "error (code new)" in decided(error, codes=frozenset({"new"})).describe("en")
    assert Wait(72.4, decided().reason).describe("en").endswith("Sending in 72 s.")


# ---- clocks


def test_service_time_reads_date_header():
    date = "Sat, 22 Nov 2025 12:00:43 GMT"
    assert http_date(date) == NOON
    assert (http_date(None), http_date("never")) == (None, None)
    assert service_time({"date": date}, 5.0) == NOON
    assert service_time({}, 5.0) == 5.0


@pytest.mark.parametrize(("off", "said"), [(0, None), (59, None), (601, "10 min ahead"), (-7200, "120 min behind")])
def test_clock_hint_reports_wrong_clock(off, said):
    hint = clock_hint({"date": "Sat, 22 Nov 2025 12:00:43 GMT"}, NOON + off)
    assert (hint is None) if said is None else (said in hint.describe("en"))
