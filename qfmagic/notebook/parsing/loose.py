"""Options typed with a Chinese keyboard, and options in the forms of other tools."""

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from ...core.errors import OptionError
from ...core.keys.names import key_variable
from ...core.models import registry
from .key_guard import check_no_key
from .option_table import OptionRow
from .scanner import _KEY, Ends, _skip_blanks

_NAME = r"[^\W\d][\w.-]*"
_FULL_KEY = re.compile(rf"({_NAME})(?:=|＝)")
_FULL_SEPARATORS = "，；、"
_SEPARATORS = f"{_FULL_SEPARATORS},;"
_FLAG = re.compile(_NAME)
# name = value, name: value, --name value, -n value, (name=value)
_MEANT = re.compile(
    rf"(?P<marks>[(\[（【「“”‘’\"']*)(?P<dashes>[-‐-―－]{{0,2}})(?P<name>{_NAME})[”“’‘」\"']*(?P<blank>\s*)(?P<sign>[=＝:：]?)(?P<rest>\s*\S*)"
)
_SHORT = {"m": "model", "t": "temperature", "s": "system", "f": "format"}
_VALUES = ("model", "models", "endpoint")  # names that no full-width character is part of
_MODEL = re.compile(r"[\w.,/:@+ -]*", re.ASCII)
_FREE = ("expect", "over", "schema")  # texts that are kept as they are written
_KEY_LENGTH = 16  # characters from which on a value behind a colon may be a key

Rows = Mapping[str, OptionRow]


class OptionStart(NamedTuple):
    """Where an option's value starts, and the option's name."""

    name: str
    end: int


def option_at(line: str, position: int, rows: Rows) -> OptionStart | None:
    """The option that starts there, also with a full-width ＝ or full-width letters if there is one of that name."""
    key = _KEY.match(line, position)
    if key:
        return OptionStart(key[1], key.end())
    full = _FULL_KEY.match(line, position)
    name = halfwidth(full[1]) if full else ""
    return OptionStart(name, full.end()) if full and (name in rows or key_variable(name)) else None


def flag_at(line: str, position: int, rows: Rows) -> OptionStart | None:
    """The flag that starts there."""
    word = _FLAG.match(line, position)
    name = halfwidth(word[0]) if word else ""
    if word is None or name not in rows or rows[name].kind != "flag":
        return None
    end = word.end()
    alone = end == len(line) or line[end].isspace() or separators_at(line, end, rows) > end
    return OptionStart(name, end) if alone else None


def separators_at(line: str, position: int, rows: Rows, signs: str = _SEPARATORS) -> int:
    """Where the option behind separators starts; *position* itself if none does."""
    end = position
    while end < len(line) and line[end] in signs:
        end = _skip_blanks(line, end + 1)
    if end == position:
        return position
    option = option_at(line, end, rows)
    return end if (option and option.name in rows) or flag_at(line, end, rows) else position


def ends_of(name: str, rows: Rows) -> Ends:
    """Where the value of an option ends before the next blank: at a separator with another option behind it."""
    signs = _SEPARATORS if name in rows and _narrow(rows[name]) else _FULL_SEPARATORS

    def ends(line: str, position: int) -> bool:
        return line[position] in signs and separators_at(line, position, rows, signs) > position

    return ends


def typed(value: str, row: OptionRow, before: str) -> str:
    """
    A value as it is meant: without full-width characters, if it is a number, a name or a choice.

    Args:
        value: The value.
        row: Its option.
        before: The line up to the value's end. A separator there ends the option; one in quotation marks doesn't.
    """
    if row.group == "parameter" and not _narrow(row):
        return value
    if row.name in _FREE or "{{" in value:
        return value
    value = value.rstrip(_FULL_SEPARATORS) if before.endswith(tuple(_FULL_SEPARATORS)) else value
    if row.name in _VALUES and before.endswith(("'", '"')):
        return value  # a gateway's own name, whatever its script
    value = halfwidth(value) if _narrow(row) else value
    if row.name in _VALUES and not _MODEL.fullmatch(value) and registry().find(value) is None:
        check_no_key(value)
        raise OptionError("option.value", name=row.name, value=value, allowed="a-z A-Z 0-9 . _ - / : @ +, 'NAME'")
    return value


def halfwidth(text: str) -> str:
    """The text with full-width letters, digits and punctuation as ASCII."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).replace("、", ",")


def model_named(word: str) -> str:
    """The model that a word names, for an example of an option."""
    return word if registry().find(halfwidth(word)) else "NAME"


def check_form(line: str, position: int, rows: Rows) -> None:
    """
    Check that the text that starts there is not an option in another form: it would be sent as a prompt.

    Raises:
        OptionError: It is. The error shows the right form, and doesn't repeat the value.
    """
    meant = _MEANT.match(line, position)
    if meant is None:
        return
    name = halfwidth(meant["name"]).replace("-", "_")
    name = _SHORT.get(name, name) if meant["dashes"] else name
    if not (meant["dashes"] or _signed(meant, secret=name not in rows)):
        return
    if name in rows:
        right = name if rows[name].kind == "flag" else f"{name}=..."
        raise OptionError("option.form", right=right)
    variable = key_variable(name)
    if variable is not None:
        raise OptionError("option.secret", name=name, variable=variable)


def _signed(meant: re.Match[str], *, secret: bool) -> bool:
    """Whether a name is followed by a sign as an option's is."""
    sign, rest = meant["sign"], meant["rest"]
    if sign in ("=", "＝"):
        return True
    if secret and sign:
        return len(rest.strip()) >= _KEY_LENGTH and rest.isascii()
    return sign == "：" or (sign == ":" and rest[:1].strip() != "")


def _narrow(row: OptionRow) -> bool:
    return row.kind in ("float", "int", "bool") or bool(row.choices) or row.name in _VALUES
