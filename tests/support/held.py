"""A service that answers when a test says so."""

import json
import threading
from collections.abc import Iterator

from qfmagic.transport.stub.reply import EVENT_TYPE, Reply
from qfmagic.transport.stub.service import StubKeys

KEYS = StubKeys()
KEY_ENVIRON = {"QIANFAN_ACCESS_TOKEN": KEYS.access_token, "QIANFAN_BEARER_TOKEN": KEYS.bearer_token}


class Held:
    """The pieces of a reply; a server waits before each until the test lets it go on."""

    def __init__(self, pieces):
        self._pieces = tuple(pieces)
        self._gate = threading.Semaphore(0)

    def __len__(self):
        return len(self._pieces)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._gate.acquire()
            yield piece

    def let(self, pieces=1):
        self._gate.release(pieces)

    def let_all(self):
        self._gate.release(len(self) + 1)


def held_reply(pieces, **options):
    """A V2 stream of these texts, each sent when :meth:`Held.let` allows it; a mapping is a delta as it stands."""
    whole = Reply.of_events([_event(piece, **options) for piece in [*pieces, None]], done=True)
    return Reply(Held(whole.chunks), 200, {"content-type": EVENT_TYPE})


def _event(piece, model="ernie-5.1"):
    delta = piece if isinstance(piece, dict) else {"content": piece or ""}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if piece is None else None}
    return {"id": "as-held", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


def held_json(payload, status):
    """A reply that is whole at once, when the test lets it."""
    body = json.dumps(payload).encode()
    return Reply(Held((body[:1], body[1:])), status, {"content-type": "application/json"})
