"""What LaTeX and reStructuredText made from a model's text may hold: nothing that reads, writes, runs or defines."""

import re

from docutils import nodes
from docutils.core import publish_doctree

# What pandoc writes in text; everything else came from the model.
_TEXT = frozenset(
    """emph textbf textit texttt textsuperscript textsubscript sout st textbackslash textasciitilde textasciicircum
    textquotesingle textgreater textless textbar textasciigrave textquotedbl ldots textellipsis textemdash textendash
    href url section subsection subsubsection paragraph subparagraph label hypertarget item tightlist
    setlength setcounter def labelenumi arabic alph roman Alph Roman tabcolsep real columnwidth linewidth
    raggedright raggedleft centering arraybackslash toprule midrule bottomrule endhead endfirsthead endfoot endlastfoot
    noalign minipage strut footnote rule quad square boxtimes passthrough protect penalty texorpdfstring
    $ % & # _ { } ~ ^ - / , ; ! ( ) [ ] \\""".split()
)
_TEXT_ENVIRONMENTS = frozenset({"itemize", "enumerate", "quote", "longtable", "minipage", "description", "verbatim"})
_TEXT_ENVIRONMENTS |= {"Shaded", "Highlighting", "center"}
_MATH_ENVIRONMENTS = frozenset(
    """align aligned alignat alignedat array cases dcases rcases equation eqnarray gather gathered matrix pmatrix bmatrix
    Bmatrix vmatrix Vmatrix smallmatrix multline split subarray math displaymath CD flalign""".split()
)
# Of what a formula may use, there is no list; of what reads, writes, runs, defines or changes how TeX reads, there is.
_NEVER = frozenset(
    """input include InputIfFileExists IfFileExists import subimport includeonly includegraphics includepdf graphicspath
    lstinputlisting verbatiminput VerbatimInput inputminted write openout openin closeout closein read readline
    immediate special pdfliteral csname endcsname directlua luaexec latelua catcode lccode uccode mathcode active
    def edef gdef xdef let futurelet newcommand renewcommand providecommand DeclareMathOperator newenvironment
    renewenvironment DeclareRobustCommand NewDocumentCommand newtoks newcount newwrite newread expandafter noexpand
    loop repeat iftrue iffalse ifnum ifx else fi afterassignment everypar everymath output shipout usepackage
    RequirePackage documentclass makeatletter makeatother ExplSyntaxOn scantokens jobname string meaning href url
    hyperref nolinkurl cssId require unicode mmlToken endinput end@document stop batchmode newpage clearpage""".split()
)
_TOKEN = re.compile(
    r"\\([A-Za-z@]+|.)(?:\s*\{([^{}\n]*)\})?|(\^\^)|(\d+(?:\.\d*)?)\s*(?:em|ex|pt|cm|mm|in|pc|mu|sp|bp)\b", re.DOTALL
)
_SIZE = re.compile(r"(\d+(?:\.\d*)?)\s*(?:em|ex|pt|cm|mm|in|pc|mu|sp|bp)\b")
_VERBATIM = re.compile(r"\\begin\{verbatim\}\n.*?\n\\end\{verbatim\}", re.DOTALL)
_OURS = re.compile(r"\\href\{(https?://|mailto:|\\#)|\\url\{(https?://|mailto:)")
_LARGEST = 1000  # of any unit: a formula may be wide, but not so


def latex_faults(tex):
    """What the LaTeX of one text holds that isn't only text, formulas and code."""
    tex = _VERBATIM.sub("", tex)
    found, formula, command = [], [], ""
    for token in _TOKEN.finditer(tex):
        word, argument, hidden, size = token[1], token[2], token[3], token[4]
        if hidden:
            found.append("^^")
        elif size:
            # A size after a backslash that was cut off from its word is text.
            found += [token[0]] if command.isalpha() and float(size) > _LARGEST else []
        elif word in ("begin", "end"):
            name = (argument or "").rstrip("*")
            if name in _MATH_ENVIRONMENTS:
                formula.append(name) if word == "begin" else formula and formula.pop()
            elif formula or name not in _TEXT_ENVIRONMENTS:
                found.append(token[0])
        elif word in ("(", "["):
            command = ""
            formula.append(word)
        elif word in (")", "]"):
            formula and formula.pop()
        else:
            command = word
            if word in _NEVER if formula else not _is_text(tex, token):
                found.append(token[0])
            if argument and (size := _SIZE.search(argument)) and float(size[1]) > _LARGEST:
                found.append(token[0])
    return found


def _is_text(tex, token):
    word = token[1]
    if word in ("href", "url"):
        return bool(_OURS.match(tex, token.start()))
    if word == "def":  # of a list's numbers
        return tex.startswith(r"\def\labelenum", token.start())
    return word in _TEXT or word.endswith("Tok") or word.startswith("labelenum") or word.isspace()


_SETTINGS = {
    "file_insertion_enabled": True,
    "raw_enabled": True,
    "report_level": 5,
    "halt_level": 6,
    "syntax_highlight": "none",
    "_disable_config": True,
    "warning_stream": False,
}


_OUR_TAGS = re.compile(r'</?(?:ul|ol|li|blockquote|details)(?: start="\d+")?>|<summary>\w+</summary>|\s')
_RAW_LATEX = re.compile(r":raw-latex:`([^`]*)`")


def rst_faults(text):
    """What docutils finds in the reStructuredText of one text that isn't only text, formulas, code and links."""
    # Pandoc writes environments in a role that it defines in whole documents only: nbconvert's show its content.
    found = [fault for latex in _RAW_LATEX.findall(text) for fault in latex_faults(rf"\({latex}\)")]
    document = publish_doctree(text, settings_overrides=_SETTINGS)
    for node in document.findall():
        match node:
            case nodes.raw() if not _OUR_TAGS.sub("", node.astext()):
                pass  # in them stands code that would do harm behind a mark
            case nodes.raw() | nodes.image() | nodes.figure() | nodes.substitution_definition():
                found.append(f"{node.tagname} {node.astext()[:80]}")
            case nodes.reference() | nodes.target() if not _is_link(node):
                found.append(f"{node.tagname} {node['refuri']}")
            case nodes.math() | nodes.math_block():
                found += latex_faults(rf"\({node.astext()}\)")
            case nodes.Text() if "root:x:0" in node:
                found.append("a file's content")
    # Markup that is wrong is shown as it is; an unknown role or directive is one that some builder knows.
    said = [one.astext() for one in (*document.parse_messages, *document.findall(nodes.system_message))]
    return found + [one[:120] for one in said if re.search("Unknown|insertion|include", one) and "raw-latex" not in one]


def _is_link(node):
    """Whether it leads to a page; docutils makes links of addresses of all kinds in plain text, too."""
    address = node.get("refuri", "#")
    return address.startswith(("http://", "https://", "mailto:", "#")) or address == node.astext()
