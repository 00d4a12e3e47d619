"""The service's errors, in any of their shapes, as exceptions with the cause and advice of their row."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..errors import SERVICE_ERRORS, ServiceError
from ..i18n import read_table
from ..safe_json import read_json

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_LONGEST = 1000  # characters of what a service says that are shown
_READ, _SHOWN, _DEEPEST = 20_000, 120, 4  # bytes of a body read, characters shown of one that is no JSON, levels read
_TOLD_APART = ("authentication", "access")  # classes of errors that come with several causes
_FAULTS = ("request", "other")  # classes of errors whose text may name the fault
_NO_ERROR = (0, 200, "0", "200", None)  # codes of a gateway that finds nothing wrong
_SAID = ("message", "msg", "error_msg", "detail", "error_description", "Message", "title", "reason")


@cache
def error_rows() -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of ``data/errors.toml``: a table for each of whose codes they are, then by code."""
    return {name: rows for name, rows in read_table("errors.toml").items() if isinstance(rows, dict)}


@cache
def _words() -> list[dict[str, str]]:
    found: list[dict[str, str]] = read_table("errors.toml")["words"]
    return found


def service_error(
    wire: str, payload: Mapping[str, Any], *, status: int = 200, request_id: str | None = None
) -> ServiceError | None:
    """
    Find the error in a response, in any of the service's shapes; None if there is none.

    Args:
        wire: ``"v1"``, ``"v2"`` or ``"token"``: whose codes they are.
        payload: The response's JSON object.
        status: The HTTP status.
        request_id: The response's request id, where it has one.
    """
    inner = payload.get("error")
    if isinstance(inner, Mapping):
        code, detail = inner.get("code"), inner.get("message")
        if code in (None, ""):  # some gateways have but one of them
            code = inner.get("type")
    elif isinstance(inner, str):
        code, detail = inner, payload.get("error_description", payload.get("message"))
    elif "error_code" in payload and (payload["error_code"] not in (0, None, "0") or "result" not in payload):
        code, detail = payload["error_code"], payload.get("error_msg")
    elif payload.get("code") not in _NO_ERROR and ("msg" in payload or "message" in payload):
        code, detail = payload["code"], payload.get("msg", payload.get("message"))
    else:
        return None
    own_id = payload.get("id") or payload.get("requestId")
    own_id = str(own_id) if isinstance(own_id, (str, int)) else None
    return make_error(wire, code, str(detail or ""), status=status, request_id=request_id or own_id)


def body_error(wire: str, body: bytes, *, status: int) -> ServiceError:
    """Build the error of a response that says by its status alone that it is one, with what its body says."""
    text = body[:_READ].decode("utf-8", "replace")
    try:
        payload = read_json(text)
    except ValueError:
        payload = None
    said = "; ".join(dict.fromkeys(_said(payload))) or " ".join(text[: _READ // 10].split())[:_SHOWN]
    return make_error(wire, None, said, status=status)


def _said(value: object, depth: int = 0) -> Iterator[str]:
    """The texts in a body that say what is wrong, each with the place in the request it names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < _DEEPEST:
        for inner in value:
            yield from _said(inner, depth + 1)
    elif isinstance(value, Mapping) and depth < _DEEPEST:
        place = value.get("loc", value.get("param"))
        where = ".".join(map(str, place)) if isinstance(place, list) else place if isinstance(place, str) else ""
        for name in (*_SAID, "error", "errors"):
            for said in _said(value.get(name), depth + 1):
                yield f"{where}: {said}" if where else said


def make_error(
    wire: str, code: object, detail: str, *, status: int = 200, request_id: str | None = None
) -> ServiceError:
    """Build the error of a code, with the class and the advice of its row; unknown codes by their HTTP status."""
    if isinstance(code, str) and re.fullmatch("-?[0-9]{1,18}", code):
        code = int(code)
    known = _plain(code) if isinstance(code, str) else code if isinstance(code, int) else None
    row = _row(wire, known, status)
    detail = _plain(detail)
    if row["class"] in _TOLD_APART:
        of = "iam" if row.get("cause") == "iam" else wire
        row = next((words for words in _fitting(of, detail)), row)
    elif row["class"] in _FAULTS:
        row = next((words for words in _fitting("request", f"{known} {detail}") if words["of"] == "request"), row)
    return _build(row, known, detail, status, request_id)


def iam_error(code: str | None, detail: str, *, status: int, request_id: str | None = None) -> ServiceError:
    """Build the error a gateway puts into headers (``X-Bce-Error-Code``, ``X-Bce-Error-Message``)."""
    code = _plain(code) if code is not None else None
    said = _plain(f"{code or ''} {detail}")
    row = next((words for words in _fitting("iam", said)), None)
    if row is None and status not in (400, 401, 403):
        return _build(_row("iam", None, status), code, said, status, request_id)  # not about keys
    return _build(row or error_rows()["v1"]["14"], 14, said, status, request_id)


def _plain(said: str) -> str:
    """What a service says, to be printed: a terminal obeys some characters, and some services go on for pages."""
    said = _CONTROL.sub(" ", said).strip().rstrip(".。")
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."


def _row(wire: str, code: int | str | None, status: int) -> Mapping[str, Any]:
    rows = error_rows()
    own, by_status = rows.get(wire, {}), rows["status"]
    found = own.get(str(code)) or _by_end(rows["ends"], code) or own.get(f"http{status}")
    if status == 200 and isinstance(code, int) and found is None:
        status = code  # some gateways repeat the status as the code, in a stream or a body
    return found or by_status.get(str(status)) or by_status["5xx" if 500 <= status < 600 else "other"]


def _by_end(rows: Mapping[str, Mapping[str, Any]], code: int | str | None) -> Mapping[str, Any] | None:
    """The row of the longest end that fits: plans put their own names in front of the same codes."""
    ends = sorted(rows, key=len, reverse=True) if isinstance(code, str) else ()
    return next((rows[end] for end in ends if str(code).lower().endswith(end)), None)


def _fitting(of: str, detail: str) -> Iterator[Mapping[str, Any]]:
    lowered = detail.lower()
    return (row for row in _words() if row["of"] in (of, "any") and row["contains"] in lowered)


def _build(
    row: Mapping[str, Any], code: int | str | None, detail: str, status: int, request_id: str | None
) -> ServiceError:
    return SERVICE_ERRORS[row["class"]](
        code=code,
        detail=detail,
        status=status,
        request_id=_plain(request_id) if request_id else None,
        cause=f"cause.{row['cause']}" if "cause" in row else None,
        remedy=f"remedy.{row['remedy']}" if "remedy" in row else None,
        retry=row.get("retry"),
    )
