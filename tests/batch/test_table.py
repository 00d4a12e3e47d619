"""Data of every kind as rows, and with results in their own kind."""

import json
import sys
from importlib import import_module

import pandas as pd
import polars as pl
import pytest

from qfmagic.batch.table import read_table
from qfmagic.core.errors import OptionError

KINDS = {"answer": str, "prompt_tokens": int, "seconds": float}
RESULTS = {"answer": ["A", None], "prompt_tokens": [1, None], "seconds": [0.5, None]}


def mapped(data):
    table = read_table(data)
    rows = list(table.rows())
    count = len(rows)
    return rows, table.with_columns({name: values[:count] for name, values in RESULTS.items()}, KINDS)


def test_table_of_pandas_frame_keeps_index_and_types():
    frame = pd.DataFrame({"text": ["x", "y"], "n": [1, 2]}, index=["a", "a"])
    rows, result = mapped(frame)
    assert [(row.index, row.columns["text"], row.item["n"]) for row in rows] == [("a", "x", 1), ("a", "y", 2)]
    assert list(result.index) == ["a", "a"]
    assert list(result.columns) == ["text", "n", *RESULTS]
    assert str(result["prompt_tokens"].dtype) == "Int64"
    assert result["answer"].isna().tolist() == [False, True]
    assert list(frame.columns) == ["text", "n"], "the frame itself stays as it is"


@pytest.mark.parametrize("name", ["text", None])
def test_table_of_pandas_series_becomes_frame(name):
    rows, result = mapped(pd.Series(["x", "y"], index=[7, 8], name=name))
    assert [(row.index, row.item) for row in rows] == [(7, "x"), (8, "y")]
    assert next(iter(result.columns)) == (name or "item")
    assert list(result.index) == [7, 8]


def test_table_of_polars_keeps_its_type():
    rows, result = mapped(pl.DataFrame({"text": ["x", "y"]}))
    assert rows[1].columns == {"text": "y"}
    assert rows[1].index == 1
    assert isinstance(result, pl.DataFrame)
    assert result["prompt_tokens"].dtype == pl.Int64
    _, lazy = mapped(pl.LazyFrame({"text": ["x", "y"]}))
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(result)
    rows, series = mapped(pl.Series("text", ["x", "y"]))
    assert rows[0].item == "x"
    assert series.columns[:2] == ["text", "answer"]


def test_table_of_arrow_stays_arrow():
    pyarrow = import_module("pyarrow")
    rows, result = mapped(pyarrow.table({"text": ["x", "y"]}))
    assert rows[0].item == {"text": "x"}
    assert isinstance(result, pyarrow.Table)
    assert result.column_names == ["text", *RESULTS]


def test_table_reads_lists_dicts_and_iterators():
    rows, result = mapped(["x", "y"])
    assert rows[1].item == "y"
    assert result[1] == {"item": "y", "answer": None, "prompt_tokens": None, "seconds": None}
    rows, result = mapped([{"text": "x"}, {"text": "y", "more": 1}])
    assert rows[0].columns == {"text": "x", "more": None}, "what it lacks is nothing else of that name"
    assert result[1]["more"] == 1
    assert result[0]["answer"] == "A"
    rows, result = mapped({"text": ("x", "y")})
    assert rows[1].item == {"text": "y"}
    assert result["text"] == ["x", "y"]
    assert result["answer"] == ["A", None]
    assert mapped({1, 2})[0][0].item in {1, 2}
    table = read_table(iter([{"text": "x"}, {"text": "y"}]))
    assert table.length is None
    assert table.names == ("text",)
    assert len(list(table.rows())) == 2


def test_table_with_columns_accepts_first_rows():
    for data in (pd.DataFrame({"t": [1, 2, 3]}), pl.DataFrame({"t": [1, 2, 3]}), [1, 2, 3]):
        table = read_table(data)
        assert len(table.with_columns({"answer": ["A", "B"]}, {"answer": str})) == 2
    assert read_table({"t": [1, 2, 3]}).with_columns({"answer": ["A"]}, {}) == {"t": [1], "answer": ["A"]}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_table_reads_file_as_frame(tmp_path, kind):
    frame = pd.DataFrame({"text": ["好", "x, y"], "n": [1, 2]})
    path = tmp_path / f"data.{kind}"
    match kind:
        case "csv":
            frame.to_csv(path, index=False, encoding="utf-8-sig")
        case "tsv":
            frame.to_csv(path, index=False, sep="\t")
        case "jsonl":
            path.write_text("\n".join(json.dumps(row) for row in frame.to_dict("records")) + "\n\n", "utf-8")
        case "parquet":
            frame.to_parquet(path)
    rows, result = mapped(str(path))
    assert [row.item for row in rows] == [{"text": "好", "n": 1}, {"text": "x, y", "n": 2}]
    assert isinstance(result, pd.DataFrame)


def test_table_reads_file_as_list_without_frame_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    (tmp_path / "data.csv").write_text("text,n\nx,1\ny,2\n", "utf-8")
    (tmp_path / "data.jsonl").write_text('"x"\n{"n": 2}\n', "utf-8")
    assert mapped(tmp_path / "data.csv")[1][0] == {"text": "x", "n": "1"} | {k: v[0] for k, v in RESULTS.items()}
    assert [row.item for row in mapped(tmp_path / "data.jsonl")[0]] == ["x", {"n": 2}]
    (tmp_path / "data.parquet").write_bytes(b"")
    with pytest.raises(OptionError) as caught:
        read_table(tmp_path / "data.parquet")
    assert caught.value.key == "map.extra"


def test_table_keeps_large_integers_with_missing_values(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"id": 12345678901234567, "n": 1}\n{"n": 2}\n', "utf-8")
    first, second = mapped(tmp_path / "data.jsonl")[0]
    assert (str(first.columns["id"]), first.columns["n"], second.columns["n"]) == ("12345678901234567", 1, 2)
    assert pd.isna(second.columns["id"]), "missing"


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ([], "map.empty"),
        pytest.param(iter([]), "map.empty", id="an empty iterator"),
        ({}, "map.empty"),
        (pd.DataFrame({"t": []}), "map.empty"),
        (pd.DataFrame([[1, 2]], columns=["t", "t"]), "map.two_columns"),
        (3, "map.kind"),
        (b"bytes", "map.kind"),
        ({"t": "text"}, "map.column_kind"),
        ({"t": [1], "u": [1, 2]}, "map.column_lengths"),
        ("notes.doc", "map.file_kind"),
        ("nothing.csv", "map.no_file"),
    ],
    ids=str,
)
def test_table_rejects_invalid_data(data, key):
    with pytest.raises(OptionError) as caught:
        read_table(data)
    assert caught.value.key == key
    assert caught.value.message("en")
    assert caught.value.message("zh")


def test_table_rejects_unreadable_file_with_reason(tmp_path):
    cases = {
        "gbk.csv": ("评论\n好\n".encode("gb18030"), "map.encoding"),
        "broken.jsonl": (b'{"a": 1}\n{"a": \n', "map.json_line"),
        "broken.parquet": (b"no", "map.unreadable"),
    }
    for name, (content, key) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OptionError) as caught:
            read_table(tmp_path / name)
        assert caught.value.key == key
    with pytest.raises(OptionError, match=r"Did you mean gbk.csv"):
        read_table(tmp_path / "gkb.csv")
