"""What may stand in HTML made from a model's text: one list, for every renderer."""

import re
from html import escape
from html.parser import HTMLParser

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.attrs import attrs_block_plugin, attrs_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.myst_role import myst_role_plugin
from mistune import import_plugin
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

TAGS = frozenset(
    {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "ul"}
    | {"h1", "h2", "h3", "h4", "h5", "h6"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
    | {"dd", "del", "div", "dl", "dt"}  # nbconvert's
)
OURS = frozenset({"details", "summary"})
ATTRIBUTES = frozenset({"align", "href", "class", "start", "style", "title"})
ADDRESSES = ("http://", "https://", "mailto:", "#")
# What front ends draw or execute instead of showing it: JupyterLab, nbconvert, VS Code, GitHub, Quarto and MyST.
DRAWN = frozenset(
    {"mermaid", "math", "vega", "vega-lite", "vegalite", "geojson", "topojson", "stl", "dot", "graphviz", "plantuml"}
)
# A code block's language, and Pygments' names for kinds of words.
_CLASS = re.compile(r"language-[a-z0-9+#._-]+|highlight|hl-[a-z0-9-]+|[a-z]{1,2}[a-z0-9]?", re.IGNORECASE | re.ASCII)
_STYLE = re.compile(r"text-align: ?(left|right|center);?")
# The formulas and footnotes of the extended dialect, which only show; its roles may do anything.
_EXTENDED_TAGS = frozenset({"section", "sup"})
_EXTENDED_CLASS = re.compile(r"math|inline|block|amsmath|footnote[\w-]*")
_EXTENDED_ID = re.compile(r"fn(ref)?\d+(:\d+)?")

RENDERERS = [
    MarkdownIt("commonmark", {"html": True}),
    MarkdownIt("gfm-like", {"html": True, "linkify": False}),
]


class _WithAttachments(IPythonRenderer):
    """A document that lacks a picture its text names is refused; here the picture is a picture."""

    def _embed_image_or_attachment(self, src):
        return src


class _Nbconvert:
    """What nbconvert makes HTML with, but for links of headings to themselves and the boxes of tasks."""

    _PLUGINS = tuple(name for name in MarkdownWithMath.DEFAULT_PLUGINS if name != "task_lists")

    def render(self, source):
        renderer = _WithAttachments(escape=False, exclude_anchor_links=True)
        return MarkdownWithMath(renderer, plugins=[import_plugin(name) for name in self._PLUGINS]).render(source)


RENDERERS.append(_Nbconvert())


def _linking(options):
    """A renderer that makes links of addresses as they are, of the kinds that GitHub's Markdown knows."""
    found = MarkdownIt("gfm-like", options)
    found.validateLink = lambda _: True
    for scheme in ("//", "ftp:"):
        found.linkify.add(scheme, None)
    return found


class _Jupyterlab:
    """
    JupyterLab's way with Markdown: formulas out, marked, formulas in again; see ``jupyterlab_faults`` for the real one.

    A language that CodeMirror knows, here every one, is written into an attribute without any escaping, and mails
    and addresses become links.
    """

    def __init__(self):
        self._inner = _linking({"html": True, "linkify": True})
        self._inner.renderer.rules["fence"] = self._code

    @staticmethod
    def _code(tokens, index, options, env):
        language = tokens[index].info.strip()
        if language.lower() in DRAWN:
            return "<img>"
        opening = f'<pre><code class="language-{language}">' if language else "<pre><code>"
        return f"{opening}{escape(tokens[index].content)}</code></pre>"

    def render(self, source):
        text, formulas = without_formulas(source)
        return _PLACE.sub(
            lambda found: formulas[int(found[1])] if int(found[1]) < len(formulas) else "undefined",
            self._inner.render(text),
        )


class _Extended:
    """CommonMark with what others add to it: attributes in braces, roles, definitions, footnotes, formulas."""

    def __init__(self):
        self._inner = _linking({"html": True, "linkify": True, "typographer": True})
        plugins = (attrs_plugin, attrs_block_plugin, deflist_plugin, dollarmath_plugin, amsmath_plugin)
        for plugin in (*plugins, footnote_plugin, myst_role_plugin):
            self._inner.use(plugin)

    def render(self, source):
        return self._inner.render(source)


class _Judge(HTMLParser):
    def __init__(self, allowed, *, extended):
        super().__init__(convert_charrefs=True)
        self.allowed = allowed | _EXTENDED_TAGS if extended else allowed
        self.extended = extended
        self.faults = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.allowed:
            self.faults.append(tag)
        for name, value in attrs:
            if not self._may_stand(name, value or ""):
                self.faults.append(f"{tag} {name}={value}")

    def _may_stand(self, name, value):
        match name:
            case "href":
                return value.lower().startswith(ADDRESSES)
            case "style":
                return bool(_STYLE.fullmatch(value))
            case "class":
                return all(map(self._may_be_class, value.split(" ")))
            case "id":
                return self.extended and bool(_EXTENDED_ID.fullmatch(value))
        return name in ATTRIBUTES

    def _may_be_class(self, name):
        if self.extended and _EXTENDED_CLASS.fullmatch(name):
            return True
        return bool(_CLASS.fullmatch(name)) and name.lower().removeprefix("language-") not in DRAWN

    def handle_comment(self, data):
        self.faults.append("comment")

    def handle_decl(self, decl):
        self.faults.append("declaration")

    def handle_pi(self, data):
        self.faults.append("instruction")

    def unknown_decl(self, data):
        self.faults.append("declaration")


def html_faults(document, ours=frozenset(), *, extended=False):
    """What *document* holds that could act; *ours* are elements of our own."""
    judge = _Judge(TAGS | ours, extended=extended)
    judge.feed(document)
    judge.close()
    return judge.faults


def markdown_faults(text, ours=frozenset()):
    """What *text* holds that could act, however it is rendered."""
    return [
        fault
        for renderer in ALL_RENDERERS
        for fault in html_faults(renderer.render(text), ours, extended=isinstance(renderer, _Extended))
    ]


def outlines(text):
    """The elements a reader sees one below the other, as each renderer has them."""
    for renderer in RENDERERS:
        found = BeautifulSoup(renderer.render(text), "html.parser").find_all(recursive=False)
        yield [one for one in found if one.get_text(strip=True) or one.name == "hr"]


# JupyterLab's removeMath and replaceMath (@jupyterlab/rendermime, latex.ts), line by line.
_SPLIT = re.compile(r"(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|[{}]|(?:\n\s*)+|@@\d+@@|\\\\[()\[\]])", re.IGNORECASE)
_PLACE = re.compile(r"@@(\d+)@@")
_FENCES = re.compile(r"^(?P<fence>`{3,}|(~T){3,})[^`\n]*\n([\s\S]*?)^(?P=fence)`*$", re.MULTILINE)
_SPANS = re.compile(r"(^|[^\\])(`+)([^\n]*?[^`\n])\2(?!`)", re.MULTILINE)


def without_formulas(text):  # noqa: PLR0912 - the branches that are there
    """What JupyterLab gives to its Markdown parser, and the formulas it took out before."""
    coded = "`" in text or "~~~" in text
    if coded:
        text = text.replace("~", "~T")
        for code in (_FENCES, _SPANS):
            text = code.sub(lambda found: found[0].replace("$", "~D"), text)
    found = []
    pieces = _SPLIT.split(text.replace("\r\n", "\n").replace("\r", "\n"))

    def plain(piece):
        return re.sub("~([TD])", lambda one: "~" if one[1] == "T" else "$", piece) if coded else piece

    def take(begin, end):
        formula = plain(escape("".join(pieces[begin : end + 1]), quote=False))
        pieces[begin : end + 1] = [f"@@{len(found)}@@", *[""] * (end - begin)]
        found.append(formula)

    begun = end = last = None
    depth = 0
    for at in range(1, len(pieces), 2):
        piece = pieces[at]
        if piece.startswith("@"):
            pieces[at] = f"@@{len(found)}@@"
            found.append(piece)
        elif begun is not None:
            if piece == end:
                if depth:
                    last = at
                else:
                    take(begun, at)
                    begun = end = last = None
            elif piece.count("\n") > 1:
                if last is not None:
                    take(begun, last)
                begun = end = last = None
                depth = 0
            elif piece == "{":
                depth += 1
            elif piece == "}" and depth:
                depth -= 1
        elif piece in ("$", "$$", "\\\\(", "\\\\[") or piece[1:6] == "begin":
            begun, depth = at, 0
            end = {"\\\\(": "\\\\)", "\\\\[": "\\\\]"}.get(
                piece, f"\\end{piece[6:]}" if piece[1:6] == "begin" else piece
            )
    if begun is not None and last is not None:
        take(begun, last)
    return plain("".join(pieces)), found


def formulas(text):
    """What JupyterLab takes out of *text* as formulas before it reads the Markdown."""
    return [one for one in without_formulas(text)[1] if not _PLACE.fullmatch(one)]


# Those above agree on what the blocks of a text are, and are the ones asked for that.
ALL_RENDERERS = [*RENDERERS, _Jupyterlab(), _Extended()]
for renderer in RENDERERS[:2]:
    renderer.validateLink = lambda _: True  # JupyterLab's renderer lets javascript: links through
