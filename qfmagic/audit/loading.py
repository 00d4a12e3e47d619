"""Reading what an audit looks at: a notebook, its cassette, the keys that are in use."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from ..client.settings import Settings, dotenv_path, read_dotenv
from ..core.errors import CassetteError, OptionError, QianfanError
from ..core.safe_json import read_json
from ..transport.cassette.file import Cassette, beside, parse, written_lines
from .notebook import joined

# A mode with a cassette, and its path.
_TAPED = re.compile(
    r"""^[ \t]*%qf[ \t]+transport[ \t]+(?:record|replay|auto)[ \t]+("[^"\n]+"|'[^'\n]+'|\S+)""", re.MULTILINE
)


class NotebookError(QianfanError):
    """A file that can't be read as a notebook."""


class LoadedNotebook(NamedTuple):
    """
    A notebook and what belongs to it.

    Attributes:
        path: Its file.
        notebook: What stands in it.
        cassette_path: Its cassette's file; None where there is none.
        cassette: What that holds, or why it can't be read.
        recorded: Its lines as JSON by their numbers, blank ones left out; a line that is none as it stands.
    """

    path: Path
    notebook: Mapping[str, Any]
    cassette_path: Path | None
    cassette: Cassette | CassetteError | None
    recorded: Mapping[int, Any]


def load(path: Path, cassette: Path | None = None) -> LoadedNotebook:
    """
    Read a notebook and its cassette: the one that is given, else the file beside it, else the one its cells name.

    Raises:
        NotebookError: The notebook can't be read.
    """
    notebook = _notebook(path)
    found = cassette or _cassette_of(path, notebook)
    if found is None:
        return LoadedNotebook(path, notebook, None, None, {})
    try:
        data = found.read_bytes()
    except FileNotFoundError:
        return LoadedNotebook(path, notebook, found, CassetteError("cassette.missing", path=found), {})
    except OSError as error:
        reason = error.strerror or str(error)
        return LoadedNotebook(
            path, notebook, found, CassetteError("cassette.unreadable", path=found, reason=reason), {}
        )
    recorded = {number: _json(line) for number, line in written_lines(data.decode("utf-8", "replace"))}
    try:
        return LoadedNotebook(path, notebook, found, parse(data, found), recorded)
    except CassetteError as error:
        return LoadedNotebook(path, notebook, found, error, recorded)


def _cassette_of(path: Path, notebook: Mapping[str, Any]) -> Path | None:
    """The file beside a notebook, else the last one named in it by ``%qf transport``; as seen from its folder."""
    if beside(path).exists():
        return beside(path)
    cells = [cell for cell in notebook["cells"] if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    named = [name for cell in cells for name in _TAPED.findall(joined(cell.get("source")))]
    there = [path.parent / Path(name.strip("'\"")).expanduser() for name in named]
    return next((file for file in reversed(there) if file.is_file()), None)


def keys_in_use(environ: Mapping[str, str], folders: Iterable[Path]) -> dict[str, str]:
    """
    The keys of the environment and of the ``.env`` files of these folders, and the variable each is set by.

    A file that can't be read has none to tell: an audit is of the notebook.
    """
    found: dict[str, str] = {}
    layers: list[Mapping[str, str | None]] = []
    for folder in folders:
        with suppress(OptionError):
            layers.append(read_dotenv(dotenv_path(environ, folder)))
    for layer in (*layers, environ):
        for item in fields(Settings):
            value = (layer.get(item.metadata.get("env", "")) or "").strip()
            if value and item.metadata.get("secret"):
                given: dict[str, Any] = {item.name: value}
                found |= dict.fromkeys(Settings(**given).secrets, item.metadata["env"])
    return found


def _notebook(path: Path) -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotebookError("audit.file.missing", path=path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotebookError("audit.file.unreadable", path=path, reason=reason) from None
    try:
        notebook = read_json(data, bounded=False, object_pairs_hook=_object)
    except ValueError as error:
        raise NotebookError("audit.file.json", path=path, reason=error) from None
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise NotebookError("audit.file.other", path=path)
    if version != 4:
        raise NotebookError("audit.file.version", path=path, version=version)
    if not isinstance(notebook.get("cells"), list):
        raise NotebookError("audit.file.other", path=path)
    return notebook  # type: ignore[no-any-return]  # a dict of whatever stands there


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of a name that comes twice the last value counts; the others are kept, they may hold keys."""
    made = dict(pairs)
    if len(made) != len(pairs):
        for number, (name, value) in enumerate(pairs):
            made.setdefault(f"({number})", {name: value})
    return made


def _json(line: str) -> Any:
    try:
        return read_json(line)
    except ValueError:
        return line
