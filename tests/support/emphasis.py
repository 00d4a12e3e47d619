"""Texts with emphasis beside East Asian signs or with tildes, and what stands in each block when they are shown."""

import json
import re
from pathlib import Path

CASES = json.loads((Path(__file__).parents[1] / "data" / "emphasis.json").read_text("utf-8"))
_BLOCKS = re.compile(r"</?(?:div|p|ul|ol|li|table|thead|tbody|tr|th|td)(?: [^>]*)?>")
_READ_AS = {"<span></span>": "", "<del>": "<s>", "</del>": "</s>", "&quot;": '"'}


def inner(html):
    """What stands in each block, with one name for strikethrough and without what only one renderer adds."""
    html = re.sub(r' (?:target|rel|class|style)="[^"]*"', "", html)
    for written, read in _READ_AS.items():
        html = html.replace(written, read)
    return "|".join(part.strip() for part in _BLOCKS.split(html) if part.strip())
