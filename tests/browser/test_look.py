"""The look of an answer in a real JupyterLab: the same while it streams and when it is saved."""

from qfmagic.notebook.output.safe_markdown import safe_markdown
from tests.support.browser.jupyterlab import Renderer
from tests.support.emphasis import CASES, inner


def test_saved_emphasis_is_rendered_by_jupyterlab(visit):
    renderer = Renderer(visit("emphasis.ipynb", "pass").page)
    found = {text: inner(renderer.html(safe_markdown(text))) for text, _ in CASES}
    assert {text: shown for text, shown in found.items() if shown != dict(CASES)[text]} == {}
