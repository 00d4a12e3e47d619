"""Markdown by grammar: blocks in containers, odd fences, lazy lines, tabs, formulas, tables, and payloads in all of it."""

from hypothesis import strategies as st

from tests.support.corpus import ATTRIBUTES, BRACES, DRAWINGS, FORMULAS, LATEX, LINES, NESTING, SCHEMES, TAGS, payloads

BLANKS = [" ", "  ", "\t", "\u00a0", "\u2028", "\u200b", "\x0b", "\x0c", "\x85", "\x00", "\ufeff", "\u202e"]
MARKS = [
    *"`*_[]()<>!|~$\\&#{}:;=-+.\"'@^%/",
    "``",
    "```",
    "~~~",
    "$$",
    "](",
    "![",
    "][",
    "]:",
    "[^",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
]
MARKS += [
    "\\\\(",
    "\\\\)",
    "\\begin{a}",
    "\\end{a}",
    "@@0@@",
    "&#96;",
    "&quot;",
    "&#x24;",
    "<!--",
    "-->",
    "</",
    "{.",
    "~T",
    "~D",
]
WORDS = ["a", "b1", "长城", "http://a.example/x_y", "www.a.example", "a@b.example", "javascript:qfpwned(0)"]

words = st.sampled_from([*WORDS, *BLANKS, *MARKS]) | st.text(st.characters(codec="utf-8"), max_size=3)
lines = (
    st.lists(words, min_size=1, max_size=6).map("".join).map(lambda text: text.replace("\n", " ").replace("\r", " "))
)
addresses = st.sampled_from([*SCHEMES, "http://evil.test/0", "https://a.example/(x)", "#x"]) | lines
formulas = st.builds(
    lambda ends, inside: inside.join(ends),
    st.sampled_from(
        [
            ("$", "$"),
            ("$$", "$$"),
            ("\\(", "\\)"),
            ("\\[", "\\]"),
            ("\\\\[", "\\\\]"),
            ("$`", "`$"),
            ("\\begin{a}", "\\end{a}"),
        ]
    ),
    st.sampled_from([*FORMULAS, "a_1", "a < b", "\\text{$x$}", '"']) | lines,
)
spans = st.builds(lambda ticks, inside: "`" * ticks + inside + "`" * ticks, st.integers(1, 4), lines)
links = st.builds(
    lambda mark, text, address, form: mark + form.format(text, address),
    st.sampled_from(["", "!", "\\!", "^"]),
    lines,
    addresses,
    st.sampled_from(
        ["[{}]({})", "[{}](<{}>)", '[{}]({} "t")', "[{}][{}]", "[{}]", "<{1}>", "[{}]( {}", "[![{0}]({1})]({1})"]
    ),
)
inlines = (
    lines
    | formulas
    | spans
    | links
    | st.sampled_from([*TAGS, *BRACES, *LATEX, *ATTRIBUTES]).map(lambda one: one.split("\n")[0])
)
texts = st.lists(inlines, min_size=1, max_size=3).map(" ".join)

infos = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            [
                *DRAWINGS,
                "python",
                "c++",
                '"',
                "'",
                "`",
                "{",
                "}",
                "=html",
                " ",
                "\t",
                "&quot;",
                "\\",
                "<b>",
                *ATTRIBUTES,
            ]
        )
        | words,
        max_size=4,
    ),
).map(lambda one: one.replace("\n", " ").replace("\r", " "))
fences = st.builds(
    lambda indent, mark, count, info, body, closed: "\n".join(
        (" " * indent + mark * count + info, *body, *([" " * indent + mark * (count + closed - 1)] if closed else []))
    ),
    st.integers(0, 4),
    st.sampled_from("`~"),
    st.integers(3, 5),
    infos,
    st.lists(texts | st.just("") | lines.map("    {}".format), max_size=3),
    st.sampled_from([0, 1, 1, 1, 2]),
)
paragraphs = st.lists(texts, min_size=1, max_size=3).map("\n".join)
headings = st.builds(
    "{} {}{}".format, st.integers(1, 6).map(lambda n: "#" * n), texts, st.sampled_from(["", " #", "\n===", "\n---"])
)
definitions = st.builds(
    "[{}]:{}{}{}".format,
    lines,
    st.sampled_from(["", " ", "\n", "\n\n"]),
    addresses,
    st.sampled_from(["", ' "t"', ' "t', "\n'", " (x)"]),
)
tables = st.builds(
    lambda head, rows: "\n".join((f"| {head} | b |", "|---|:-:|", *(f"| {row} | x |" for row in rows))),
    texts,
    st.lists(texts, max_size=2),
)
rest = st.sampled_from(
    [
        "---",
        "***",
        "",
        "",
        "    x",
        "\tx",
        "$$",
        "\\[",
        "<div>",
        "</div>",
        "<pre>",
        "<!--",
        ": x",
        "[TOC]",
        "..",
        "---\nx: y\n---",
    ]
)
leaves = (
    fences | paragraphs | headings | definitions | tables | rest | st.sampled_from(payloads()).map(lambda one: one.text)
)


@st.composite
def _contained(draw, inner):
    """Blocks in a container; some of its lines lose their mark, blanks or become tabs."""
    around = draw(st.sampled_from([*NESTING, *NESTING[:4], *LINES[:3]]))
    text = draw(inner)
    written = around.around(text.replace("\n", " ") if around.line else text).split("\n")
    odd = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
    if odd and len(written) > 1:
        at = draw(st.integers(1, len(written) - 1))
        change = {
            1: lambda line: line.lstrip("> \t"),
            2: lambda line: line.replace("  ", "\t"),
            3: lambda line: line[1:],
        }
        written[at] = change[odd](written[at])
    return "\n".join(written)


def _joined(blocks):
    return st.lists(blocks, min_size=1, max_size=3).flatmap(
        lambda found: st.sampled_from(["\n", "\n\n", "\n\n", "\n \n"]).map(lambda between: between.join(found))
    )


documents = st.builds(
    lambda text, end: text.replace("\n", end),
    _joined(st.recursive(leaves, lambda inner: _contained(_joined(inner)), max_leaves=4)),
    st.sampled_from(["\n", "\n", "\n", "\n", "\r", "\r\n"]),
)
