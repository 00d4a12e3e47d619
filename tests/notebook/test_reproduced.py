"""A recorded run of a notebook, and its replay: the same document, byte for byte."""

import json
from itertools import count

import nbformat
import pytest
from nbclient import NotebookClient

from qfmagic.audit.audit import audit
from qfmagic.audit.loading import load
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.stub.reply import Reply
from tests.support import analysis_service

pytestmark = pytest.mark.kernel

CELLS = [
    "%load_ext qfmagic\n%qf set lang=en model=ernie-5.1",
    "%%qianfan into=first\n介绍下长城",
    "%%qianfan temperature=0.3\nAnd in English? As a table, please.",
    "%%qianfan once into=again\n介绍下长城",  # the same request as the first, and another answer
    "first.text == again.text, first.usage.total_tokens, again.finish_reason",
    "%%qianfan once format=json stream=false expect=json\nAs JSON",
    "%%qianfan once max_output_tokens=9\nStop at the limit",
    "%%qianfan chat=aside\nThink aloud",
    "%%qianfan once\nFail",
    "%qf history",
    "%qf show 2",
]
FAILING = 8


def service():
    """A service whose every answer is another one; what an answer says isn't cut where its bytes are."""
    number = count(1)

    def answer(request):
        body = request.json()
        question = body["messages"][-1]["content"]
        if question == "Fail":
            error = {"code": "invalid_argument", "message": "it can't be", "type": "invalid_request_error"}
            return Reply.of_json({"error": error, "id": "as-wrong"}, status=400)
        n = next(number)
        said = (
            f'{{"answer": {n}}}'
            if question == "As JSON"
            else f"第 {n} 次：**长城**\n\n| a | b |\n|---|---|\n| 城 | {n} |\n"
        )
        common = {"id": f"as-{n}", "created": 1795305600 + n, "model": body["model"]}
        usage = {"prompt_tokens": n, "completion_tokens": 10 * n, "total_tokens": 11 * n}
        end = {"index": 0, "finish_reason": "length" if "max_completion_tokens" in body else "stop"}
        if not body.get("stream"):
            choice = {**end, "message": {"role": "assistant", "content": said}}
            return Reply.of_json({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
        deltas = [{"content": piece} for piece in said]
        if question == "Think aloud":
            deltas.insert(0, {"reasoning_content": "Let me *think*."})
        choices = [{"index": 0, "delta": delta} for delta in deltas]
        events = [{**common, "choices": [choice]} for choice in [*choices, {**end, "delta": {"content": ""}}]]
        whole = b"".join(Reply.of_events([*events, {**common, "choices": [], "usage": usage}], done=True).chunks)
        pieces = tuple(whole[start : start + 7] for start in range(0, len(whole), 7))
        return Reply(pieces, 200, {"content-type": "text/event-stream;charset=utf-8"})

    return answer


def run(folder, transport, **environ):
    """Run the notebook through nbclient, as saved."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    cells[FAILING].metadata["tags"] = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    environ = {**analysis_service.environment(), "QFMAGIC_TRANSPORT": transport, **environ}
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, resources=resources, kernel_name="python3").execute(env=environ)
    return notebook


def without_origin(notebook):
    """All that the cells show, as bytes; not what says where it came from."""
    outputs = [[{**output, "metadata": {}} for output in cell.outputs] for cell in notebook.cells]
    return json.dumps(outputs, ensure_ascii=False).encode()


def origins(notebook):
    found = [output.get("metadata", {}).get("qfmagic") for cell in notebook.cells for output in cell.outputs]
    return [origin for origin in found if origin]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The notebook recorded, then replayed where there are no keys, though the server still listens."""
    folder = tmp_path_factory.mktemp("reproduced")
    with LoopbackServer(service()) as server:
        recorded = run(
            folder, "record:run.qf.jsonl", QIANFAN_BEARER_TOKEN="bce-v3/ALTAK-test/recorded", **server.environ
        )
        asked, file = len(server.requests), (folder / "run.qf.jsonl").read_bytes()
        replayed = run(folder, "replay:run.qf.jsonl", **server.environ)
        assert len(server.requests) == asked == 7
    return folder, recorded, replayed, file


def test_replay_output_equals_recorded_output(both):
    _, recorded, replayed, _ = both
    assert without_origin(replayed) == without_origin(recorded)


def test_recorded_run_contains_every_kind_of_answer(both):
    """What is compared holds each kind of answer, and the error."""
    _, recorded, _, _ = both
    shown = without_origin(recorded).decode()
    assert all(f"第 {n} 次" in shown for n in (1, 2, 3, 5, 6))
    for part in (
        "think",
        '\\"answer\\": 4',
        "truncated at the model's output limit",
        "it can't be",
        "(False, 11, 'stop')",
    ):
        assert part in shown


def test_replay_provenance_differs_in_transport_only(both):
    _, recorded, replayed, _ = both
    assert {origin.transport for origin in origins(recorded)} == {"record"}
    assert {origin.transport for origin in origins(replayed)} == {"replay"}
    timeless = [[{**origin, "transport": "", "seconds": 0} for origin in origins(run)] for run in (recorded, replayed)]
    assert timeless[0] == timeless[1]
    assert len(timeless[0]) == 6


def test_replay_keeps_cassette_and_passes_audit(both):
    folder, _, replayed, file = both
    path = folder / "run.ipynb"
    nbformat.write(replayed, path)
    assert (folder / "run.qf.jsonl").read_bytes() == file
    assert b"ALTAK" not in file
    source = load(path)
    report = audit(source.notebook, source.cassette, recorded=source.recorded)
    assert len(report.answers) == 6
    assert report.findings == ()


def test_analysis_cassette_equals_new_recording(tmp_path):
    """`python -m tests.support.analysis_service` writes it, the same each time."""
    path = tmp_path / "again.qf.jsonl"
    analysis_service.record(analysis_service.NOTEBOOK, path)
    assert path.read_bytes() == cassette.beside(analysis_service.NOTEBOOK).read_bytes()
