"""The look of an answer in a real JupyterLab: the same while it streams and when it is saved."""

from operator import sub

from qfmagic.notebook.output.safe_markdown import safe_markdown
from tests.browser.test_answer import service  # noqa: F401 - what the kernel asks
from tests.support.browser.jupyterlab import Renderer
from tests.support.emphasis import CASES, inner


def test_saved_emphasis_is_rendered_by_jupyterlab(visit):
    renderer = Renderer(visit("emphasis.ipynb", "pass").page)
    found = {text: inner(renderer.html(safe_markdown(text))) for text, _ in CASES}
    assert {text: shown for text, shown in found.items() if shown != dict(CASES)[text]} == {}


RICH = """# 标题一

段落 text with **bold**, `code` and $x^2 \\in \\mathbb{R}$.

## 标题二

| 名 | 值 |
|---|--:|
| 甲 | 1 |
| 乙 | 22 |

### 标题三

- 一
  - 二
- 三

1. one
2. two

> 引文

#### 标题四

```python
def f(x):
    return x  # 注释
```

最后一段 [link](https://a.example/)。
"""
ELEMENTS = "h1, h2, h3, h4, p, table, th, td, ul, ol, li, blockquote, pre, code, strong, p > a"
# Formulas are set, and their fonts come, some frames after the text: what is looked at stays for thirty of them.
BOXES = """async (root, selector) => {
  const boxes = () => {
    const top = root.querySelector("h1").getBoundingClientRect();
    const inText = [...root.querySelectorAll(selector)].filter((element) => !element.closest("details"));
    return inText.map((element) => {
      const {x, y, width, height} = element.getBoundingClientRect(), style = getComputedStyle(element);
      const align = style.textAlign.replace("-webkit-", "");
      const font = [style.fontSize, style.fontWeight, style.fontFamily.split(",")[0], style.color, align];
      return [[element.localName, ...font], [x - top.x, y - top.y, width, height]];
    });
  };
  let seen = boxes();
  for (let same = 0; same < 30; ) {
    await document.fonts.ready;
    await new Promise(requestAnimationFrame);
    const now = boxes();
    same = JSON.stringify(now) === JSON.stringify(seen) ? same + 1 : 0;
    seen = now;
  }
  return seen;
}"""
HEIGHTS = """(index) => {
  const area = document.querySelectorAll(".jp-Notebook .jp-Cell")[index].querySelector(".jp-OutputArea");
  window.qf.heights = [];
  const look = () => {
    const heading = area.querySelector("h1");
    const top = heading && heading.getBoundingClientRect().y - area.getBoundingClientRect().y;
    window.qf.heights.push([area.getBoundingClientRect().height, top]);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_live_answer_looks_like_saved_one(visit, service):  # noqa: F811 - the fixture
    """Elements of the same sizes at the same places, and no cell below that jumps when the one becomes the other."""
    page = visit("look.ipynb", service.setup, "%%qianfan model=ernie-5.1\nhi", fresh=True, size=(1200, 1600))
    page.run(0)
    held = service.holds([{"reasoning_content": "think"}, RICH])
    page.begin(1)
    held.let(1)
    view = page.output(1).locator(".qf-live")
    view.locator("details[open] summary", has_text="Reasoning · 5 characters").wait_for()
    held.let(1)
    view.locator("p > a").wait_for()
    assert view.locator("details").get_attribute("open") is None
    assert "ℝ" in view.locator("math").first.text_content()
    live = view.locator(".qf-text").evaluate(BOXES, ELEMENTS)
    page.screenshot("look-1-live")
    page.page.evaluate(HEIGHTS, 1)
    held.let_all()
    page.wait()
    saved = page.output(1).locator(".jp-RenderedMarkdown")
    saved.locator("p > a").wait_for()
    saved.locator("mjx-container").wait_for()
    page.page.wait_for_function("!document.querySelectorAll('.jp-OutputArea')[1].style.minHeight")
    final = saved.evaluate(BOXES, ELEMENTS)
    page.screenshot("look-2-saved")
    heights = page.page.evaluate("window.qf.heights")
    assert [font for font, _ in final[: len(live)]] == [font for font, _ in live]
    apart = [max(map(abs, map(sub, one, other))) for (_, one), (_, other) in zip(live, final, strict=False)]
    assert max(apart) < 1.5, list(zip(live, apart, strict=True))
    print(f"live and saved differ by {max(apart):.2f} px at most")
    lowest, highest = min(height for height, _ in heights), max(height for height, _ in heights)
    tops = [top for _, top in heights if top is not None]
    print(f"height {lowest:.0f} to {highest:.0f} px, heading at {min(tops):.0f} to {max(tops):.0f} px")
    assert highest - lowest < 30
    assert max(tops) - min(tops) < 2
