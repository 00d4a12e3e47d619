"""
Server-sent events: bytes in, events out, however the network splits them.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html, with deliberate differences, each for something
Qianfan's V1 or a gateway before it does: lines that are no SSE at all are handed on (an error comes as a plain JSON
body, or as a bare JSON line in mid-stream); data that was not closed by a blank line when the stream ends still counts;
where a gateway leaves the blank lines out, a line that is a whole JSON object is an event; and a lone CR does not end a
line.
"""

from typing import NamedTuple

from ..errors import ProtocolError
from ..safe_json import read_json

STRAY = "stray"  # the event type of lines that are not SSE; a server's own "stray" would have to spell it so


class Event(NamedTuple):
    """One event. ``event`` is its type, or :data:`STRAY` with ``sse`` false for lines that are not SSE."""

    data: str
    event: str = "message"
    id: str | None = None
    retry: int | None = None
    sse: bool = True


class SSEDecoder:
    """
    Decode a stream. Feed it the bytes as they come, then close it.

    Args:
        max_event: Longest event (or text that is none), in bytes, before the stream is given up; bounds the memory.
    """

    def __init__(self, max_event: int = 16 * 1024 * 1024) -> None:
        self._max_event = max_event
        self._held = 0
        self._unspaced = False
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._data: list[str] = []
        self._event = ""
        self._retry: int | None = None
        self._id: str | None = None
        self._stray: list[str] = []
        self._started = False
        self._opened = False

    @property
    def buffered(self) -> int:
        """The length of what has come of events that are not complete."""
        return self._partial_size + sum(map(len, self._data)) + sum(map(len, self._stray))

    def feed(self, chunk: bytes) -> list[Event]:
        """
        Take the next bytes and return the events they complete.

        Raises:
            ProtocolError: An event is longer than ``max_event``.
        """
        # Lines end at \n and nowhere else: str.splitlines, and so httpx's iter_lines, would also split at U+2028,
        # U+2029 and U+0085, which stand raw in model text and belong to the JSON. A cut behind \n never cuts a
        # character, so whole lines can be decoded at once.
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._keep(chunk)
            return []
        block = b"".join((*self._partial, chunk[:end]))
        self._partial, self._partial_size = [], 0
        if end < len(chunk):
            self._keep(chunk[end:])
        lines = block.decode("utf-8", "replace").split("\n")
        lines.pop()
        return self._lines(lines)

    def close(self) -> list[Event]:
        """End the stream and return what its end completes."""
        lines = b"".join(self._partial).decode("utf-8", "replace").split("\n") if self._partial else []
        self._partial, self._partial_size = [], 0
        return [*self._lines(lines), *self._dispatch(), *self._flush_stray()]

    def _keep(self, part: bytes) -> None:
        self._partial_size += len(part)
        if self._partial_size > self._max_event:
            raise ProtocolError("protocol.event", limit=self._max_event)
        self._partial.append(part)

    def _lines(self, lines: list[str]) -> list[Event]:
        events: list[Event] = []
        if not self._started and lines:
            self._started = True
            lines[0] = lines[0].removeprefix("\ufeff")
        data = self._data
        for raw in lines:
            line = raw[:-1] if raw.endswith("\r") else raw  # noqa: FURB188 - removesuffix is slower here
            # This branch and the next are the whole of an ordinary stream.
            if line.startswith("data:"):
                if self._stray:
                    events += self._flush_stray()
                if data or self._unspaced:
                    events += self._further(line)
                else:
                    data.append(line[6:] if line.startswith("data: ") else line[5:])
            elif not line:
                events += self._dispatch()
                if self._opened and self._stray:
                    events += self._flush_stray()
            elif not line.startswith(":"):
                events += self._other(line)
        return events

    def _further(self, line: str) -> list[Event]:
        """
        Take a line of data behind another one that no blank line closed.

        An event may have several lines. But a line that is a whole JSON object can't be continued: behind one of
        those, another event begins, and this stream has no blank lines.
        """
        before: list[Event] = []
        if len(self._data) == 1 and _whole(self._data[0]):
            self._unspaced = True
            before = self._dispatch()
        self._data.append(line[6:] if line.startswith("data: ") else line[5:])
        self._hold(line)
        if self._unspaced and len(self._data) == 1 and _whole(self._data[0]):
            return [*before, *self._dispatch()]
        return before

    def _hold(self, line: str) -> None:
        self._held += len(line)
        if self._held > self._max_event:
            raise ProtocolError("protocol.event", limit=self._max_event)

    def _other(self, line: str) -> list[Event]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "id":
            # As the specification says, the id stays for the events that follow.
            self._id = self._id if "\0" in value else value
        elif name == "retry":
            self._retry = int(value) if value.isascii() and value.isdigit() else self._retry
        elif name == "data":
            self._data.append("")
        elif line.lstrip()[:1] in ("{", "}", "[", "]", '"', "<") or self._stray or not self._opened:
            before = self._dispatch()  # data that no blank line closed came first
            self._stray.append(line)
            self._hold(line)
            if len(self._stray) == 1 and line.startswith("{") and line.endswith("}"):
                return [*before, *self._flush_stray()]
            return before
        return []

    def _dispatch(self) -> list[Event]:
        event, self._event = self._event, ""
        retry, self._retry = self._retry, None
        if not self._data:
            return []
        self._held = 0
        joined = self._data[0] if len(self._data) == 1 else "\n".join(self._data)
        self._data.clear()
        self._opened = True
        return [Event(joined, event or "message", self._id, retry)]

    def _flush_stray(self) -> list[Event]:
        if not self._stray:
            return []
        lines, self._stray, self._held = "\n".join(self._stray), [], 0
        return [Event(lines, STRAY, sse=False)]


def _whole(line: str) -> bool:
    """Whether a line of data is an event by itself."""
    if not (line.startswith("{") and line.endswith("}")):
        return line == "[DONE]"
    try:
        read_json(line)
    except ValueError:
        return False
    return True
