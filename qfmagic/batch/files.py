"""Tables in files: CSV, JSONL, Parquet."""

import csv
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.errors import OptionError
from ..core.models import did_you_mean, suggest
from ..core.safe_json import read_json

KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def read_file(path: str | Path) -> Any:
    """
    Read a file: as a frame of pandas, else of polars; without both, CSV and JSONL as a list of dicts.

    Raises:
        OptionError: It isn't there, is of another kind, or can't be read.
    """
    file = Path(path).expanduser()
    kind = file.suffix.lower()
    if kind not in KINDS:
        raise OptionError("map.file_kind", path=path, allowed=list(KINDS))
    try:
        if not file.is_file():
            raise OptionError("map.no_file", path=path, suggestions=_near(file))
        if kind == ".parquet":
            return _read_parquet(file)
        read = _read_csv if kind in (".csv", ".tsv") else _read_lines
        return read(file)
    except UnicodeDecodeError:
        raise OptionError("map.encoding", path=path) from None
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, OptionError):
            raise
        why = getattr(error, "strerror", None) or str(error)
        raise OptionError("map.unreadable", path=path, reason=why) from error


def _near(file: Path) -> object:
    folder = file.parent
    names = [other.name for other in folder.iterdir() if other.suffix.lower() in KINDS] if folder.is_dir() else []
    close = suggest(file.name, names)
    return did_you_mean(close)


def _library() -> tuple[str, Any]:
    for name in ("pandas", "polars"):
        try:
            return name, import_module(name)
        except ImportError:
            continue
    return "", None


def _read_csv(file: Path) -> Any:
    name, library = _library()
    between = "\t" if file.suffix.lower() == ".tsv" else ","
    if name == "pandas":
        return library.read_csv(file, sep=between, encoding="utf-8-sig")
    if name == "polars":
        return library.read_csv(file, separator=between)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines, delimiter=between))


def _read_lines(file: Path) -> Any:
    """One JSON value a line; read here, as the libraries take texts for dates and numbers."""
    rows: list[Any] = []
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                rows.append(read_json(line))
            except ValueError as error:
                raise OptionError("map.json_line", path=file, number=number, reason=str(error)) from None
    name, library = _library()
    framed: Callable[[Any], Any] | None = getattr(library, "DataFrame", None)
    if framed is None or not rows or not all(isinstance(row, Mapping) for row in rows):
        return rows
    return _pandas_frame(library, rows) if name == "pandas" else framed(rows)


def _pandas_frame(pandas: Any, rows: list[Any]) -> Any:
    """A frame of JSON objects; where one lacks a name, the others' whole numbers stay whole."""
    frame = pandas.DataFrame(rows, dtype=object)
    columns = {name: column if column.isna().any() else column.infer_objects() for name, column in frame.items()}
    return pandas.DataFrame(columns, index=frame.index)


def _read_parquet(file: Path) -> Any:
    for name in ("pandas", "polars"):
        try:
            return import_module(name).read_parquet(file)
        except ImportError:  # the library, or what it reads such files with
            continue
    raise OptionError("map.extra", package="polars", extra="data")
