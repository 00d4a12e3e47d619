"""
Model text as Markdown that can't act.

JupyterLab doesn't sanitise the outputs of cells a user ran: raw HTML in ``text/markdown`` executes, ``javascript:``
links come out live, remote images are fetched (measured with 4.6). So what could be HTML is written as text, links keep
only harmless addresses, and images become links. Fenced code is passed as it stands, between fences of our own making,
so that every renderer agrees on where it ends; what some would run instead of showing (Mermaid, which nbconvert 7.17
doesn't even escape) loses its language.
"""

import re

# What HTML takes for the beginning of a tag, comment or declaration; "a < b" and "1<2" stay as they are.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_AUTOLINK = re.compile(r"<https?://[^\s<>\x00-\x1f\x7f\"'`\\]+>")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)([^\n]*?[^`\n])\1(?!`)")
_SAFE_ADDRESS = r"(?!\s*<?(?:https?://|mailto:|#))"
_LINE_END = re.compile(r"\r\n?")
# Where JupyterLab's page takes mathematics out before it reads the Markdown, and its place holder for it. It puts the
# formula back with only & < > escaped, into an attribute too: a quotation mark in it would end the attribute.
_MATH = re.compile(r"\$|\\\\?[(\[]|\\begin|@@")
# Of this, what nbconvert lets run on over blank lines and fences: the fence would be gone, and its code be HTML.
_MATH_BLOCK = re.compile(r"\$\$|\\[\[]|\\begin")
# What can bring an address or a style into a formula. The safe mode of MathJax that JupyterLab uses stops most of it;
# the font of \unicode it passes as it stands, and with it "background: url(...)", which the page fetches.
_MACRO = re.compile(r"\\(?=(?:unicode|href|style|cssId|mmlToken|bbox|require|includegraphics)(?![A-Za-z]))")
# The delimiters most models write; JupyterLab, nbconvert and GitHub know dollars only.
_BRACKETED = re.compile(
    r"(?<!\\)\\\((?P<line>(?:[^$\n]|\n(?!\s*\n))+?)\\\)|(?<!\\)\\\[(?P<block>(?:[^$\n]|\n(?!\s*\n))+?)\\\]"
)
# What is meant as a formula between dollars, by Pandoc's rule; "$5 and $6" isn't.
_FORMULA = re.compile(
    r"\$\$(?:[^$\n]|\n(?!\s*\n))+?\$\$|(?<![\\$])\$(?![\s$])(?:\\.|[^$\\\n]|\n(?!\s*\n))*?(?<!\s)\$(?![\d$])"
)
_DOLLAR = re.compile(r"(\]\([^)\s]*|https?://\S+)|\\?\$")  # but for those in addresses
_PRICE = "<span>&#36;</span>"
_RUN_AS_CODE = ("mermaid",)
_INLINE_LINK = re.compile(r"\]\(" + _SAFE_ADDRESS)
_REFERENCE = re.compile(r"\]:")  # some renderers let a definition run on over blank lines and fences
_IMAGE = re.compile(r"!(?=\[)")
# What would still be Markdown inside the <code> we write for a code span that holds a tag.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+.!|~$:@-]")


def safe_markdown(text: str, beside: str = "") -> str:
    """
    Return *text* so that rendering it runs nothing and fetches nothing.

    Args:
        text: What a model wrote.
        beside: What else it wrote in the same document: a formula may begin in one and end in the other.
    """
    text = _LINE_END.sub("\n", text)  # renderers end a line at a lone CR too
    whole = f"{text}\n\n{beside}"
    quotes = bool(_MATH.search(whole))
    runs_on = bool(_MATH_BLOCK.search(whole))
    lone = whole.count("$") < 2 and not _BRACKETED.search(whole)
    parts: list[str] = []
    prose: list[str] = []
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        fence = _FENCE.fullmatch(lines[position])
        if fence is None or ("`" in fence[2] and fence[1][0] == "`"):
            prose.append(lines[position])
            position += 1
            continue
        end = _fence_end(lines, position, fence[1])
        if prose:
            parts.append(_safe_prose("\n".join(prose), quotes=quotes, lone=lone))
            prose = []
        parts.append(_fenced(lines[position + 1 : end], fence[2], runs_on=runs_on))
        position = end + 1
    if prose:
        parts.append(_safe_prose("\n".join(prose), quotes=quotes, lone=lone))
    return "\n".join(parts)


def _fence_end(lines: list[str], start: int, fence: str) -> int:
    closing = re.compile(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*")
    for number in range(start + 1, len(lines)):
        if closing.fullmatch(lines[number]):
            return number
    return len(lines)


def _fenced(code: list[str], info: str, *, runs_on: bool) -> str:
    if runs_on and any(_TAG.search(line) or _MACRO.search(line) for line in code):
        return _preformatted(code)
    if any("]:" in line for line in code) and any(_TAG.search(line) for line in code):
        return _preformatted(code)
    longest = max((len(run) for line in code for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    language = re.sub(r"[^\w+#.-]", "", info.strip().split(" ")[0])
    if language.lower().startswith(_RUN_AS_CODE):
        language = "text"
    # Blank lines around it, so that nothing before it can hold it: no paragraph, list or table goes on over them.
    return "\n".join(("", f"{fence}{language}", *code, fence, ""))


def _preformatted(code: list[str]) -> str:
    """
    Code as escaped HTML of our own.

    For code that a definition or formula begun before it could reach into: it would swallow the opening fence.
    """
    from html import escape  # noqa: PLC0415 - brings a table of entities that few answers need

    escaped = escape("\n".join(code), quote=True)
    for special in "$@\\":
        escaped = escaped.replace(special, f"&#{ord(special)};")
    return f"\n<pre><code>{escaped}\n</code></pre>\n"


def _safe_prose(text: str, *, quotes: bool, lone: bool) -> str:
    parts: list[str] = []
    position = 0
    for span in _CODE_SPAN.finditer(text):
        parts += _neutral(text[position : span.start()], quotes=quotes), _code_span(span, quotes=quotes)
        position = span.end()
    parts.append(_neutral(text[position:], quotes=quotes))
    # Once more over the whole, for what a span's end and the text behind it make together.
    safe = _IMAGE.sub("&#33;", "".join(parts))
    if lone:
        safe = safe.replace(_PRICE, "$")  # nothing it could be taken for
    return _MACRO.sub(r"\\ ", safe) if quotes else safe


def _code_span(span: re.Match[str], *, quotes: bool) -> str:
    if not _TAG.search(span[0]) and not (quotes and '"' in span[0]):
        return span[0] if not _dangerous(span[0]) else _neutral(span[0], quotes=quotes)
    # Written as HTML of our own: a code span that some renderer didn't take for one would let the tag through.
    from html import escape  # noqa: PLC0415 - brings a table of entities that few answers need

    escaped = escape(span[2].strip(), quote=True)
    return f"<code>{_SPECIAL.sub(lambda special: f'&#{ord(special[0])};', escaped)}</code>"


def _dangerous(text: str) -> bool:
    return bool(_INLINE_LINK.search(text) or _REFERENCE.search(text) or _IMAGE.search(text))


def _neutral(text: str, *, quotes: bool) -> str:
    kept: list[str] = []
    position = 0
    for link in _AUTOLINK.finditer(text):
        kept += _between(text[position : link.start()], quotes=quotes), link[0]
        position = link.end()
    return "".join((*kept, _between(text[position:], quotes=quotes)))


def _between(text: str, *, quotes: bool) -> str:
    """Text without code or autolinks: formulas and the rest."""
    text = _BRACKETED.sub(_in_dollars, text)
    kept: list[str] = []
    position = 0
    for formula in _FORMULA.finditer(text):
        # JupyterLab shows a formula's entities as they are written, so it must do without.
        inside = _TAG.sub(r"\\lt ", formula[0]).replace('"', "''")
        kept += _priced(_escape(text[position : formula.start()], quotes=quotes)), _escape(inside, quotes=quotes)
        position = formula.end()
    return "".join((*kept, _priced(_escape(text[position:], quotes=quotes))))


def _priced(text: str) -> str:
    """Dollars that begin no formula, each in an element of its own: MathJax takes any two of a line for one."""
    return _DOLLAR.sub(lambda found: found[1] or _PRICE, text)


def _in_dollars(formula: re.Match[str]) -> str:
    line, block = (formula[name] for name in ("line", "block"))
    return f"${line.strip()}$" if line else f"$${block.strip()}$$"


def _escape(text: str, *, quotes: bool) -> str:
    # Entities, not backslashes: a backslash before ours would turn the escape off, an entity it only makes visible.
    text = _TAG.sub("&lt;", text)
    if quotes:
        text = text.replace('"', "&quot;").replace("@@", "&#64;@")
    text = _INLINE_LINK.sub("]&#40;", text)
    text = _REFERENCE.sub("]&#58;", text)
    return _IMAGE.sub("&#33;", text)
