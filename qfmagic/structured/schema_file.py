"""JSON Schemas in files: ``schema=review.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import OptionError
from ..core.safe_json import read_json


def is_path(written: str, namespace: Mapping[str, Any]) -> bool:
    """Whether a text is the path of a JSON file, and not a name with a dot in it."""
    named = written.partition(".")[0] in namespace
    return written.lower().endswith(".json") and "\n" not in written and not written.startswith("{") and not named


def read_schema(path: str | Path) -> dict[str, Any]:
    """
    Read a JSON Schema.

    Raises:
        OptionError: The file can't be read, or holds no JSON object.
    """
    shown = str(path).strip()
    try:
        schema = read_json(Path(shown).expanduser().read_bytes())
    except OSError as error:
        raise OptionError("schema.file", path=shown, reason=error.strerror or type(error).__name__) from None
    except ValueError as error:
        raise OptionError("schema.file", path=shown, reason=f"not JSON ({error})") from None
    if not isinstance(schema, dict):
        raise OptionError("schema.file", path=shown, reason=f"a JSON {type(schema).__name__}, not an object")
    return schema
