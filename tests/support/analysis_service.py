"""
The service that answers ``notebooks/analysis.ipynb``: its answers were written by hand, and the notebook says so.

``python -m tests.support.analysis_service`` asks the notebook's questions, writes ``notebooks/analysis.qf.jsonl``, and saves the
notebook as that cassette plays it. From the same notebook and answers comes the same cassette, byte for byte.
"""

import hashlib
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from qfmagic.core.context import measure
from qfmagic.notebook.session.transport_mode import FORCED
from qfmagic.testing import save
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.cassette import file as cassette
from qfmagic.transport.stub.reply import Incoming, Reply

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "analysis.ipynb"
PATH = "/v2/chat/completions"
CREATED = 1795305600  # 2026-11-22
FIRST, PACE = 0.4, 0.04  # seconds until the first event, and between two: what `pace=recorded` plays
PIECE = 6  # characters of an event

# Each answer, by the words that only its question holds.
ANSWERS = {
    "Each line is a product review": """\
{"r01": "positive", "r02": "negative", "r03": "mixed", "r04": "negative", "r09": "positive", "r10": "positive", \
"r11": "negative", "r12": "positive", "r17": "positive", "r18": "negative", "r19": "mixed", "r20": "mixed"}""",
    "每行是一条商品评论": """\
```json
{
  "r05": "positive",
  "r06": "negative",
  "r07": "mixed",
  "r08": "positive",
  "r13": "positive",
  "r14": "mixed",
  "r15": "positive",
  "r16": "mixed",
  "r21": "positive",
  "r22": "negative",
  "r23": "positive",
  "r24": "negative"
}
```""",
    "What do the customers complain about": """\
**Kettle**

- The beep, which can't be turned off (r04, r06)
- The lid opens only halfway, so the inside can't be cleaned (r03, r07)
- A taste of plastic in the first weeks (r02)

**Headphones**

- The connection drops when a laptop and a phone are connected at once (r11, r14)
- Warm ears after a while; both writers put up with it (r10, r13)
- The app's machine-translated texts (r16)

**Desk lamp**

- The touch switch: it reacts to anything near it, and not always to a touch (r18, r24)
- Stripes and headaches on the lowest setting, that is, flicker (r19, r22)
- A base that is too light and rocks (r20, r23)

The late parcel in r08 is the carrier's doing; I left it out.""",
    "put right without new hardware": """\
| complaint | without new hardware? | how |
|---|---|---|
| kettle: beep | perhaps | if its firmware can be written at the factory, a quiet mode there |
| kettle: lid | no | a new hinge; until then, a sachet of citric acid in the box |
| kettle: taste | mostly | boil it out before it is packed, and say so in the manual |
| headphones: drops | yes | a firmware update; advising customers to own fewer devices is no answer |
| headphones: app | yes | have the texts translated by a person |
| headphones: warm ears | no | other pads, as an accessory |
| desk lamp: switch | perhaps | a higher threshold, if it is set in firmware |
| desk lamp: flicker | no | another LED driver |
| desk lamp: base | yes | a rubber ring or a weight in the box |

"Perhaps" is a guess: whether kettle and lamp can be updated at all doesn't follow from the reviews.""",
    "Which of the two should a product manager believe": """\
The words, because three of the differences come from what the stars measure besides the product: r06 gives five stars in \
mockery, r08 takes three off for the parcel, and r12 gives three to a product it has no complaint about. The headphones' \
stars are pulled down by such a strict writer and by one fault, the dropping connection, which an update could mend. \
Eight reviews of each product are few, though: one more of either kind would move these shares by a tenth.""",
    "用中文给产品经理写一段小结": """\
三件事先做：一、耳机，用固件更新解决双设备断连，这是它唯一的硬伤；二、台灯，换驱动消除低亮度频闪并调低触摸灵敏度，\
频闪已让人头疼；三、水壶，加静音模式并改盖子铰链。星级看似三者相当，但文字显示耳机最受认可，改好断连收益最快。\
样本只有二十四条，宜再核实。""",
}


def answer(request: Incoming) -> Reply:
    """Answer as the service streams; what nobody wrote an answer for is refused."""
    body = request.json() if request.method == "POST" and request.path == PATH else {"messages": [{"content": ""}]}
    contents = [message["content"] for message in body["messages"]]
    written = next((text for words, text in ANSWERS.items() if words in contents[-1]), None)
    if written is None:
        error = {
            "code": "invalid_messages",
            "message": "no answer was written for this",
            "type": "invalid_request_error",
        }
        return Reply.of_json({"error": error}, status=400)
    common = {
        "id": f"as-{hashlib.sha256(request.body).hexdigest()[:10]}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": body["model"],
    }
    asked, said = sum(measure(content).tokens for content in contents), measure(written).tokens
    pieces = [written[start : start + PIECE] for start in range(0, len(written), PIECE)]
    first, *others = ({"index": 0, "delta": {"content": piece}, "flag": 0} for piece in pieces)
    first["delta"] = {"role": "assistant", **first["delta"]}
    end = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop", "flag": 0}
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    events = [{**common, "choices": [choice]} for choice in (first, *others, end)]
    return Reply.of_events([*events, {**common, "choices": [], "usage": usage}], done=True)


def record(notebook: Path, path: Path) -> None:
    """Run *notebook* against this service, and write what was asked and answered to *path*."""
    with LoopbackServer(answer) as server, tempfile.TemporaryDirectory() as folder:
        recorded = Path(folder) / path.name
        environ = {
            **environment(),
            **server.environ,
            "QIANFAN_BEARER_TOKEN": "bce-v3/ALTAK-guide/0",
            FORCED: f"record:{recorded}",
        }
        resources = {"metadata": {"path": str(notebook.parent)}}
        NotebookClient(nbformat.read(notebook, as_version=4), resources=resources).execute(env=environ)
        exchanges = cassette.read(recorded).exchanges.values()
    cassette.rewrite(path, map(in_even_time, exchanges))


def environment():
    """The machine's own, without anything that concerns qfmagic or its way to a service."""
    machine = ("QIANFAN_", "QFMAGIC_")
    plain = {k: v for k, v in os.environ.items() if not (k.startswith(machine) or k.upper().endswith("_PROXY"))}
    return {**plain, "QFMAGIC_JOURNAL": "false", "QIANFAN_DOT_ENV_CONFIG_FILE": "none"}


def in_even_time(recorded):
    """The exchange as if its events had come in the same time everywhere."""
    events = [(FIRST + PACE * number, data) for number, (_, data) in enumerate(recorded.events)]
    return replace(recorded, events=tuple(events))


if __name__ == "__main__":
    record(NOTEBOOK, cassette.beside(NOTEBOOK))
    os.environ |= {"QFMAGIC_LANG": "en", "QFMAGIC_JOURNAL": "false"}
    sys.exit(save.main([str(NOTEBOOK)]))
