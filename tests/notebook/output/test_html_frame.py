"""``format=html``: what is written into the frame, whatever the model wrote."""

import re
from html import unescape
from html.parser import HTMLParser
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.answer import Answer
from qfmagic.notebook.output import html_frame as frames
from qfmagic.notebook.output.bundle import answer_bundle
from qfmagic.notebook.output.css import declarations, stylesheet
from qfmagic.notebook.output.html_frame import html_frame, text_of_page
from tests.support.frames import KINDS, element_faults, style_faults, tag_soup

URL = "http://evil.test:9/"
PNG = "data:image/png;base64,iVBORw0KGgo="
HEAD = re.compile(
    r"<!doctype html><html><head>(?:<meta [^>]*>){4}<style>(?P<style>[^<]*)</style></head>(?P<body><body.*</body>)</html>",
    re.DOTALL,
)


class Reader(HTMLParser):
    """Reads what was written, which is well formed, and notes where it is not."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.faults, self.text, self._open = [], "", []

    def handle_starttag(self, tag, attrs):
        self.faults += element_faults(tag, [(key, value or "") for key, value in attrs])
        self.faults += [
            f"{tag} twice {key}" for key in {key for key, _ in attrs} if [k for k, _ in attrs].count(key) > 1
        ]
        if tag not in ("br", "col", "hr", "img", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"/{tag}")

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.faults.append("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment

    def close(self):
        super().close()
        self.faults += [f"open {name}" for name in self._open]


def page(content):
    """The page in the frame, and what is around."""
    made = re.fullmatch(
        r'<iframe sandbox="" [^>]*? srcdoc="([^"<>]*)"></iframe>(<p><em>[^<]*</em></p>)?', html_frame(content, [])
    )
    assert made is not None
    return unescape(made[1])


def read(content):
    parts = HEAD.fullmatch(page(content))
    assert parts is not None
    reader = Reader()
    reader.feed(parts["body"])
    reader.close()
    reader.faults += style_faults(parts["style"])
    return reader


def shown(content):
    return HEAD.fullmatch(page(content))["body"].removeprefix("<body>").removesuffix("</body>")


@pytest.mark.parametrize("kind", KINDS)
def test_html_frame_has_known_elements_only(kind):
    assert read(KINDS[kind].format(url=URL)).faults == []


@given(st.data())
def test_html_frame_of_tag_soup_has_known_elements_only(data):
    content = tag_soup(lambda options: data.draw(st.sampled_from(options)))
    assert read(content).faults == []


@given(
    st.text(st.sampled_from("<>/\"'=-!?[]&#;x {}():@\\*,a1\u202e\x00\ud800\n"), max_size=60),
    st.sampled_from(["%s", "<style>%s</style>", '<p style="%s">']),
)
def test_html_frame_of_any_text_has_known_elements_only(content, around):
    assert read(around % content).faults == []


def test_html_reader_detects_faults():
    reader = Reader()
    reader.feed(f'<p onclick=x><img src="{URL}"><p style="background:url(x)"><rect fill="url(x)"><iframe></b>')
    reader.close()
    assert {"p onclick", "img src", "p style=background:url(x)", "rect fill=url(x)", "iframe", "/b"} <= set(
        reader.faults
    )


@pytest.mark.parametrize(
    ("content", "made"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
        ("<table><tr><td>1<th>2<tr><td>3</table>x", "<table><tr><td>1</td><th>2</th></tr><tr><td>3</td></tr></table>x"),
        (
            "<table><tr><td><table><tr><td>1</table>2</table>",
            "<table><tr><td><table><tr><td>1</td></tr></table>2</td></tr></table>",
        ),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<b><i>x</b>y</i>", "<b><i>x</i></b>y"),
        ("<foo>x</foo>", "x"),
        ("</p>x</div>", "x"),
        ('<a href="https://a.b/c?d=1&amp;e">x</a>', "<a>x</a> (https://a.b/c?d=1&amp;e)"),
        ("<a href=#top>x</a><a href=javascript:y>z</a>", "<a>x</a><a>z</a>"),
        (f'<img src="{URL}" alt="cat">', f"cat ({URL})"),
        (f'<img src="{PNG}" alt="cat">', f'<img alt="cat" src="{PNG}">'),
        ('<p style="color:red;background:url(x);margin:0">x</p>', '<p style="color:red;margin:0">x</p>'),
        ("<h1>a<h2>b", "<h1>a</h1><h2>b</h2>"),
        ("<textarea><b></textarea><xmp><i></xmp>", "<pre>&lt;b&gt;</pre><pre>&lt;i&gt;</pre>"),
        (
            "<svg viewBox='0 0 9 9'><rect x=1 fill='url(#g)'/><p>x</svg>",
            '<svg viewbox="0 0 9 9"><rect x="1" fill="url(#g)"></rect>x</svg>',
        ),
        ("a\u202eb\u200bc\u2066d", "a[U+202E]b[U+200B]c[U+2066]d"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("&#999999999999999999;&#" + "9" * 5000 + ";", "\ufffd\ufffd"),
    ],
)
def test_html_frame_normalizes_html(content, made):
    assert shown(content) == made


def test_html_frame_keeps_page_styles():
    css = 'body{font-family:"微软雅黑",sans-serif;margin:0 auto}.a>b:not(.c):nth-child(2n + 1)::before{content:"x"}@media (max-width:600px){p{color:red !important}}'
    assert stylesheet(css).text.replace("\n", "") == css
    assert (
        declarations("--x: 1px; WIDTH : calc(100% - var(--x)); color: #fff")
        == "--x:1px;width:calc(100% - var(--x));color:#fff"
    )
    assert '<body class="dark" style="background:#111">' in page('<body class=dark style="background:#111">')


@pytest.mark.parametrize(
    "css",
    [
        *(
            "background:url(x)",
            "background:URL(x)",
            r"background:\75rl(x)",
            "background:image-set('x' 1x)",
            "background:src('x')",
        ),
        *(
            "background:image('x')",
            "cursor:auto",
            "animation:a 1s infinite",
            "unicode-bidi:bidi-override",
            "direction:rtl",
        ),
        *(
            "filter:blur(9px)",
            "behavior:x",
            "src:x",
            "grid-template-columns:repeat(9999,1fr)",
            "width:9999999px",
            "width:1e9px",
        ),
        *(
            "color:red}b",
            "color:(red",
            "color:red)",
            "color",
            "color:'</style'",
            "color:a&b",
            "-moz-binding:x",
        ),
    ],
)
def test_css_unsafe_declaration_is_dropped(css):
    assert declarations(css) == ""
    assert stylesheet(f"p{{{css}}}").text in ("", "p{color:red}")  # what comes after a bracket is another rule


def test_marker_draws_no_markers():
    inner = "<marker id=m><path d='M0 0' marker-mid='url(#n)' fill='url(#g)'/></marker><path d='M0 0' marker-mid='url(#m)'/>"
    made = shown(f"<svg>{inner}</svg>")
    assert made.count("url(") == 1
    assert made.endswith('<path d="M0 0" marker-mid="url(#m)"></path></svg>')


@pytest.mark.parametrize(
    "content",
    [
        "<div>" * 20_000 + "x",
        "<b>" * (frames.MOST_DEPTH + 1),
        "<br>" * (frames.MOST_ELEMENTS + 1),
        "x" * (frames.MOST_CHARACTERS + 1),
        "<style>" + "a *{color:red}" * 1100 + "</style>" + "<br>" * 1000,
    ],
    ids=["nested", "depth", "elements", "length", "styles"],
)
def test_html_frame_shows_source_if_too_large(content):
    made = html_frame(content, ["a note"])
    assert "too large or too deeply nested for a frame, HTML source shown · a note</em>" in made
    reader = read(content)
    assert reader.text == content
    assert reader.faults == []


def test_html_frame_lists_dropped_elements():
    made = html_frame("<p>x<script>y</script><form>", ["a <note>"])
    assert made.endswith("</iframe><p><em>not shown in the frame: form, script · a &lt;note&gt;</em></p>")
    assert "框架中未显示：form" in html_frame("<form>", [], "zh")
    assert html_frame("<p>x", []).endswith("</iframe>")


REPEATED = {
    "comment": "<!--", "tag": "<a ", "quote": '<a x="', "end tag": "</a ", "declaration": "<![", "open": "<b>", "element": "<br>",
    "paragraph": "<b><p>", "reference": "&amp", "less": "<", "raw": "<title></titl", "attribute": " x=1", "row": "<table><tr><td>",
    "rule": "<style>a{color:red}</style>", "space": " ", "direction": "\u202e", "number": "&#99999",
}  # fmt: skip
CSS = {
    "block": "a{",
    "bracket": "(",
    "comment": "/*",
    "declared": "color:red;",
    "string": '"',
    "hyphen": "-",
    "name": "a",
    "media": "@media a{",
}


@pytest.mark.parametrize(
    ("around", "piece"),
    [("%s", piece) for piece in REPEATED.values()]
    + [(f"<style>{before}%s</style>", piece) for piece in CSS.values() for before in ("", "p{color:")],
)
def test_html_frame_time_is_linear(around, piece):
    def took(size):
        content = around % (piece * (size // len(piece)))
        begun = process_time()
        html_frame(content, [])
        return process_time() - begun

    small = min(took(20_000) for _ in range(2))
    assert took(80_000) < 12 * small + 1  # four times as much; sixteen times would be quadratic
    assert took(1_000_000) < 2


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<h1>A &lt;b></h1><p>one<br>two<script>alert(1)</script>", "A &lt;b&gt;\none\ntwo"),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "1\t2\n3"),
        ("</pre><img src=x onerror=alert(1)>$x$", "$x$"),
        ("<style>a{}</style>", ""),
    ],
)
def test_text_of_page_is_readable_without_the_frame(content, text):
    """JupyterLab drops frames of a notebook that isn't trusted, and shows nothing else in their place."""
    made = text_of_page(content)
    assert re.sub(r"^<details><summary>[^<]*</summary><pre>([^<]*)</pre></details>$", r"\1", made) == text
    assert answer_bundle(Answer(content), [], "html")["text/html"].endswith(made)
