"""What can go wrong, as rows: what the server does, and what the client makes of it."""

import gzip
import json
import zlib
from typing import NamedTuple

from .server import CLOSE, HOLD, LAST, RESET, STREAM, Forever, Script, chunk, head, stream, told, whole

SO_FAR = "长城"
GOOD = "长城，万里。"


def sse(payload: object) -> bytes:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def v1(text: str, number: int = 0, **more: object) -> bytes:
    return sse({"id": "as-1", "sentence_id": number, "is_end": False, "result": text, **more})


def v2(text: str, **more: object) -> bytes:
    return sse({"id": "as-1", "choices": [{"index": 0, "delta": {"content": text}}], **more})


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 3}
END = {"v1": v1("", is_end=True, usage=USAGE), "v2": b"data: [DONE]\n\n"}
FIRST = {"v1": v1(SO_FAR), "v2": v2(SO_FAR)}
FINE = {
    "v1": stream(v1("长城，", 0), v1("万里。", 1), END["v1"]),
    "v2": stream(v2("长城，"), v2("万里。"), END["v2"]),
}
BUSY = {
    "v1": {"error_code": 336100, "error_msg": "high load"},
    "v2": {"error": {"code": "internal_error", "message": "high load"}},
}


def packed(*pieces: bytes, by: str) -> Script:
    """A well-formed chunked response of pieces that are packed."""
    return head(transfer_encoding="chunked", content_encoding=by), *map(chunk, pieces), LAST


def _synced(*events: bytes, whole: bool = False) -> tuple[bytes, ...]:
    """Events packed with gzip so that each can be read when it has come."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    return (*pieces, packer.flush()) if whole else tuple(pieces)


BOMB = gzip.compress(b"data: " + b"x" * 20_000_000)


class Fault(NamedTuple):
    """
    One row.

    Attributes:
        name: What goes wrong.
        scripts: What the server does at the first request, the second, ...
        asked: How many requests it gets.
        text: What has arrived at the end.
        error: The error's class and its text or code; None where there is an answer.
        finish: The answer's finish reason, where there is one.
        wire: ``"v1"`` or ``"v2"``.
        timeout: The longest silence, in seconds.
    """

    name: str
    scripts: tuple[Script, ...]
    asked: int = 1
    text: str = ""
    error: tuple[str, object] | None = None
    finish: str = "stop"
    wire: str = "v1"
    timeout: float = 5.0


def _both(wire: str) -> list[Fault]:
    """What goes wrong alike on both APIs."""
    first, fine, end, busy = FIRST[wire], FINE[wire], END[wire], BUSY[wire]
    cut = ("TransportError", "connect.cut")
    return [
        Fault("nothing goes wrong", (fine,), 1, GOOD),
        # before the first byte of an answer: asked again
        Fault("closed without a word, then fine", ((CLOSE,), fine), 2, GOOD),
        Fault("torn down without a word, then fine", ((RESET,), fine), 2, GOOD),
        Fault("closed without a word, always", ((CLOSE,),), 3, "", cut),
        Fault("closed behind the headers, then fine", ((STREAM, CLOSE), fine), 2, GOOD),
        Fault("no HTTP, then fine", ((b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE), fine), 2, GOOD),
        Fault("an empty answer, then fine", (stream(), fine), 2, GOOD),
        Fault("an empty body, always", (stream(),), 3, "", ("ProtocolError", "protocol.empty")),
        Fault("busy as a plain body, then fine", (told(busy), fine), 2, GOOD),
        Fault("busy as text/html, then fine", (told(busy, content_type="text/html"), fine), 2, GOOD),
        Fault("busy as the first event, then fine", (stream(sse(busy)), fine), 2, GOOD),
        Fault("a gateway's 503, twice, then fine", (whole(b"<html>", 503), whole(b"", 503), fine), 3, GOOD),
        Fault("429 with Retry-After, then fine", (told({}, 429, retry_after="0"), fine), 2, GOOD),
        Fault(
            "429 with a Retry-After beyond all bounds",
            (told({}, 429, retry_after="9999"),),
            1,
            "",
            ("RateLimitError", None),
        ),
        # the same, but nothing that passes: asked once
        Fault("403", (whole(b"", 403),), 1, "", ("AccessError", None)),
        Fault("a redirection", (whole(b"", 302, location="http://127.0.0.1:9/"),), 1, "", ("ServiceError", None)),
        Fault(
            "a login page",
            (whole(b"<html>login", content_type="text/html"),),
            1,
            "",
            ("ProtocolError", "protocol.json"),
        ),
        Fault("silence before the headers", ((HOLD,),), 1, "", ("ResponseTimeout", "timeout.first"), timeout=0.5),
        Fault(
            "silence before the first event",
            ((STREAM, HOLD),),
            1,
            "",
            ("ResponseTimeout", "timeout.first"),
            timeout=0.5,
        ),
        Fault(
            "signs of life without text",
            ((STREAM, chunk(b": keep-alive\n\n"), HOLD),),
            1,
            "",
            ("ResponseTimeout", "timeout.between"),
            timeout=0.5,
        ),
        # after the first byte: what came is kept, nothing is asked again
        Fault("cut in the first event", ((STREAM, chunk(first[:20]), CLOSE),), 1, "", cut),
        Fault("cut behind the first event", ((STREAM, chunk(first), CLOSE),), 1, SO_FAR, cut),
        Fault("torn down behind the first event", ((STREAM, chunk(first), RESET),), 1, SO_FAR, cut),
        Fault(
            "cut in the middle of a character",
            ((STREAM, chunk(first + first[: first.index("城".encode()) + 1]), CLOSE),),
            1,
            SO_FAR,
            cut,
        ),
        Fault(
            "silence in the middle",
            ((STREAM, chunk(first), HOLD),),
            1,
            SO_FAR,
            ("ResponseTimeout", "timeout.between"),
            timeout=0.5,
        ),
        Fault("an error event in the middle", (stream(first, sse(busy)),), 1, SO_FAR, ("UnavailableError", None)),
        Fault(
            "a bare error line in the middle",
            (stream(first, json.dumps(busy).encode() + b"\n"),),
            1,
            SO_FAR,
            ("UnavailableError", None),
        ),
        Fault(
            "a page in the middle",
            (stream(first, b"<html>\n\n", first, end),),
            1,
            SO_FAR,
            ("ProtocolError", "protocol.json"),
        ),
        Fault(
            "no JSON in the middle",
            (stream(first, b"data: {nonsense\n\n", end),),
            1,
            SO_FAR,
            ("ProtocolError", "protocol.json"),
        ),
        Fault("chunks of no size", ((STREAM, chunk(first), b"zz\r\n", CLOSE),), 1, SO_FAR, cut),
        Fault("a longer length than there is", ((head(content_length="9999"), first, CLOSE),), 1, SO_FAR, cut),
        Fault(
            "a shorter length than there is",
            ((head(content_length=str(len(first))), first + end, CLOSE),),
            1,
            SO_FAR,
            None,
            "incomplete",
        ),
        Fault("ended without its end mark", (stream(first),), 1, SO_FAR, None, "incomplete"),
        Fault("ended in the middle of an event", (stream(first, first[:30]),), 1, SO_FAR, None, "incomplete"),
        Fault(
            "broken gzip",
            (whole(b"\x1f\x8b\x08nonsense" * 9, content_encoding="gzip"),),
            1,
            "",
            ("ProtocolError", "protocol.packed_broken"),
        ),
        Fault(
            "gzip cut short",
            (whole(gzip.compress(first * 99)[:-30], content_encoding="gzip"),),
            1,
            None,
            ("ProtocolError", "protocol.packed_cut"),
        ),
        Fault(
            "gzip broken behind the first event",
            (packed(*_synced(first), b"nonsense" * 9, by="gzip"),),
            1,
            SO_FAR,
            ("ProtocolError", "protocol.packed_broken"),
        ),
        Fault(
            "gzip cut behind the first event",
            (packed(*_synced(first), by="gzip"),),
            1,
            SO_FAR,
            ("ProtocolError", "protocol.packed_cut"),
        ),
        Fault(
            "gzip torn down behind the first event",
            ((*packed(*_synced(first), by="gzip")[:-1], RESET),),
            1,
            SO_FAR,
            cut,
        ),
        Fault(
            "gzip in gzip",
            (packed(gzip.compress(gzip.compress(first + end)), by="gzip, gzip"),),
            1,
            "",
            ("ProtocolError", "protocol.encoding"),
        ),
        Fault("brotli", (packed(b"x", by="br"),), 1, "", ("ProtocolError", "protocol.encoding")),
        Fault("gzip of no end", (packed(BOMB, by="gzip"),), 1, "", ("ProtocolError", "protocol.event")),
        Fault("brotli of an error, then fine", (whole(b"x", 503, content_encoding="br"), fine), 2, GOOD),
        Fault(
            "an enormous line",
            ((STREAM, chunk(first), Forever(chunk(b"data: " + b"x" * 65536)[:-2] + b"\r\n")),),
            1,
            SO_FAR,
            ("ProtocolError", "protocol.event"),
        ),
        Fault(
            "an enormous event",
            ((STREAM, chunk(first), Forever(chunk(b"data: " + b"x" * 65536 + b"\n"))),),
            1,
            SO_FAR,
            ("ProtocolError", "protocol.event"),
        ),
        Fault("no end", ((STREAM, Forever(chunk(first * 2000))),), 1, None, ("ProtocolError", "protocol.endless")),
        # odd, but whole
        Fault("byte by byte", (stream(*(bytes([byte]) for byte in first + end)),), 1, SO_FAR),
        Fault("more behind the end mark", (stream(first, end, first, sse(busy)),), 1, SO_FAR),
        Fault("endlessly more behind the end mark", ((STREAM, chunk(first + end), Forever(chunk(first))),), 1, SO_FAR),
        Fault("cut behind the end mark", ((STREAM, chunk(first + end), RESET),), 1, SO_FAR),
        Fault("silence behind the end mark", ((STREAM, chunk(first + end), HOLD),), 1, SO_FAR),
        Fault("gzip", (whole(gzip.compress(first + end), content_encoding="gzip"),), 1, SO_FAR),
        Fault("gzip, event by event", (packed(*_synced(first, end, whole=True), by="gzip"),), 1, SO_FAR),
        Fault("gzip in two parts", (packed(gzip.compress(first), gzip.compress(end), by="X-GZIP"),), 1, SO_FAR),
        Fault("deflate", (packed(zlib.compress(first + end), by="deflate"),), 1, SO_FAR),
        Fault("deflate without its head", (packed(zlib.compress(first + end)[2:-4], by="deflate"),), 1, SO_FAR),
        Fault("identity by name", (packed(first + end, by="identity"),), 1, SO_FAR),
        Fault(
            "a byte order mark, CRLF, comments",
            (stream(b"\xef\xbb\xbf: hi\r\n\r\n", (first + end).replace(b"\n", b"\r\n")),),
            1,
            SO_FAR,
        ),
        Fault("no blank lines", (stream((first + first + end).replace(b"\n\n", b"\n")),), 1, SO_FAR * 2),
        Fault(
            "bytes that are no UTF-8", (stream(first.replace("城".encode(), b"\xb3\xc7"), end),), 1, "长\ufffd\ufffd"
        ),
        Fault(
            "another encoding than declared",
            (
                (
                    head(content_type="text/event-stream;charset=gbk", transfer_encoding="chunked"),
                    chunk(first + end),
                    b"0\r\n\r\n",
                ),
            ),
            1,
            SO_FAR,
        ),
    ]


V1_ALONE = [
    Fault("the same sentence id again and again", (stream(v1("长", 0), v1("城", 0), END["v1"]),), 1, SO_FAR),
    Fault("sentence ids out of order", (stream(v1("长", 7), v1("城", 3), END["v1"]),), 1, SO_FAR),
    Fault("404: V1 is gone", (whole(b"", 404),), 1, "", ("GoneError", None)),
    Fault("410: V1 is gone", (whole(b"<html>gone", 410),), 1, "", ("GoneError", None)),
    Fault("3: V1 is gone", (told({"error_code": 3, "error_msg": "x"}),), 1, "", ("GoneError", 3)),
    Fault("a code nobody knows", (told({"error_code": 4711, "error_msg": "new"}),), 1, "", ("ServiceError", 4711)),
    Fault("1: once more", (told({"error_code": 1, "error_msg": "x"}),), 2, "", ("UnavailableError", 1)),
    Fault("17: no quota", (told({"error_code": 17, "error_msg": "x"}),), 1, "", ("QuotaError", 17)),
    Fault("336501: RPM, then fine", (told({"error_code": 336501, "error_msg": "x"}), FINE["v1"]), 2, GOOD),
    Fault("code and msg", (told({"code": 18, "msg": "qps"}), FINE["v1"]), 2, GOOD),
    Fault(
        "110 for a token that isn't ours to fetch",
        (told({"error_code": 110, "error_msg": "x"}),),
        1,
        "",
        ("AuthenticationError", 110),
    ),
]


def _v2(name: str, code: str, status: int, asked: int, kind: str) -> Fault:
    refused = told({"error": {"code": code, "message": "x", "type": "t"}, "id": "as-1"}, status)
    return Fault(name, (refused,), asked, "", (kind, code), wire="v2")


V2_ALONE = [
    _v2("RPM", "rpm_rate_limit_exceeded", 429, 3, "RateLimitError"),
    _v2("the cluster's limit", "cluster_rate_limit_exceeded", 429, 3, "RateLimitError"),
    _v2("an unknown limit", "shiny_rate_limit_exceeded", 429, 3, "RateLimitError"),
    _v2("an internal error", "Internal_error", 500, 3, "UnavailableError"),
    _v2("a key that isn't ours to fetch", "invalid_iam_token", 401, 1, "AuthenticationError"),
    _v2("a model that isn't there", "invalid_model", 401, 1, "AccessError"),
    _v2("in debt", "account_overdue", 403, 1, "QuotaError"),
    _v2("unsafe", "system_unsafe", 403, 1, "ContentError"),
    _v2("a code nobody knows", "shiny", 400, 1, "RequestError"),
    Fault(
        "usage alone behind the text",
        (stream(v2(GOOD), v2("", usage=USAGE), sse({"choices": [], "usage": USAGE}), END["v2"]),),
        1,
        GOOD,
        wire="v2",
    ),
]

FAULTS = [*_both("v1"), *(row._replace(wire="v2") for row in _both("v2")), *V1_ALONE, *V2_ALONE]
