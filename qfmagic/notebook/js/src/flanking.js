// Whether emphasis begins or ends beside a sign of Chinese, Japanese or Korean text. The same rule as in
// output/safe_markdown/flanking.py, where it is explained, and the same cases: tests/data/emphasis.json.
const EAST_ASIAN =
  /^[\u1100-\u11ff\u2e80-\u2fff\u3001-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff01-\uffee\u{1aff0}-\u{1b16f}\u{1f200}-\u{1f2ff}\u{20000}-\u{3ffff}\u00b7\u2014\u2018\u2019\u201c\u201d\u2026]/u;
const BRACKET = /[()[\]{}\uff08\uff09\uff3b\uff3d\uff5b\uff5d]/;
const OPENING = /[([{\u2018\u201c\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u3018\u301a\uff08\uff3b\uff5b]/;
const CLOSING = /[)\]}\u2019\u201d\u3001\u3002\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019\u301b\uff01\uff09\uff0c\uff1a\uff1b\uff1f\uff3d\uff5d]/;
const SPACE = /^[\t\n\f\r\p{Zs}]?$/u;
const MARK = /^[\p{P}\p{S}]/u;
const RUN = /\*+|_+|~+/g;

// Whether delimiters between a sign inside the emphasis and a letter outside it are some here, and none to CommonMark.
const applies = (mark, letter, single) =>
  MARK.test(mark) &&
  !SPACE.test(letter) &&
  !MARK.test(letter) &&
  (EAST_ASIAN.test(mark) || EAST_ASIAN.test(letter)) &&
  !(single && BRACKET.test(mark));

// The text in which marked looks for delimiters: where emphasis begins or ends by this rule, a space or a sign stands
// for the letter outside it.
export function maskLetters(text) {
  let units;
  const mask = (begin, end, sign) => (units ??= text.split("")).fill(sign, begin, end);
  for (const { 0: run, index } of text.matchAll(RUN)) {
    const end = index + run.length;
    const before = [...text.slice(Math.max(0, index - 2), index)].at(-1) ?? "";
    const [after = ""] = text.slice(end, end + 2);
    const single = run.length === 1;
    if (applies(after, before, single) && !CLOSING.test(after)) mask(index - before.length, index, " ");
    if (applies(before, after, single) && !OPENING.test(before)) mask(end, end + after.length, "!");
  }
  return units ? units.join("") : text;
}
