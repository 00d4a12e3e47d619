// Letters of mathematics. MathML as browsers have it knows no alphabets but the italic one: those of ℝ, ℒ and 𝔤 are
// characters of their own. Bold and typewriter are styles (style.css), since fonts with all such characters are rare.
const ALPHABETS = {
  "double-struck": [0x1d538, 0x1d552, 0x1d7d8, { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" }],
  script: [0x1d49c, 0x1d4b6, 0, { B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ", e: "ℯ", g: "ℊ", o: "ℴ" }],
  fraktur: [0x1d504, 0x1d51e, 0, { C: "ℭ", H: "ℌ", I: "ℑ", R: "ℜ", Z: "ℨ" }],
  "bold-script": [0x1d4d0, 0x1d4ea, 0, {}],
  "bold-fraktur": [0x1d56c, 0x1d586, 0, {}],
};

export function setLetters(math) {
  for (const element of math.querySelectorAll("[mathvariant]")) {
    const alphabet = ALPHABETS[element.getAttribute("mathvariant")];
    if (!alphabet || element.childElementCount) continue;
    element.textContent = element.textContent.replace(/[A-Za-z0-9]/g, (letter) => drawn(letter, alphabet));
    element.removeAttribute("mathvariant");
  }
}

function drawn(letter, [capitals, smalls, digits, others]) {
  if (Object.hasOwn(others, letter)) return others[letter];
  const [first, begin] = letter < "A" ? ["0", digits] : letter < "a" ? ["A", capitals] : ["a", smalls];
  return begin ? String.fromCodePoint(begin + letter.charCodeAt(0) - first.charCodeAt(0)) : letter;
}
