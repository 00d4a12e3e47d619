"""Many texts through the Markdown renderer of a JupyterLab page, and what of it would act there."""

import json

from tests.support.html_judge import ADDRESSES, ATTRIBUTES, DRAWN, OURS, TAGS

# The page's own renderer writes HTML into its node; here into a document in which nothing runs or is fetched.
SCRIPT = r"""
window.qfjudge = {
  tags: new Set(TAGS), attributes: new Set(ATTRIBUTES), addresses: ADDRESSES, drawn: new Set(DRAWN),
  async html(text) {
    const renderer = window.qf.notebook.rendermime.createRenderer("text/markdown");
    let html = "";
    Object.defineProperty(renderer.node, "innerHTML", {set: (value) => { html = value; }, get: () => ""});
    const model = {trusted: true, data: {"text/markdown": text}, metadata: {}, setData: () => {}};
    await renderer.renderModel(model);
    renderer.dispose();
    return html;
  },
  isClass(name, element) {
    if (this.drawn.has(name.toLowerCase().replace(/^language-/, ""))) return false;
    // The others are those of JupyterLab's colours for code.
    return /^language-[a-z0-9+#._-]+$/i.test(name) || (element.closest("pre > code") && /^(cm-[\w-]+|\u037c\w+)$/.test(name));
  },
  mayStand(element, name, value) {
    if (name === "href") return this.addresses.some((one) => value.toLowerCase().startsWith(one));
    if (name === "class") return value.split(" ").every((one) => this.isClass(one, element));
    if (name === "style") return /^text-align: ?(left|right|center);?$/.test(value);
    if (name === "id") return /^h[1-6]$/.test(element.localName);
    return this.attributes.has(name);
  },
  faults(html) {
    const found = [];
    const page = new DOMParser().parseFromString(html, "text/html");
    if (page.head.childNodes.length) found.push(`head ${page.head.innerHTML}`);
    for (const element of page.body.querySelectorAll("*")) {
      const box = element.localName === "input" && element.type === "checkbox" && element.disabled;
      if (!this.tags.has(element.localName) && !box) found.push(element.localName);
      for (const {name, value} of element.attributes) {
        if (!this.mayStand(element, name, value) && !(box && ["type", "disabled", "checked"].includes(name))) {
          found.push(`${element.localName} ${name}=${value}`.slice(0, 200));
        }
      }
    }
    return found;
  },
  async all(texts) {
    const found = [];
    for (const text of texts) found.push(this.faults(await this.html(text)));
    return found;
  },
};
"""
for _name, _values in {
    "TAGS": TAGS | OURS,
    "ATTRIBUTES": ATTRIBUTES - {"href", "class", "style"},
    "ADDRESSES": ADDRESSES,
    "DRAWN": DRAWN,
}.items():
    SCRIPT = SCRIPT.replace(f"({_name})", f"({json.dumps(sorted(_values))})").replace(
        f": {_name},", f": {json.dumps(sorted(_values))},"
    )

BATCH = 500  # texts; a message to the page has a size, and a test should say where it is


class Renderer:
    """The renderer of the page in which a notebook is open."""

    def __init__(self, page):
        self._page = page
        page.evaluate(f"() => {{ {SCRIPT} }}")

    def faults(self, texts):
        """What each text's HTML holds that could act, of those where there is any."""
        found = {}
        for begin in range(0, len(texts), BATCH):
            part = texts[begin : begin + BATCH]
            judged = self._page.evaluate("(texts) => window.qfjudge.all(texts)", part)
            found |= {text: faults for text, faults in zip(part, judged, strict=True) if faults}
        return found

    def html(self, text):
        """What the page would write into an output for this text."""
        return self._page.evaluate("(text) => window.qfjudge.html(text)", text)
