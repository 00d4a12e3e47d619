"""Where an answer found what it says: the pages of a web search, in any of the places a service names them."""

from collections.abc import Iterator, Mapping
from typing import Any

RESULTS = ("search_results", "citations", "annotations")  # where they are; the first is Qianfan's own


def sources_of(extra: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """
    The pages a response names, each with its ``url``, once, in their order.

    Args:
        extra: The fields of a response.
    """
    info = extra.get("search_info")
    places = [extra.get("search_results"), info.get("search_results") if isinstance(info, Mapping) else None]
    places += [extra.get(name) for name in RESULTS[1:]]
    found: dict[str, Mapping[str, Any]] = {}
    for listed in places:
        for source in _read(listed):
            found.setdefault(source["url"], source)
    return tuple(found.values())


def _read(listed: object) -> Iterator[Mapping[str, Any]]:
    for entry in listed if isinstance(listed, list) else ():
        one = {"url": entry} if isinstance(entry, str) else entry
        inner = one.get("url_citation") if isinstance(one, Mapping) else None
        one = inner if isinstance(inner, Mapping) else one
        if isinstance(one, Mapping) and isinstance(one.get("url"), str) and one["url"].strip():
            yield one
