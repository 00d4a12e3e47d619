"""Prices from the user's own file, and budgets as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.accounting.prices import Budget, Price, Prices, Used, amount, length_class, money
from qfmagic.core.errors import OptionError

ROWS = """
[[price]]
model = "Yi-34B-Chat"
input = 2
output = 6
per = 1000000
note = "made up"

[[price]]
model = "my-own"
input = 0.5
per = 1000
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_prices_find_model_by_any_name_and_cost_prompt_and_answer(tmp_path):
    prices = Prices.of_toml(write(tmp_path / "p.toml", ROWS))
    assert prices.of("yi_34b_chat").cost(1_000_000, 500_000) == pytest.approx(5.0)
    assert prices.of("my-own").cost(1000, 1000) == pytest.approx(1.0)  # without output, it costs what input does
    assert prices.of("ernie-lite-8k") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml", "Cannot read"),
        ("a = 1", "is not a price file"),
        (ROWS + "[other]\n", "is not a price file"),
        ("price = [1]", "is not a price file"),
        ("[[price]]\ninput = 1\nper = 1000", "price 1: invalid model=None"),
        ('[[price]]\nmodel = "a"\nper = 1000', "invalid input=None. Allowed: [0, ∞) CNY"),
        ('[[price]]\nmodel = "a"\ninput = -1\nper = 1000', "invalid input=-1"),
        (f'[[price]]\nmodel = "a"\ninput = 1{"0" * 400}\nper = 1000', "invalid input=1000"),
        (f'[[price]]\nmodel = "a"\ninput = 1{"0" * 5000}\nper = 1000', "Cannot read"),
        (f"a = {'[' * 3000}", "Cannot read"),
        ('[[price]]\nmodel = "a"\ninput = true\nper = 1000', "invalid input=True"),
        ('[[price]]\nmodel = "a"\ninput = nan\nper = 1000', "invalid input=nan"),
        ('[[price]]\nmodel = "a"\ninput = 1\noutput = "2"\nper = 1000', "invalid output='2'"),
        ('[[price]]\nmodel = "a"\ninput = 1', "invalid per=None. Allowed: 1000, 1000000"),
        ('[[price]]\nmodel = "a"\ninput = 1\nper = 100', "invalid per=100"),
        ('[[price]]\nmodel = "a"\ninputs = 1\nper = 1000', "unknown field 'inputs'. Did you mean input"),
        (ROWS + '[[price]]\nmodel = "yi_34b_chat"\ninput = 1\nper = 1000', "price 3: duplicate price for yi_34b_chat"),
    ],
)
def test_prices_reject_invalid_file_with_its_place(tmp_path, text, said):
    with pytest.raises(OptionError) as caught:
        Prices.of_toml(write(tmp_path / "p.toml", text))
    assert said in str(caught.value)
    assert "p.toml" in caught.value.message("zh")


def test_prices_read_file_with_bom_and_crlf(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbf" + ROWS.replace("\n", "\r\n").encode())
    assert Prices.of_toml(tmp_path / "p.toml").of("my-own") == Price(0.5, 0.5, 1000)


def test_prices_cost_unknown_model_at_highest_price():
    prices = Prices({"a": Price(1.0, 9.0, 1000), "b": Price(5.0, 5.0, 1000)})
    assert [prices.cost(name, (1000, 0)) for name in ("a", "b", "unknown")] == [1.0, 5.0, 5.0]
    assert prices.cost("unknown", (0, 1000)) == 9.0
    assert Prices().cost("unknown", (1, 1)) == 0


def test_prices_reject_missing_or_binary_file(tmp_path):
    (tmp_path / "p.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "p.toml"):
        with pytest.raises(OptionError, match="Cannot read"):
            Prices.of_toml(path)


@pytest.mark.parametrize(
    ("written", "budget"),
    [
        ("50000tok", (50000, "tok")),
        ("50_000 tokens", (50000, "tok")),
        ("1token", (1, "tok")),
        ("5CNY", (5, "CNY")),
        ("0.5cny", (0.5, "CNY")),
        ("5元", (5, "CNY")),
        (" 5 RMB ", (5, "CNY")),
    ],
)
def test_budget_parses_tokens_and_money(written, budget):
    assert Budget.parse(written) == budget


@pytest.mark.parametrize(
    "written",
    ["", "5", "CNY", "-5CNY", "5USD", "_tok", "5.CNY", "1e3tok", "nan tok", "0.5tok", "2.0tok", "9" * 400 + "tok"],
)
def test_budget_rejects_invalid_text(written):
    with pytest.raises(OptionError, match="50000tok, 5CNY"):
        Budget.parse(written)


def test_amount_describes_money_and_tokens():
    assert Budget.parse("5CNY").describe("en") == "5.00 CNY"
    assert amount(1200, "tok").describe("zh") == "1200 个 token"
    told = {0: "0.00", 12.345: "12.35", 0.1: "0.10", 0.0123: "0.012", 0.00004567: "0.000046", 1e-9: "<0.000001"}
    assert {value: money(value) for value in told} == told


STEPS = """
[[price]]
model = "m"
per = 1000
input = 1
output = 2
cached = 0.25
steps = [{above = 128000, input = 4}, {above = 32000, input = 2, output = 5, cached = 0.5}]
"""


@pytest.mark.parametrize(
    ("used", "cost"),
    [
        ((1000, 1000), 3.0),
        ((1000, 0, 400), 0.7),
        ((1000, 0, 4000), 0.25),
        ((32_000, 0), 32.0),
        ((32_256, 1000, 256), 64 + 0.128 + 5),
        ((129_000, 1000, 1000), 129 * 4 + 4),
        ((64_000, 0, 0, 2), 64.0),  # two calls, neither above a step
        ((66_000, 0, 0, 2), 132.0),
    ],
)
def test_prices_by_cache_and_by_length_of_the_question(tmp_path, used, cost):
    (tmp_path / "p.toml").write_text(STEPS)
    assert Prices.of_toml(tmp_path / "p.toml").cost("m", Used(*used)) == pytest.approx(cost)


@pytest.mark.parametrize(
    "line",
    [
        "cached = -1",
        "steps = 3",
        "steps = [3]",
        "steps = [{input = 1}]",
        "steps = [{above = 5.5, input = 1}]",
        "steps = [{above = -1, input = 1}]",
        "steps = [{above = 5, input = 1}, {above = 5, input = 2}]",
        "steps = [{above = 5, input = 1, per = 1000}]",
        "steps = [{above = 5}]",
    ],
)
def test_prices_that_are_no_steps_are_refused(tmp_path, line):
    (tmp_path / "p.toml").write_text(f'[[price]]\nmodel = "m"\nper = 1000\ninput = 1\n{line}\n')
    with pytest.raises(OptionError):
        Prices.of_toml(tmp_path / "p.toml")


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=8), st.sampled_from([32_000, 32_768, 128_000, 131_072]))
def test_calls_that_are_added_up_stay_in_their_step(lengths, step):
    price = Price(1.0, 1.0, 1000, None, ((step, Price(2.0, 1.0, 1000)),))
    classes = {}
    for length in lengths:
        key, used = length_class(length), Used(length, 10)
        classes[key] = classes[key].plus(used) if key in classes else used
    apart = sum(price.cost(length, 10) for length in lengths)
    assert sum(price.cost(*used) for used in classes.values()) == pytest.approx(apart)
