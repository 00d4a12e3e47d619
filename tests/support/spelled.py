"""The ways a service, a proxy or a page may spell a key that it repeats."""

import base64
import html
import json
import string
import textwrap
from urllib.parse import quote

# It opens nothing.
KEY = "bce-v3/ALTAK-Zq7Rw2Xk9Lm4Tn8Vb3Yc/9f3ac41d77be02586a1c90e4d2b85f63e7a0194c"
ID, SECRET = KEY.removeprefix("bce-v3/").split("/")
NAMED = {"/": "&sol;", "-": "&hyphen;", "3": "3"}


def b64(text):
    return base64.b64encode(text.encode()).decode()


def every(text, size, between):
    return between.join(textwrap.wrap(text, size, break_on_hyphens=False))


def unicode_escapes(text, slashes="\\"):
    return "".join(f"{slashes}u{ord(one):04x}" for one in text)


def percent(text):
    return "".join(f"%{ord(one):02X}" for one in text)


def wide(text):
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


WAYS = {
    "as it is": str,
    "HTML, decimal": lambda key: "".join(f"&#{ord(one)};" for one in key),
    "HTML, decimal with zeros": lambda key: "".join(f"&#{ord(one):07};" for one in key),
    "HTML, hex": lambda key: "".join(f"&#x{ord(one):x};" for one in key),
    "HTML, upper hex": lambda key: "".join(f"&#X{ord(one):X};" for one in key),
    "HTML, without semicolons": lambda key: "".join(f"&#x{ord(one):x}" if one in "/-" else one for one in key),
    "HTML, named": lambda key: "".join(NAMED.get(one, one) for one in key),
    "HTML, some": lambda key: key.replace("/", "&#47;").replace("A", "&#x41;"),
    "HTML twice": lambda key: html.escape("".join(f"&#{ord(one)};" for one in key)),
    "HTML of %": lambda key: percent(key).replace("%", "&#37;"),
    "HTML with tags": lambda key: every(key, 9, "<wbr>"),
    "HTML with line breaks": lambda key: every(key, 20, "<br/>\n"),
    "JSON with slashes": lambda key: key.replace("/", "\\/"),
    "JSON with slashes, in JSON": lambda key: key.replace("/", "\\\\\\/"),
    "JSON with u002f": lambda key: key.replace("/", "\\u002f"),
    "JSON with u002F": lambda key: key.replace("/", "\\u002F").replace("-", "\\u002D"),
    "JSON with u002f, in JSON": lambda key: key.replace("/", "\\\\u002f"),
    "JSON with u002f, in JSON in JSON": lambda key: key.replace("/", "\\\\\\\\u002f").replace("-", "\\\\\\\\u002d"),
    "JSON, all": unicode_escapes,
    "JSON in JSON, all": lambda key: unicode_escapes(key, "\\\\"),
    "JSON in JSON in JSON": lambda key: json.dumps(json.dumps(json.dumps({"key": unicode_escapes(key)}))),
    "JSON with zero-width escapes": lambda key: every(key, 7, "\\u200b"),
    "JSON with line ends": lambda key: every(key, 20, "\\n"),
    "code, x": lambda key: "".join(f"\\x{ord(one):02x}" for one in key),
    "code, octal": lambda key: "".join(f"\\{ord(one):03o}" for one in key),
    "code, braces": lambda key: "".join(f"\\u{{{ord(one):x}}}" for one in key),
    "%": lambda key: quote(key, safe=""),
    "%, lower": lambda key: quote(key, safe="").replace("%2F", "%2f"),
    "%, all": percent,
    "% twice": lambda key: quote(quote(key, safe=""), safe=""),
    "% twice, all": lambda key: quote(percent(key), safe=""),
    "% three times": lambda key: quote(quote(quote(key, safe=""), safe=""), safe=""),
    "% in JSON": lambda key: quote(key, safe="").replace("%", "\\u0025"),
    "base64": b64,
    "base64, of an address": lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "base64 of Bearer": lambda key: b64(f"Bearer {key}"),
    "base64 of a header": lambda key: b64(f"Authorization: Bearer {key}\r\n"),
    "base64, second alignment": lambda key: b64(f"x{key}y"),
    "base64, third alignment": lambda key: b64(f"xy{key}z"),
    "base64 of Basic": lambda key: b64(f"user:{key}"),
    "base64 of a part": lambda key: b64(key[20:44]),
    "base64 of another part": lambda key: b64(key[31:56]),
    "base64 of the secret": lambda key: b64(key.split("/")[-1]),
    "base64 in lines": lambda key: base64.encodebytes(f"token {key}".encode()).decode(),
    "base64, %": lambda key: quote(b64(key), safe=""),
    "hex": lambda key: key.encode().hex(),
    "hex, upper": lambda key: key.encode().hex().upper(),
    "hex, with colons": lambda key: key.encode().hex(":"),
    "hex, with blanks": lambda key: key.encode().hex(" "),
    "hex of the secret": lambda key: key.split("/")[-1].encode().hex(),
    "split by line ends": lambda key: every(key, 10, "\n"),
    "split by CRLF": lambda key: every(key, 30, "\r\n"),
    "folded as a header": lambda key: every(key, 30, "\r\n "),
    "split by blanks": " ".join,
    "split by tabs": lambda key: every(key, 12, "\t"),
    "split by zero-width blanks": "\u200b".join,
    "split by joiners": lambda key: every(key, 5, "\u200d\u2060"),
    "split by soft hyphens": lambda key: every(key, 6, "\u00ad"),
    "split by hyphens": lambda key: every(key.replace("-", ""), 8, "-"),
    "split by dots": lambda key: every(key, 8, "."),
    "split by quotes": lambda key: every(key, 24, '" + "'),
    "split by NULs": "\0".join,
    "split by no-break blanks": lambda key: every(key, 8, "&nbsp;"),
    "split by byte order marks": lambda key: every(key, 8, "\ufeff"),
    "split by colors": lambda key: every(key, 9, "\x1b[31m"),
    "beginning cut off": lambda key: f"...{key[20:]}",
    "prefix cut off": lambda key: key.removeprefix("bce-v3/"),
    "end cut off": lambda key: f"{key[:45]}... more",
    "middle cut out": lambda key: f"{key[:32]}***{key[-20:]}",
    "half of it": lambda key: f"it ends in {key[len(key) // 2 :]}, it says",
    "16 characters": lambda key: f"is {key[-16:]} right?",
    "the ID alone": lambda key: f"id {key.split('/')[1]}",
    "the secret alone": lambda key: f"secret={key.split('/')[-1]}",
    "in two fields": lambda key: f"id={key.split('/')[1]} & secret={key.split('/')[-1]}",
    "reversed": lambda key: key[::-1],
    "reversed and split": lambda key: every(key[::-1], 9, " "),
    "the secret reversed": lambda key: key.split("/")[-1][::-1],
    "upper case": str.upper,
    "lower case": str.lower,
    "case swapped": str.swapcase,
    "wide": lambda key: "".join(wide(one) if one in string.ascii_letters + string.digits else one for one in key),
    "in an address": lambda key: f"https://u:{quote(key, safe='')}@h/?token={quote(key)}",
    "in backquotes": lambda key: f"`{key}`",
    "in a list": lambda key: json.dumps(key.split("/")),
    "after CJK": lambda key: f"密钥{key}无效",
}


def told(text, size=12, key=KEY):
    """Whether a text as it is tells a part of the key; what is public of it doesn't count."""
    tail = key.removeprefix("bce-v3/ALTAK-")
    plain = "".join(one for one in text.lower() if one.isascii() and one.isalnum())
    tail = "".join(one for one in tail.lower() if one.isalnum())
    return any(tail[at : at + size] in plain for at in range(len(tail) - size + 1))
