"""
Model text as Markdown that can't act.

JupyterLab doesn't sanitise the outputs of cells a user ran: raw HTML in ``text/markdown`` executes, ``javascript:``
links come out live, remote images are fetched (measured with 4.6). So what could be HTML is written as text, links keep
only harmless addresses, and images become links. Fenced code is passed as it stands, between fences of our own making,
so that every renderer agrees on where it ends; what some would run instead of showing (Mermaid, which nbconvert 7.17
doesn't even escape) loses its language.

And what is begun in a text ends in it: some renderers let formulas and definitions run on over blank lines, rules and
fences (nbconvert the former, most the latter), and whatever stands below would be part of them.
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
# The delimiters between which nbconvert lets a formula run on; it looks for them before it looks at any other mark.
_DELIMITER = re.compile(r"(?<!\\)\$\$|\\\\[\[\]]|\\(?:begin|end)\{[a-z]*\*?\}", re.IGNORECASE)
_ENDS = {"$$": "$$", r"\\[": r"\\]"}
_INERT = {"$": "&#36;", "[": "&#91;", "{": "&#123;"}
_COMMENT = re.compile(r"(\\.)|%[^\n]*(?=\n)")  # in a formula
_PARAGRAPH_END = re.compile(r"(\n\s*\n)")
_LABEL_ENDS = re.compile(r".*(?<!\\)\]", re.DOTALL)
_LABEL = re.compile(r"^( {0,3})\[", re.MULTILINE)  # of a definition
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
_REFERENCE = re.compile(r"\]:")
_IMAGE = re.compile(r"!(?=\[)")
# What would still be Markdown inside the <code> we write for a code span that holds a tag.
_SPECIAL = re.compile(r"[\\`*_{}\[\]()#+.!|~$:@-]")


def safe_markdown(text: str) -> str:
    """Return *text*, which a model wrote, so that rendering it runs and fetches nothing and leaves nothing open."""
    text = _LINE_END.sub("\n", text)  # renderers end a line at a lone CR too
    quotes = bool(_MATH.search(text))
    lone = text.count("$") < 2 and not _BRACKETED.search(text)
    parts: list[str] = []
    prose: list[str] = []
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        fence = _fence(lines[position])
        if fence is None:
            prose.append(lines[position])
            position += 1
            continue
        end = _fence_end(lines, position, fence[1])
        if prose:
            parts.append(_safe_prose("\n".join(prose), quotes=quotes, lone=lone))
            prose = []
        parts.append(_fenced(lines[position + 1 : end], fence[2]))
        position = end + 1
    if prose:
        parts.append(_safe_prose("\n".join(prose), quotes=quotes, lone=lone))
    return "\n".join(parts)


def _fence(line: str) -> re.Match[str] | None:
    fence = _FENCE.fullmatch(line)
    return None if fence is None or ("`" in fence[2] and fence[1][0] == "`") else fence


def _fence_end(lines: list[str], start: int, fence: str) -> int:
    closing = re.compile(rf" {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}[ \t]*")
    for number in range(start + 1, len(lines)):
        if closing.fullmatch(lines[number]):
            return number
    return len(lines)


def _fenced(code: list[str], info: str) -> str:
    longest = max((len(run) for line in code for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    language = re.sub(r"[^\w+#.-]", "", info.strip().split(" ")[0])
    if language.lower().startswith(_RUN_AS_CODE):
        language = "text"
    # Blank lines around it, so that nothing before it can hold it: no paragraph, list or table goes on over them.
    return "\n".join(("", f"{fence}{language}", *code, fence, ""))


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
    safe = _MACRO.sub(r"\\ ", safe) if quotes else safe
    closed = "".join(_closed(paragraph) for paragraph in _PARAGRAPH_END.split(safe))
    # A line that was no fence for a backtick behind it may have lost that one.
    return "\n".join(line.replace("`", "&#96;") if _fence(line) else line for line in closed.split("\n"))


def _closed(paragraph: str) -> str:
    """A paragraph in which every formula that is begun is ended, on the same line, and no definition is begun."""
    delimiters = list(_DELIMITER.finditer(paragraph))
    last = {found[0]: found.start() for found in delimiters}
    kept: list[str] = []
    position, begun = 0, None
    for found in delimiters:
        if begun is not None and found[0] == _end_of(begun[0]):
            line = paragraph.rfind("\n", 0, begun.start()) + 1
            quoted = paragraph[line : begun.start()].lstrip().startswith(">")
            kept += (
                paragraph[position : begun.start()],
                _on_one_line(paragraph[begun.start() : found.end()], quoted=quoted),
            )
            position, begun = found.end(), None
        elif begun is None and last.get(_end_of(found[0]), -1) > found.start():
            begun = found
        elif begun is None and _end_of(found[0]):
            inert = "".join(_INERT.get(character, character) for character in found[0])
            kept += paragraph[position : found.start()], inert
            position = found.end()
    whole = "".join((*kept, paragraph[position:]))
    labels = _LABEL_ENDS.match(whole)
    behind = labels.end() if labels else 0
    return whole[:behind] + _LABEL.sub(r"\1&#91;", whole[behind:])


def _end_of(delimiter: str) -> str:
    return _ENDS.get(delimiter, delimiter.replace("begin", "end") if delimiter.startswith(r"\begin") else "")


def _on_one_line(formula: str, *, quoted: bool) -> str:
    """The same formula on one line: where a block of Markdown can't end, so that no renderer sees a half of it."""
    if "\n" not in formula:
        return formula
    bare = _COMMENT.sub(lambda found: found[1] or "", formula)
    return re.sub(r"\s*\n[\s>]*" if quoted else r"\s*\n\s*", " ", bare)


def _code_span(span: re.Match[str], *, quotes: bool) -> str:
    if not (_TAG.search(span[0]) or _DELIMITER.search(span[0]) or (quotes and '"' in span[0])):
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
