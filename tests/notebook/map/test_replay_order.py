"""Whatever order the answers of a map come in, replay gives each row its own."""

import asyncio
import json
import random

import httpx
import pytest

from qfmagic.testing.harness import NotebookHarness
from tests.support.services import KEYS, v2

ENVIRON = {"QIANFAN_BEARER_TOKEN": KEYS["bearer_token"], "QFMAGIC_TRANSPORT": "live", "QFMAGIC_LANG": "en"}
ENVIRON |= {"QFMAGIC_JOURNAL": "false"}


class Shuffled(httpx.AsyncBaseTransport):
    """Answers each request with another number, some first with what doesn't fit; each after a delay of its own."""

    def __init__(self, delays, misfits):
        self.delays, self.misfits, self.count = delays, misfits, 0

    async def handle_async_request(self, request):
        number = self.count
        self.count += 1
        await asyncio.sleep(self.delays[number % len(self.delays)])
        first = len(json.loads(await request.aread())["messages"]) == 1
        misfit = first and self.misfits[number % len(self.misfits)]
        reply = v2("no number" if misfit else json.dumps({"n": number}))
        return httpx.Response(reply.status, headers=dict(reply.headers), content=b"".join(reply.chunks))


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_answers_replays_to_the_same_rows(tmp_path, seed):
    """Rows of few different texts, so that many ask the very same."""
    draw = random.Random(seed)
    rows = [draw.choice("ab") for _ in range(draw.randint(2, 6))]
    delays, misfits = [draw.randint(0, 8) / 1000 for _ in range(5)], [draw.random() < 0.5 for _ in range(3)]

    def found(mode, workers):
        with NotebookHarness(Shuffled(delays, misfits), environ=ENVIRON) as notebook:
            notebook.shell.user_ns["rows"] = list(rows)
            notebook.run(f"%qf transport {mode} {tmp_path / 'a.qf.jsonl'}")
            options = f"into=found schema='n int' repairs=2 workers={workers}"
            notebook.run(f"%%qf map rows {options}\n{{{{ item }}}}", "a")
            return notebook.shell.user_ns["found"]

    recorded = found("record", draw.choice([1, 3, 8]))
    assert all(row["error"] is None for row in recorded)
    assert len({row["n"] for row in recorded}) == len(rows)
    assert found("replay", 1) == recorded
    assert found("replay", 8) == recorded
