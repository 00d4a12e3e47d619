"""Warnings of the Python API, shown at the line outside this package that led to them."""

import sys
import warnings

from ..core.i18n import Text

_PACKAGE = __name__.partition(".")[0]


def warn_caller(said: Text, category: type[Warning] = UserWarning) -> None:
    """Warn at the caller's own line, however many functions of this package are between them."""
    warnings.warn(said.describe("en"), category, stacklevel=_callers_level())


def _callers_level() -> int:
    """The level of the first frame outside this package, counted from the function that warns."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 - warnings' own skip_file_prefixes is new in Python 3.12
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
