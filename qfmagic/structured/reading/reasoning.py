"""The parts of a text that are not reasoning: models and gateways leave ``<think>...</think>`` and the like in it."""

import re

_NAMES = "think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad"
_SIGN = re.compile(
    rf"(?P<tag>(?:<|◁)(?P<closing>/?)(?i:{_NAMES})(?:\s[^<>\n]{{0,60}})?(?:>|▷)|\[(?P<ends>/?)THINK\])|\n|\\.|\""
)
_QUOTES = "\"'`“”‘’「」『』«»"


def without_reasoning(text: str) -> list[str]:
    """
    Return the parts of a text that are outside of reasoning.

    A closing tag without an opening one ends reasoning that began with the text; reasoning that is not closed goes to
    the end. Tags in quotation marks, or in what may be a string of JSON, are text.
    """
    parts: list[str] = []
    position, inside, string = 0, False, False
    for sign in _SIGN.finditer(text):
        if not sign["tag"]:
            string = {'"': not string, "\n": False}.get(sign[0], string)
            continue
        closing = bool(sign["closing"] or sign["ends"])
        if _is_quoted(text, sign) or (string and not inside):
            continue
        if not inside and not closing:
            parts.append(text[position : sign.start()])
        elif not inside:
            parts.clear()
        inside, position, string = not closing, sign.end(), False
    return parts if inside else [*parts, text[position:]]


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    before, after = text[max(tag.start() - 1, 0) : tag.start()], text[tag.end() : tag.end() + 1]
    return bool(before and after) and before in _QUOTES and after in _QUOTES
