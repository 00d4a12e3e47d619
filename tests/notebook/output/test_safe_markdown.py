"""Model text as Markdown holds nothing that acts, however a renderer reads it; what is harmless stays as it was."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.core.answer import Answer
from qfmagic.notebook.output.bundle import answer_bundle
from qfmagic.notebook.output.safe_markdown import safe_markdown
from tests.support.html_judge import OURS, RENDERERS, formulas, html_faults, markdown_faults, outlines

CORPUS = json.loads((Path(__file__).parents[2] / "browser" / "payloads.json").read_text("ascii"))

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<IMG SRC=x>",
    "<svg/onload=alert(1)>",
    "</p><iframe srcdoc='<script>x</script>'>",
    "<iframe src=javascript:alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<?php x ?>",
    "<!DOCTYPE x>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x]( javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](\njavascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>x</script>)",
    "[x](vbscript:x)",
    "[x][r]\n\n[r]: javascript:alert(1)",
    "[r]\n\n[r]:\n  javascript:alert(1)",
    "![x](https://evil.example/?leak)",
    "![x][r]\n\n[r]: https://evil.example/",
    "![x]\n\n[x]: https://evil.example/",
    "\\![x](https://evil.example/)",
    "\\\\![x](https://evil.example/)",
    "[![x](https://evil.example/)](https://a.example)",
    "\\<img src=x onerror=alert(1)>",
    "\\\\<img src=x onerror=alert(1)>",
    "`<img src=x onerror=alert(1)>",
    "`` ` <img src=x onerror=alert(1)>",
    "\\`<img src=x onerror=alert(1)>\\`",
    "```\n<img src=x onerror=alert(1)>",
    "``` a`b\n<img src=x onerror=alert(1)>\n```",
    "```a `<b>`\n\n```\n<img src=x onerror=alert(1)>\n```",
    "~~~\n```\n<img src=x onerror=alert(1)>\n~~~\n<img src=x onerror=1>",
    "- a\n    ```\n<img src=x onerror=alert(1)>\n    ```",
    "> ```\n<img src=x onerror=alert(1)>",
    "    <img src=x onerror=alert(1)>",
    "<div>\n```\n</div>\n<img src=x onerror=1>\n```",
    "$$\n```\n$$\n<img src=x onerror=alert(1)>\n```",
    "<javascript:alert(1)>",
    "<https://a.example/onmouseover=alert(1)//>",
    '<https://a"onmouseover=alert(1)>',
    "<a@b.c><img src=x onerror=1>",
    "a|b\n-|-\n<img src=x onerror=1>|`|`<img src=x onerror=1>",
    '[x](https://a.example "<img src=x onerror=1>")',
    "&lt;img src=x onerror=alert(1)&gt;",
    "<\timg src=x>",
    "<a\u2028b onload=1>",
    "`a`<img src=x onerror=1>`b`",
    "``<img src=x onerror=1>`",
    "***<img src=x onerror=1>***",
    "[x]: <javascript:alert(1)>\n[x]",
    "[x]\\(javascript:alert(1))",
    '<math><mi//xlink:href="data:x,<script>1</script>">',
    "hi\r```\n\n```\n<img src=x onerror=alert(1)>\n```\n",
    "[\n```\n]: x\n<img src=x onerror=alert(1)>\n```",
    '[a]: https://a.example "\n\n```\n"\n<img src=x onerror=alert(1)>\n```',
    "<style>@import 'https://evil.example'</style>",
    "<form action=https://evil.example><input>",
    "<base href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
]


def faults(text):
    return markdown_faults(safe_markdown(text))


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "text {} text",
        "- item {}\n- b",
        "> {}",
        "# {}",
        "{}\n\n```python\nx < 1\n```",
        "`code` {} `code`",
        "a\n\n{}\n\nb",
        "$x$ {}",
        "[{}](https://a.example)",
    ],
)
def test_safe_markdown_payloads_are_inert(payload, around):
    assert faults(around.format(payload)) == []


@pytest.mark.slow
@pytest.mark.parametrize("around", ["{}", "text {} text", "- item\n\n  {}", "> {}", "| a | b |\n|---|---|\n| {} | x |"])
def test_safe_markdown_corpus_is_inert(around):
    texts = [around.replace("{}", payload["text"]) for payload in CORPUS["hostile"]]
    assert {text: found for text in texts if (found := faults(text))} == {}


def test_html_judge_detects_raw_payloads():
    assert sum(bool(html_faults(RENDERERS[0].render(payload))) for payload in PAYLOADS) > 30


@given(
    st.lists(
        st.sampled_from(
            [
                *PAYLOADS,
                "`",
                "``",
                "```",
                "~~~",
                "\n",
                "\n\n",
                "    ",
                "> ",
                "- ",
                "\\",
                "[",
                "](",
                "!",
                "<",
                "a",
                "$$",
                "|",
                "<https://a.b>",
            ]
        ),
        max_size=8,
    )
)
def test_safe_markdown_combined_payloads_are_inert(parts):
    assert faults("".join(parts)) == []


@pytest.mark.parametrize(
    "text",
    [
        "**bold** and *italic*, `code` and `x < y`",
        "# 标题\n\n- 一\n- 二\n\n1. a\n2. b",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        'He said "hello" and [link](https://a.example "title")',
        "[link](https://a.example/x?y=1#z) and <https://b.example/> and [mail](mailto:a@b.c)",
        "1 < 2, a<1, x <= y, a > b, <3",
        "$a < b$ and $$\\frac{1}{2}$$",
        "a & b &amp; c",
    ],
)
def test_safe_markdown_keeps_harmless_text(text):
    assert safe_markdown(text) == text


def test_safe_markdown_code_block_keeps_every_character():
    code = "#include <stdio.h>\nif (a<b) { vector<int> x; }  // ![x](javascript:1) ~~~ `x`"
    rendered = RENDERERS[0].render(safe_markdown(f"before\n```c++\n{code}\n```\nafter"))
    assert "#include &lt;stdio.h&gt;\nif (a&lt;b) { vector&lt;int&gt; x; }  // ![x](javascript:1) ~~~ `x`" in rendered
    assert 'class="language-c++"' in rendered
    assert "<p>after</p>" in rendered


def test_safe_markdown_code_span_keeps_tags():
    rendered = RENDERERS[0].render(safe_markdown("use `std::vector<int> *x_y*` here"))
    assert "<code>std::vector&lt;int&gt; *x_y*</code>" in rendered


def test_safe_markdown_closes_open_fence():
    assert safe_markdown("```python\nx = 1").rstrip().endswith("x = 1\n```")


def test_safe_markdown_shows_diagram_as_code():
    """JupyterLab would draw it, and load the images it names; nbconvert 7.17 doesn't even escape it."""
    for info in ("mermaid", "Mermaid", "{mermaid}", "mermaid title", "mermaidx"):
        safe = safe_markdown(f"```{info}\ngraph TD\nA-->B\n```")
        assert "mermaid" not in safe.lower()
        assert "graph TD\nA-->B" in safe


# ---- what is begun in a text ends in it

BLANKS = ["", " ", "    ", "\t", " \t", "\n", "\n\n", " \n", "\n\t", "\v", "\f", "\r", "\x85", "\u2028", "\xa0"]
LEFT_OPEN = [
    "$$",
    "a $$ b",
    "# $$\nx $$",
    "> $$\nx $$",
    "> a\n$$\n---\nx $$",
    "    $$\nx $$",
    "\\$$a$$",
    "$$a\\$$",
    "`$$`",
    "``a ` $$``",
    "[a](https://a.example/$$)",
    "<https://a.example/$$>",
    "www.a.example/$$",
    "\\\\[ b",
    "a \\\\[ b",
    "\\\\\\[ b",
    "# \\\\[\n\\\\]\\\\[",
    "`\\\\[`",
    "\\begin{align}\na &= b",
    "a \\begin{align}",
    "> \\begin{align}\na\n\\end{align} \\begin{align}",
    "`\\begin{align}`",
    "[",
    "a\n[",
    "[a\\]",
    "[ b\n```\nc\n```",
    "```\n$$ \\begin{align} \\\\[ [\n```\n\n[",
    "    ```",
    "\t~~~",
    "1. a\n   - b\n\n     ```",
    "- a\n\t```",
    "> ```",
    "| a | $$ |\n|---|---|\n| \\\\[",
    "a\n: b $$",
]
CLOSING = [
    "$$",
    "a $$ b",
    "`$$`",
    "a \\\\] b",
    "b \\end{align}",
    "```\n]: x\n```",
    "```\nx $$ \\\\] \\end{align}\n]: x\n```",
]


@pytest.mark.parametrize("text", LEFT_OPEN)
def test_safe_markdown_closes_open_constructs(text):
    """nbconvert lets formulas and definitions run on over blank lines, rules and fences."""
    for other in (*CLOSING, *LEFT_OPEN):
        both = f"{safe_markdown(text)}\n\n---\n\n**other**\n\n{safe_markdown(other)}\n\n*a note*"
        for outline in outlines(both):
            shown = [(one.name, one.get_text(strip=True)) for one in outline]
            assert ("hr", "") in shown, (both, shown)
            assert shown[shown.index(("p", "other")) - 1] == ("hr", ""), both
            assert shown[-1] == ("p", "a note"), both
        assert [one for one in formulas(both) if "**other**" in one or "*a note*" in one] == []


@pytest.mark.parametrize(
    "text",
    [
        "$$\n```\n$$\n<img src=x onerror=alert(1)>\n```",
        "\\\\[\n```\n\\\\]\n<img src=x onerror=alert(1)>\n```",
        "\\begin{a}\n```\n\\end{a}\n<img src=x onerror=alert(1)>\n```",
        "[a\n```\nb]: c\n<img src=x onerror=alert(1)>\n```",
    ],
)
def test_safe_markdown_code_after_open_formula_is_code(text):
    for renderer in RENDERERS:
        assert "&lt;img src=x onerror=alert(1)&gt;" in renderer.render(safe_markdown(text))
    assert "\n```\n" in safe_markdown(text)


HIDDEN = "{}```\n\n```\n<img src=x onerror=alert(1)>\n```"


@pytest.mark.parametrize("before", BLANKS)
def test_safe_markdown_blanks_around_text_change_nothing(before):
    """What was judged as it stood may not be moved to where it means something else."""
    for text in (HIDDEN.format(before), f"{before}~~~", f"{before}$$", f"x{before}"):
        for answer in (Answer("The answer.", reasoning=text), Answer(text, reasoning=text), Answer(text)):
            marked = answer_bundle(answer, ["a note"])["text/markdown"]
            assert markdown_faults(marked, OURS) == [], marked
            for outline in outlines(marked):
                assert outline[-1].get_text(strip=True) == "◈a note", marked
                if answer.text == "The answer.":
                    assert outline[-2].get_text(strip=True) == "The answer.", marked


@pytest.mark.slow
@given(*[st.lists(st.sampled_from([*BLANKS, *PAYLOADS, *LEFT_OPEN, *CLOSING, "a", "- ", "> ", "```", "~~~"]))] * 2)
def test_answer_bundle_of_combined_payloads_is_inert(text, reasoning):
    answer = Answer("".join(text), reasoning="".join(reasoning))
    marked = answer_bundle(answer, ["a note"])["text/markdown"]
    assert markdown_faults(marked, OURS) == []
    for outline in outlines(marked):
        assert (outline[-1].name, outline[-1].get_text(strip=True)) == ("p", "◈a note")


BACKSLASH = "<span>&#92;</span>"  # one that MathJax takes for no command


@pytest.mark.parametrize(
    ("written", "saved"),
    [
        ("$$\na\n= b\n$$", "$$ a = b $$"),
        ("\\begin{align}\n  a &= b \\\\[2pt]\n  c\n\\end{align}", "\\begin{align} a &= b \\\\[2pt] c \\end{align}"),
        ("$$\na % why\n= 5\\%\n$$", "$$ a = 5\\% $$"),
        ("> $$\n> a\n> $$", "> $$ a $$"),
        ("$$\na\n> b\n$$", "$$ a > b $$"),
        ("1. a\n\n   $$\n   b\n   $$", "1. a\n\n   $$ b $$"),
        ("\\begin{align}\n\na\n\\end{align}", f"{BACKSLASH}begin{{align}}\n\na\n{BACKSLASH}end{{align}}"),
        ("\\\\[ a \\\\] and \\\\[ b", f"\\\\[ a \\\\] and {BACKSLASH}[ b"),
        ("`\\begin{a}`", "<code>&#92;begin&#123;a&#125;</code>"),
        ("[0, 1)", "&#91;0, 1)"),
        ("[0, 1] and [2, 3)", "[0, 1] and [2, 3)"),
    ],
)
def test_safe_markdown_formula_is_on_one_line(written, saved):
    """No block of Markdown can end inside a line, so every renderer sees the formula's two ends, or neither."""
    assert safe_markdown(written) == saved


def test_safe_markdown_formula_has_no_address_or_style():
    """MathJax passes the font of \\unicode on as a style, which can name an address."""
    safe = safe_markdown("$\\unicode[x;background:url(https://a.example)]{65} + \\href{https://a.example}{y}$")
    assert "\\unicode" not in safe
    assert "\\href" not in safe
    assert safe_markdown(r"C:\unicode and \href{x}") == r"C:\\unicode and \\href{x}"
    assert safe_markdown("$\\frac{1}{2} \\times$") == "$\\frac{1}{2} \\times$"


MATH = [
    '[see](https://x/$" onmouseover="alert(1)$)',
    'www.x.com$" onmouseover="alert(1)$',
    'https://x.example/$" onmouseover="alert(1)$',
    '[x](https://a/\\begin{a}" onmouseover="alert(1)\\end{a})',
    '[x](https://a/@@0@@) $" onmouseover="alert(1)$',
    '`$" onmouseover="alert(1)$` [x](https://a/@@0@@)',
    '<https://x/$> " onmouseover="alert(1)$',
]


@pytest.mark.parametrize("text", MATH)
def test_safe_markdown_formula_cannot_end_an_attribute(text):
    """JupyterLab takes formulas out before it reads the Markdown, and puts them back without escaping quotes."""
    formula = re.compile(r"\$[^$]*\$|\\\\begin\\{.*?\\end\\{a\\}")
    safe = safe_markdown(text)
    found = formula.findall(safe)
    marked = RENDERERS[0].render(formula.sub("@@F@@", safe))
    for one in found:
        marked = marked.replace("@@F@@", one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), 1)
    if found:
        marked = marked.replace("@@0@@", found[0])
    assert html_faults(marked) == []


@pytest.mark.parametrize(
    ("written", "saved"),
    [
        ("$5", "$5"),
        ("$5 and $6", "<span>&#36;</span>5 and <span>&#36;</span>6"),
        (r"\$5 and \$6", "<span>&#36;</span>5 and <span>&#36;</span>6"),
        ("$a<b$ costs $5", r"$a\lt b$ costs <span>&#36;</span>5"),
        ('$$\\text{"a"} < b$$', r"$$\text{''a''} < b$$"),
        (r"so \(E = mc^2\), and", "so $E = mc^2$, and"),
        ("\\[\n\\frac{a}{b}\n\\]", r"$$\frac{a}{b}$$"),
        (r"\\(x\\) stays", r"\\(x\\) stays"),
        (r"`\(x\)` and `$x` for $4", r"`\(x\)` and `$x` for <span>&#36;</span>4"),
        ("http://a.test/$x/$y and [a](http://a.test/$1)", "http://a.test/$x/$y and [a](http://a.test/%241)"),
        ("$ 5 $ and $\n\n$", "<span>&#36;</span> 5 <span>&#36;</span> and <span>&#36;</span>\n\n<span>&#36;</span>"),
    ],
)
def test_safe_markdown_distinguishes_formulas_from_prices(written, saved):
    """JupyterLab typesets between any two dollars, but not between the brackets that models write."""
    assert safe_markdown(written) == saved
