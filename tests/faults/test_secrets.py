"""Keys and tokens never show: not in errors, tracebacks, reprs, warnings, or logs at any level."""

import traceback
import warnings

import httpx
import pytest

from qfmagic import Qianfan, Settings
from qfmagic.client.attempt import attempt
from qfmagic.client.http.request import Outgoing
from qfmagic.core.errors import QianfanError
from tests.support.faults.server import CLOSE, RESET, STREAM, FaultServer, chunk, told, whole
from tests.support.faults.table import FIRST

SECRETS = {
    "ak": "SEKRET-ak",
    "sk": "SEKRET-sk",
    "access_key": "SEKRET-access-key",
    "secret_key": "SEKRET-secret-key",
    "access_token": "SEKRET-access-token",
    "bearer_token": "SEKRET-bearer-token",
    "access_code": "SEKRET-code",
}
KINDS = [
    ("v1", ("access_token",)),
    ("v1", ("ak", "sk")),
    ("v1", ("access_key", "secret_key")),
    ("v2", ("bearer_token",)),
    ("v2", ("access_key", "secret_key")),
    ("v1", ("access_code",)),
]
TOKEN = {"access_token": "SEKRET-fetched", "token": "SEKRET-fetched", "expires_in": 3600}
WRONG = {
    "reset": (RESET,),
    "close": (CLOSE,),
    "cut": (STREAM, chunk(FIRST["v1"]), CLOSE),
    "refused": told({"error_code": 110, "error_msg": "x"}),
    "gone": whole(b"", 404),
    "page": whole(b"<html>"),
}


def shown(error):
    """Everything a tool that shows tracebacks could show: the chain, with the variables of every frame."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True, lookup_lines=False)
    kept = []
    pending = [report]
    while pending:
        one = pending.pop()
        for frame in one.stack:
            if "/tests/" not in frame.filename.replace("\\", "/"):
                kept += [f"{frame.filename}:{name}={value}" for name, value in (frame.locals or {}).items()]
        kept.append("".join(one.format_exception_only()))
        pending += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
    return "\n".join([*kept, str(error), repr(error), error.message("zh"), error.details(), repr(error.values)])


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    ("wire", "names"), KINDS, ids=lambda value: "-".join(value) if isinstance(value, tuple) else value
)
def test_errors_and_logs_show_no_key(wire, names, wrong, caplog):
    for name in (None, "httpx", "httpcore", "qfmagic", "asyncio", "hpack"):
        caplog.set_level(1, logger=name)

    def answer(head, _):
        fetching = "/oauth/" in head or "/BCE-BEARER/" in head
        return told(TOKEN) if fetching else WRONG[wrong]

    with FaultServer(answer) as server, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        given = {name: SECRETS[name] for name in names}
        urls = dict.fromkeys(("base_url", "console_base_url", "iam_base_url"), server.url)
        settings = Settings(
            **given, **urls, enable_private="access_code" in names, retry_count=2, backoff_factor=0, retry_jitter=0
        )
        with Qianfan(settings=settings, model="ernie-char-fiction-8k", api=wire) as client:
            stream = client.stream("hi")
            with pytest.raises(QianfanError) as error:
                list(stream)
            everything = shown(error.value)
            everything += repr(client) + repr(settings) + repr(stream) + repr(vars(stream)) + repr(error.value.partial)
    assert any("SEKRET" in head for head in server.heads) or names == ("access_key", "secret_key")
    assert "SEKRET" not in everything
    assert caplog.records
    assert "SEKRET" not in "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "SEKRET" not in "\n".join(str(warning.message) for warning in warned)


@pytest.mark.parametrize(
    "address", ["http://SEKRET:SEKRET@127.0.0.1:9", "nonsense://SEKRET@x", "http://u:SEKRET@h:abc"]
)
def test_request_address_shows_no_key(address, caplog):
    caplog.set_level(1)
    settings = Settings(access_token="t", base_url=address, retry_count=1)
    with Qianfan(settings=settings, model="yi_34b_chat") as client, pytest.raises(QianfanError) as error:
        client.ask("hi")
    assert "SEKRET" not in shown(error.value)
    assert "SEKRET" not in caplog.text


def test_repr_of_settings_and_requests_shows_no_key():
    assert "SEKRET" not in repr(Outgoing("POST", "http://SEKRET@h", "/p", {"access_token": "SEKRET"}, {"a": "SEKRET"}))
    assert "SEKRET" not in repr(Settings(**SECRETS, proxy="http://u:SEKRET@h:1"))


def test_tracebacks_have_no_local_values():
    with (
        FaultServer([(RESET,)]) as server,
        Qianfan(
            settings=Settings(access_token="SEKRET", base_url=server.url, retry_count=1), model="yi_34b_chat"
        ) as client,
        pytest.raises(QianfanError) as error,
    ):
        client.ask("hi")
    assert attempt.__name__ in error.value.details()
    assert "httpcore" in error.value.details()


@pytest.mark.parametrize("raised", [RuntimeError("a fault of a library"), OSError("TLS as it is")])
def test_library_error_shows_no_key(raised):
    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            address = str(request.url)
            assert "SEKRET" in address
            raise raised

    settings = Settings(access_token=SECRETS["access_token"], retry_count=1)
    with (
        Qianfan(settings=settings, transport=Transport(), model="yi_34b_chat") as client,
        pytest.raises((RuntimeError, QianfanError)) as error,
    ):
        client.ask("hi")
    report = traceback.TracebackException.from_exception(error.value, capture_locals=True)
    locals_of_ours = [
        str(frame.locals)
        for frame in report.stack
        if "handle_async_request" in frame.name or "/qfmagic/" in frame.filename
    ]
    assert locals_of_ours
    assert "SEKRET" not in "".join(locals_of_ours)
