"""A service, or what stands in its place, that repeats keys and tokens in what it says."""

import base64
import traceback
from urllib.parse import quote

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.client.auth.redact import redact
from qfmagic.core.errors import ProtocolError, QianfanError, RequestError
from tests.support.faults.server import CLOSE, STREAM, FaultServer, chunk, told, whole
from tests.support.spelled import WAYS

KEY = "bce-v3/ALTAK-echoed/+key=0123456789"
PARTS = {
    "bearer": ("v2", {"bearer_token": KEY}),
    "token": ("v1", {"access_token": KEY}),
    "app": ("v1", {"ak": "echoed-AK-0123", "sk": "echoed-SK-0123"}),
    "iam": ("v2", {"access_key": "echoed-IAK-0123", "secret_key": "echoed-ISK-0123"}),
    "signed": ("v1", {"access_key": "echoed-IAK-0123", "secret_key": "echoed-ISK-0123"}),
}
FORMS = {
    "HTML": WAYS["HTML, hex"],
    "JSON in JSON": WAYS["JSON with u002f, in JSON"],
    "of Bearer": WAYS["base64 of Bearer"],
    "reversed": WAYS["reversed"],
    "plain": str,
    "quoted": lambda key: quote(key, safe=""),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
}
HANDED = "24.echoed-TOKEN.handed-out"
ANSWERS = {
    "v2 error": lambda said: told({"error": {"code": said, "message": f"bad {said}"}, "id": said}, 401),
    "v1 error": lambda said: told({"error_code": 336003, "error_msg": f"bad {said}", "id": said}),
    "text": lambda said: whole(f"no: {said}".encode(), 400),
    "page": lambda said: whole(f"<html>{said}".encode(), 502),
    "cut text": lambda said: whole(f"{'x' * 90} {said}".encode(), 403),
    "no json": lambda said: whole(f"what? {said}".encode()),
    "header": lambda said: whole(b"", 401, x_bce_error_code="IAM", x_bce_error_message=said, x_bce_request_id=said),
    "redirect": lambda said: whole(f"moved {said}".encode(), 302, location=f"http://x/?access_token={said}"),
    "event": lambda said: (STREAM, chunk(b'data: {"error_code":2,"error_msg":"%s"}\n\n' % said.encode()), CLOSE),
    "no http": lambda said: (f"{said} HTTP nonsense\r\n\r\n".encode(), CLOSE),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("kind", PARTS)
def test_errors_repeat_no_key(kind, answer, form):
    wire, given = PARTS[kind]

    def answers(head, _):
        if "/oauth/" in head or "/BCE-BEARER/" in head:
            return told({"access_token": HANDED, "token": HANDED, "expires_in": 3600})
        return ANSWERS[answer](" ".join(FORMS[form](one) for one in (*given.values(), HANDED)))

    error = asked(wire, given, answers)
    everything = shown(error)
    assert error.values
    for secret in (*given.values(), HANDED):
        if secret != HANDED or kind in ("app", "iam"):
            for written in FORMS.values():
                assert written(secret) not in everything


@pytest.mark.parametrize(
    "answer",
    [
        told({"refresh_token": HANDED, "expires_in": 3600}),
        told({"token": {"value": HANDED}}),
        whole(f"access_token={HANDED}&expires_in=3600".encode()),
        whole(f'["{HANDED}"]'.encode()),
    ],
)
@pytest.mark.parametrize("kind", ["app", "iam"])
def test_invalid_token_reply_is_not_shown(kind, answer):
    wire, given = PARTS[kind]
    error = asked(wire, given, lambda *_: answer)
    assert isinstance(error, ProtocolError)
    assert "echoed" not in shown(error)


def asked(wire, given, answers):
    with FaultServer(answers) as server:
        urls = dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), server.url)
        settings = Settings(**given, **urls, retry_count=2, backoff_factor=0, retry_jitter=0)
        with Qianfan(settings=settings, model={"v1": "yi_34b_chat", "v2": "ernie-5.1"}[wire], api=wire) as client:
            with pytest.raises(QianfanError) as error:
                list(client.stream("hi"))
            verdicts = [verdict.describe("en") for verdict in client.verify()]
    assert not [said for said in verdicts if any(key in said for key in given.values())]
    return error.value


def shown(error):
    chain = "".join(traceback.format_exception(error))
    return "\n".join(
        [chain, error.message("en"), error.message("zh"), error.details(), repr(error.values), str(vars(error))]
    )


def test_redact_keeps_other_words():
    error = RequestError(code=336003, detail="temperature is 2.0, hi", request_id="as-1")
    redact(error, ["hi", "", "another-key-0123"])
    assert (error.code, error.detail, error.request_id) == (336003, "temperature is 2.0, hi", "as-1")


@pytest.mark.parametrize("said", ["bad key SEKRET-0123-45", "bad key SEKRET-0..."])
def test_redact_removes_truncated_key(said):
    error = RequestError(detail=said)
    redact(error, ["SEKRET-0123-456789"])
    assert error.detail == "bad key ***"


@pytest.mark.parametrize("name", ["__cause__", "__context__"])
@pytest.mark.parametrize("told", [RuntimeError("SEKRET-0123-456789"), OSError(5, "SEKRET-0123-456789")])
def test_redact_drops_causes_with_key(name, told):
    error, link = RequestError(detail="no"), ValueError("link")
    error.__cause__, link.__cause__ = link, ValueError("the other chain")
    setattr(link, name, told)
    redact(error, ["SEKRET-0123-456789"])
    assert error.__cause__ is link
    assert told not in (link.__cause__, link.__context__)


def test_redact_ends_for_circular_causes():
    error, first, second = RequestError(detail="no"), ValueError("1"), ValueError("2")
    error.__cause__, first.__cause__, second.__cause__ = first, second, first
    redact(error, ["SEKRET-0123-456789"])
    assert error.__cause__ is first
    assert first.__cause__ is second


def test_redact_keeps_hint_names():
    error = RequestError(detail="no").with_hint("cassette.behind", count=2)
    redact(error, ["behind-the-key-0123"])
    assert "2" in error.message("en")
    assert error.values["hints"] == (("cassette.behind", {"count": 2}),)
