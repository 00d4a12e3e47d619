"""Delimited text (CSV) as columns of text; columns of text as numbers and truth values where nothing is lost."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core.errors import OptionError

Cells = list[str | None]
_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?(?:\n|$)", re.IGNORECASE)  # Excel's own first line
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+")
_INT64 = range(-(2**63), 2**63)


def read_delimited(text: str, path: Path) -> dict[str, Cells]:
    """
    Read columns; an empty cell is None.

    Args:
        text: The file's text.
        path: The file; the ending ``.tsv`` says that tabs delimit.

    Raises:
        OptionError: A row has more cells than the header, or two columns have one name.
        ValueError: A quote is not closed, or text follows it.
    """
    written = _SEPARATOR_LINE.match(text)
    if written:
        delimiter, text = written[1], text[written.end() :]
    else:
        delimiter = "\t" if ".tsv" in (suffix.lower() for suffix in path.suffixes) else _delimiter(text)
    records = _records(text, delimiter)
    if not records:
        raise OptionError("map.empty", name=path)
    (_, header), *rows = records
    width = len(header)
    for line, row in rows:
        if any(row[width:]):
            raise OptionError("map.cells", path=path, line=line, found=len(row), columns=width)
    found: dict[str, Cells] = {}
    for at, name in enumerate(header):
        cells: Cells = [(row[at] or None) if at < len(row) else None for _, row in rows]
        if not name and not any(cells):  # the delimiter at the end of each line
            continue
        named = name or f"Unnamed: {at}"
        if named in found:
            raise OptionError("map.two_columns", name=path, column=named)
        found[named] = cells
    return found


def _records(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    with _long_cells(len(text)):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            return [(reader.line_num, row) for row in reader if row]
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error


@contextmanager
def _long_cells(size: int) -> Iterator[None]:
    """Raise the csv module's limit of 131,072 characters per cell, which is global, and restore it."""
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, size + 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _delimiter(text: str) -> str:
    """The delimiter by which every row has the header's number of cells, and the most of them; else a comma."""
    fitting: list[tuple[int, str]] = []
    for delimiter in _DELIMITERS:
        try:
            records = _records(text, delimiter)
        except ValueError:
            continue
        width = len(records[0][1]) if records else 0
        if width > 1 and all(len(row) == width or not any(row[width:]) for _, row in records):
            shares = sum(len(row) == width for _, row in records)
            fitting.append((width if shares == len(records) else 0, delimiter))
    most = max((width for width, _ in fitting), default=0)
    best = [delimiter for width, delimiter in fitting if width == most]
    return best[0] if best else ","


def values_of(cells: Sequence[str | None]) -> list[Any]:
    """Numbers and truth values, where every cell reads back as it is written; else the cells."""
    there = [cell for cell in cells if cell is not None]
    for read, fits in ((int, _is_integer), (float, _is_float), (_truth, _is_truth)):
        if there and all(map(fits, there)):
            return [None if cell is None else read(cell) for cell in cells]
    return list(cells)


def _is_integer(cell: str) -> bool:
    return _INTEGER.fullmatch(cell) is not None and int(cell) in _INT64 and str(int(cell)) == cell


def _is_float(cell: str) -> bool:
    return _FLOAT.fullmatch(cell) is not None and repr(float(cell)) == cell


def _is_truth(cell: str) -> bool:
    return cell in ("True", "False")


def _truth(cell: str) -> bool:
    return cell == "True"
