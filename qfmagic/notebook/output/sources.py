"""The pages an answer names as its sources, as a list below it. What it holds is data, as model text is."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ...core.answer import Answer
from .safe_markdown import safe_markdown
from .tables import Rendered

MOST = 100  # sources shown
_LONGEST = 2000  # characters of an address
_KEPT = "!$'*+,-./:;=?@_~%#&"  # signs of an address that stay as they are; brackets would end a link


def source_list(answer: Answer) -> Rendered:
    """The sources in both forms, empty where there are none or the answer may not be shown."""
    lines = source_lines(answer)
    marked = [_marked(line, source) for line, source in zip(lines, answer.sources, strict=False)]
    return Rendered("\n".join(f"- {line}" for line in marked), "\n".join(lines))


def source_lines(answer: Answer) -> list[str]:
    """A line for each source: its number, its title and its address."""
    return [] if answer.withheld else [_line(source) for source in answer.sources[:MOST]]


def _line(source: Mapping[str, Any]) -> str:
    title = " ".join(str(source.get("title") or "").split())
    return f"{_number(source)}{title} {_address(source)}".strip() if title else f"{_number(source)}{_address(source)}"


def _number(source: Mapping[str, Any]) -> str:
    index = source.get("index")
    return f"[{index}] " if isinstance(index, int) else ""


def _address(source: Mapping[str, Any]) -> str:
    return " ".join(str(source["url"]).split())[:_LONGEST]


def _marked(line: str, source: Mapping[str, Any]) -> str:
    """The line as Markdown; only an address of a web page becomes a link."""
    address, shown = _address(source), Rendered.of(line).markdown
    if not _is_web(address):
        return shown
    before = Rendered.of(line.removesuffix(address)).markdown
    link = f"<{quote(address, safe=_KEPT)}>"
    return f"{before} {safe_markdown(link).strip()}".strip()


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
