"""A server that does what a row says, byte by byte, over real sockets: for what no well-behaved server can be made to do."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

CLOSE = "close"  # the connection ends in order
RESET = "reset"  # it is torn down
HOLD = "hold"  # nothing more comes, until the client leaves or the server ends


class Forever(NamedTuple):
    """The same piece again and again, until the client leaves."""

    piece: bytes


Step = bytes | str | Forever
Script = tuple[Step, ...]


def head(status: int = 200, reason: str = "OK", **headers: str) -> bytes:
    """Status line and headers; underscores in names are dashes."""
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM = head(content_type="text/event-stream;charset=utf-8", transfer_encoding="chunked")
LAST = b"0\r\n\r\n"


def stream(*pieces: bytes) -> Script:
    """A well-formed chunked response of these pieces."""
    return (STREAM, *(chunk(piece) for piece in pieces), LAST)


def whole(body: bytes, status: int = 200, **headers: str) -> Script:
    """A response with a body of known length."""
    return (head(status, "Said", content_length=str(len(body)), **headers), body)


def told(payload: object, status: int = 200, **headers: str) -> Script:
    """A response of JSON."""
    return whole(json.dumps(payload, ensure_ascii=False).encode(), status, **headers)


class FaultServer:
    """
    Plays scripts, one for each request; the last one again and again.

    Args:
        scripts: What to do; or a function from the request's head and body to what to do.
        context: Certificates, to speak TLS.
        host: The address to listen on.
    """

    def __init__(
        self,
        scripts: Iterable[Script] | Callable[[str, bytes], Script],
        *,
        context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._scripts = scripts if callable(scripts) else list(scripts)
        self._context = context
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=256)
        self._address = self._listener.getsockname()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.heads: list[str] = []
        self.connections = 0
        self.most_open = 0

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def url(self) -> str:
        host = self._address[0]
        return f"{'https' if self._context else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                _quietly(lambda one=one: one.shutdown(socket.SHUT_RDWR))
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            return
        with self._lock:
            self.connections += 1
            self._open.add(connection)
            self.most_open = max(self.most_open, len(self._open))
        try:
            with connection.makefile("rb") as incoming:
                while self._play(connection, *_request(incoming)):
                    pass
        except (OSError, EOFError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            _quietly(connection.close)

    def _play(self, connection: socket.socket, head: str, body: bytes) -> bool:
        with self._lock:
            self.heads.append(head)
            if callable(self._scripts):
                script = self._scripts(head, body)
            else:
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        for step in script:
            match step:
                case bytes():
                    connection.sendall(step)
                case Forever():
                    while not self._ended.is_set():
                        connection.sendall(step.piece)
                case "hold":
                    connection.recv(1)  # until the client leaves
                    return False
                case "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return False
                case _:
                    return False
        return True


def _request(incoming) -> tuple[str, bytes]:
    lines = []
    while (line := incoming.readline()).strip():
        lines.append(line.decode("latin-1"))
    if not lines:
        raise EOFError
    length = next((int(one.split(":")[1]) for one in lines if one.lower().startswith("content-length:")), 0)
    return "".join(lines), incoming.read(length)


def _quietly(work: Callable[[], object]) -> None:
    with contextlib.suppress(OSError):
        work()
