// Characters that a reader doesn't see, or that turn the direction of what he sees, made visible as [U+202E]. Where a
// script or an emoji needs one it stays. The same rule as visible() in qfmagic/core/terminal.py, and the same table of
// cases: tests/core/visible_cases.json.

// Controls but tab and line end, half characters, and what has no width or turns the direction: Unicode's default
// ignorables (but the soft hyphen) and interlinear annotations. A flag made of tags stays whole.
const HIDDEN =
  /\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f}|([\0-\x08\v-\x1f\x7f-\x9f\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]+)/gu;
// Letters and their marks in Arabic, Indic and the like: blocks, since Python has no scripts.
const LETTER = /(?=[\p{L}\p{M}])[\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\u1b00-\u1b7f\ua840-\ua8ff\ua980-\ua9ff\ufb50-\ufdff\ufe70-\ufefc]/u;
const VIRAMA = /[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2]/;
const EMOJI = /[\p{ExtPict}\u{1f1e6}-\u{1f1ff}\u{1f3fb}-\u{1f3ff}]/u;
// The character before a place, alone: Chromium 156 finds none beyond U+FFFF at the end of a text (/[…]$/u).
const before = (text, at) => text.slice(Math.max(0, at - (/[\udc00-\udfff]/.test(text[at - 1]) ? 2 : 1)), at);

function stays(code, text, at) {
  if (code === 0x200c || code === 0x200d) {
    const next = String.fromCodePoint(text.codePointAt(at + 1) ?? 0);
    const last = before(text, at);
    if (LETTER.test(last) && LETTER.test(next)) return true;
    if (code === 0x200c) return false;
    return VIRAMA.test(last) || (EMOJI.test(next) && EMOJI.test(last === "\ufe0f" ? before(text, at - 1) : last));
  }
  if (code === 0xfe0e || code === 0xfe0f) return /[\d#*]/.test(text[at - 1]) || EMOJI.test(before(text, at));
  if (code >> 4 === 0x180) return code !== 0x180e && /[\u1820-\u18aa]/.test(text[at - 1]);
  const ideographic = code >= 0xfe00 && (code < 0xfe03 || (code >= 0xe0100 && code < 0xe01f0));
  return ideographic && /\p{sc=Han}/u.test(before(text, at));
}

const named = (code) => `[U+${code.toString(16).toUpperCase().padStart(4, 0)}]`;

export const visible = (text) =>
  text.replace(HIDDEN, (found, hidden, at) => {
    if (!hidden) return found;
    const shown = [];
    for (const character of hidden) {
      const code = character.codePointAt(0);
      shown.push(stays(code, text, at) ? character : named(code));
      at += character.length;
    }
    return shown.join("");
  });

// Whether what stands before and behind this place is seen together: a text isn't cut here.
const BEHIND = /^[\u180b-\u180f\u200c\u200d\ufe00-\ufe0f\udc00-\udfff\u{e0000}-\u{e0fff}]/u;
export const joined = (text, at) =>
  BEHIND.test(text.slice(at, at + 2)) || /[\u200c\u200d\ud800-\udbff]$/.test(text.slice(Math.max(0, at - 1), at));
