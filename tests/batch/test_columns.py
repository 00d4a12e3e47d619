"""Columns keep what went in: for any values, in every library, what is read back is what was answered."""

import io
import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic.batch.columns import plain
from qfmagic.batch.table import read_table

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
LISTS = {
    "pandas": lambda column: column.astype(object).tolist(),
    "polars": lambda column: column.to_list(),
    "pyarrow": lambda column: column.to_pylist(),
}
TEXT = st.text(max_size=8) | st.sampled_from(["", "NA", "nan", "None", "00042", "1e5", "true", "\n", "2024-01-01"])
WHOLE = st.integers() | st.integers(2**53, 2**64) | st.integers(-3, 3)
FRACTION = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FRACTION | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KINDS = {str: TEXT, int: WHOLE, float: FRACTION | st.integers(-3, 3), bool: st.booleans(), None: JSON}


def bound(library, values, kind):
    """The values as a new column of a frame, read back."""
    frame = FRAMES[library]({"text": [str(number) for number in range(len(values))]})
    result = read_table(frame).with_columns({"answer": values}, {"answer": kind})
    assert LISTS[library](result["text"]) == LISTS[library](frame["text"])
    return [None if value is pd.NA else value for value in LISTS[library](result["answer"])]


def equal(found, value):
    """Equal, and of the same type at every depth; a whole number may be the same fraction."""
    if isinstance(value, dict):
        return isinstance(found, dict) and list(found) == list(value) and all(equal(found[k], value[k]) for k in value)
    if isinstance(value, list):
        return isinstance(found, list) and len(found) == len(value) and all(map(equal, found, value))
    if value is None:
        return found is None or (isinstance(found, float) and math.isnan(found))
    if type(value) is float:
        return type(found) is float and (found == value) and math.copysign(1, found) == math.copysign(1, value)
    return type(found) is type(value) and found == value


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_column_of_any_values_reads_back(library, kind, data):
    values = data.draw(st.lists(st.none() | KINDS[kind], min_size=1, max_size=4))
    found = bound(library, values, kind)
    numbers = [float(value) if type(value) is int and kind is float else value for value in values]
    if not all(map(equal, found, numbers)):
        read = [None if value is None else json.loads(value) for value in found]
        assert all(map(equal, read, values)), (found, values)


class Color(Enum):
    RED = "red"


OWN = st.sampled_from(
    [
        *(Color.RED, UUID(int=7), Decimal("1.10"), date(2024, 5, 1), datetime(2024, 5, 1, 12, tzinfo=UTC)),
        *(timedelta(seconds=90), {1, 2}, frozenset({"b", "a"}), (1, 2), {"n": {Decimal("2.5")}}, [UUID(int=1)]),
    ]
)


def saved(library, frame):
    """The frame's column after it was saved as Parquet and read again."""
    out = io.BytesIO()
    if library == "pandas":
        frame.to_parquet(out)
    elif library == "polars":
        frame.write_parquet(out)
    else:
        pa.parquet.write_table(frame, out)
    out.seek(0)
    return pa.parquet.read_table(out)["answer"].to_pylist()


@pytest.mark.parametrize("library", FRAMES)
@settings(deadline=None, max_examples=30)
@given(value=OWN, count=st.integers(1, 3))
def test_values_of_own_classes_are_plain_and_can_be_saved(library, value, count):
    values = [plain(value), None] * count
    frame = FRAMES[library]({"text": [str(number) for number in range(len(values))]})
    result = read_table(frame).with_columns({"answer": values}, {"answer": None})
    assert pd.isna(LISTS[library](result["answer"])[1])
    assert len(saved(library, result)) == len(values)
