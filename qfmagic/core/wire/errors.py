"""The service's errors, in any of their shapes, as exceptions with the cause and advice of their row."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..errors import SERVICE_ERRORS, ServiceError
from ..i18n import read_table

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_OF_PLAN = re.compile("(coding|token)_plan_")
_LONGEST = 1000  # characters of what a service says that are shown
_TOLD_APART = ("authentication", "access")  # classes of errors that come with several causes


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
    elif isinstance(inner, str):
        code, detail = inner, payload.get("error_description")
    elif "error_code" in payload and (payload["error_code"] not in (0, None, "0") or "result" not in payload):
        code, detail = payload["error_code"], payload.get("error_msg")
    elif "code" in payload and ("msg" in payload or "message" in payload):
        code, detail = payload["code"], payload.get("msg", payload.get("message"))
    else:
        return None
    own_id = payload.get("id") or payload.get("requestId")
    own_id = str(own_id) if isinstance(own_id, (str, int)) else None
    return make_error(wire, code, str(detail or ""), status=status, request_id=request_id or own_id)


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
    plans = rows["plans"].items() if _OF_PLAN.match(str(code)) else ()
    plan = next((row for ending, row in plans if str(code).endswith(ending)), None)
    return own.get(str(code)) or plan or own.get(f"http{status}") or by_status.get(str(status)) or by_status["other"]


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
