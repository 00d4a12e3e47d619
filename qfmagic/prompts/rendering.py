"""What ``{{ expression }}`` puts into a prompt: values as text a language model can read, capped, and saying so."""

import json
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import islice
from math import prod
from typing import Any, Final

TEXT_CAP: Final = 20_000  # characters of any value
ROWS_CAP: Final = 20  # rows of a table, values of a series
COLUMNS_CAP: Final = 20  # columns of a table
SCHEMA_CAP: Final = 100  # columns described
CELL_CAP: Final = 80  # characters of a cell
VALUE_CAP: Final = TEXT_CAP // ROWS_CAP  # characters of a series' value: texts to read are often kept in one
ENTRIES_CAP: Final = 20  # entries of a container
NESTED_CAP: Final = 1_000  # entries of a container and all in it
DEPTH_CAP: Final = 6  # containers in containers
SHORT: Final = 100  # characters a container on one line may have
ITEMS_CAP: Final = 200  # bytes, numbers of an array
DECIMALS: Final = 6

# Where the classes come from that narwhals can wrap; nothing else is a reason to import it. pandas has its own rows
# below, as narwhals takes neither duplicate column names nor an index.
_BACKENDS: Final = frozenset(
    ("polars", "pyarrow", "modin", "cudf", "dask", "duckdb", "_duckdb", "ibis", "pyspark", "sqlframe", "narwhals")
)
_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]{6,}\b")
# A repr with one of these is not the whole value, not the same tomorrow, or not one line.
_DOUBTFUL: Final = re.compile(rf"{_ADDRESS.pattern}|\.\.\.|…|\n")
_DATA: Final = re.compile(r"(DataFrame|LazyFrame|Series|ndarray)\b.*:.*\n")  # begins what is shown in several lines
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)


def show(value: object) -> str:
    """
    Turn a value into text for a language model.

    The same value gives the same text: no addresses, and sets are sorted. Whatever is left out is counted in the text.

    Args:
        value: Anything; a class whose ``__str__`` fails is shown as ``<ClassName>``.

    Returns:
        At most ``TEXT_CAP`` characters of the value, and a line that says how many are missing.
    """
    return _cut(_said(value, str))


def whole_json(value: object) -> str:
    """JSON of a container of which everything is wanted."""
    return _json(value, [sys.maxsize], most=sys.maxsize, deepest=sys.maxsize)


def _said(value: object, speak: Callable[[object], str]) -> str:
    """The value by the row of its kind, else as *speak* says it, else its class."""
    for rule in (_by_kind, _other):
        with suppress(Exception):
            return str.__str__(rule(value, speak))
    return f"<{type(value).__name__}>"


def _by_kind(value: object, speak: Callable[[object], str]) -> str:
    for module, names, rendered in _KINDS:
        if any(_is(value, module, name) for name in names.split()):
            return rendered(value)
    if any(base.__module__.partition(".")[0] in _BACKENDS for base in type(value).__mro__):
        return _wrapped(value)
    return _other(value, speak)


def _is(value: object, module: str, name: str) -> bool:
    """Whether the value is of that class; a module nobody has imported has no values."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _other(value: object, speak: Callable[[object], str] = str) -> str:
    kind = type(value)
    if (kind.__repr__, kind.__str__) == (object.__repr__, object.__str__):
        return f"<{kind.__name__}>"
    return _ADDRESS.sub("", str(value) if kind.__repr__ is object.__repr__ else speak(value))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else f'{noun}s'.replace('ys', 'ies')}"


def _gap(number: int, noun: str) -> str:
    return f"[... {_count(number, noun)} left out ...]"


def _cut(text: str) -> str:
    """The text, without its middle if it is too long."""
    half = TEXT_CAP // 2
    over = len(text) - 2 * half
    return text if over <= 0 else f"{text[:half]}\n{_gap(over, 'character')}\n{text[-half:]}"


def _picked(total: int, cap: int) -> list[int]:
    """The positions that are shown: all, or as many from both ends."""
    return list(range(total)) if total <= cap else [*range(cap // 2), *range(total - cap // 2, total)]


def _gapped(shown: list[Any], total: int, gap: Any) -> list[Any]:
    """What is shown of both ends, with the gap between them if there is one."""
    half = len(shown) // 2
    return shown if len(shown) == total else [*shown[:half], gap, *shown[half:]]


def _bytes(value: bytes | bytearray) -> str:
    left = len(value) - ITEMS_CAP
    more = f" {_gap(left, 'byte')}" if left > 0 else ""
    return f"{type(value).__name__}, {len(value):,}: {bytes(value[:ITEMS_CAP])!r}{more}"


def _exception(error: BaseException) -> str:
    return _ADDRESS.sub("", "".join(traceback.format_exception(error)).rstrip("\n"))


def _container(value: Any) -> str:
    with suppress(Exception):
        bare = type(value) is set and bool(value)
        if _plain(tuple(value) if bare else value, [SHORT]):
            text = f"{{{', '.join(sorted(map(repr, value)))}}}" if bare else repr(value)
            if len(text) <= SHORT and not _DOUBTFUL.search(text):
                return text
    return _json(value, [NESTED_CAP])


def _plain(value: Any, room: list[int]) -> bool:
    """Whether the repr costs little and is always the same: few entries, and no set of several."""
    room[0] -= 1
    if not isinstance(value, _CONTAINERS) or room[0] < 0:
        return room[0] >= 0
    if len(value) > (1 if isinstance(value, set | frozenset) else SHORT):
        return False
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    return all(_plain(entry, room) for entry in inside)


def _json(
    value: Any, room: list[int], path: tuple[int, ...] = (), most: int = ENTRIES_CAP, deepest: int = DEPTH_CAP
) -> str:
    """
    JSON, with lines in it for what is left out.

    *room* entries may still come, *most* of them in each; *path* are the containers around.
    """
    if not isinstance(value, _CONTAINERS):
        return _leaf(value)
    if id(value) in path:
        return "[... itself ...]"
    total, inner = len(value), (*path, id(value))
    shown = min(total, most, room[0]) if len(path) < deepest else 0
    room[0] -= shown
    if isinstance(value, dict):
        named = [
            (json.dumps(_said(key, repr), ensure_ascii=False), entry) for key, entry in islice(value.items(), shown)
        ]
        lines = [f"{name}: {_json(entry, room, inner, most, deepest)}" for name, entry in named]
    else:
        ordered = sorted(value, key=lambda entry: _said(entry, repr)) if isinstance(value, set | frozenset) else value
        lines = [_json(entry, room, inner, most, deepest) for entry in islice(ordered, shown)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    short = f"{opening}{', '.join(lines)}{closing}"
    if shown == total and len(short) <= SHORT and "\n" not in short:
        return short
    left = [_gap(total - shown, "entry")] if shown < total else []
    inside = "\n".join((*filter(None, [",\n".join(lines)]), *left))
    # textwrap.indent would also break lines within a text, at its U+2028 or U+0085.
    return "\n".join((opening, re.sub("(?m)^(?=.)", "  ", inside), closing))


def _leaf(value: Any) -> str:
    """A value in a container: JSON, lines for data, else its repr in quotes."""
    with suppress(Exception):
        value = value.item() if _is(value, "numpy", "generic") else value
        if value is None or isinstance(value, str | int | float):
            return json.dumps(value, ensure_ascii=False)
    text = _said(value, repr)
    return text if _DATA.match(text) else json.dumps(text, ensure_ascii=False)


def _array(value: Any) -> str:
    edge = {1: 10, 2: 5}.get(value.ndim, 2)
    how = {"threshold": ITEMS_CAP, "edgeitems": edge, "max_line_width": 120, "separator": ", ", "floatmode": "maxprec"}
    written, exact = (
        _ADDRESS.sub("", sys.modules["numpy"].array2string(value, precision=digits, **how)) for digits in (DECIMALS, 17)
    )
    rounded = "" if written == exact else f", rounded to {DECIMALS} decimals"
    shown = prod(min(length, 2 * edge) for length in value.shape) if value.size > ITEMS_CAP else value.size
    left = f"\n{_gap(value.size - shown, 'value')}" if shown < value.size else ""
    return f"{type(value).__name__}: shape {value.shape}, dtype {value.dtype}{rounded}\n{written}{left}"


def _pandas_series(series: Any) -> str:
    shown = series.iloc[_picked(len(series), ROWS_CAP)]
    labels = _labels(series.index, shown.index)[1:]
    return _series(series.name, _dtype(series), len(series), _values(shown, _dtype(series)), labels)


def _dtype(column: Any) -> object:
    """The type of a pandas column. Texts are ``str``, as pandas 3 has it, also where an older version says object."""
    if column.dtype != object:
        return column.dtype
    texts = sys.modules["pandas"].api.types.infer_dtype(column, skipna=True) == "string"
    return "str" if texts else column.dtype


def _values(column: Any, dtype: object) -> list[Any]:
    """The values of a column; a missing text is NaN, as pandas 3 has it."""
    values = list(column)
    return [value if isinstance(value, str) else float("nan") for value in values] if str(dtype) == "str" else values


def _pandas_frame(frame: Any) -> str:
    rows, columns = frame.shape
    schema = [
        _described(_label(frame.columns[at]), _dtype(frame.iloc[:, at]), frame.iloc[:, at].isna().sum())
        for at in _picked(columns, SCHEMA_CAP)
    ]
    picked = _picked(columns, COLUMNS_CAP)
    shown = frame.iloc[_picked(rows, ROWS_CAP), picked]
    values = [_values(shown.iloc[:, at], _dtype(frame.iloc[:, number])) for at, number in enumerate(picked)]
    body = list(zip(*values, strict=True)) or [()] * len(shown)
    return _frame(frame.shape, schema, list(map(_label, shown.columns)), body, _labels(frame.index, shown.index))


def _labels(index: Any, shown: Any) -> list[str]:
    """The name of a pandas index and the labels of the shown rows; nothing if it only counts the rows."""
    if _is(index, "pandas", "RangeIndex") and (index.start, index.step, index.name) == (0, 1, None):
        return []
    name = index.names if index.nlevels > 1 else index.name
    return ["index" if name is None else _label(name), *map(_label, shown)]


def _wrapped(value: Any) -> str:
    """A frame or series of another library, through narwhals."""
    nw = import_module("narwhals.stable.v2")
    data = nw.from_native(nw.to_native(value, pass_through=True), allow_series=True)
    if isinstance(data, nw.Series):
        return _series(data.name, data.dtype, len(data), _ends(data).to_list())
    schema, lazy = data.collect_schema(), isinstance(data, nw.LazyFrame)
    names = list(schema)
    described = [names[at] for at in _picked(len(names), SCHEMA_CAP)]
    lines = [_described(name, schema[name], None if lazy else data[name].null_count()) for name in described]
    if lazy:
        lines = _gapped(lines, len(names), _gap(len(names) - len(lines), "column"))
        return "\n".join((f"LazyFrame: {_count(len(names), 'column')}, not collected", "", *lines))
    kept = [names[at] for at in _picked(len(names), COLUMNS_CAP)]
    return _frame(data.shape, lines, kept, _ends(data.select(kept)).rows())


def _ends(data: Any) -> Any:
    return data[_picked(len(data), ROWS_CAP)] if len(data) > ROWS_CAP else data


def _series(name: object, dtype: object, total: int, values: list[Any], labels: Sequence[str] = ()) -> str:
    lines = [_line(value, VALUE_CAP) for value in values]
    if labels:
        lines = [f"{label}: {line}" for label, line in zip(labels, lines, strict=True)]
    named = "" if name is None or name == "" else f" {_label(name)}"
    title = f"Series{named}: {_line(dtype)}, {_count(total, 'value')}"
    return "\n".join((title, *_gapped(lines, total, _gap(total - len(lines), "value"))))


def _frame(
    shape: tuple[int, int], schema: list[str], names: list[str], body: list[Any], index: Sequence[str] = ()
) -> str:
    """The parts of a frame that are shown; the index, if it is worth showing, begins with its name."""
    rows, columns = shape
    cells = [_gapped([_line(cell) for cell in row], columns, "...") for row in body]
    table = [_gapped([*map(_line, names)], columns, _gap(columns - len(names), "column")), *cells]
    if index:
        table = [[label, *row] for label, row in zip(index, table, strict=True)]
    width = len(table[0])
    gap = [_gap(rows - len(body), "row"), *[""] * (width - 1)]
    table = [table[0], ["---"] * width, *_gapped(table[1:], rows, gap)] if width else []
    parts = (
        f"DataFrame: {_count(rows, 'row')} × {_count(columns, 'column')}",
        "\n".join(_gapped(schema, columns, _gap(columns - len(schema), "column"))),
        "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in table),
    )
    return "\n\n".join(part for part in parts if part)


def _described(name: str, dtype: object, missing: int | None = None) -> str:
    return f"- {_line(name)}: {_line(dtype)}" + ("" if missing is None else f", {missing:,} missing")


def _label(name: object) -> str:
    """The name of a column or row; one of several levels in parentheses."""
    if isinstance(name, Sequence) and not isinstance(name, str | bytes):
        return f"({', '.join(map(_line, name))})"
    return _line(name)


def _line(value: object, cap: int = CELL_CAP) -> str:
    """The value on one line, capped."""
    text = f"<{type(value).__name__}>"
    with suppress(Exception):
        value = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        text = str.__str__(value if isinstance(value, str) else _other(value))
    if len(text) > cap:
        keep = cap - 24
        text = f"{text[:keep]} [... {len(text) - keep:,} more]"
    return text.replace("\r", r"\r").replace("\n", r"\n")


# The first row that fits counts: numpy's numbers stand before Python's, as some are both.
_KINDS: Final[tuple[tuple[str, str, Callable[[Any], str]], ...]] = (
    ("builtins", "str", str.__str__),
    ("builtins", "bytes bytearray", _bytes),
    ("numpy", "generic", _other),
    ("numpy", "ndarray", _array),
    ("builtins", "int float complex", repr),
    ("builtins", "dict list tuple set frozenset", _container),
    ("builtins", "BaseException", _exception),
    ("pandas", "DataFrame", _pandas_frame),
    ("pandas", "Series", _pandas_series),
    ("qfmagic.core.answer", "Answer", lambda answer: answer.text),
)
