"""What is said of a request that a cassette lacks: the nearest one it has, and what differs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ...core.errors import CassetteError
from ...core.i18n import Text
from ...core.messages import text_of
from ...core.wire import ChatRequest
from .file import shown
from .recording import Recorded

SHOWN = 3  # differences told
AROUND = 16  # characters of a text shown on each side of what differs
LONGEST = 60  # characters of what differs
COMPARED = 2000  # characters of a text compared closely
CANDIDATES = 8  # exchanges compared closely; a cassette may hold a thousand


def miss(path: Path, request: ChatRequest, n: int, exchanges: Iterable[Recorded]) -> CassetteError:
    """
    Make the error for a request that isn't there.

    Args:
        path: The cassette.
        request: What was asked.
        n: How often the very same was asked before, from elsewhere.
        exchanges: What there is.
    """
    known = list(exchanges)
    times = sum(one.hash == request.hash for one in known)
    if times:
        return CassetteError("cassette.spent", path=shown(path), times=times, asked=n + 1)
    if not known:
        return CassetteError("cassette.empty", path=shown(path))
    if len(known) > CANDIDATES:
        known = sorted(known, key=lambda one: _likeness(one, request, closely=False), reverse=True)[:CANDIDATES]
    nearest = max(known, key=lambda one: _likeness(one, request, closely=True))
    found = differences(nearest, request)
    more = Text("cassette.more", {"count": len(found) - SHOWN}) if len(found) > SHOWN else None
    told = _Listed([*found[:SHOWN], *([more] if more else [])])
    return CassetteError("cassette.miss", path=shown(path), hash=nearest.hash, differences=told)


class _Listed(list[Text]):
    """Differences in one sentence; a semicolon apart, because they hold commas."""

    def describe(self, lang: str) -> str:
        """Say them."""
        return ("；" if lang == "zh" else "; ").join(one.describe(lang) for one in self)


def differences(recorded: Recorded, request: ChatRequest) -> list[Text]:
    """What differs between a recorded request and one that is asked, the most telling first."""
    found: list[Text] = []
    for name, was, now in (
        ("model", recorded.model, request.model),
        ("api", recorded.wire, request.wire),
        ("endpoint", recorded.endpoint, request.endpoint),
    ):
        if was != now and not (name == "endpoint" and found):
            found.append(_changed(name, was, now))
    old, new = _parameters(recorded.body), _parameters(request.body)
    found += [
        _changed(name, old.get(name), new.get(name)) for name in sorted(old | new) if old.get(name) != new.get(name)
    ]
    return found + _messages(_texts(recorded.body), _texts(request.body))


def _changed(name: str, was: object, now: object) -> Text:
    none = Text("cassette.unset")
    return Text(
        "cassette.changed", {"name": name, "was": none if was is None else was, "now": none if now is None else now}
    )


def _messages(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[Text]:
    found = [
        Text("cassette.message", {"number": number, "role": now[0], "difference": short_difference(was[1], now[1])})
        for number, (was, now) in enumerate(zip(old, new, strict=False), 1)
        if was != now
    ]
    if len(old) != len(new):
        found.append(Text("cassette.messages", {"was": len(old), "now": len(new)}))
    return found


def short_difference(was: str, now: str) -> str:
    """The first place where two texts differ, with some of what stands around: ``the [-old-]{+new+} word``."""
    start = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    same = 0
    while same < min(len(was), len(now)) - start and was[-1 - same] == now[-1 - same]:
        same += 1
    before = was[max(0, start - AROUND) : start]
    after = was[len(was) - same :][:AROUND]
    old, new = was[start : len(was) - same], now[start : len(now) - same]
    shown = f"{'…' if start > AROUND else ''}{before}"
    shown += (f"[-{_cut(old)}-]" if old else "") + (f"{{+{_cut(new)}+}}" if new else "")
    return " ".join(f"{shown}{after}{'…' if same > AROUND else ''}".split())


def _cut(content: str) -> str:
    return content if len(content) <= LONGEST else f"{content[:LONGEST]}…"


def _likeness(recorded: Recorded, request: ChatRequest, *, closely: bool) -> tuple[float, ...]:
    """How near a recorded request is; texts are compared only as far as the beginnings don't decide."""
    old, new = _texts(recorded.body), _texts(request.body)
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    last = _ratio(old[-1][1] if old else "", new[-1][1] if new else "", closely=closely)
    parameters = _parameters(recorded.body) == _parameters(request.body)
    where = recorded.model == request.model and recorded.wire == request.wire
    return 2 * (same == len(old) == len(new)) + last, same / max(len(new), 1), where, parameters


def _ratio(was: str, now: str, *, closely: bool) -> float:
    """How alike two texts are; not *closely*, by the characters in them, whatever their order: 30 times as fast."""
    was, now = was[:COMPARED], now[:COMPARED]
    if not closely:
        same = (Counter(was) & Counter(now)).total()
        return 2 * same / max(len(was) + len(now), 1)
    matcher = SequenceMatcher(None, was, now, autojunk=False)
    return matcher.quick_ratio() and matcher.ratio()


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("messages", "model")}


def _texts(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    messages = body.get("messages")
    return [
        (str(one.get("role")), text_of(one.get("content")))
        for one in (messages if isinstance(messages, list) else ())
        if isinstance(one, Mapping)
    ]
