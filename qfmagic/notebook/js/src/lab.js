// What JupyterLab does with the saved answer, so that the live one looks and stands like it.
const LONGEST = 2000; // milliseconds that the room of an answer is kept free for its saved form
let styled;

// Whether the page has JupyterLab's rules for rendered Markdown: headings aren't bold there.
export function isStyled() {
  if (styled === undefined) {
    const probe = document.createElement("div");
    probe.className = "jp-RenderedHTMLCommon jp-RenderedMarkdown";
    probe.hidden = true;
    const heading = probe.appendChild(document.createElement("h1"));
    document.body.append(probe);
    styled = !["700", "bold"].includes(getComputedStyle(heading).fontWeight);
    probe.remove();
  }
  return styled;
}

// At the end JupyterLab takes the view away and renders the saved Markdown, which the first time on a page takes some
// hundred milliseconds: without this, all cells below would jump up and down again.
export function hold(root) {
  let area;
  let height = 0;
  const sizes = new ResizeObserver(() => {
    const place = root.closest(".jp-OutputArea");
    if (place && place !== area) {
      area = place;
      leaves.observe(area, { childList: true, subtree: true });
    }
    if (area && root.isConnected) height = area.getBoundingClientRect().height;
  });
  const leaves = new MutationObserver(() => {
    if (root.isConnected) return;
    stop();
    keep(area, height);
  });
  const stop = () => {
    sizes.disconnect();
    leaves.disconnect();
  };
  sizes.observe(root);
  // A view whose cell was cleared needs no room; what is still there was taken away by JupyterLab, or is about to be.
  return () => setTimeout(stop);
}

function keep(area, height) {
  const before = area.style.minHeight;
  area.style.minHeight = `${height}px`;
  const until = performance.now() + LONGEST;
  let frames = 3; // after the text is there: formulas and colours
  const look = () => {
    const outputs = [...area.querySelectorAll(".jp-OutputArea-output")];
    const rendered = outputs.length > 0 && outputs.every((output) => output.childElementCount > 0);
    if (rendered) frames -= 1;
    if (frames > 0 && performance.now() < until) requestAnimationFrame(look);
    else area.style.minHeight = before;
  };
  requestAnimationFrame(look);
}
