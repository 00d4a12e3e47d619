"""Requests and tokens in a time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.errors import OptionError
from qfmagic.core.pacing.limits import RateLimits, Window, strictest
from qfmagic.core.pacing.retry import used_up


def waits(limits, *requests):
    window = Window()
    return [round(window.book(now, tokens, limits).seconds, 6) for now, tokens in requests]


def test_window_without_limits_delays_nothing():
    assert waits(RateLimits(), (0, 10**9), (0, 1)) == [0, 0]


@pytest.mark.parametrize(
    ("limits", "requests", "expected"),
    [
        (RateLimits(qps=2), [(0, 0)] * 5, [0, 0, 1, 1, 2]),
        (RateLimits(qps=0.5), [(0, 0)] * 3, [0, 2, 4]),
        (RateLimits(qps=2.5), [(0, 0)] * 4, [0, 0, 0, 1.2]),
        (RateLimits(rpm=2), [(0, 0), (30, 0), (30, 0), (70, 0)], [0, 0, 30, 20]),
        (RateLimits(tpm=100), [(0, 60), (1, 60), (61, 40)], [0, 59, 0]),
        (RateLimits(qps=1, rpm=2), [(0, 0)] * 3, [0, 1, 60]),
        (RateLimits(rpm=1), [(0, 0), (200, 0)], [0, 0]),
    ],
)
def test_window_delays_requests_over_limits(limits, requests, expected):
    assert waits(limits, *requests) == expected


def test_window_slot_reports_reason():
    window = Window()
    window.book(0, 0, RateLimits(rpm=1))
    slot = window.book(0, 0, RateLimits(rpm=1))
    assert slot.reason.describe("en") == "Rate limit rpm=1 (requests per minute)."
    assert "Earlier requests are queued" in window.book(0, 0, RateLimits()).reason.describe("en")


def test_window_rejects_request_over_limit():
    with pytest.raises(OptionError, match="about 101 tokens and exceeds tpm=100"):
        Window().book(0, 101, RateLimits(tpm=100))


def test_window_give_back_frees_slot_and_tokens_can_be_corrected():
    window = Window()
    slot = window.book(0, 50, RateLimits(tpm=100))
    window.give_back(slot.booking)
    window.give_back(slot.booking)
    first = window.book(0, 50, RateLimits(tpm=100))
    first.booking.tokens = 90
    assert window.book(0, 50, RateLimits(tpm=100)).seconds == 60


def test_window_closes_until_next_minute_if_headers_report_zero():
    window = Window()
    window.close_until_the_minute_turns({"x-ratelimit-remaining-tokens": "5"}, 0, 43)
    assert window.book(0, 0, RateLimits()).seconds == 0
    window.close_until_the_minute_turns({"x-ratelimit-remaining-tokens": "0"}, 0, 43)
    slot = window.book(1, 0, RateLimits())
    assert (slot.seconds, slot.reason.key) == (16, "wait.used_up")
    assert window.book(20, 0, RateLimits()).seconds == 0


def test_limits_are_read_from_response_headers():
    told = RateLimits.told({"x-ratelimit-limit-requests": "300", "x-ratelimit-limit-tokens": "300000"})
    assert told == RateLimits(None, 300, 300000)
    for odd in ("", "0", "-1", "many", "9" * 30, "٣"):
        assert RateLimits.told({"x-ratelimit-limit-requests": odd}) == RateLimits()


def test_strictest_chooses_lowest_limits():
    assert strictest([RateLimits(qps=2), RateLimits(qps=1, rpm=9), RateLimits()]) == RateLimits(1, 9, None)
    assert strictest([]) == RateLimits()


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "5", True])
def test_limits_reject_invalid_value(value):
    with pytest.raises(OptionError, match="rpm="):
        RateLimits.of(rpm=value)


def test_limits_treat_none_and_zero_as_unlimited():
    assert RateLimits.of(qps=0, rpm=None, tpm=5) == RateLimits(None, None, 5)


REQUESTS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 100)), min_size=1, max_size=60)


@given(
    REQUESTS,
    st.sampled_from([None, 0.3, 1, 2.5, 7]),
    st.sampled_from([None, 1, 5, 30]),
    st.sampled_from([None, 100, 250]),
)
def test_window_never_exceeds_limits_in_any_span(requests, qps, rpm, tpm):
    limits, window, now = RateLimits(qps, rpm, tpm), Window(), 0.0
    out = []
    for gap, tokens in requests:
        now += gap
        slot = window.book(now, tokens, limits)
        assert slot.seconds == slot.booking.at - now >= 0
        out.append((slot.booking.at, tokens))
    assert out == sorted(out, key=lambda one: one[0])
    for at, _ in out:
        inside = {span: [size for other, size in out if at <= other < at + span - 1e-6] for span in (1.0, 60.0)}
        if qps and qps >= 1:
            assert len(inside[1.0]) <= math.ceil(qps)
        if rpm:
            assert len(inside[60.0]) <= rpm
        if tpm:
            assert sum(inside[60.0]) <= tpm


def test_window_forgets_past_bookings():
    window = Window()
    for second in range(10_000):
        window.book(second, 1, RateLimits(rpm=600))
    assert len(window) <= 61


LIMITS = {"requests": 9, "input-tokens": 100, "output-tokens": 50}
HEADERS = {f"x-ratelimit-limit-{kind}": str(limit) for kind, limit in LIMITS.items()}


def test_limits_of_questions_and_answers_are_told_apart():
    limits = RateLimits.told(HEADERS)
    assert limits == RateLimits(rpm=9, input_tpm=100, output_tpm=50)
    assert limits.counts_tokens
    assert not RateLimits(qps=1, rpm=1).counts_tokens
    window = Window()
    first = window.book(0.0, 60, limits)
    first.booking.tokens, first.booking.output = 110, 50  # what the service counted
    assert window.book(1.0, 10, limits).seconds == 59  # the answer took all of the answers' limit
    first.booking.tokens, first.booking.output = 80, 20
    other = Window()
    other.book(0.0, 60, limits)
    assert other.book(1.0, 30, limits).reason is None
    assert other.book(1.0, 30, limits).seconds == 59
    with pytest.raises(OptionError):
        other.book(1.0, 101, limits)


@pytest.mark.parametrize("kind", ["requests", "tokens", "input-tokens", "output-tokens"])
def test_used_up_limit_closes_the_minute(kind):
    assert used_up({f"x-ratelimit-remaining-{kind}": "0"})
    assert not used_up({f"x-ratelimit-remaining-{kind}": "1"})
