"""
Data of any kind as rows, and rows with results as data of the same kind.

Frames of every library, lists, dicts of columns, files, and iterators of unknown length.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import OptionError
from .columns import new_series, pandas_column
from .files import read_file
from .own_columns import own_column

Columns = Mapping[str, Sequence[Any]]
Kinds = Mapping[str, type | None]
ITEM = "item"  # the column that single values get


class DataRow(NamedTuple):
    """
    One row.

    Attributes:
        index: Its label in a pandas index; else its number, from 0.
        item: All of it: its columns by name, or the single value it is.
        columns: Its columns by name; of a single value none, unless it has a name.
    """

    index: Any
    item: Any
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class DataTable:
    """
    Data as rows.

    Attributes:
        names: The columns' names; () where rows are single values.
        length: How many rows there are; None where nobody knows.
        rows: Gives the rows, from the first; those of an iterator once.
        with_columns: Puts more columns beside the first rows (as many as the columns are long), and gives what results
            in the data's own kind.
    """

    names: tuple[str, ...]
    length: int | None
    rows: Callable[[], Iterator[DataRow]]
    with_columns: Callable[[Columns, Kinds], Any]


def read_table(data: object, name: str = "DATA") -> DataTable:
    """
    Read data.

    Args:
        data: A frame or a series of pandas, polars or any library narwhals knows; a list of values or of dicts; a dict
            of columns; the path of a CSV, JSONL or Parquet file; or an iterator.
        name: What an error calls it.

    Raises:
        OptionError: It is nothing of that, has no rows, or two columns of one name.
    """
    table = _read(data, name)
    if table.length == 0:
        raise OptionError("map.empty", name=name)
    for position, column in enumerate(table.names):
        if column in table.names[:position]:
            raise OptionError("map.two_columns", name=name, column=column)
    return table


def read_empty(frame: Any) -> DataTable:
    """A pandas frame, which may have no rows: a part of a whole."""
    return _pandas(frame, None)


def _read(data: object, name: str) -> DataTable:
    if type(data).__module__.partition(".")[0] == "dask":  # it would be collected here, however large it is
        raise OptionError("map.dask_kind", name=name, kind=type(data).__name__)
    if isinstance(data, (str, Path)):
        return _read(read_file(data), str(data))
    if _is(data, "pandas", "DataFrame"):
        return _pandas(data, None)
    if _is(data, "pandas", "Series"):
        series: Any = data
        return _pandas(series.to_frame(_named(series.name)), _named(series.name))
    if isinstance(data, Mapping):
        return _columns(data, name)
    if isinstance(data, Iterator):
        return _stream(data)
    library = type(data).__module__.partition(".")[0]
    if library not in ("builtins", "collections", "numpy") and not isinstance(data, Sequence):
        framed = _framed(data)
        if framed is not None:
            return framed
    if isinstance(data, Iterable) and not isinstance(data, (bytes, bytearray)):
        with suppress(TypeError):  # an array without dimensions says it can be iterated over
            return _list(list(data))
    raise OptionError("map.kind", name=name, kind=type(data).__name__)


def _is(value: object, module: str, name: str) -> bool:
    """Whether it is of a class of a library, which is not imported for that."""
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and isinstance(value, found)


def _named(name: object) -> str:
    return ITEM if name is None or name == "" else str(name)


def _rows(names: Sequence[str], values: Iterable[Sequence[Any]], labels: Iterable[Any], single: str | None) -> Any:
    for label, row in zip(labels, values, strict=False):
        columns = dict(zip(names, row, strict=True))
        yield DataRow(label, columns if single is None else columns[single], columns)


class LabeledRow(dict[Any, Any]):
    """A row by the labels of its columns; a label that is not a text is found by its text, too."""

    def __missing__(self, key: Any) -> Any:
        for label, value in self.items():
            if str(label) == str(key):
                return value
        raise KeyError(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of a column, found as with ``[]``."""
        try:
            return self[key]
        except KeyError:
            return default


def _pandas(frame: Any, single: str | None) -> DataTable:
    labels = tuple(frame.columns)
    names = tuple(map(_name_of, labels))

    def with_columns(columns: Columns, kinds: Kinds) -> Any:
        pandas = sys.modules["pandas"]
        count = len(next(iter(columns.values())))
        found = frame.iloc[:count].copy()
        if found.columns.nlevels == 1 and found.columns.dtype.kind not in "OTi":  # categories take no other name
            found.columns = found.columns.astype(object)
        for name, values in columns.items():
            column = pandas_column(pandas, list(values), kinds.get(name))
            # The frame's own index, as that may have a label twice; the type said, as pandas 3 takes objects for texts.
            found[name] = pandas.Series(column, index=found.index, dtype=column.dtype)
        return found

    def rows() -> Iterator[DataRow]:
        for label, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
            columns = dict(zip(names, row, strict=True))
            item = LabeledRow(zip(labels, row, strict=True)) if single is None else columns[single]
            yield DataRow(label, item, columns)

    return DataTable(names, len(frame), rows, with_columns)


def _name_of(label: Any) -> str:
    """A column's name; of several levels of which only the first has a text, that."""
    if isinstance(label, tuple) and label and all(part == "" for part in label[1:]):
        return str(label[0])
    return str(label)


def _framed(data: Any) -> DataTable | None:
    """A frame or series of another library, through narwhals; None for what is neither."""
    try:
        nw: Any = import_module("narwhals.stable.v2")
    except ImportError:
        raise OptionError("map.extra", package="narwhals", extra="data") from None
    found = nw.from_native(data, allow_series=True, pass_through=True)
    lazy = isinstance(found, nw.LazyFrame)
    frame = found.collect() if lazy else found
    single = None
    if isinstance(frame, nw.Series):
        single = _named(frame.name)
        frame = frame.alias(single).to_frame()
    if not isinstance(frame, nw.DataFrame):
        return None

    def with_columns(columns: Columns, kinds: Kinds) -> Any:
        backend = frame.implementation
        new = [new_series(nw, name, list(values), kinds.get(name), backend) for name, values in columns.items()]
        whole = frame.head(len(new[0])).with_columns(*new)
        return whole.lazy().to_native() if lazy else whole.to_native()

    names = tuple(frame.columns)
    return DataTable(
        names,
        len(frame),
        lambda: _rows(names, frame.iter_rows(named=False), range(len(frame)), single),
        with_columns,
    )


def _columns(data: Mapping[Any, Any], name: str) -> DataTable:
    for column, values in data.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or not hasattr(values, "__len__"):
            raise OptionError("map.column_kind", name=name, column=column, kind=type(values).__name__)
    lists = {str(column): list(values) for column, values in data.items()}
    if len(lists) < len(data):
        texts = [str(column) for column in data]
        raise OptionError("map.two_columns", name=name, column=next(text for text in texts if texts.count(text) > 1))
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1:
        sizes = [f"{column}: {len(values)}" for column, values in lists.items()]
        raise OptionError("map.column_lengths", name=name, sizes=sizes)
    length = max(lengths, default=0)

    def with_columns(columns: Columns, _: Kinds) -> Any:
        count = len(next(iter(columns.values())))
        return {label: list(values)[:count] for label, values in data.items()} | {
            column: list(values) for column, values in columns.items()
        }

    names = tuple(lists)

    def rows() -> Iterator[DataRow]:
        for number, row in enumerate(zip(*lists.values(), strict=True)):
            yield DataRow(number, LabeledRow(zip(data, row, strict=True)), dict(zip(names, row, strict=True)))

    return DataTable(names, length, rows, with_columns)


def _item(index: int, item: Any, names: Iterable[str]) -> DataRow:
    """A row; a column it hasn't got has no value there, and is nothing else that happens to have its name."""
    own = {str(name): value for name, value in item.items()} if isinstance(item, Mapping) else {}
    return DataRow(index, item, dict.fromkeys(names) | own)


def _list(items: list[Any]) -> DataTable:
    names = dict.fromkeys(str(name) for item in items if isinstance(item, Mapping) for name in item)

    def with_columns(columns: Columns, _: Kinds) -> Any:
        rows = zip(*columns.values(), strict=True)
        return [
            with_results(item, dict(zip(columns, row, strict=True))) for item, row in zip(items, rows, strict=False)
        ]

    return DataTable(tuple(names), len(items), lambda: (_item(*pair, names) for pair in enumerate(items)), with_columns)


def _stream(items: Iterator[Any]) -> DataTable:
    """Of an iterator only the first item is looked at before its turn: for its columns."""
    first = list(islice(items, 1))
    names = tuple(str(name) for item in first if isinstance(item, Mapping) for name in item)
    pulled = chain(first, items)
    return DataTable(
        names,
        None if first else 0,
        lambda: (_item(*pair, names) for pair in enumerate(pulled)),
        lambda columns, _: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    )


def with_results(item: Any, results: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a list with its results."""
    return {**item, **results} if isinstance(item, Mapping) else {own_column(ITEM, results): item, **results}
