"""Blocks of a parsed text as Markdown in one plain form, which every renderer reads alike."""

import re
from collections.abc import Sequence

from ....core.terminal import visible
from .fence import code_lines, language, no_directive
from .inlines import Surroundings, written
from .parser import BAR, Node, TooDeepError, spans

# What would act, or move the ends of blocks and formulas, if a renderer didn't see that it stands in code. Inside the
# marks of a list or quotation JupyterLab looks for formulas in code too, and takes the marks for a part of them.
_WILD = re.compile(
    r"<(?=[A-Za-z/!?])|\\(?:begin|end)\b|\\\\[\[\]()]|@@|\](?=[(:\[])|!\[|`{3}|~{3}|^[ \t]+$", re.MULTILINE
)
_DELIMITERS = re.compile(r"\|?[\s:|-]*-[\s:|-]*")
_TIGHT = {("paragraph", "list"), ("paragraph", "code"), ("code", "paragraph"), ("list", "paragraph"), ("code", "list")}


class Writer:
    """
    Writes blocks.

    Args:
        around: What decides how text is written.
        source: The lines of the text that was parsed.
    """

    def __init__(self, around: Surroundings, source: Sequence[str]) -> None:
        self.around = around
        self.source = source

    def blocks(self, nodes: Sequence[Node], *, tight: bool = False) -> list[str]:
        """The lines of *nodes*, with blank lines between them where the list they are in has such."""
        lines: list[str] = []
        before = ""
        for node in nodes:
            kind = _kind(node)
            if lines and not (tight and (before, kind) in _TIGHT):
                lines.append("")
            lines += self.block(node)
            before = kind
        return lines

    def block(self, node: Node) -> list[str]:
        """The lines of one block."""
        match node.kind:
            case "paragraph":
                return self.text(node, self.around).split("\n")
            case "heading":
                return [self.heading(node)]
            case "fence" | "code_block":
                return code_lines(node.token.content, language(node.token.info))
            case "blockquote":
                return self.quotation(node.children)
            case "bullet_list" | "ordered_list":
                return self.listing(node)
            case "table":
                return self.table(node)
            case _:
                return [node.token.markup if node.token.markup in ("***", "___") else "---"]

    def text(self, node: Node, around: Surroundings) -> str:
        """The text of a paragraph, heading or cell."""
        inline = node.children[0]
        try:
            return written(spans(inline), around)
        except TooDeepError:
            return _literal(inline.token.content.replace(BAR, "|"), around)

    def heading(self, node: Node) -> str:
        """A heading, whatever form it had; what stands in braces at its end would be its attributes."""
        around = Surroundings(self.around.quotes, self.around.lone, heading=True)
        shown = re.sub(r"(#+)\s*\Z", lambda found: found[0].replace("#", "\\#"), self.text(node, around).strip())
        shown = f"{shown[:-1]}&#125;" if shown.endswith("}") else shown
        return f"{'#' * int(node.token.tag[1:])} {shown}".rstrip()

    def quotation(self, nodes: Sequence[Node]) -> list[str]:
        """A quotation: each line with its mark, or between tags if there is code that must stand free."""
        lines = self.blocks(nodes)
        if any(map(self.is_wild, nodes)):
            return ["<blockquote>", "", *lines, "", "</blockquote>"]
        return [f"> {line}".rstrip(" ") if not line.strip() else f"> {line}" for line in lines or [""]]

    def listing(self, node: Node) -> list[str]:
        """A list, likewise."""
        items = node.children
        tight = all(block.token.hidden for item in items for block in item.children if block.kind == "paragraph")
        ordered = node.kind == "ordered_list"
        if self.is_wild(node):
            start = int(items[0].token.info or 1) if ordered and items else 1
            tag = "ol" if ordered else "ul"
            lines = [f'<ol start="{start}">' if start != 1 else f"<{tag}>"]
            for item in items:
                lines += ["<li>", "", *self.blocks(item.children), "", "</li>"]
            return [*lines, f"</{tag}>"]
        lines = []
        for item in items:
            mark = f"{item.token.info}{item.token.markup}" if ordered else item.token.markup
            if lines and not tight:
                lines.append("")
            content = self.blocks(item.children, tight=tight) or [""]
            if content[0] in ("---", "***"):
                content[0] = "___"  # behind a mark of the same sign it would be a rule as a whole
            lines.append(f"{mark} {content[0]}".rstrip() if not content[0].strip() else f"{mark} {content[0]}")
            lines += [" " * (len(mark) + 1) + line if line else "" for line in content[1:]]
        return lines

    def table(self, node: Node) -> list[str]:
        """A table; the line below its head as it was, which can be nothing else."""
        around = Surroundings(self.around.quotes, self.around.lone, cell=True)
        rows = [row for part in node.children for row in part.children]
        lines = [f"| {' | '.join(self.text(cell, around).strip() for cell in row.children)} |" for row in rows]
        line = self.source[node.token.map[0] + 1].lstrip(" \t>-+*0123456789.)") if node.token.map else ""
        count = len(rows[0].children)
        delimiters = [_alignment(str(cell.token.attrs.get("style", ""))) for cell in rows[0].children]
        as_it_was = line.startswith("|") and line.rstrip().endswith("|") and line.count("|") == count + 1
        whole = as_it_was and _DELIMITERS.fullmatch(line) is not None
        lines.insert(1, line.rstrip() if whole else f"|{'|'.join(delimiters)}|")
        return lines

    def is_wild(self, node: Node) -> bool:
        """Whether there is code in it that must not stand behind the marks of a list or quotation."""
        if node.kind in ("fence", "code_block"):
            content = node.token.content
            return _WILD.search(content) is not None or ("$" in content and not self.around.lone)
        return any(self.is_wild(child) for child in node.children)


def _kind(node: Node) -> str:
    if node.kind in ("bullet_list", "ordered_list"):
        return "list"
    return "code" if node.kind in ("fence", "code_block") else node.kind


def _alignment(style: str) -> str:
    return {"text-align:left": ":---", "text-align:right": "---:", "text-align:center": ":---:"}.get(style, "---")


def _literal(content: str, around: Surroundings) -> str:
    """Text as it was written, with nothing in it that is more than text."""
    shown = re.sub(r"[!-/:-@\[-`{-~]", lambda found: f"&#{ord(found[0])};", visible(content))
    shown = no_directive(shown).replace("&#36;", around.dollar()).replace("&#92;", "<span>&#92;</span>")
    return re.sub(r"\s*\n\s*", " " if around.heading or around.cell else "\n", shown)
