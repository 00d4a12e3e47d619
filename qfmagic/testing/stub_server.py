"""A service over real sockets: the stub, or whatever function answers requests."""

import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from ..core.callbacks import ignore
from ..transport.stub.reply import Incoming, Reply
from ..transport.stub.service import StubService
from .bounds import Head, Room, is_own

MAX_BODY = 16 * 1024 * 1024  # bytes of a request; what the service takes is far below
KEPT_REQUESTS = 10_000  # requests to look at afterwards
KEPT_BYTES = 64 * 1024 * 1024  # of those
AT_ONCE = 256 * 1024 * 1024  # bytes of bodies that are read at the same time
CONNECTIONS = 512  # at the same time
MAX_HEAD = 128 * 1024  # bytes of a request's headers, or of what stands behind its chunks
IDLE_S = 60.0  # seconds a connection may be silent
LINGER_S = 5.0  # seconds for a client to end what it sends although it's refused
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\r?\n")


class LoopbackServer:
    """
    Serves *answer* on this machine, in threads, chunked where a reply has several pieces.

    Args:
        answer: What answers; the stub when not given.
        host: The address to listen at; by default only this machine can reach it.
        port: The port; 0 takes a free one.
        pace: Seconds between the pieces of a reply.
        on_disconnect: Called when a client leaves in the middle of a reply.
        max_body: How many bytes a request may hold.
        allowed: Further names it is asked by, in the ``Host`` header; with a port, or for any. Its own are the address
            it listens at, and on this machine 127.0.0.1, localhost and [::1].
        kept: How many requests are kept to look at.

    ``requests`` holds the last requests, oldest first, as far as there is room for them.
    """

    def __init__(
        self,
        answer: Callable[[Incoming], Reply] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pace: float = 0.0,
        on_disconnect: Callable[[], object] = ignore,
        max_body: int = MAX_BODY,
        allowed: Collection[str] = (),
        kept: int = KEPT_REQUESTS,
    ) -> None:
        self.requests: list[Incoming] = []
        members = {
            "answer": staticmethod(answer or StubService()),
            "pace": pace,
            "seen": _Seen(self.requests, kept),
            "room": Room(AT_ONCE),
            "is_own": staticmethod(partial(is_own, bound=host, allowed=allowed)),
            "left": staticmethod(on_disconnect),
            "max_body": max_body,
        }
        handler = type("Handler", (_Handler,), members)
        self._server = _Server((host, port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a path, as this machine reaches it."""
        host, port = self._server.server_address[:2]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else str(host)}:{port}"  # noqa: S104 - it is asked for

    @property
    def environ(self) -> dict[str, str]:
        """The variables that send a client here in place of the service."""
        names = ("QIANFAN_BASE_URL", "QIANFAN_CONSOLE_API_BASE_URL", "QIANFAN_IAM_BASE_URL")
        return dict.fromkeys(names, self.url)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """Threads as there are connections, and no more connections than that."""

    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(0)
            request.send(b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Seen:
    """The last requests, as far as there is room for them."""

    def __init__(self, requests: list[Incoming], most: int) -> None:
        self._requests, self._most, self._size = requests, most, 0
        self._lock = threading.Lock()

    def add(self, request: Incoming) -> None:
        with self._lock:
            self._requests.append(request)
            self._size += _size(request)
            while self._requests and (len(self._requests) > self._most or self._size > KEPT_BYTES):
                self._size -= _size(self._requests.pop(0))


def _size(request: Incoming) -> int:
    parts = (request.path, *request.query.items(), *request.headers.items())
    return len(request.body) + sum(map(len, map(str, parts)))


class _Unreadable(Exception):
    """A request whose body can't be read; the connection ends with the answer."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"  # so that nonsense too is answered with a status
    disable_nagle_algorithm = True  # an event is sent when it is there, as a service does
    timeout = IDLE_S
    answer: Callable[[Incoming], Reply]
    pace: float
    seen: _Seen
    room: Room
    is_own: Callable[[str, tuple[str, int]], bool]
    left: Callable[[], object]
    max_body: int

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # a client that leaves between two requests has done nothing wrong
            self.close_connection = True

    def do_GET(self) -> None:
        self._taken = 0
        try:
            self._check_host()
            self._answer(self._body())
        except _Unreadable as problem:
            self._give_back()  # before the answer: whoever has it may ask again at once
            self._refuse(problem)
        finally:
            self._give_back()

    def _give_back(self) -> None:
        type(self).room.give_back(self._taken)
        self._taken = 0

    def parse_request(self) -> bool:
        stream = self.rfile
        self.rfile = Head(stream, MAX_HEAD)  # type: ignore[assignment]  # of which only lines are read
        try:
            return super().parse_request()
        finally:
            self.rfile = stream

    def _check_host(self) -> None:
        named = self.headers.get_all("host", [])
        try:
            target = [urlsplit(self.path).netloc] if "://" in self.path[:9] else []
        except ValueError:
            raise _Unreadable(400, "the address can't be read") from None
        if len(named) > 1 or (not named and self.request_version != "HTTP/1.0"):
            raise _Unreadable(400, "one Host header is expected")
        address = self.connection.getsockname()[:2]
        for host in (*named, *target):
            if not type(self).is_own(host.strip(), address):
                raise _Unreadable(421, f"this server isn't {host[:100]!r}; --allow-host adds a name")

    def _answer(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        request = Incoming(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        self.seen.add(request)
        reply = self._answered(request)
        try:
            self._send(reply)
        except ConnectionError:
            self.close_connection = True
            type(self).left()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def _answered(self, request: Incoming) -> Reply:
        try:
            return type(self).answer(request)
        except Exception:  # noqa: BLE001 - a client is told, as by a service; whoever serves sees why
            traceback.print_exc(file=sys.stderr)
            return _error(500, "internal error")

    # ---- what comes

    def _body(self) -> bytes:
        coding = self.headers.get("transfer-encoding")
        length = self._announced()
        if coding is not None:
            if coding.strip().lower() != "chunked":
                raise _Unreadable(501, f"Transfer-Encoding {coding} is not served")
            self.close_connection = self.close_connection or length is not None  # two lengths: trust no third request
            return self._chunks()
        if length is None:
            # What follows a body of no length would be taken for a request.
            self.close_connection = self.close_connection or self.command in ("POST", "PUT", "PATCH")
            return b""
        return self._exactly(length)

    def _announced(self) -> int | None:
        """The length of the body, as far as it's known before it comes."""
        written = self.headers.get("content-length")
        if written is None:
            return None
        if not (written.isascii() and written.isdigit()):
            raise _Unreadable(400, "Content-Length is not a number")
        if len(written) > 18 or int(written) > self.max_body:
            raise _Unreadable(413, f"the body is longer than {self.max_body} bytes")
        return int(written)

    def _chunks(self) -> bytes:
        pieces, size_so_far = [], 0
        while True:
            size = _SIZE.fullmatch(self.rfile.readline(1024))
            if size is None:
                raise _Unreadable(400, "a chunk has no size")
            length = int(size[1], 16)
            size_so_far += length
            if size_so_far > self.max_body:
                raise _Unreadable(413, f"the body is longer than {self.max_body} bytes")
            if not length:
                break
            pieces.append(self._exactly(length))
            if self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise _Unreadable(400, "a chunk is longer than its size")
        trailers = Head(self.rfile, MAX_HEAD)
        try:
            while trailers.readline(65536).strip():
                pass
        except HTTPException:
            raise _Unreadable(431, "what stands behind the chunks is too long") from None
        return b"".join(pieces)

    def _exactly(self, length: int) -> bytes:
        if not type(self).room.take(length):
            raise _Unreadable(503, "too much is being sent at once")
        self._taken += length
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError  # the client left in the middle of its request
        return body

    def handle_expect_100(self) -> bool:
        """Let a client send its body, or tell it that it needn't."""
        try:
            self._announced()
        except _Unreadable as problem:
            self._refuse(problem)
            return False
        return super().handle_expect_100()

    # ---- what goes

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        whole = len(reply.chunks) == 1
        chunked = not whole and self.request_version != "HTTP/1.0"
        if whole:
            self.send_header("content-length", str(len(reply.chunks[0])))
        elif chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.close_connection = True
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._send_pieces(reply, chunked=chunked)

    def _send_pieces(self, reply: Reply, *, chunked: bool) -> None:
        for piece in reply.chunks:
            if self.pace and len(reply.chunks) > 1:
                time.sleep(self.pace)
            if piece:  # an empty chunk would be the end
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, problem: _Unreadable) -> None:
        """Answer, and let the client end: it reads the answer only if the connection isn't reset while it sends."""
        self.close_connection = True
        with suppress(OSError):
            self._send(_error(problem.status, problem.text))
            ends = time.monotonic() + LINGER_S
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_S)
            while time.monotonic() < ends and self.connection.recv(1 << 20):
                pass

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Say what http.server finds wrong with a request as JSON, like everything else here."""
        self._refuse(_Unreadable(code, message or self.responses[code][0]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the tests' output is the tests'."""


def _error(status: int, text: str) -> Reply:
    kind = "Internal_error" if status >= 500 else "invalid_request_error"
    code = "internal_error" if status >= 500 else "malformed_request"
    error = {"error": {"code": code, "message": text, "type": kind}, "id": "as-stub"}
    return Reply.of_json(error, status=status)
