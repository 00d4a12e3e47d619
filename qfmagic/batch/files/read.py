"""Tables in files: CSV, JSONL, JSON, Parquet; for others, the line of code that reads them."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...core.errors import OptionError
from ...core.models import did_you_mean, suggest
from ...core.safe_json import read_json
from ..columns import frame_of
from .delimited import read_delimited, values_of
from .encodings import encoding_of

_PACKED = ".gz"
_DELIMITED = (".csv", ".tsv")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
KINDS = (*_TABLES, ".parquet")
_READ = "__import__('pathlib').Path({path!r}).read_text({encoding!r})"
# The expression that reads a file of each ending: proposed for files that are not read here, or can't be.
_OTHERS: Mapping[str, str] = {
    ".xlsx": "pandas.read_excel({path!r}, dtype=str, keep_default_na=False, na_values=[''])",
    ".xls": "pandas.read_excel({path!r}, dtype=str, keep_default_na=False, na_values=[''])",
    ".ods": "pandas.read_excel({path!r}, dtype=str, keep_default_na=False, na_values=[''])",
    ".feather": "pandas.read_feather({path!r})",
    ".arrow": "pandas.read_feather({path!r})",
    ".txt": _READ + ".splitlines()",
    ".md": "[" + _READ + "]",
    ".csv": "{library}({path!r}, encoding={encoding!r}, {texts})",
    ".tsv": "{library}({path!r}, {separator}='\\t', encoding={encoding!r}, {texts})",
    ".jsonl": "[__import__('json').loads(line) for line in " + _READ + ".split('\\n') if line.strip()]",
    ".ndjson": "[__import__('json').loads(line) for line in " + _READ + ".split('\\n') if line.strip()]",
    ".json": "pandas.read_json({path!r}, dtype=False, encoding={encoding!r})",
    ".parquet": "pandas.read_parquet({path!r})",
}
_EACH = "[path.read_text('utf-8') for path in sorted(__import__('pathlib').Path({folder!r}).glob({pattern!r}))]"
_TOGETHER = (
    "pandas.concat([pandas.read_csv(path, {separator}dtype=str, keep_default_na=False, na_values=[''])"
    " for path in sorted(__import__('pathlib').Path({folder!r}).glob({pattern!r}))], ignore_index=True)"
)


def is_file_name(name: str) -> bool:
    """Whether a word on a line is meant to be a file."""
    if any(mark in name for mark in "()[]"):
        return False
    return _kind(Path(name)) in _OTHERS or name.endswith("/")


def read_file(path: str | Path) -> Any:
    """
    Read a file: as a frame of pandas, else of polars; without both, CSV and JSONL as a list of dicts.

    A column of a CSV file has numbers only where each reads back as it is written.

    Raises:
        OptionError: The file is missing, of another kind, or unreadable. The error has the line that reads it.
    """
    file = Path(path).expanduser()
    kind = _kind(file)
    if file.is_dir() or "*" in file.name:
        raise OptionError("map.file_other", path=str(path), line=_each(file))
    if kind not in KINDS:
        if kind in _OTHERS and file.is_file():
            raise OptionError("map.file_other", path=str(path), line=_line(file))
        if kind in _OTHERS:
            raise OptionError("map.no_file", path=str(path), suggestions=_near(file))
        raise OptionError("map.file_kind", path=str(path), allowed=[*KINDS, ".csv.gz"])
    if not file.is_file():
        raise OptionError("map.no_file", path=str(path), suggestions=_near(file))
    try:
        return _read_parquet(file) if kind == ".parquet" else _READERS[kind](_text(file), file)
    except UnicodeDecodeError:
        encoding = encoding_of(_bytes(file))
        line = _line(file, encoding)
        raise OptionError("map.encoding", path=str(path), encoding=encoding, line=line) from None
    except OptionError:
        raise
    except Exception as error:  # each library has its own errors for a malformed file
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise OptionError("map.unreadable", path=str(path), reason=why, line=_line(file)) from error


def _kind(file: Path) -> str:
    name = file.name.lower().removesuffix(_PACKED)
    return Path(name).suffix


def _near(file: Path) -> object:
    folder = file.parent
    names = [other.name for other in folder.iterdir() if _kind(other) in _OTHERS] if folder.is_dir() else []
    close = suggest(file.name, names)
    return did_you_mean(close)


def _each(file: Path) -> str:
    """The expression that reads the files of a folder, or of a pattern: tables as one, others each as a text."""
    if "*" in file.name:
        folder, pattern, suffix = file.parent, file.name, file.suffix.lower()
    else:
        suffixes = [other.suffix.lower() for other in file.iterdir()]
        suffix = next((known for known in _DELIMITED if known in suffixes), ".txt")
        folder, pattern = file, f"*{suffix}"
    separator = "sep='\\t', " if suffix == ".tsv" else ""
    found = _TOGETHER if suffix in _DELIMITED else _EACH
    return found.format(folder=str(folder), pattern=pattern, separator=separator)


def _line(file: Path, encoding: str = "utf-8") -> str:
    """The expression that reads a file."""
    polars = not _there("pandas") and _there("polars")
    return _OTHERS[_kind(file)].format(
        path=str(file),
        encoding=encoding,
        library="polars.read_csv" if polars else "pandas.read_csv",
        separator="separator" if polars else "sep",
        texts="infer_schema=False" if polars else "dtype=str, keep_default_na=False, na_values=['']",
    )


def _there(name: str) -> bool:
    """Whether a library can be imported."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _bytes(file: Path) -> bytes:
    data = file.read_bytes()
    if file.suffix.lower() != _PACKED:
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def _text(file: Path) -> str:
    return _bytes(file).decode("utf-8-sig")


def _library() -> Any:
    for name in ("pandas", "polars"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _read_csv(text: str, file: Path) -> Any:
    columns, library = read_delimited(text, file), _library()
    if library is None:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return frame_of(library, {name: values_of(cells) for name, cells in columns.items()})


def _read_lines(text: str, file: Path) -> Any:
    """One JSON value a line; read here, as the libraries take texts for dates and numbers."""
    rows: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(read_json(line))
        except ValueError as error:
            raise OptionError("map.json_line", path=str(file), number=number, reason=str(error)) from None
    return _framed(rows)


def _read_json(text: str, file: Path) -> Any:
    """A list of JSON values, or an object of columns."""
    found = read_json(text)
    if isinstance(found, list):
        return _framed(found)
    lists = isinstance(found, dict) and found and all(isinstance(values, list) for values in found.values())
    if lists and len({len(values) for values in found.values()}) == 1:
        return _framed([dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)])
    raise OptionError("map.json_kind", path=str(file), line=_line(file))


def _framed(rows: list[Any]) -> Any:
    library = _library()
    if library is None or not rows or not all(isinstance(row, dict) for row in rows):
        return rows
    names = dict.fromkeys(name for row in rows for name in row)
    return frame_of(library, {name: [row.get(name) for row in rows] for name in names})


def _read_parquet(file: Path) -> Any:
    for name in ("pandas", "polars"):
        try:
            return import_module(name).read_parquet(file)
        except ImportError:  # the library, or what it reads such files with
            continue
    raise OptionError("map.extra", package="polars", extra="data")


_READERS: Mapping[str, Callable[[str, Path], Any]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
    ".json": _read_json,
}
