"""The conversation as a panel shows it."""

from typing import Any

from ...core.context import Context
from ...core.conversation import Conversation
from ...core.errors import QianfanError
from ...core.models import Target
from ..commands.conversation import sending, state_of
from ..output.tables import short
from ..session.session import Session

LAST = 100  # turns shown; a longer conversation is in %qf history


def talk_state(session: Session) -> dict[str, Any]:
    """The conversation in use: its turns, what goes along with the next question, and the other conversations."""
    chats, name = session.chats, session.chat
    conversation = chats.get(name)
    names = list(dict.fromkeys(("main", name, *chats.conversations)))
    shown: dict[str, Any] = {
        "name": name,
        "names": [{"name": one, "count": len(chats.get(one).turns)} for one in names],
        "fork": next(free for n in range(2, len(names) + 3) if (free := f"{name}-{n}") not in names),
        "earlier": max(len(conversation.turns) - LAST, 0),
    }
    going: set[int] = set()
    there: set[int] = set()
    try:
        target, context, going, there = sending(session, conversation)
    except QianfanError as error:
        shown["problem"] = error.message(session.lang)
    else:
        shown |= _size(target, context)
    first = shown["earlier"]
    turns = [_turn(conversation, first + n, session.lang) for n in range(len(conversation.turns) - first)]
    for turn, row in zip(conversation.turns[first:], turns, strict=True):
        key = id(turn.exchange)
        row["goes"] = "yes" if key in going else "cut" if key in there else "no"
    return shown | {"turns": turns}


def _size(target: Target, context: Context) -> dict[str, Any]:
    """How full the context is: by the limit that is nearest."""
    size, limits = context.size, context.limits
    parts = [(size.chars, limits.max_chars, "chars"), (size.tokens, limits.max_tokens, "tokens")]
    shares = [(used / most, used, most, unit) for used, most, unit in parts if most]
    share, used, most, unit = max(shares) if shares else (None, size.chars, None, "chars")
    shown = {"share": share, "used": used, "limit": most, "unit": unit}
    return {"model": target.title, "sent": context.sent, "available": context.available, "size": shown}


def _turn(conversation: Conversation, index: int, lang: str) -> dict[str, Any]:
    turn = conversation.turns[index]
    return {
        "number": index + 1,
        "cell": turn.label,
        "state": _key(conversation, index),
        "said": state_of(conversation, index, lang),
        "chars": turn.exchange.size.chars,
        "question": short(turn.prompt),
        "answer": short(turn.answer.shown),
        "model": turn.answer.model,
        "versions": len(turn.versions),
        "out": turn.removed is not None,
    }


def _key(conversation: Conversation, index: int) -> str:
    turn = conversation.turns[index]
    if turn.removed is not None:
        return "out"
    return "stale" if index in conversation.stale else turn.state
