"""Turns and requests of plain text keep the hashes under which notebooks, journals and cassettes have saved them."""

import json
from pathlib import Path

import pytest

from qfmagic.core.answer import Answer
from qfmagic.core.context import Exchange
from qfmagic.core.conversation import Turn
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.core.wire import build_request
from qfmagic.structured.repair import exchanges, question_of
from qfmagic.structured.schema import Schema

SAVED = json.loads((Path(__file__).parents[1] / "data" / "hashes.json").read_text(encoding="utf-8"))
SCHEMA = Schema.of("mood good|bad, score int")


def rows(name):
    return pytest.mark.parametrize("row", SAVED[name], ids=[row["kind"] for row in SAVED[name]])


@rows("turns")
def test_turn_keeps_its_hash(row):
    assert Turn(row["prompt"], Answer(row["answer"]), parent=row.get("parent")).hash == row["hash"]


@rows("requests")
def test_request_keeps_its_hash(row):
    target = registry().target(row.get("model"), row.get("endpoint"), row.get("api"))
    history = [Exchange.of(*pair) for pair in row.get("history", ())]
    options = {"parameters": row.get("parameters"), "stream": row.get("stream", False)}
    assert plan_request(target, row["prompt"], history=history, **options).request.hash == row["hash"]


@rows("structured")
def test_structured_prompt_and_repair_keep_their_hashes(row):
    steps = exchanges(question_of(row["question"], SCHEMA, way=None), SCHEMA)
    asked = [next(steps), *(steps.send(Answer(answer)) for answer in row["answers"])]
    target = registry().target("yi_34b_chat")
    assert [build_request(target, one.messages, {}, stream=False).hash for one in asked] == row["hashes"]
