"""What may stand in HTML made from a model's text: one list, for every renderer."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt

TAGS = frozenset(
    {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong", "ul"}
    | {"h1", "h2", "h3", "h4", "h5", "h6"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
)
ATTRIBUTES = frozenset({"href", "class", "start", "style", "title"})
ADDRESSES = ("http://", "https://", "mailto:", "#")

RENDERERS = [
    MarkdownIt("commonmark", {"html": True}),
    MarkdownIt("gfm-like", {"html": True, "linkify": False}),
]
for renderer in RENDERERS:
    renderer.validateLink = lambda _: True  # JupyterLab's renderer lets javascript: links through


class _Judge(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.faults = []

    def handle_starttag(self, tag, attrs):
        if tag not in TAGS:
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


def html_faults(document):
    """What *document* holds that could act."""
    judge = _Judge()
    judge.feed(document)
    judge.close()
    return judge.faults


def markdown_faults(text):
    """What *text* holds that could act, however it is rendered."""
    return [fault for renderer in RENDERERS for fault in html_faults(renderer.render(text))]
