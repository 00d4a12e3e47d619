"""Hostile JSON from the service, in a real shell: one line and the text, whatever is done with the answer afterwards."""

import pytest

from qfmagic.core.errors import QianfanError
from tests.support.faults.server import FaultServer, stream, told, whole
from tests.support.faults.table import END, sse, v2

DEEP = "[" * 20_000


def event(*, text='"x"', more="1", id_='"as-1"', usage="1"):
    return (
        f'data: {{"id": {id_}, "created": {more}, "usage": {{"prompt_tokens": {usage}, "total_tokens": {usage}}}, '
        f'"choices": [{{"delta": {{"content": {text}, "z": {more}}}, "finish_reason": {more}}}]}}\n\n'
    ).encode()


def answered(**parts):
    return stream(event(**parts), END["v2"])


ANSWERS = {
    "a deep text": stream(v2(DEEP), END["v2"]),
    "a deep text in objects": stream(v2('{"a":' * 20_000), END["v2"]),
    "a deep text that is closed": stream(v2(DEEP + "]" * 20_000), END["v2"]),
    "digits": stream(v2("9" * 5000), END["v2"]),
    "a number without bounds": stream(v2('{"a": 1e999}'), END["v2"]),
    "half a character in JSON": stream(v2('{"a": "\\ud800"}'), END["v2"]),
    "half a character": answered(text='"a \\ud800 b"'),
    "deep fields at the limit": answered(more="[" * 190 + "]" * 190),
    "deep fields": answered(more="[" * 900 + "]" * 900),
    "large numbers": answered(more="9" * 400, id_="9" * 400, usage="9" * 400),
    "numbers without bounds": answered(more="1e999", id_="1e999", usage="1e999"),
    "halves of characters": answered(more='"\\ud800"', id_='"\\ud800"', usage='"\\ud800"'),
    "a deep event": stream(v2("x"), f"data: {DEEP}\n\n".encode()),
    "a deep error": whole(DEEP.encode(), 400),
    "a deep error event": stream(v2("x"), sse({"error": 1}).replace(b"1", DEEP.encode())),
    "an error of halves": whole(b'{"error": {"code": "\\ud800", "message": "x \\ud800"}}', 400),
    "an error of numbers": told({"error": {"code": 9**400, "message": 9**400}}, 400),
}
AFTERWARDS = ("history", "show 1", "last", "export a.jsonl", "export a.md", "export a.ipynb", "import a.jsonl", "usage")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
def test_cell_reports_hostile_json_in_one_line(shell, monkeypatch, tmp_path, capsys, script):
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "QFMAGIC_TRANSPORT": "live",
        "QFMAGIC_JOURNAL": "true",
        "QIANFAN_BEARER_TOKEN": "bce-v3/ALTAK-abcdefghij/0123456789",
        "QIANFAN_LLM_API_RETRY_COUNT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with FaultServer([script]) as server:
        monkeypatch.setenv("QIANFAN_CONSOLE_API_BASE_URL", server.url)
        for options in ("format=json", "format=json stream=false", 'schema="a int"'):
            _run(shell, capsys, f"%%qianfan {options} context=none\nhi")
        for command in AFTERWARDS:
            _run(shell, capsys, f"%qf {command}")


def _run(shell, capsys, cell):
    error = shell.run_cell(cell).error_in_exec
    assert error is None or isinstance(error, QianfanError)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    (said.out + said.err).encode()
