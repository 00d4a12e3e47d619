"""A service over real sockets: the stub, or whatever function answers requests."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from ..transport.reply import Incoming, Reply
from ..transport.stub_service import StubService


class LoopbackServer:
    """
    Serves *answer* on 127.0.0.1, in threads, chunked where a reply has several pieces.

    Args:
        answer: What answers; the stub when not given.
        port: The port; 0 takes a free one.
        pace: Seconds between the pieces of a reply.
        on_disconnect: Called when a client leaves in the middle of a reply.
    """

    def __init__(
        self,
        answer: Callable[[Incoming], Reply] | None = None,
        *,
        port: int = 0,
        pace: float = 0.0,
        on_disconnect: Callable[[], object] = bool,
    ) -> None:
        self.requests: list[Incoming] = []
        members = {
            "answer": staticmethod(answer or StubService()),
            "pace": pace,
            "seen": self.requests,
            "left": staticmethod(on_disconnect),
        }
        handler = type("Handler", (_Handler,), members)
        self._server = _Server(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

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
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an event is sent when it is there, as a service does
    answer: Callable[[Incoming], Reply]
    pace: float
    seen: list[Incoming]
    left: Callable[[], object]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        parts = urlsplit(self.path)
        request = Incoming(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        self.seen.append(request)
        reply = type(self).answer(request)
        try:
            self._send(reply)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            type(self).left()

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if len(reply.chunks) == 1:
            self.send_header("content-length", str(len(reply.chunks[0])))
            self.end_headers()
            self.wfile.write(reply.chunks[0])
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in reply.chunks:
            if self.pace:
                time.sleep(self.pace)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the tests' output is the tests'."""
