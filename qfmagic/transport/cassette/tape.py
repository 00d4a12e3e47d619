"""
A cassette in use: it answers, records, or does both.

Whoever asks is known by a slot: the cell that runs, and which of its questions it is. The same slot gets the same
exchange however often its cell is run, and its newer answer replaces the older; another slot that asks the very same
gets the next one. So a notebook that was tried out cell by cell is replayed as it reads.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import httpx

from ...core.callbacks import ignore
from ...core.errors import CassetteError, ContentError, RequestError
from ...core.follow_up import FollowUp
from ...core.transport_modes import MODES, SECONDS
from ...core.wire import ChatRequest
from ...core.wire.json_format import as_earlier_versions
from . import file as cassette
from .mismatch import miss
from .recording import Key, Recorded, recorded_of
from .redaction import fits, hidden, may_be_redacted

LARGEST = 16 * 1024 * 1024  # bytes of a response; what is longer is no answer, and no file for version control
Mode = Literal["record", "replay", "auto"]
Sleep = Callable[[float], Awaitable[object]]


class _PlayedStream(httpx.AsyncByteStream):
    def __init__(self, recorded: Recorded, sleep: Sleep | None) -> None:
        self._recorded, self._sleep = recorded, sleep

    async def __aiter__(self) -> AsyncIterator[bytes]:
        before = 0.0
        for at, data in self._recorded.events:
            if self._sleep is not None:
                await self._sleep(at - before)
                before = at
            else:
                await asyncio.sleep(0)  # so that each is taken in by itself, as from a network
            yield data
        if self._recorded.cut:
            raise httpx.ReadError(self._recorded.cut)


class CassetteTape:
    """
    Plays from a cassette and records onto it, for as many clients as are made while it is in use.

    Args:
        path: The file.
        mode: ``record``: the service answers, and each exchange is written; ``replay``: only the file answers;
            ``auto``: the file where it has the exchange, else the service.
        sleep: Waits, where an answer is to be played in the time it was recorded in; None plays it at once.
        timer: Seconds of a clock that never jumps.
        on_play: Told of each exchange that is played.

    Raises:
        CassetteError: The file can't be read, or is missing where it has to answer, or can't be written where it has to
            be.

    ``trouble`` is what keeps exchanges from being written, as long as some aren't; the answers are never lost for that.
    """

    def __init__(
        self,
        path: Path,
        mode: Mode,
        *,
        sleep: Sleep | None = None,
        timer: Callable[[], float] = time.monotonic,
        on_play: Callable[[Recorded], object] = ignore,
    ) -> None:
        self.path, self._mode = path, MODES[mode]
        self.sleep, self._timer, self._on_play = sleep, timer, on_play
        if self._mode.records:
            cassette.check_writable(path)
        read = cassette.read(path)
        self.exchanges: dict[Key, Recorded] = dict(read.exchanges)
        self.merged = read.merged
        self._numbers: dict[str, list[int]] = {}  # by request, of what was there at first
        for asked, n in self.exchanges:
            self._numbers.setdefault(asked, []).append(n)
        self.played: set[Key] = set()
        self.recorded: set[Key] = set()
        self.trouble: CassetteError | None = None
        self._slots: dict[str, dict[Hashable, int]] = {}
        self._untidy = False
        self._unwritten: dict[Key, None] = {}  # in the order they came in

    @property
    def unplayed(self) -> list[Recorded]:
        """What was neither played nor recorded yet."""
        return [one for key, one in sorted(self.exchanges.items()) if key not in self.played | self.recorded]

    def play(self, request: ChatRequest, slot: Hashable) -> httpx.Response | None:
        """
        Answer from the cassette; None if the service is to be asked.

        ``auto`` asks the service again for what was recorded when it failed, and might now not.

        Raises:
            CassetteError: It isn't there, and nothing else may answer.
        """
        key = self._key(request.hash, slot)  # in the order they ask in, whatever order they are answered in
        if not self._mode.plays:
            return None
        recorded = self._found(request, key)
        if recorded is None:
            if self._mode.records:
                return None
            asked = list(self._slots[request.hash]).index(slot)
            raise miss(self.path, request, asked, list(self.exchanges.values()))
        if self._mode.records and not _final(recorded):
            return None
        self.trouble = self.trouble if self._unwritten else None
        self.played.add(recorded.key)
        self._on_play(recorded)
        stream = _PlayedStream(recorded, self.sleep)
        headers = [(name.encode(), value.encode()) for name, value in recorded.headers.items()]
        took = {SECONDS: lambda: recorded.events[-1][0] if recorded.events else 0.0}
        return httpx.Response(recorded.status, headers=headers, stream=stream, extensions=took)

    def has(self, request: ChatRequest, slot: Hashable) -> bool:
        """Whether :meth:`play` would answer: then asking costs nothing. To be asked with a slot of one's own."""
        key = self._key(request.hash, slot)
        recorded = self._found(request, key)
        return recorded is not None and self._mode.plays and (not self._mode.records or _final(recorded))

    def holds(self, asked: str, slot: Hashable) -> bool:
        """Whether there is a whole answer for this asker; *asked* is the request's hash."""
        recorded = self.exchanges.get(self._key(asked, slot))
        return recorded is not None and recorded.play().complete

    def record(
        self,
        request: ChatRequest,
        slot: Hashable,
        response: httpx.Response,
        keys: Sequence[str],
    ) -> httpx.Response:
        """
        Return the response so that it is written while it is read: when its end, or the answer's, has come.

        One that the reader leaves before that, for another reason than an error in it, is not: there is nothing in it
        to play again.
        """
        key = self._key(request.hash, slot)
        status, headers, started = response.status_code, response.headers, self._timer()

        def keep(pieces: list[tuple[float, bytes]], *, cut: str, whole: bool) -> None:
            timed = [(at - started, data) for at, data in pieces]
            made = hidden(recorded_of(request, key[1], status=status, headers=headers, events=timed, cut=cut), keys)
            if whole or cut or _decided(made):
                self._keep(made)

        def too_long() -> None:
            self.trouble = CassetteError("cassette.too_long", path=cassette.shown(self.path), limit=LARGEST >> 20)

        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = response.stream = _Recording(response.stream, self._timer, keep, too_long)
        response.extensions = {**response.extensions, SECONDS: lambda: stream.took(started)}
        return response

    def tidy(self) -> None:
        """Sort the file, if something was written."""
        if self._unwritten:
            self._write()
        if self._untidy:
            try:
                cassette.tidy(self.path)
                self._untidy = False
            except CassetteError as error:
                self.trouble = self.trouble or error

    def _keep(self, made: Recorded) -> None:
        self.exchanges[made.key] = made
        self.recorded.add(made.key)
        self._unwritten[made.key] = None
        self._write()

    def _write(self) -> None:
        """Write what isn't on the file yet; what can't be now goes with the next that is recorded."""
        kept = [self.exchanges[key] for key in self._unwritten if key in self.exchanges]
        try:
            cassette.append(self.path, kept)
        except CassetteError as error:
            self.trouble = error.with_hint("cassette.behind", count=len(kept))
        else:
            self._unwritten.clear()
            self._untidy = True
            self.trouble = None

    def _key(self, asked: str, slot: Hashable) -> Key:
        asking = self._slots.setdefault(asked, {})
        if slot not in asking and isinstance(slot, FollowUp):
            asking[slot] = self._number_of(asked, self._key(slot.request, slot.slot)[1])
        elif slot not in asking:
            asking[slot] = self._next(asked, next(reversed(asking.values()), -1) + 1)
        return asked, asking[slot]

    def _number_of(self, asked: str, n: int) -> int:
        """The number of a request that follows on an answer; earlier versions numbered them in order of arrival."""
        if self._mode.records or (asked, n) in self.exchanges:
            return n
        return self._next(asked, next(reversed(self._slots[asked].values()), -1) + 1)

    def _next(self, asked: str, n: int) -> int:
        """The number of one more who asks; one that is missing was that of a question without an answer."""
        if not self._mode.plays or (asked, n) in self.exchanges:
            return n
        later = (other for other in self._numbers.get(asked, ()) if other > n and (asked, other) in self.exchanges)
        return min(later, default=n)

    def _found(self, request: ChatRequest, key: Key) -> Recorded | None:
        """The recording of a request, also of one that an earlier version sent in another form."""
        earlier = ((one.hash, key[1]) for one in as_earlier_versions(request))
        exact = next((found for one in (key, *earlier) if (found := self.exchanges.get(one))), None)
        return exact or self._redacted(request, key[1]) or self._same_numbers(request, key)

    def _same_numbers(self, request: ChatRequest, key: Key) -> Recorded | None:
        """What was recorded with the same numbers in another spelling: 1 for 1.0, as parameters of papermill are."""
        if request.hash in self._numbers or not any(map(_is_number, request.parameters.values())):
            return None
        known = list(self.exchanges.values())  # another thread may add to them
        return next((one for one in known if one.n == key[1] and _alike(one.body, request.body)), None)

    def _redacted(self, request: ChatRequest, n: int) -> Recorded | None:
        """What was recorded for a request of which words were taken out: of the answers before it, or of itself."""
        if not may_be_redacted(request):  # else all of them would be looked through for each question that is new
            return None
        known = list(self.exchanges.values())  # another thread may add to them
        return next((one for one in known if one.n == n and fits(one, request)), None)


class NoNetwork(httpx.AsyncBaseTransport):
    """What a client has in place of the network where only a cassette answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse; httpx calls this."""
        raise CassetteError("cassette.no_network", host=request.url.host)


class _Recording(httpx.AsyncByteStream):
    """A response's body on its way through."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        timer: Callable[[], float],
        keep: Callable[..., None],
        too_long: Callable[[], None],
    ) -> None:
        self._stream, self._timer, self._keep, self._too_long = stream, timer, keep, too_long
        self._pieces: list[tuple[float, bytes]] = []
        self._size = 0
        self._kept = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                self._add(piece)
                yield piece
        except httpx.DecodingError as error:
            self._kept = self._kept or not self._pieces  # then nothing of it can be read
            self._end(cut=str(error))
            raise
        except (httpx.TransportError, OSError) as error:
            self._end(cut=str(error) or type(error).__name__)
            raise
        self._end(whole=True)

    def took(self, started: float) -> float | None:
        """Seconds from *started* to the last piece, as they are recorded; None before the first."""
        return round(self._pieces[-1][0] - started, 3) if self._pieces else None

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:  # what has come has come, however the connection ends
            self._end()

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= LARGEST:
            self._pieces.append((self._timer(), piece))
        elif not self._kept:
            self._kept = True
            self._pieces.clear()
            self._too_long()

    def _end(self, *, cut: str = "", whole: bool = False) -> None:
        if not self._kept:
            self._kept = True
            self._keep(self._pieces, cut=cut, whole=whole)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two requests say the same but for the spelling of numbers in their parameters."""
    if one.keys() != other.keys():
        return False
    same = (one[name] == other[name] and _is_number(one[name]) == _is_number(other[name]) for name in one)
    return all(same)


def _decided(recorded: Recorded) -> bool:
    """Whether what came tells the whole outcome, though the connection had not ended."""
    played = recorded.play()
    return played.complete or (played.error is not None and played.error.key != "protocol.empty")


def _final(recorded: Recorded) -> bool:
    """Whether the same request would get the like again: a whole answer, or an error that is its own fault."""
    played = recorded.play()
    return played.complete or isinstance(played.error, (RequestError, ContentError))
