"""Which encoding a text that is not UTF-8 probably has: one that decodes all of it."""

import codecs
from itertools import pairwise

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OF_CHINESE = ("gb18030", "gb2312"), ("big5", "big5")  # an encoding, and the one of its common characters
_LIKELY = 0.9  # of the characters are common ones
_BYTE = 0x80


def encoding_of(data: bytes) -> str:
    """Name an encoding that decodes *data*, which is not UTF-8."""
    for mark, name in _MARKS:
        if data.startswith(mark) and _decodes(data, name):
            return name
    if data.count(0) > len(data) // 8:
        for name in ("utf-16-le", "utf-16-be") if data[1::2].count(0) > data[::2].count(0) else ("utf-16-be",):
            if _decodes(data, name):
                return name
    if not _alone(data):
        for name, common in _OF_CHINESE:
            if _decodes(data, name) and _share(data.decode(name), common) >= _LIKELY:
                return name
    return next(name for name in ("cp1252", "gb18030", "latin-1") if _decodes(data, name))


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _share(text: str, common: str) -> float:
    special = [character for character in text if not character.isascii()]
    known = sum(1 for character in special if character.encode(common, "ignore"))
    return known / len(special) if special else 0.0


def _alone(data: bytes) -> bool:
    """Whether most bytes beyond ASCII are surrounded by ASCII, as those of accented letters are."""
    high = [byte >= _BYTE for byte in (0, *data, 0)]
    total = sum(high)
    alone = sum(
        1 for before, (here, after) in zip(high, pairwise(high[1:]), strict=False) if here and not (before or after)
    )
    return bool(alone * 2 > total)
