// The order of a page's cells, and the fingerprints of what ours say: what core/page_order.py compares.

// A text with a magic of ours in one of its lines; conversation/cell_order.py has the same rule.
const OURS = /(?:^|\n)(?:[\w., \t]+=)?[ \t]*%%?(?:qianfan|qf)(?![\w.])/;

export const ours = (source) => source.includes("%q") && OURS.test(source);

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});
const encoder = new TextEncoder();

// CRC-32 of the text's UTF-8, 8 hex digits. Not SHA-256: a page computes that only later, and a report can't wait.
export function fingerprint(text) {
  let value = 0xffffffff;
  for (const byte of encoder.encode(text)) value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff];
  return ((value ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

const known = new WeakMap(); // cell model: its fingerprint; null for a cell without a magic of ours

function textOf(model) {
  if (!known.has(model)) {
    const source = model.sharedModel.getSource();
    known.set(model, ours(source) ? fingerprint(source) : null);
    const forget = () => {
      known.delete(model);
      model.contentChanged.disconnect(forget);
    };
    model.contentChanged.connect(forget);
  }
  return known.get(model);
}

// The code cells of a notebook from top to bottom; null for a notebook without any.
export function orderOf(cells) {
  const code = [...cells].filter((model) => model.type === "code");
  return code.length ? { code, report: { cells: code.map((one) => one.id), texts: code.map(textOf) } } : null;
}
