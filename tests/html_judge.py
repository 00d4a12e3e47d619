"""What may stand in HTML made from a model's text: one list, for every renderer."""

import re
from html.parser import HTMLParser

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from mistune import import_plugin
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

TAGS = frozenset(
    {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "ul"}
    | {"h1", "h2", "h3", "h4", "h5", "h6"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
    | {"dd", "del", "div", "dl", "dt"}  # nbconvert's
)
OURS = frozenset({"details", "summary"})
ATTRIBUTES = frozenset({"href", "class", "start", "style", "title"})
ADDRESSES = ("http://", "https://", "mailto:", "#")

RENDERERS = [
    MarkdownIt("commonmark", {"html": True}),
    MarkdownIt("gfm-like", {"html": True, "linkify": False}),
]
for renderer in RENDERERS:
    renderer.validateLink = lambda _: True  # JupyterLab's renderer lets javascript: links through


class _Nbconvert:
    """What nbconvert makes HTML with, but for links of headings to themselves and the boxes of tasks."""

    _PLUGINS = tuple(name for name in MarkdownWithMath.DEFAULT_PLUGINS if name != "task_lists")

    def render(self, source):
        renderer = IPythonRenderer(escape=False, exclude_anchor_links=True)
        return MarkdownWithMath(renderer, plugins=[import_plugin(name) for name in self._PLUGINS]).render(source)


RENDERERS.append(_Nbconvert())


class _Judge(HTMLParser):
    def __init__(self, allowed):
        super().__init__(convert_charrefs=True)
        self.allowed = allowed
        self.faults = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.allowed:
            self.faults.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES or (name == "style" and not (value or "").startswith("text-align:")):
                self.faults.append(f"{tag} {name}")
            if name == "href" and not (value or "").lower().startswith(ADDRESSES):
                self.faults.append(f"{tag} {name}={value}")

    def handle_comment(self, data):
        self.faults.append("comment")

    def handle_decl(self, decl):
        self.faults.append("declaration")

    def handle_pi(self, data):
        self.faults.append("instruction")

    def unknown_decl(self, data):
        self.faults.append("declaration")


def html_faults(document, ours=frozenset()):
    """What *document* holds that could act; *ours* are elements of our own."""
    judge = _Judge(TAGS | ours)
    judge.feed(document)
    judge.close()
    return judge.faults


def markdown_faults(text, ours=frozenset()):
    """What *text* holds that could act, however it is rendered."""
    return [fault for renderer in RENDERERS for fault in html_faults(renderer.render(text), ours)]


def outlines(text):
    """The elements a reader sees one below the other, as each renderer has them."""
    for renderer in RENDERERS:
        found = BeautifulSoup(renderer.render(text), "html.parser").find_all(recursive=False)
        yield [one for one in found if one.get_text(strip=True) or one.name == "hr"]


_SPLIT = re.compile(r"(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|[{}]|(?:\n\s*)+|@@\d+@@|\\\\[()\[\]])", re.IGNORECASE)


def formulas(text):
    """
    What JupyterLab takes out of *text* as formulas before it reads the Markdown: its ``removeMath``.

    Its way with code, where it leaves dollars alone, is left out.
    """
    found, begun, end, last, depth = [], None, None, None, 0
    pieces = _SPLIT.split(text.replace("\r\n", "\n"))
    for at in range(1, len(pieces), 2):
        piece = pieces[at]
        if begun is not None:
            closes, over = piece == end, piece.count("\n") > 1
            if closes and depth:
                last = at
            elif closes or (over and last is not None):
                found.append("".join(pieces[begun : (at if closes else last) + 1]))
            depth += (piece == "{") - (piece == "}" and depth > 0)
            if over or (closes and not depth):
                begun, end, last, depth = None, None, None, 0
        elif piece in ("$", "$$", r"\\(", r"\\[") or piece.startswith(r"\begin"):
            begun, end, depth = at, {r"\\(": r"\\)", r"\\[": r"\\]"}.get(piece, piece.replace("begin", "end")), 0
    if begun is not None and last is not None:
        found.append("".join(pieces[begun : last + 1]))
    return found
