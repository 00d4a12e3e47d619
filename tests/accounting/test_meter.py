"""What is counted, and a budget that calls under way keep together."""

import threading
from contextlib import suppress

import pytest

from qfmagic.accounting.meter import Meter, TokenEstimate, need_of
from qfmagic.accounting.prices import Budget, Price, Prices
from qfmagic.accounting.totals import BY, Call, total, totals
from qfmagic.core.answer import Answer
from qfmagic.core.errors import BudgetError
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.core.usage import Usage

PRICES = Prices({"a": Price(1.0, 3.0, 1000), "b": Price(10.0, 10.0, 1000)})


def answer(prompt=10, completion=20, **more):
    given = {"model": "a", "wire": "v2", "seconds": 1.5, **more}
    return Answer("text", Usage(prompt, completion, None), **given)


def meter(budget=None, **options):
    written = None if budget is None else Budget.parse(budget)
    return Meter(lambda: 86400.0, budget=lambda: written, prices=lambda: PRICES, **options)


def test_meter_counts_answer_with_its_cell_and_stores_it():
    kept = []
    counted = meter(keep=kept.append, where=lambda: ("id-1", "In 3"))
    counted.after(answer(), kind="ask", chat="main")
    assert kept == list(counted.calls)
    assert kept == [
        Call(
            at=86400.0,
            model="a",
            wire="v2",
            transport="live",
            chat="main",
            cell="id-1",
            kind="ask",
            prompt_tokens=10,
            completion_tokens=20,
            seconds=1.5,
            label="In 3",
        )
    ]


def test_meter_call_of_given_cell_has_no_label():
    counted = meter(where=lambda: ("id-1", "In 3"))
    counted.after(answer(), kind="map", cell="id-2")
    assert (counted.calls[0].cell, counted.calls[0].label) == ("id-2", "")


def test_meter_skips_answer_without_id_or_text():
    counted = meter()
    counted.after(Answer("", finish_reason="interrupted"), kind="ask")
    assert counted.calls == ()
    counted.after(Answer("", id="as-1", finish_reason="interrupted"), kind="ask")
    assert len(counted.calls) == 1


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (Usage(None, None, None), (3, 2, True)),  # estimated from what was sent and what came
        (Usage(7, None, None), (7, 2, True)),
        (Usage(7, None, 30), (7, 23, True)),
        (Usage(None, 5, 4), (3, 1, True)),
        (Usage(7, 5, None), (7, 5, False)),
    ],
)
def test_meter_estimates_missing_usage(usage, counts):
    counted = meter()
    request = {"messages": [{"role": "user", "content": "one two three"}]}
    counted.after(Answer("four five", usage, request=request), kind="ask")
    (call,) = counted.calls
    assert (call.prompt_tokens, call.completion_tokens, call.estimated) == counts


def test_meter_estimate_includes_system_of_both_apis():
    counted = meter()
    question = {"role": "user", "content": "one two three"}
    v1 = {"messages": [question], "system": "be brief"}
    v2 = {"messages": [{"role": "system", "content": "be brief"}, question]}
    for request in (v1, v2):
        counted.after(Answer("four", request=request, model=str(len(request))), kind="ask")
    assert [call.prompt_tokens for call in counted.calls] == [5, 5]


def test_meter_merges_calls_of_same_kind():
    """50,000 rows of a map take no more room than one."""
    counted = meter()
    for _ in range(1000):
        counted.after(answer(), kind="map")
    (call,) = counted.calls
    assert (call.times, call.used, call.seconds) == (1000, (10_000, 20_000), 1500.0)


def test_totals_group_by_each_key():
    calls = [
        Call(
            at=0.0,
            model="a",
            wire="v2",
            transport="live",
            chat="main",
            cell="id-1",
            kind="ask",
            prompt_tokens=100,
            completion_tokens=100,
            seconds=1.0,
            label="In 1",
        ),
        Call(
            at=90000.0,
            model="a",
            wire="v2",
            transport="live",
            chat="main",
            cell="id-1",
            kind="ask",
            prompt_tokens=100,
            completion_tokens=100,
            seconds=1.0,
            label="In 7",
        ),
        Call(
            at=90000.0,
            model="b",
            wire="v2",
            transport="replay",
            chat=None,
            cell="id-2",
            kind="ask",
            prompt_tokens=50,
            completion_tokens=50,
            seconds=1.0,
            label="In 2",
        ),
        Call(
            at=90000.0,
            model="c",
            wire="v1",
            transport="live",
            chat=None,
            cell=None,
            kind="compare",
            prompt_tokens=5,
            completion_tokens=5,
            seconds=1.0,
        ),
    ]
    found = {by: [(one.name, one.calls, one.tokens) for one in totals(calls, by, PRICES)] for by in BY}
    assert found["cell"] == [("In 7", 2, 400), ("In 2", 1, 100), ("-", 1, 10)]  # a cell has its latest number
    assert found["chat"] == [("(compare)", 1, 10), ("(once)", 1, 100), ("main", 2, 400)]
    assert found["model"] == [("a", 2, 400), ("b", 1, 100), ("c", 1, 10)]
    assert [count for _, count, _ in found["day"]] == [1, 3]
    whole = total(calls, PRICES)
    assert (whole.calls, whole.free, whole.spent_tokens, whole.unpriced) == (4, 1, 410, 1)
    assert whole.cost == pytest.approx(0.8)  # the replayed one costs nothing, c has no price


# ---- budgets


def test_meter_rejects_call_over_token_budget():
    counted = meter("100tok")
    counted.before("a", 60).release()
    counted.after(answer(30, 30), kind="ask")
    counted.before("a", 40).release()
    with pytest.raises(BudgetError) as caught:
        counted.before("a", 20, 21)
    said = str(caught.value)
    assert "about 41 tokens, and 60 tokens of 100 tokens are used." in said
    assert "%qf set budget=" in said
    assert "预算 100 个 token 已用 60 个 token" in caught.value.message("zh")


def test_meter_counts_money_budget_by_prices_of_prompt_and_answer():
    counted = meter("1CNY")
    counted.after(answer(100, 200), kind="ask")  # 0.70
    counted.before("a", 300).release()
    with pytest.raises(BudgetError, match="about 0.33 CNY, and 0.70 CNY of 1.00 CNY are used"):
        counted.before("a", 30, 100)
    with pytest.raises(BudgetError, match="No price for unknown"):
        counted.before("unknown", 1)


def test_meter_spent_counts_unpriced_model_at_highest_price():
    """Also on a model that has lost its price: it is counted by the dearest."""
    counted = meter("1CNY")
    counted.after(answer(30, 30, model="unpriced"), kind="ask")
    assert counted.spent(Budget.parse("1CNY")) == pytest.approx(0.6)
    with pytest.raises(BudgetError, match="about 0.50 CNY, and 0.60 CNY of 1.00 CNY are used"):
        counted.before("a", 500)
    assert counted.spent(Budget.parse("9tok")) == 60


def test_meter_reports_overshoot_once():
    budget = [None]
    counted = Meter(lambda: 0.0, budget=lambda: budget[0], prices=lambda: PRICES)
    budget[0] = Budget.parse("50tok")
    counted.after(answer(10, 20), kind="ask")
    assert counted.take_overshoot() is None
    counted.after(answer(10, 20), kind="ask")
    assert counted.take_overshoot().describe("en") == "budget of 50 tokens exceeded by 10 tokens"
    assert counted.take_overshoot() is None
    budget[0] = Budget.parse("55tok")
    assert "by 5 tokens" in counted.take_overshoot().describe("en")
    budget[0] = Budget.parse("60tok")
    assert counted.take_overshoot() is None
    assert meter().take_overshoot() is None


def test_meter_check_priced_rejects_unpriced_model():
    counted = meter("1CNY")
    counted.check_priced("a")
    with pytest.raises(BudgetError, match="No price for unknown"):
        counted.check_priced("unknown")
    meter("10tok").check_priced("unknown")
    meter("1CNY", free=lambda: True).check_priced("unknown")


def test_meter_ignores_free_calls():
    counted = meter("10tok")
    counted.after(answer(500, 500, transport="replay"), kind="ask")
    counted.after(answer(500, 500, transport="stub"), kind="ask")
    counted.before("a", 10)
    counted.before("a", 1000, free=lambda: True)
    meter("10tok", free=lambda: True).before("a", 1000)


def test_meter_reserves_budget_for_concurrent_calls():
    counted = meter("100tok")
    with counted.before("a", 60) as held:
        with pytest.raises(BudgetError, match="with 60 tokens reserved"):
            counted.before("a", 60)
        held.release()
        with counted.before("a", 60):
            pass
    with counted.before("a", 100):
        pass


def test_meter_releases_reservation_without_references():
    counted = meter("100tok")
    counted.before("a", 100)  # nothing refers to it
    held = counted.before("a", 100)
    with pytest.raises(BudgetError):
        counted.before("a", 1)
    del held
    counted.before("a", 100)


def test_meter_never_exceeds_budget_under_threads():
    counted = meter("1000tok")
    together = threading.Barrier(16)

    def work():
        together.wait()
        for _ in range(20):
            with suppress(BudgetError), counted.before("a", 10):
                counted.after(answer(5, 5), kind="map")

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = total(counted.calls, Prices()).spent_tokens
    assert 0 < spent <= 1000
    counted.before("a", 1000 - spent)  # nothing is still set aside


@pytest.mark.parametrize(
    ("model", "parameters", "need"),
    [
        ("yi_34b_chat", {}, TokenEstimate(3)),
        ("any-v2-model", {"system": "be brief now", "max_output_tokens": 50}, TokenEstimate(6, 50)),
        ("ernie-char-fiction-8k", {"system": "be brief now"}, TokenEstimate(6)),
        ("any-v2-model", {"max_tokens": 40, "max_completion_tokens": 60}, TokenEstimate(3, 40)),
        ("any-v2-model", {"extra": {"max_tokens": 30}}, TokenEstimate(3, 30)),
    ],
)
def test_need_of_estimates_tokens_of_plan(model, parameters, need):
    target = registry().target(model, None, None)
    assert need_of(plan_request(target, "one two three", parameters=parameters)) == need


def test_meter_free_call_keeps_given_reservation():
    meter = Meter(lambda: 0.0, budget=lambda: Budget(100, "tok"))
    held = meter.before("m", 80)
    assert meter.before("m", 80, free=lambda: True, instead=held) is held
    held.release()
    assert not meter.reserved
