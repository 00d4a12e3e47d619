"""What is found out about keys and the way, for each thing that can be wrong."""

import time
from email.utils import formatdate

import pytest

from qfmagic import Qianfan, Settings
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply
from qfmagic.transport.stub.service import StubKeys, StubService

KEYS = StubKeys()
ALL = {
    "ak": KEYS.ak,
    "sk": KEYS.sk,
    "access_key": KEYS.access_key,
    "secret_key": KEYS.secret_key,
    "access_token": KEYS.access_token,
    "bearer_token": KEYS.bearer_token,
}


def service(request):
    """The stub, with the shortest answer and a clock of its own."""
    reply = StubService()(request)
    return reply._replace(headers={**reply.headers, "date": formatdate(time.time(), usegmt=True)})


def asked(answer, call, **given):
    with LoopbackServer(answer) as server:
        urls = dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), server.url)
        with Qianfan(settings=Settings(**{**urls, **given})) as client:
            return getattr(client, call)(), server


def verdicts(answer=service, **given):
    found, _ = asked(answer, "verify", **given)
    for verdict in found:
        for lang in ("en", "zh"):
            assert verdict.credential.variables in verdict.describe(lang)
            assert not any(given[name] in verdict.describe(lang) for name in given.keys() & ALL.keys())
    return {verdict.credential.kind: verdict.status for verdict in found}


def findings(answer=service, **given):
    found, _ = asked(answer, "check", **given)
    assert all(finding.describe("en") and finding.describe("zh") for finding in found)
    return found


def test_verify_accepts_valid_keys_of_every_kind():
    found, server = asked(service, "verify", **ALL)
    assert {verdict.credential.kind: verdict.status for verdict in found} == dict.fromkeys(
        ("access_token", "app", "iam", "bearer"), "ok"
    )
    assert len(server.requests) == 4
    listed = {verdict.credential.kind: verdict.models for verdict in found if verdict.models}
    assert [model.name for model in listed.pop("bearer")][:2] == ["ernie-5.1", "ernie-5.0-thinking-latest"]
    assert not listed
    assert not any(request.path.endswith("/completions") for request in server.requests)
    assert "accepted" in found[0].describe("en")
    assert len(found[0].fingerprint) == 8


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ak": "wrong-1", "sk": KEYS.sk}, {"app": "wrong_key"}),
        ({"ak": KEYS.ak, "sk": "wrong-1"}, {"app": "wrong_secret"}),
        ({"access_key": "wrong-1", "secret_key": "wrong-2"}, {"iam": "wrong_key"}),
        ({"access_key": KEYS.access_key, "secret_key": "wrong-2"}, {"iam": "wrong_secret"}),
        ({"access_token": "wrong-1"}, {"access_token": "wrong_key"}),
        ({"bearer_token": "wrong-1"}, {"bearer": "wrong_key"}),
        ({"bearer_token": "wrong key"}, {"bearer": "wrong_key"}),
        ({"enable_private": True, "access_code": "wrong-1"}, {"access_code": "unchecked"}),
        ({}, {}),
    ],
)
def test_verify_reports_wrong_keys(given, expected):
    assert verdicts(**given) == expected


def refusing(status, code, said="x", **headers):
    return lambda _: Reply.of_json({"error": {"code": code, "message": said}}, status=status, headers=headers)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (refusing(403, "account_overdue"), "no_quota"),
        (refusing(401, "invalid_iam_token", "the api key is disabled"), "disabled"),
        (refusing(401, "invalid_iam_token"), "wrong_key"),
        (lambda _: Reply.of_json({"code": "AccessDenied", "message": "Access denied."}, status=403), "refused"),
        (refusing(404, "not_found"), "unchecked"),
        (refusing(405, "method_not_supported"), "unchecked"),
        (lambda _: Reply((b"",), 502), "unknown"),
        (lambda _: Reply.of_json({"choices": []}), "unreachable"),
        (refusing(429, "rpm_rate_limit_exceeded"), "ok"),
        (refusing(400, "invalid_argument"), "ok"),
        (refusing(500, "internal_error"), "unknown"),
        (lambda _: Reply((b"<html>",)), "unreachable"),
    ],
)
def test_verify_reports_status_of_bearer_key(answer, status):
    assert verdicts(answer, bearer_token="b" * 9) == {"bearer": status}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (lambda _: Reply((b"",), 404), "gone"),
        (lambda _: Reply.of_json({"error_code": 3, "error_msg": "x"}), "gone"),
        (lambda _: Reply.of_json({"error_code": 6, "error_msg": "x"}), "no_permission"),
        (lambda _: Reply.of_json({"error_code": 111, "error_msg": "x"}), "wrong_key"),
        (lambda _: Reply.of_json({"error_code": 336003, "error_msg": "x"}), "ok"),
    ],
)
def test_verify_reports_status_of_access_token(answer, status):
    assert verdicts(answer, access_token="t" * 9) == {"access_token": status}


def test_verify_distinguishes_wrong_clock_from_wrong_secret():
    late = formatdate(time.time() + 3600, usegmt=True)
    headers = {"x-bce-error-code": "SignatureDoesNotMatch", "x-bce-error-message": "x", "date": late}
    answer = lambda _: Reply((b"",), 403, headers)  # noqa: E731
    assert verdicts(answer, access_key="k" * 9, secret_key="s" * 9) == {"iam": "clock"}


def test_verify_reports_unreachable_service():
    gone = "http://127.0.0.1:9"
    urls = dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), gone)
    with Qianfan(settings=Settings(**ALL, **urls)) as client:
        assert {verdict.status for verdict in client.verify()} == {"unreachable"}
        assert [finding.topic for finding in client.check() if finding.level == "error"] == ["reach"]


# ---- the way


def levels(found):
    return {(finding.topic, finding.level) for finding in found}


def test_check_reports_all_ok():
    found, server = asked(service, "check", **ALL)
    assert levels(found) == {("keys", "ok"), ("reach", "ok")}
    assert len(server.requests) == 3
    said = str([(request.query, request.headers) for request in server.requests])
    assert not any(value in said for value in ALL.values())


def test_check_reports_missing_keys():
    assert ("keys", "error") in levels(findings())
    assert levels(findings(bearer_token="b")) == {("keys", "ok"), ("reach", "ok")}
    assert ("keys", "warning") in levels(findings(access_token="t"))
    assert ("keys", "error") in levels(findings(bearer_token="b", ak="half"))


def test_check_warns_of_missing_v1():
    for answer in (lambda _: Reply((b"",), 404), lambda _: Reply.of_json({"error_code": 3, "error_msg": "x"})):
        found = findings(answer, access_token="t")
        assert ("v1", "warning") in levels(found)


def test_check_reports_interception():
    (found,) = [
        one for one in findings(lambda _: Reply((b"<html>Please log in",)), bearer_token="b") if one.level == "error"
    ]
    assert "Please log in" in found.describe("en")


def test_check_reports_wrong_clock():
    answer = lambda _: Reply.of_json({"error_code": 14, "error_msg": "x"}, headers={"date": formatdate(0, usegmt=True)})  # noqa: E731
    found = [one.describe("en") for one in findings(answer, access_token="t") if one.topic == "clock"]
    assert "ahead" in found[0]


def test_check_reports_failing_proxy():
    with LoopbackServer(lambda _: Reply((b"<html>proxy",), 407), allowed=("far.invalid",)) as proxy:
        found = findings(base_url="http://far.invalid", proxy=proxy.url.replace("//", "//u:SEKRET@"), access_token="t")
    assert {("proxy", "ok"), ("proxy", "error")} <= levels(found)
    assert "SEKRET" not in str([one.describe("en") for one in found])


def test_check_warns_of_disabled_certificate_check():
    assert ("certificates", "warning") in levels(findings(bearer_token="b", ssl_verification=False))


def test_check_and_verify_never_raise():
    for address in ("nonsense", "http://[", "http://h:abc"):
        found = findings(console_base_url=address, bearer_token="b")
        assert "error" in {finding.level for finding in found}
        assert verdicts(console_base_url=address, bearer_token="b" * 9) == {"bearer": "unreachable"}
