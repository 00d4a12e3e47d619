"""How an answer is shown: while it comes, and what stays in the cell."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..core.answer import Answer, Delta
from ..core.catalogue import text
from .markdown import safe_markdown

Bundle = dict[str, str]

_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
# Everything a terminal could take for a command; a model's text is no command.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE_END = re.compile(r"\r\n?")
_FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class View(Protocol):
    """Where an answer appears. ``add`` gets what is new, ``finish`` the whole with what stays of it."""

    def add(self, delta: Delta) -> None:
        """Show more."""
        ...

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Leave the final form."""
        ...


class QuietView:
    """Shows nothing."""

    def add(self, delta: Delta) -> None:
        """Show nothing."""

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Show nothing."""


class StaticView:
    """Shows the final form, once: what headless runs record and nbval compares."""

    def __init__(self, publish: Callable[..., Any]) -> None:
        self._publish = publish

    def add(self, delta: Delta) -> None:
        """Wait for the end."""

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Show it."""
        self._publish(bundle, raw=True, metadata=dict(metadata))


class LiveView:
    """
    Updates one output while the answer comes.

    The page renders the whole text at each update (about 3 ms a kB in JupyterLab 4.6), so the updates grow rarer as
    the text grows longer: the page keeps up, and what is sent stays in proportion to the text.

    Args:
        publish: IPython's ``display``.
        now: Seconds of a clock that never jumps.
    """

    FASTEST = 0.1  # seconds between updates of a short text
    PER_CHAR = 50e-6  # more seconds per character

    def __init__(self, publish: Callable[..., Any], now: Callable[[], float] = time.monotonic) -> None:
        self._publish = publish
        self._now = now
        self._handle: Any = None
        self._pieces: list[str] = []
        self._length = 0
        self._next = 0.0

    def add(self, delta: Delta) -> None:
        """Show more, if the last update is long enough ago."""
        self._pieces.append(delta.text)
        self._length += len(delta.text)
        now = self._now()
        if now < self._next or not self._length:
            return
        self._next = now + max(self.FASTEST, self._length * self.PER_CHAR)
        shown = "".join(self._pieces)
        self._show({"text/markdown": safe_markdown(shown), "text/plain": shown}, {})

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        """Replace what was shown by the final form."""
        self._show(bundle, metadata)

    def _show(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:
        if self._handle is None:
            self._handle = self._publish(bundle, raw=True, metadata=dict(metadata), display_id=True)
        else:
            self._handle.update(bundle, raw=True, metadata=dict(metadata))


class TerminalView:
    """Prints the text as it arrives; at the end, what the reader must know."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._shown = ""

    def add(self, delta: Delta) -> None:
        """Print more."""
        shown = printable(delta.text)
        self._shown += shown
        self._write(shown)

    def finish(self, bundle: Bundle, metadata: Mapping[str, Any]) -> None:  # noqa: ARG002 - no place for it here
        """Print what was not printed yet."""
        plain = bundle["text/plain"]
        rest = plain.removeprefix(self._shown) if self._shown else plain
        if self._shown and not plain.startswith(self._shown):
            rest = f"\n{plain}"
        self._write(f"{rest}\n")


def printable(shown: str) -> str:
    """*shown* without the characters a terminal obeys, each made visible; tabs and line ends stay."""
    shown = _LINE_END.sub("\n", shown)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)


def notes(answer: Answer, lang: str, *, sent: int = 0, available: int = 0, unsent: Sequence[str] = ()) -> list[str]:
    """
    What the reader must know about an answer, in one phrase each.

    Args:
        answer: The answer.
        lang: The language.
        sent: How many turns of history went along.
        available: How many there were.
        unsent: Parameters set for the notebook that the model doesn't take.
    """
    found = [
        ("note.interrupted", answer.finish_reason == "interrupted"),
        ("note.incomplete", answer.finish_reason == "incomplete"),
        ("note.truncated", answer.truncated),
        ("note.empty", answer.complete and not answer.text.strip()),
        ("note.clear_history", answer.need_clear_history),
        ("note.context", sent < available),
        ("note.unsent", bool(unsent)),
        ("note.stub", answer.transport == "stub"),
    ]
    values = {"sent": sent, "available": available, "names": list(unsent), "model": answer.model}
    return [text(key, lang, **values) for key, applies in found if applies]


def answer_bundle(answer: Answer, below: list[str], style: str = "markdown", lang: str = "en") -> Bundle:
    """
    The saved form of an answer: the text, and the notes in a line below it.

    Args:
        answer: The answer.
        below: The notes.
        style: ``format=``.
        lang: Language of what is said about the format.
    """
    extra: dict[str, str] = {}
    shown = answer.text
    if style == "text":
        marked = _as_code(shown, "")
    elif style == "json":
        shown, valid = _pretty_json(shown)
        below = below if valid else [text("note.json", lang), *below]
        marked = _as_code(shown, "json")
    else:
        marked = safe_markdown(shown)
        if style == "html":
            extra["text/html"] = html_frame(shown, below)
        if style == "code" and code_blocks(shown) == []:
            below = [text("note.no_code", lang), *below]
    line = " · ".join(below)
    return {
        **extra,
        "text/markdown": f"{marked.rstrip()}\n\n*{line}*" if line else marked,
        "text/plain": printable(f"{shown}\n\n[{line}]" if line else shown),
    }


def code_blocks(markdown: str) -> list[str]:
    """The fenced code in an answer."""
    return [match[2].rstrip("\n") for match in _FENCED.finditer(_LINE_END.sub("\n", markdown))]


def html_frame(content: str, below: list[str]) -> str:
    """HTML in a frame that runs no script, reaches no network, and can't touch the page."""
    from html import escape  # noqa: PLC0415 - few answers are shown so

    page = f'<meta http-equiv="Content-Security-Policy" content="{_FRAME_POLICY}">{content}'
    line = f"<p><em>{escape(' · '.join(below))}</em></p>" if below else ""
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" style="width:100%;height:24em;border:1px solid #8884" '
        f'srcdoc="{escape(page, quote=True)}"></iframe>{line}'
    )


def _as_code(content: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{content}\n{fence}"


def _pretty_json(content: str) -> tuple[str, bool]:
    inside = code_blocks(content)
    candidate = inside[0] if len(inside) == 1 else content
    try:
        return json.dumps(json.loads(candidate), ensure_ascii=False, indent=2), True
    except ValueError:
        return content, False
