"""Files are read as they are written; whatever is not read names the expression that reads it."""

import csv
import gzip
import io
import json
import sys

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic.batch.files import read_file
from qfmagic.batch.table import read_table
from qfmagic.core.errors import OptionError

LIBRARIES = ("pandas", "polars", "none")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture(params=LIBRARIES)
def library(request, monkeypatch):
    """Each library alone, and none."""
    for name in {"pandas": ["polars"], "polars": ["pandas"], "none": ["pandas", "polars"]}[request.param]:
        monkeypatch.setitem(sys.modules, name, None)
    return request.param


def remedy(error):
    details = error.values  # noqa: PD011 - an error's, no frame's
    return details["line"]


def rows_of(path):
    return [
        {name: None if pd.isna(value) else value for name, value in row.item.items()} for row in read_table(path).rows()
    ]


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "cells",
    [
        ["00042", "17"],
        ["1e5", "2"],
        ["1.50", "2.25"],
        ["NA", "null", "None", "nan", "NaN", "inf"],
        ["1", "2.5"],
        ["true", "FALSE"],
        ["2024-01-01", "2024-1-2"],
        ["9007199254740993", "7"],
        ["12345678901234567890123", "1"],
        ["+1", "-0"],
        [" padded ", "x"],
        ["１２", "1_000"],
        ["-5", "0"],
        ["0.1", "2.5"],
        ["True", "False"],
    ],
    ids=str,
)
def test_csv_cells_read_back_as_written(tmp_path, library, cells):
    path = written(tmp_path, "a.csv", "n,v\n" + "".join(f"x,{cell}\n" for cell in cells) + "x,\n")
    found = [row["v"] for row in rows_of(path)]
    assert [None if value is None else str(value) for value in found] == [*cells, None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=6))
def test_csv_of_any_texts_reads_back(tmp_path_factory, cells):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *cells])
    path = written(tmp_path_factory.mktemp("csv"), "a.csv", out.getvalue())
    found = [[row[name] for name in "abc"] for row in rows_of(path)]
    assert [["" if value is None else str(value) for value in row] for row in found] == cells


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "name;text\nAda;fine, really\nBo;1,5\n"),
        ("a.csv", "name\ttext\nAda\tfine, really\nBo\t1,5\n"),
        ("a.csv", "sep=;\r\nname;text\r\nAda;fine, really\r\nBo;1,5\r\n"),
        ("a.csv", "name|text\nAda|fine, really\nBo|1,5\n"),
        ("a.csv", 'name,text\nAda,"fine, really"\nBo,"1,5"\n'),
        ("a.csv", 'name,text,\nAda,"fine, really",\nBo,"1,5",\n'),
        ("a.csv", 'name,text\nAda,"fine, really",\nBo,"1,5",\n'),
        ("a.tsv", "name\ttext\nAda\tfine, really\nBo\t1,5\n"),
        ("a.CSV", '\ufeffname,text\n\nAda,"fine, really"\nBo,"1,5"'),
        ("a.json", '[{"name": "Ada", "text": "fine, really"}, {"name": "Bo", "text": "1,5"}]'),
        ("a.json", '{"name": ["Ada", "Bo"], "text": ["fine, really", "1,5"]}'),
        ("a.jsonl", '\ufeff{"name": "Ada", "text": "fine, really"}\r\n\n{"name": "Bo", "text": "1,5"}'),
    ],
    ids=range(12),
)
def test_file_forms_give_the_same_rows(tmp_path, library, name, text):
    expected = [{"name": "Ada", "text": "fine, really"}, {"name": "Bo", "text": "1,5"}]
    assert rows_of(written(tmp_path, name, text)) == expected
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert rows_of(packed) == expected


def test_jsonl_values_stay_whatever_line_they_are_in(tmp_path, library):
    values = [{"n": 1}] * 120 + [{"n": 1.5, "late": "x"}, {"n": 2, "deep": {"a": [1, None, "x"]}}]
    path = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, values)))
    last = rows_of(path)[-2:]
    assert [str(last[0]["n"]), last[0]["late"]] == ["1.5", "x"]
    deep = last[1]["deep"]
    assert (json.loads(deep) if isinstance(deep, str) else deep) == {"a": [1, None, "x"]}
    numbers = [row["n"] for row in rows_of(path)]
    assert [str(numbers[0]), str(numbers[-2]), str(numbers[-1])] == ["1", "1.5", "2"]


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("a.csv", b"a,b\n1,2,3\n", "map.cells"),
        ("a.csv", b"a,a\n1,2\n", "map.two_columns"),
        ("a.csv", b"", "map.empty"),
        ("a.csv", b"a,b\n", "map.empty"),
        ("a.csv", b'a,b\n"open,2\n', "map.unreadable"),
        ("a.csv.gz", b"x", "map.unreadable"),
        ("a.json", b"x", "map.unreadable"),
        ("a.json", b"3", "map.json_kind"),
        ("a.parquet", b"x", "map.unreadable"),
        ("a.xlsx", b"x", "map.file_other"),
        ("a.txt", b"x", "map.file_other"),
    ],
)
def test_file_that_cannot_be_read_is_an_option_error(tmp_path, name, content, key):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError) as caught:
        read_table(tmp_path / name)
    assert caught.value.key == key
    assert "PosixPath" not in caught.value.message("en")


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-le", "big5", "cp1252"])
@pytest.mark.parametrize("name", ["it's.csv", "a b.csv", "a.tsv", "a.jsonl", "a.json"])
def test_encoding_remedy_reads_the_file(tmp_path, encoding, name):
    said = (
        "très cher, déjà vu" if encoding == "cp1252" else "編輯部說這本書很好看" if encoding == "big5" else "很好看的书"
    )
    text = {
        "csv": f'n,v\n007,"{said}"\nNA,\n',
        "tsv": f"n\tv\n007\t{said}\nNA\t\n",
        "jsonl": f'{{"n": "007", "v": "{said}"}}\n{{"n": "NA", "v": null}}\n',
        "json": f'[{{"n": "007", "v": "{said}"}}, {{"n": "NA", "v": null}}]',
    }[name.rpartition(".")[2]]
    path = written(tmp_path, name, text, encoding)
    with pytest.raises(OptionError) as caught:
        read_file(str(path))
    assert caught.value.key == "map.encoding"
    line = remedy(caught.value)
    assert line in caught.value.message("en")
    found = eval(line, {"pandas": pd, "polars": pl})
    rows = [{k: None if pd.isna(v) else v for k, v in row.item.items()} for row in read_table(found).rows()]
    assert rows == [{"n": "007", "v": said}, {"n": "NA", "v": None}]


def test_remedies_of_texts_and_folders_read_them(tmp_path):
    written(tmp_path, "a.txt", "one\ntwo\n")
    for path, expected in (
        (tmp_path / "a.txt", ["one", "two"]),
        (tmp_path, ["one\ntwo\n"]),
        (tmp_path / "*.txt", ["one\ntwo\n"]),
    ):
        with pytest.raises(OptionError) as caught:
            read_file(path)
        assert caught.value.key == "map.file_other"
        assert eval(remedy(caught.value)) == expected


@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize("pattern", ["", "*.{}", "part-*.{}"])
def test_remedy_of_folder_of_tables_reads_cells_as_written(tmp_path, ending, delimiter, pattern):
    for number in (1, 2):
        written(tmp_path, f"part-{number}.{ending}", f"n{delimiter}v\n007{delimiter}NA\n{number}{delimiter}\n")
    with pytest.raises(OptionError) as caught:
        read_file(tmp_path / pattern.format(ending))
    found = eval(remedy(caught.value), {"pandas": pd})
    assert found.fillna("").to_numpy().tolist() == [["007", "NA"], ["1", ""], ["007", "NA"], ["2", ""]]
    assert found.index.tolist() == [0, 1, 2, 3]
