// The second wall. The first is that text becomes text nodes; whatever gets past it must pass this list.
import DOMPurify from "dompurify";

const TAGS = "a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul";
const MATHS =
  "math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt " +
  "mstyle msub msubsup msup mtable mtd mtext mtr munder munderover";
const ATTRIBUTES =
  "accent accentunder class columnalign columnlines columnspacing columnspan depth display displaystyle fence form " +
  "height href largeop linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize " +
  "movablelimits notation rel rowlines rowspacing rspace scriptlevel separator start stretchy symmetric target voffset width";
const CLASSES = /^(?:(?:qf|hljs)-[\w-]+|[a-z]+_)(?: (?:(?:qf|hljs)-[\w-]+|[a-z]+_))*$/;

function purifier(config) {
  const purify = DOMPurify(window);
  purify.setConfig({ ALLOW_ARIA_ATTR: false, ALLOW_DATA_ATTR: false, ...config });
  purify.addHook("uponSanitizeAttribute", (_, attribute) => {
    const { attrName, attrValue } = attribute;
    if (attrName === "class" && !CLASSES.test(attrValue)) attribute.keepAttr = false;
    if (attrName === "href" && !address(attrValue)) attribute.keepAttr = false;
  });
  return purify;
}

const elements = purifier({
  IN_PLACE: true,
  ALLOWED_TAGS: [...TAGS.split(" "), ...MATHS.split(" ")],
  ALLOWED_ATTR: ATTRIBUTES.split(" "),
  ADD_URI_SAFE_ATTR: ATTRIBUTES.split(" ").filter((name) => name !== "href"),
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
});
const colours = purifier({ RETURN_DOM_FRAGMENT: true, ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] });

export const clean = (element) => elements.sanitize(element);
export const cleanHtml = (html) => colours.sanitize(html);

// An address a link may have, or "".
export function address(text) {
  if (!/^(?:https?:\/\/|mailto:)[^\s]/i.test(text)) return "";
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : "";
  } catch {
    return "";
  }
}
