"""
A model's HTML, in a frame that runs nothing and opens no connection.

Three walls, the first of which does without the others: what the frame shows is written anew from known elements and
attributes; a policy forbids every load but images within the text; an empty sandbox forbids scripts, forms, pop-ups and
the page around. The policy and the sandbox alone didn't do: in Chromium, frames within the frame opened connections
all the same.

Links lead nowhere, since a click would navigate the frame itself: their addresses are shown behind their text.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from ...core.i18n import text
from ...core.terminal import visible
from .css import stylesheet
from .html_elements import (
    BLOCKS,
    CELLS,
    ELEMENTS,
    ENDED,
    HEADINGS,
    IMAGE,
    MANIFOLD,
    PARENTS,
    PARTS,
    SVG,
    TOLD,
    VOID,
    html_attributes,
    start_tag,
    svg_attributes,
)
from .html_tokens import End, Raw, Start, TextToken, Token, tokens

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-src 'none'; object-src 'none'; form-action 'none'; base-uri 'none'"
)
MOST_CHARACTERS = 250_000
MOST_ELEMENTS = 20_000
MOST_DEPTH = 100
MOST_MATCHES = 1_000_000  # rules times elements: what an engine does to style a page

_ADDRESS = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


class TooMuchError(Exception):
    """More than a frame should draw."""


class Page(NamedTuple):
    """What a frame shows, and the elements it leaves out."""

    styles: str
    attributes: dict[str, str]
    body: str
    missing: tuple[str, ...]


class _Open(NamedTuple):
    name: str
    closing: str


class _FrameWriter:
    """Writes elements so that each is closed where it ends: the tree a browser builds is the one that was checked."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.styles: list[str] = []
        self.missing: set[str] = set()
        self.attributes: dict[str, str] = {}
        self.elements = self.rules = 0
        self._open: list[_Open] = []
        self._drawing = 0  # how many of the open elements are SVG's

    def write(self, content: str) -> str:
        for token in tokens(content):
            match token:
                case TextToken(shown):
                    self._text(shown)
                case Start():
                    self._start(token)
                case End(name):
                    self._end(name)
                case Raw():
                    self._raw(token)
            if self.elements > MOST_ELEMENTS or len(self._open) > MOST_DEPTH:
                raise TooMuchError
        self._close(0)
        if self.rules * self.elements > MOST_MATCHES:
            raise TooMuchError
        return "".join(self.out)

    def _text(self, shown: str) -> None:
        self.out.append(escape(visible(shown), quote=False))

    def _start(self, token: Start) -> None:
        name = token.name
        if self._drawing or name == "svg":
            self._draw(token)
            return
        if name == "body":  # the one there is; its colours are the page's
            self.attributes = html_attributes(token)
        if name not in ELEMENTS:
            self.missing |= {name} & TOLD
            return
        self._end_by(name)
        parent = self._open[-1].name if self._open else ""
        allowed = PARENTS.get(name)
        if (allowed is None and parent in PARTS) or (allowed is not None and parent not in allowed):
            return
        if name == "img" and not IMAGE.fullmatch(token.attributes.get("src", "")):
            self.missing.add(name)
            self._text(_named(token.attributes.get("alt", ""), token.attributes.get("src", "")))
            return
        self.elements += 1
        self.out.append(start_tag(name, html_attributes(token)))
        if name not in VOID:
            address = _named("", token.attributes.get("href", "")) if name == "a" else ""
            self._open.append(_Open(name, f"</{name}>{escape(visible(address), quote=False)}"))

    def _end_by(self, name: str) -> None:
        """Close what the beginning of *name* ends."""
        if name in HEADINGS and self._open and self._open[-1].name in HEADINGS:
            self._close(len(self._open) - 1)
        if name in BLOCKS:
            self._end_within(frozenset({"p"}), CELLS)
        if name in ENDED:
            self._end_within(*ENDED[name])

    def _end_within(self, ended: frozenset[str], barrier: frozenset[str]) -> None:
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at].name in ended:
                self._close(at)
                return
            if self._open[at].name in barrier:
                return

    def _draw(self, token: Start) -> None:
        name = token.name
        if name not in SVG or (name == "svg" and self._open and self._open[-1].name in PARTS):
            self.missing |= {name} & TOLD
            return
        self.elements += 1
        refers = not any(opened.name in MANIFOLD for opened in self._open) and name not in MANIFOLD
        self.out.append(start_tag(name, svg_attributes(token, refers=refers)))
        if token.closed:
            self.out.append(f"</{name}>")
        else:
            self._open.append(_Open(name, f"</{name}>"))
            self._drawing += 1

    def _end(self, name: str) -> None:
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at].name == name:
                self._close(at)
                return
            if self._open[at].name in CELLS and name not in PARENTS and name != "table":
                return

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            closed = self._open.pop()
            self._drawing -= self._drawing > 0
            self.out.append(closed.closing)

    def _raw(self, token: Raw) -> None:
        if token.name == "style":
            sheet = stylesheet(token.content)
            self.styles.append(sheet.text)
            self.rules += sheet.rules
        elif token.name in ("plaintext", "textarea", "xmp") and not self._drawing:
            self._start(Start("pre", {}, closed=False))
            self._text(token.content)
            self._end("pre")
        self.missing |= {token.name} & TOLD


def written(content: str) -> Page:
    """
    What of *content* is shown, and as what.

    Raises:
        TooMuchError: It is longer, deeper or more than a frame should draw.
    """
    if len(content) > MOST_CHARACTERS:
        raise TooMuchError
    writer = _FrameWriter()
    body = writer.write(content.encode("utf-8", "replace").decode("utf-8"))
    return Page("\n".join(filter(None, writer.styles)), writer.attributes, body, tuple(sorted(writer.missing)))


def html_frame(content: str, below: Sequence[str], lang: str = "en") -> str:
    """
    HTML in a frame that runs nothing, opens no connection and can't touch the page.

    Args:
        content: What the model wrote.
        below: Notes for below the frame, where nothing within it reaches.
        lang: Language of what is said about elements left out.
    """
    try:
        styles, attributes, body, missing = written(content)
        said = [text("note.frame_missing", lang, names=list(missing))] if missing else []
    except TooMuchError:
        source = escape(visible(content.encode("utf-8", "replace").decode("utf-8")), quote=False)
        styles, attributes, body = "pre{white-space:pre-wrap}", {}, f"<pre>{source}</pre>"
        said = [text("note.frame_source", lang)]
    page = (
        f'<!doctype html><html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta http-equiv="x-dns-prefetch-control" content="off"><meta name="referrer" content="no-referrer">'
        f"<style>{styles}</style></head>{start_tag('body', attributes)}{body}</body></html>"
    )
    notes = " · ".join((*said, *below))
    line = f"<p><em>{escape(notes)}</em></p>" if notes else ""
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" style="width:100%;height:24em;border:1px solid #8884" '
        f'srcdoc="{escape(page, quote=True)}"></iframe>{line}'
    )


def text_of_page(content: str, lang: str = "en") -> str:
    """
    The text of *content*, folded, for below the frame: a notebook that isn't trusted shows no frame.

    It stands in a ``pre``, where MathJax looks for no formulas.
    """
    shown = "".join(map(_plain, tokens(content[:MOST_CHARACTERS])))
    lines = re.sub(r"\s*\n\s*", "\n", visible(shown.encode("utf-8", "replace").decode("utf-8"))).strip()
    if not lines:
        return ""
    summary = escape(text("note.frame_text", lang))
    return f"<details><summary>{summary}</summary><pre>{escape(lines, quote=False)}</pre></details>"


def _plain(token: Token) -> str:
    match token:
        case TextToken(shown):
            return shown
        case Start(name) | End(name) if name in BLOCKS or name in ("br", "tr", "li"):
            return "\n"
        case Start(name) if name in CELLS:
            return "\t"
        case _:
            return ""


def _named(label: str, address: str) -> str:
    """A label with the address it stood for, if it led to a page."""
    shown = f" ({' '.join(address.split())})" if _ADDRESS.match(address.strip()) else ""
    return f"{label}{shown}"
