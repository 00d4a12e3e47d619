"""Which elements and attributes of a model's HTML a frame shows, and how they are written."""

import re
from html import escape

from ...core.terminal import visible
from .css import declarations, value
from .html_tokens import Start


def words(line: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(line.split())


VOID = words("br col hr img wbr")
BLOCKS = words(
    "address article aside blockquote center details dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 "
    "h6 header hr li main nav ol p pre section summary table ul"
)
_INLINE = words(
    "a abbr b br cite code del dfn em i img ins kbd label mark meter progress q rp rt ruby s samp small "
    "span strong sub sup time u var wbr"
)
# What may be directly within a table's parts, and of what: anything else would be moved out of the table.
PARENTS = {
    "caption": {"table"},
    "colgroup": {"table"},
    "col": {"colgroup"},
    "thead": {"table"},
    "tbody": {"table"},
    "tfoot": {"table"},
    "tr": {"table", "thead", "tbody", "tfoot"},
    "td": {"tr"},
    "th": {"tr"},
}
PARTS = frozenset({"table", "thead", "tbody", "tfoot", "tr", "colgroup"})
SVG = words(
    "svg g defs circle ellipse line path polygon polyline rect text tspan lineargradient radialgradient "
    "stop marker clippath"
)
ELEMENTS = BLOCKS | _INLINE | frozenset(PARENTS)
# Elements that end by the beginning of another: whose, and which element holds it back.
CELLS = frozenset({"td", "th", "caption"})
_ROWS = frozenset({"thead", "tbody", "tfoot", "caption", "colgroup"})
ENDED = {
    "li": (frozenset({"li"}), frozenset({"ul", "ol"}) | CELLS),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl"}) | CELLS),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"}) | CELLS),
    "tr": (frozenset({"tr", "caption", "colgroup"}), frozenset({"table"})),
    "td": (frozenset({"td", "th"}), frozenset({"table"})),
    "th": (frozenset({"td", "th"}), frozenset({"table"})),
    "a": (frozenset({"a"}), CELLS),
    **dict.fromkeys(_ROWS, (_ROWS, frozenset({"table"}))),
    **dict.fromkeys(["rt", "rp"], (frozenset({"rt", "rp"}), frozenset({"ruby"}))),
}
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# Said below the frame if the answer has them: a reader would miss them.
TOLD = words(
    "applet audio base button canvas embed form frame iframe image img input link math object portal "
    "script select source textarea use video"
)

_NAME = re.compile(r"[\w-]{1,100}")
_NAMES = re.compile(r"[\w -]{1,500}")
_SIZE = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5})?(?:%|px)?")
_COUNT = re.compile(r"[0-9]{1,2}")
_NUMBER = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?")
_FREE = re.compile(r".{0,2000}", re.DOTALL)
_WORD = re.compile(r"[a-z]{1,20}", re.IGNORECASE)
_PATH = re.compile(r"[a-zA-Z0-9\s.,+-]*", re.ASCII)
_COLOR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{1,30}")
_TEXTS = dict.fromkeys(["alt", "title", "aria-label", "datetime"], _FREE)
_EVERYWHERE = {"id": _NAME, "class": _NAMES, "lang": _NAME, "dir": re.compile("ltr|rtl|auto"), "role": _WORD, **_TEXTS}
_HTML = _EVERYWHERE | {
    **dict.fromkeys(["width", "height", "border", "cellpadding", "cellspacing"], _SIZE),
    **dict.fromkeys(["colspan", "rowspan", "span"], _COUNT),
    **dict.fromkeys(["start", "value", "min", "max", "low", "high", "optimum"], _NUMBER),
    **dict.fromkeys(["align", "valign", "scope"], _WORD),
    **dict.fromkeys(["bgcolor"], _COLOR),
    **dict.fromkeys(["open", "reversed"], re.compile("(?:open|reversed)?")),
    "type": re.compile("[1aAiI]"),
}
# Attributes of SVG whose values are read as CSS, or are numbers and names only.
_DRAWN = words(
    "x y x1 y1 x2 y2 cx cy r rx ry fx fy dx dy width height viewbox preserveaspectratio transform offset "
    "opacity fill fill-opacity fill-rule clip-rule stroke stroke-width stroke-opacity stroke-linecap "
    "stroke-linejoin stroke-dasharray stroke-dashoffset stroke-miterlimit stop-color stop-opacity color "
    "font-family font-size font-weight font-style text-anchor dominant-baseline alignment-baseline "
    "letter-spacing rotate textlength lengthadjust gradientunits gradienttransform spreadmethod "
    "markerwidth markerheight markerunits refx refy orient pathlength clippathunits vector-effect "
    "shape-rendering text-rendering display visibility paint-order"
)
_REFERRING = frozenset({"fill", "stroke", "clip-path", "marker-start", "marker-mid", "marker-end"})
_REFERENCE = re.compile(r"url\(#[A-Za-z_][\w-]{0,100}\)", re.ASCII)
MANIFOLD = frozenset({"marker", "clippath"})  # what is drawn many times may itself draw nothing many times
IMAGE = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.ASCII | re.IGNORECASE)


def start_tag(name: str, attributes: dict[str, str]) -> str:
    """The start tag, its attributes quoted."""
    return f"<{name}" + "".join([f' {key}="{escape(shown)}"' for key, shown in attributes.items()]) + ">"


def html_attributes(token: Start) -> dict[str, str]:
    """What is kept of an HTML element's attributes."""
    kept = {name: shown for name, shown in token.attributes.items() if name in _HTML and _HTML[name].fullmatch(shown)}
    kept = _plain(kept)
    if token.name == "img":
        kept["src"] = token.attributes["src"]
    return kept | _style(token)


def svg_attributes(token: Start, *, refers: bool) -> dict[str, str]:
    """What is kept of an SVG element's attributes; if it *refers*, gradients, markers and clips by their names too."""
    kept = {}
    for name, shown in token.attributes.items():
        if name in _EVERYWHERE:
            keeps = _EVERYWHERE[name].fullmatch(shown) is not None
        elif name in ("d", "points"):
            keeps = _PATH.fullmatch(shown) is not None
        else:
            refers_here = refers and name in _REFERRING and _REFERENCE.fullmatch(shown) is not None
            keeps = refers_here or (name in _DRAWN and value(shown))
        if keeps:
            kept[name] = shown
    return _plain(kept) | _style(token)


def _plain(attributes: dict[str, str]) -> dict[str, str]:
    return {name: visible(shown) for name, shown in attributes.items()}


def _style(token: Start) -> dict[str, str]:
    kept = declarations(token.attributes.get("style", ""))
    return {"style": kept} if kept else {}
