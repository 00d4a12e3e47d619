"""Spans of a parsed text as Markdown that every renderer reads alike, and in which text is only text."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from markdown_it.token import Token

from ....core.terminal import unmarked, visible
from .fence import no_directive
from .flanking import needs_mark
from .parser import BAR, MAX_SPANS, Node

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
# What renderers look for inside code spans too: formulas, and in a text with formulas the quotes of an attribute.
_WILD_CODE = re.compile(r"\$\$|\\\\[\[\]()]|\\(?:begin|end)\b|@@|\n")
# What would still be Markdown inside a <code> of ours.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+.!|~$:@-]")
# What text must not hold as it stands. A brace behind a span or in a heading gives it attributes (Pandoc, Quarto),
# two dots begin a directive (reStructuredText).
_UNSAFE = re.compile(
    r"<(?=[A-Za-z/!?]|\Z)|&(?=#?\w{1,32};)|\\|\$|`|(?<=\])[(:]|!(?=\[|\Z)|(?:(?<=[\])}*_~>])|\A)\{|\}\Z|@(?=@)|\"|~|\|"
    r"|(?:(?<=\s)|\A)\.\.(?=\s|\Z)|(?<=[fF][tT][pP]:)/"
)
# What begins a block where it begins a line.
_BLOCK_START = re.compile(
    r"(?P<sign>[-+*](?=\s|\Z)|#|>|:(?=\s|::)|%(?=\s)|\|?\s*:?-+:?[\s|:-]*\Z|(?:=+|-+)\s*\Z|(?:[-_*]\s*){3,}\Z|__(?=\s))"
    r"|(?P<number>\d{1,9})(?P<mark>[.)](?=\s|\Z))"
)
_APART = "<span></span>"
_RUN = 2 * MAX_SPANS + 1  # parts that may be delimiters of one run, and one before them
_TITLE = re.compile(r"[\w\s.,;?!/+=()·，。、：；？！（）《》-]*")
_AUTOLINK = re.compile(r"https?://[^\s<>\x00-\x1f\x7f\"'`\\$@|]+", re.IGNORECASE)
_ENCODED = re.compile(r"[\x00-\x20\x7f-\x9f\"<>\\^`{|}\[\]$\ud800-\udfff]|@(?=@)")
_NOT_ASCII = re.compile(_ENCODED.pattern.replace("\\x7f-\\x9f", "\\x7f-\\U0010ffff").replace("\\ud800-\\udfff", ""))
_ENTITY = re.compile(r"&(?=#?\w{1,32};)")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What decides how text is written.

    Attributes:
        quotes: Whether JupyterLab will look for formulas: it puts them back with only & < > escaped.
        lone: Whether there is at most one dollar, which begins no formula.
        cell: Whether this is a cell of a table.
        heading: Whether this is a heading.
    """

    quotes: bool = False
    lone: bool = False
    cell: bool = False
    heading: bool = False

    def dollar(self) -> str:
        """A dollar that begins no formula; in an element of its own, since MathJax takes any two of a line for one."""
        return "$" if self.lone else "<span>&#36;</span>"


def written(nodes: Sequence[Node], around: Surroundings) -> str:
    """Return the spans of one block, over as many lines as they had; of headings and cells, one."""
    out = _Writer(around, tildes=sum(node.token.content.count("~") for node in _flat(nodes)) > 1)
    out.spans(nodes)
    return "".join(out.parts)


def _flat(nodes: Sequence[Node]) -> list[Node]:
    return [one for node in nodes for one in (node, *_flat(node.children))]


class _Writer:
    def __init__(self, around: Surroundings, *, tildes: bool) -> None:
        self.around = around
        self.tildes = tildes
        self.parts: list[str] = []
        self.in_link = False

    @property
    def last(self) -> str:
        """The character written last; a line end at the beginning."""
        return self.parts[-1][-1:] if self.parts else "\n"

    def put(self, part: str) -> None:
        if part:
            self.parts.append(part)

    def spans(self, nodes: Sequence[Node], behind: str = "") -> None:
        """Write *nodes*; *behind* is the first character of what comes after them."""
        nodes = _joined(nodes)
        for number, node in enumerate(nodes):
            after = _begin_of(nodes[number + 1]) if number + 1 < len(nodes) else behind
            _WRITERS[node.kind](self, node, after)

    # ---- one kind of span each

    def text(self, node: Node, after: str) -> None:
        content = visible(node.token.content).replace(BAR, "|")
        if self.last == "\n":
            content = content.lstrip(" \t")
            start = _BLOCK_START.match(content)
            if start is not None and start["number"]:
                self.put(f"{start['number']}\\{start['mark']}")
                content = content[start.end() :]
            elif start is not None and content[0] not in "~|":
                self.put(f"\\{content[0]}")
                content = content[1:]
            elif start is not None or (content.startswith("[") and "]" not in content):
                self.put(f"&#{ord(content[0])};")
                content = content[1:]
        self.safe_text(content, after)

    def safe_text(self, content: str, after: str) -> None:
        """Text in which nothing is more than it shows."""

        def made(found: re.Match[str]) -> str:
            next_one = content[found.end() : found.end() + 1] or after
            return self.made(found[0], next_one, content[found.end() :])

        self.put(_UNSAFE.sub(made, content) if content else "")

    def made(self, unsafe: str, after: str, rest: str) -> str:  # noqa: C901 - a row for each sign
        match unsafe:
            case "$":
                return self.around.dollar()
            case "\\":
                return self.backslash(after, rest)
            case '"':
                return "&quot;" if self.around.quotes else '"'
            case "~":
                return "\\~" if self.tildes else "~"
            case "|":
                return "\\|" if self.around.cell else "|"
            case "..":
                return "..&nbsp;"
            case "<":
                return "&lt;" if rest or after.isalpha() or after in "/!?" else "<"
            case "!":
                return "&#33;" if after == "[" else "!"
            case "}":
                return "&#125;" if after == "`" else "}"
            case "&":
                return "&amp;"
            case _:
                return f"&#{ord(unsafe)};"

    def backslash(self, after: str, rest: str) -> str:
        """A backslash that begins no command, no formula and no escape."""
        plain = (after.isalnum() or after == " ") and not rest.startswith(("begin", "end"))
        return "\\\\" if plain else "<span>&#92;</span>"

    def special(self, node: Node, after: str) -> None:  # noqa: ARG002 - they all take these
        """What the writer of the text escaped, or wrote as an entity, and is kept so."""
        self.put(node.token.markup)

    def line_end(self, node: Node, after: str) -> None:  # noqa: ARG002 - they all take these
        if self.around.heading or self.around.cell:
            self.put(" ")
        else:
            self.put("  \n" if node.kind == "hardbreak" else "\n")

    def code(self, node: Node, after: str) -> None:  # noqa: ARG002
        content = visible(node.token.content).replace(BAR, "|")
        wild = _TAG.search(content) or _WILD_CODE.search(content) or (self.around.quotes and '"' in content)
        if wild or ("|" in content and self.around.cell) or self.last in ("\\", "`") or not content.strip():
            # HTML of our own: a span that some renderer didn't take for one would let through what is in it.
            inside = _SPECIAL.sub(lambda special: f"&#{ord(special[0])};", escape(content.strip(), quote=True))
            self.put(f"<code>{no_directive(inside)}</code>")
            return
        longest = max((len(run) for run in re.findall("`+", content)), default=0)
        ticks = node.token.markup if len(node.token.markup) > longest else "`" * (longest + 1)
        room = " " if content[0] == "`" or content[-1] == "`" or (content[0] == content[-1] == " ") else ""
        self.put(f"{ticks}{room}{content}{room}{ticks}")

    def marked(self, node: Node, after: str) -> None:
        """Emphasis; where CommonMark wouldn't see where it begins or ends, an empty element stands before or behind."""
        markup, sign = node.token.markup, node.token.markup[:1]
        if self.last != sign and needs_mark(_first_inside(node, sign), self.last):
            self.put(_APART)
        self.put(markup)
        self.spans(node.children, sign)
        last_inside = "".join(self.parts[-_RUN:]).rstrip(sign)[-1:]
        self.put(markup)
        if after != sign and needs_mark(last_inside, after):
            self.put(_APART)

    def link(self, node: Node, after: str) -> None:  # noqa: ARG002
        address = str(node.token.attrs.get("href", ""))
        if node.token.markup == "autolink" and _AUTOLINK.fullmatch(address):
            self.put(f"<{address}>")
            return
        self.put("[")
        self.in_link = True
        self.spans(node.children, "]")
        self.in_link = False
        self.put(f"]({_destination(address, str(node.token.attrs.get('title', '')))})")

    def image(self, node: Node, after: str) -> None:  # noqa: ARG002
        """Images are never loaded: where they come from would learn that, and what, the reader reads."""
        address = str(node.token.attrs.get("src", ""))
        alternative = unmarked("".join(one.content for one in node.token.children or ()))
        self.put("&#33;")
        if self.in_link:
            self.safe_text(f"[{alternative}]", "(")
            self.put("&#40;")
            self.safe_text(address, ")")
            self.put(")")
            return
        self.put("[")
        shown = _Writer(self.around, tildes=True)
        shown.parts.append("[")
        shown.safe_text(re.sub(r"\s+", " ", visible(alternative)), "]")
        self.put("".join(shown.parts[1:]).replace("[", "\\[").replace("]", "\\]"))
        self.put(f"]({_destination(address, str(node.token.attrs.get('title', '')))})")

    def formula(self, node: Node, after: str) -> None:
        content = node.token.content
        if self.around.cell:
            # As GitHub reads it: in a table a bar of the formula is written with a backslash.
            content = content.replace(f"\\{BAR}", "\\vert ").replace(BAR, "\\vert ").replace("|", "\\vert ")
        content = visible(content.replace(BAR, "|"))
        # Two formulas that touch would read as one.
        self.put(f" {content}" if self.last == "$" and content[0] == "$" else content)
        if after.isdigit() and content[-1] == "$":
            self.put("<span></span>")


def _destination(address: str, title: str) -> str:
    """An address and a title in the brackets of a link."""
    unsafe = _ENCODED if visible(address) == address else _NOT_ASCII
    encoded = unsafe.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode(errors="replace")), address)
    if encoded.count("(") != encoded.count(")") or ")" in encoded.split("(", 1)[0]:
        encoded = encoded.replace("(", "%28").replace(")", "%29")
    shown = _ENTITY.sub("&amp;", encoded)
    return f'{shown} "{title}"' if title and _TITLE.fullmatch(title) and "\n" not in title else shown


def _first_inside(node: Node, sign: str) -> str:
    """The first character within *node* that isn't a delimiter of the same kind."""
    first = next((child for child in node.children if child.kind != "text" or child.token.content), None)
    if first is None:
        return ""
    return _first_inside(first, sign) if _is_marked(first) and first.token.markup[:1] == sign else _begin_of(first)


def _is_marked(node: Node) -> bool:
    return node.kind in ("em", "strong", "s")


def _joined(nodes: Sequence[Node]) -> list[Node]:
    """*nodes* with escaped characters as the text they are, but for those that must stay escaped."""
    joined: list[Node] = []
    for node in nodes:
        if node.kind not in ("text", "text_special") or _stays_escaped(node):
            joined.append(node)
            continue
        content = unmarked(node.token.content)
        if node.kind == "text_special":
            content = " " if content.isspace() and content in "\n\r\t\f\v" else content
        if joined and joined[-1].kind == "text":
            content = joined.pop().token.content + content
        joined.append(Node(Token("text", "", 0, content=content), ()))
    return joined


def _stays_escaped(node: Node) -> bool:
    content, is_entity = node.token.content, node.token.info == "entity"
    return node.kind == "text_special" and content in (("<", ">", "&", '"', "\xa0") if is_entity else ("*", "_"))


def _begin_of(node: Node) -> str:
    """The first character of what will be written for a span."""
    match node.kind:
        case "text" | "text_special":
            return node.token.content[:1]
        case "softbreak" | "hardbreak":
            return "\n"
        case "code_inline":
            return "`"
        case "link":
            return "<" if node.token.markup == "autolink" else "["
        case "image":
            return "&"
        case "formula":
            return node.token.content[:1]
        case _:
            return node.token.markup[:1]


_WRITERS: dict[str, Callable[[_Writer, Node, str], None]] = {
    "text": _Writer.text,
    "text_special": _Writer.special,
    "softbreak": _Writer.line_end,
    "hardbreak": _Writer.line_end,
    "code_inline": _Writer.code,
    "em": _Writer.marked,
    "strong": _Writer.marked,
    "s": _Writer.marked,
    "link": _Writer.link,
    "image": _Writer.image,
    "formula": _Writer.formula,
}
