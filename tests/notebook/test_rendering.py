"""What ``{{ expression }}`` puts into a prompt, kind by kind."""

import json
import os
import subprocess
import sys
from collections import Counter, OrderedDict, namedtuple
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.answer import Answer
from qfmagic.prompts import rendering
from qfmagic.prompts.rendering import TEXT_CAP, show

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
nw = pytest.importorskip("narwhals")

LONGEST = TEXT_CAP + len("\n[... 1,234,567,890 characters left out ...]\n")
Point = namedtuple("Point", "x y")  # noqa: PYI024


class Plain:
    pass


class Silent:
    def __repr__(self):
        raise RuntimeError("no")


class Odd:
    """Neither says what it is as one should."""

    __repr__ = __str__ = lambda self: 7


class Unclear:
    @property
    def __class__(self):
        raise RuntimeError("no")


class OnlyStr:
    def __str__(self):
        return "said"


class Colour(StrEnum):
    RED = "red"


class Loud(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")


def lines(value):
    return show(value).split("\n")


def cells(row):
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def table(value):
    """The header and the rows of the Markdown table."""
    header, ruler, *rows = [line for line in lines(value) if line.startswith("|")]
    assert set(ruler) == set("| -")
    assert len({len(cells(row)) for row in (header, ruler, *rows)}) == 1
    return [cells(row) for row in (header, *rows)]


# ---- plain values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it stands\n at 0x7f0123456789 |", "as it stands\n at 0x7f0123456789 |"),
        ("", ""),
        (Colour.RED, "red"),
        (Loud("loud"), "loud"),
        (None, "None"),
        (True, "True"),
        (1_000, "1000"),
        (0.1, "0.1"),
        (1j, "1j"),
        (Decimal("1.50"), "1.50"),
        (b"ab\xff", r"bytes, 3: b'ab\xff'"),
        (bytearray(b"ab"), "bytearray, 2: b'ab'"),
        (b"x" * 1_300, f"bytes, 1,300: b'{'x' * 200}' [... 1,100 bytes left out ...]"),
        (Answer("the text\n" * 20), "the text\n" * 20),
        (np.float64(0.25), "0.25"),
        (np.int8(3), "3"),
        (np.bool_(True), "True"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (ValueError("no"), "ValueError: no"),
        (KeyError(), "KeyError"),
        (Plain(), "<Plain>"),
        (OnlyStr(), "said"),
        (Silent(), "<Silent>"),
        (Odd(), "<Odd>"),
        (Unclear(), "<Unclear>"),
        (10**5_000, "<int>"),
        (Plain, f"<class '{__name__}.Plain'>"),
        (Plain().__init__, "<method-wrapper '__init__' of Plain object>"),
        (range(3), "range(0, 3)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_show_renders_plain_value(value, text):
    assert show(value) == text


def test_show_truncates_long_text_in_the_middle():
    text = "a" * 15_000 + "b" * 17_345
    assert show(text) == f"{'a' * 10_000}\n[... 12,345 characters left out ...]\n{'b' * 10_000}"
    assert show("c" * TEXT_CAP) == "c" * TEXT_CAP
    assert "[... 1 character left out ...]" in show("c" * (TEXT_CAP + 1))


def test_show_renders_exception_with_traceback():
    def fail():
        try:
            int(f"{Plain()}")
        except ValueError as error:
            raise KeyError(Plain()) from error

    with pytest.raises(KeyError) as caught:
        fail()
    text = show(caught.value)
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("Plain object>")
    assert "ValueError: invalid literal" in text
    assert " at 0x" not in text
    assert len(show(ValueError("x" * 50_000))) <= LONGEST


# ---- containers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {"b": 1}}, "{'a': {'b': 1}}"),
        (list("ab"), "['a', 'b']"),
        ((1,), "(1,)"),
        ([], "[]"),
        (set(), "set()"),
        ({3, 1, 2}, "{1, 2, 3}"),
        ({"b", "c", "a"}, "{'a', 'b', 'c'}"),
        (frozenset({1}), "frozenset({1})"),
        (frozenset("ba"), '["a", "b"]'),
        ([{"b", "a"}, None], '[["a", "b"], null]'),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Counter("aab"), "Counter({'a': 2, 'b': 1})"),
        ([Plain()], '["<Plain>"]'),
        ([OnlyStr(), " at 0x7f0123456789"], '["said", " at 0x7f0123456789"]'),
        ([Silent(), "é"], '["<Silent>", "é"]'),
        ([Unclear()], f"[<{__name__}.Unclear object>]"),
        ({Silent(): 1}, '{"<Silent>": 1}'),
        ([Answer("long " * 15)], json.dumps(["long " * 15])),
        ([10**5_000], '["<int>"]'),
        ([np.float64(0.5), Plain()], '[0.5, "<Plain>"]'),
    ],
    ids=show,
)
def test_show_renders_container(value, text):
    assert show(value) == text


def test_show_renders_long_container_as_json():
    value = {"名": ["x" * 90, {"k": 1.5, "n": None, "t": True}], "d": {"y" * 50: "z" * 50}}
    text = show(value)
    assert json.loads(text) == value
    assert '  "名": [\n' in text
    assert '    {"k": 1.5, "n": null, "t": true}\n' in text  # what is short stays on a line


@pytest.mark.parametrize(
    ("value", "kept", "left"),
    [
        (["x" * 10] * 1_000, 20, "980 entries"),
        (list(range(30)), 20, "10 entries"),
        (("x" * 10,) * 21, 20, "1 entry"),
        ({f"k{number}": "v" for number in range(50)}, 20, "30 entries"),
        (OrderedDict((number, "v") for number in range(50)), 20, "30 entries"),
        ({f"{number:04}" for number in range(1_000)}, 20, "980 entries"),
        (frozenset(f"{number:04}" for number in range(1_000)), 20, "980 entries"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_show_counts_truncated_entries(value, kept, left):
    opening, *entries, said, closing = lines(value)
    assert opening + closing in ("[]", "{}")
    assert len(entries) == kept
    assert said == f"  [... {left} left out ...]"
    if isinstance(value, set | frozenset):
        assert entries == [f'  "{number:04}",' for number in range(19)] + ['  "0019"']


def test_show_truncates_nested_containers():
    inner = show({"a": list(range(100))})
    assert "[... 80 entries left out ...]" in inner
    deep = value = []
    for _ in range(9):
        value.append([])
        value = value[0]
    value.append("x" * 101)
    assert "[... 1 entry left out ...]" in show(deep)
    wide = ["x"]
    for _ in range(30):
        wide = [wide] * 20
    assert "[... 20 entries left out ...]" in show(wide)
    assert len(show(wide)) <= LONGEST


def test_show_ends_for_recursive_container():
    value = [1]
    value.append(value)
    assert show(value) == "[1, [... itself ...]]"
    mapping = {}
    mapping["me"] = mapping
    assert show(mapping) == '{"me": [... itself ...]}'
    twice = ["x" * 60]
    assert "itself" not in show([twice, twice])


def test_show_keeps_lines_of_data_in_container():
    text = show({"train": pd.DataFrame({"a": range(100)}), "weights": np.arange(1_000)})
    assert '  "train": DataFrame: 100 rows × 1 column\n' in text
    assert "\n  | [... 80 rows left out ...] |\n" in text
    assert "[... 980 values left out ...]" in text


# ---- arrays


@pytest.mark.parametrize(
    ("value", "title", "left"),
    [
        (np.arange(6).reshape(2, 3), "ndarray: shape (2, 3), dtype int64", None),
        (np.array(3.5), "ndarray: shape (), dtype float64", None),
        (np.array([]), "ndarray: shape (0,), dtype float64", None),
        (np.array([0.5, 1e-12]), "ndarray: shape (2,), dtype float64", None),
        (np.array([1 / 3]), "ndarray: shape (1,), dtype float64, rounded to 6 decimals", None),
        (np.arange(1_000), "ndarray: shape (1000,), dtype int64", "980 values"),
        (np.zeros((100, 100)), "ndarray: shape (100, 100), dtype float64", "9,900 values"),
        (np.zeros((100, 2)), "ndarray: shape (100, 2), dtype float64", None),
        (np.zeros((2, 200)), "ndarray: shape (2, 200), dtype float64", "380 values"),
        (np.zeros((9, 9, 9)), "ndarray: shape (9, 9, 9), dtype float64", "665 values"),
        (np.array([Plain()]), "ndarray: shape (1,), dtype object", None),
    ],
    ids=lambda value: str(getattr(value, "shape", "")),
)
def test_show_renders_array(value, title, left):
    text = show(value)
    assert text.startswith(f"{title}\n")
    assert text.endswith(f"[... {left} left out ...]" if left else ("]" if value.ndim else "3.5"))
    assert " at 0x" not in text
    counted = text.count("0.") if title.endswith("float64") and value.ndim > 1 else None
    assert counted in (None, value.size if left is None else value.size - int(left.split()[0].replace(",", "")))


# ---- frames


FRAMES = pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])


@FRAMES
def test_show_renders_frame_as_schema_and_rows(library):
    frame = library.DataFrame({"a": [1, 2], "b|c": ["x|y\nz", None]})
    text = show(frame)
    title, schema, shown = text.split("\n\n")
    assert title == "DataFrame: 2 rows × 2 columns"
    first, second = schema.split("\n")
    assert first.lower() == "- a: int64, 0 missing"
    assert second.startswith("- b|c: ")
    assert second.endswith(", 1 missing")
    empty = "None" if library is pl else "nan"
    assert shown.split("\n") == ["| a | b\\|c |", "| --- | --- |", r"| 1 | x\|y\nz |", f"| 2 | {empty} |"]


@FRAMES
def test_show_truncates_long_frame(library):
    frame = library.DataFrame({name: range(1_000) for name in "abcde"})
    assert lines(frame)[0] == "DataFrame: 1,000 rows × 5 columns"
    header, *rows = table(frame)
    assert header == list("abcde")
    assert [row[0] for row in rows[:10]] == [str(number) for number in range(10)]
    assert rows[10] == ["[... 980 rows left out ...]", "", "", "", ""]
    assert [row[4] for row in rows[11:]] == [str(number) for number in range(990, 1_000)]
    assert "left out" not in show(frame[:20])
    assert "[... 1 row left out ...]" in show(frame[:21])


@FRAMES
def test_show_truncates_wide_frame(library):
    frame = library.DataFrame({f"c{number}": [number] for number in range(150)})
    header, row = table(frame)
    assert len(header) == 21
    assert header[10] == "[... 130 columns left out ...]"
    assert row[9:12] == ["9", "...", "140"]
    schema = [line for line in lines(frame) if line.startswith("- ")]
    assert len(schema) == 100
    assert "\n[... 50 columns left out ...]\n- c100: " in show(frame)
    assert len(table(frame[[f"c{number}" for number in range(20)]])[0]) == 20


@FRAMES
def test_show_truncates_long_cell(library):
    frame = library.DataFrame({"text": ["x" * 80, "y" * 81, "z" * 1_000_000]})
    _, fits, over, far = [row[0] for row in table(frame)]
    assert fits == "x" * 80
    assert over == f"{'y' * 56} [... 25 more]"
    assert far == f"{'z' * 56} [... 999,944 more]"
    assert max(map(len, (fits, over, far))) <= rendering.CELL_CAP


@FRAMES
def test_show_renders_empty_frame(library):
    assert show(library.DataFrame()) == "DataFrame: 0 rows × 0 columns"
    empty = library.DataFrame({"a": []})
    assert show(empty).startswith("DataFrame: 0 rows × 1 column\n\n- a: ")
    assert table(empty) == [["a"]]


@FRAMES
def test_show_renders_series(library):
    title, *values = lines(library.DataFrame({"n": [1, 2]})["n"])
    assert title.lower() == "series n: int64, 2 values"
    assert values == ["1", "2"]
    title, *values = lines(library.Series([f"{number}\n" for number in range(100)]))
    assert title.startswith("Series: ")
    assert title.endswith(", 100 values")
    assert values[9:12] == [r"9\n", "[... 80 values left out ...]", r"90\n"]
    assert lines(library.Series(["x" * 3_000]))[1].endswith(" [... 2,024 more]")


@pytest.mark.parametrize(
    ("index", "header", "first"),
    [
        (None, ["a"], ["0"]),
        (range(3), ["a"], ["0"]),
        (range(1, 4), ["index", "a"], ["1", "0"]),
        (list("xyz"), ["index", "a"], ["x", "0"]),
        (pd.Index([7, 8, 9], name="key"), ["key", "a"], ["7", "0"]),
        (pd.RangeIndex(3, name="key"), ["key", "a"], ["0", "0"]),
        (pd.MultiIndex.from_product([[1], list("xyz")], names=["k", None]), ["(k, None)", "a"], ["(1, x)", "0"]),
        (pd.date_range("2024-01-02", periods=3), ["index", "a"], ["2024-01-02 00:00:00", "0"]),
    ],
    ids=repr,
)
def test_show_renders_meaningful_pandas_index(index, header, first):
    frame = pd.DataFrame({"a": range(3)}, index=index)
    assert table(frame)[:2] == [header, first]
    assert lines(frame["a"])[1] == ": ".join(first)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["a", "a"], ["a", "a"]),
        ([1, None], ["1.0", "nan"]),
        ([("a", 1), ("b", 2)], ["(a, 1)", "(b, 2)"]),
        (pd.MultiIndex.from_product([["a"], [1, 2]]), ["(a, 1)", "(a, 2)"]),
        ([Silent(), Plain()], ["<Silent>", "<Plain>"]),
        (["a\nb", "|"], [r"a\nb", r"\|"]),
    ],
    ids=["twice", "numbers", "tuples", "levels", "objects", "signs"],
)
def test_show_renders_any_pandas_column_names(columns, names):
    frame = pd.DataFrame([[1, None], [2, 3]], columns=columns)
    assert table(frame) == [names, ["1", "nan"], ["2", "3.0"]]
    schema = [line for line in lines(frame) if line.startswith("- ")]
    assert schema[0] == f"- {names[0]}: int64, 0 missing"
    assert schema[1].endswith(": float64, 1 missing")


def test_show_renders_any_pandas_cells():
    frame = pd.DataFrame({"a": [Silent(), Plain(), {"b", "a"}, [1, 2], OnlyStr()]})
    assert [row[0] for row in table(frame)[1:]] == ["<Silent>", "<Plain>", "['a', 'b']", "[1, 2]", "said"]
    assert show(pd.DataFrame(index=["x"])) == "DataFrame: 1 row × 0 columns\n\n| index |\n| --- |\n| x |"


def test_show_does_not_collect_lazy_frame():
    def fail(_):
        raise AssertionError("collected")

    lazy = pl.LazyFrame({"a": [1], "b": ["x"]}).map_batches(fail, schema={"a": pl.Int64, "b": pl.String})
    assert show(lazy) == "LazyFrame: 2 columns, not collected\n\n- a: Int64\n- b: String"
    wide = pl.LazyFrame({f"c{number}": [1] for number in range(101)})
    assert "[... 1 column left out ...]" in show(wide)
    assert show(pl.LazyFrame({"a": [1]}).select("missing"))  # a plan that can't work


def test_show_renders_narwhals_frames():
    frame = pl.DataFrame({"a": [1]})
    assert show(nw.from_native(frame)) == show(frame)
    assert show(pl.col("a")) == 'col("a")'


@pytest.mark.parametrize("name", ["narwhals", "narwhals.stable.v2"])
def test_show_works_without_narwhals(monkeypatch, name):
    for known in [known for known in sys.modules if known.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, name, None)
    assert show(pd.DataFrame({"a": [1]})).startswith("DataFrame: 1 row × 1 column")
    assert show(pl.DataFrame({"a": [1]})).startswith("shape: (1, 1)")


def test_show_imports_no_data_libraries():
    code = """if True:
        import sys
        from qfmagic.prompts.rendering import show
        class Plain: pass
        for value in ("a", 1, None, b"", [Plain()], {1: {2, 3}}, ValueError(), Plain(), show, sys):
            show(value)
        print({"pandas", "polars", "numpy", "narwhals", "pyarrow"} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


# ---- anything


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    st.binary(max_size=400),
    st.dates(),
    st.decimals(),
    st.sampled_from([Silent, Odd, Plain, OnlyStr, Loud]).map(lambda kind: kind()),
    st.sampled_from([Colour.RED, Answer("x"), ValueError("x" * 30_000), Plain, show]),
    st.integers(min_value=4_000).map(lambda number: 10 ** min(number, 5_000)),
    st.text(max_size=3).map(lambda text: text * 9_000),
    st.lists(st.floats(), max_size=300).map(np.array),
    st.lists(st.one_of(st.none(), st.text()), max_size=30).map(lambda values: pl.Series(values, dtype=pl.String)),
    st.lists(st.one_of(st.none(), st.text()), max_size=30).map(lambda values: pd.Series(values, dtype=object)),
)
KEYS = st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.tuples(st.integers(), st.text()))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=30),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=30),
        st.sets(KEYS, max_size=30),
        st.frozensets(KEYS, max_size=30),
        st.lists(inner, min_size=1, max_size=3).map(lambda values: values * 100),
        st.lists(inner, max_size=30).map(lambda values: pd.Series([*values, None], dtype=object).to_frame()),
    ),
    max_leaves=30,
)


@given(VALUES)
def test_show_never_raises_and_is_bounded(value):
    text = show(value)
    assert type(text) is str
    assert len(text) <= LONGEST
    assert text == show(value)


def test_show_of_sets_is_equal_in_every_process():
    code = "from qfmagic.prompts.rendering import show; s = set('abcdef'); print(show(s), show([s]), show([{'k': s}]))"
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(shown) == 1


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=9), inner, max_size=5)),
    max_leaves=20,
)


@given(JSON)
def test_show_of_whole_value_is_json(value):
    text = show([value, "x" * 100])
    if "left out ...]" not in text:
        assert json.loads(text) == [value, "x" * 100]


@pytest.mark.parametrize("texts", [["Emden", "Brake"], ["Emden", None], ["Emden", float("nan")]], ids=str)
@pytest.mark.parametrize("kind", [pd.Series, lambda column: pd.DataFrame({"port": column, "ships": [3, 5]})])
def test_texts_are_written_alike_under_pandas_2_and_3(texts, kind):
    """Pandas 2 has a column of objects, pandas 3 one of its own type."""
    old, new = (show(kind(pd.Series(texts, dtype=dtype))) for dtype in (object, "str"))
    assert old == new
    assert "str" in new


def test_objects_that_are_no_texts_stay_objects():
    assert "object" in show(pd.Series(["a", 1], dtype=object))
    assert "object" in show(pd.Series([None, None], dtype=object))
