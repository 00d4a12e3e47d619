"""A template over many rows: what is sent, what comes back, what is asked again, and what goes wrong."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytest

import qfmagic
from qfmagic import Answer, Qianfan, Settings
from qfmagic.accounting.meter import Meter
from qfmagic.accounting.prices import Budget
from qfmagic.batch.answer_cache import AnswerCache, RowKey
from qfmagic.batch.job import decide
from qfmagic.batch.results import Tally, cells_of, result_kinds, result_names
from qfmagic.batch.row import Done
from qfmagic.batch.row_prompts import Questions
from qfmagic.batch.row_runner import Work
from qfmagic.batch.runner import completed
from qfmagic.batch.workers import WorkerPool
from qfmagic.core.errors import AuthenticationError, BudgetError, ConnectError, OptionError, PromptError, QianfanError
from qfmagic.structured.schema import Schema
from qfmagic.transport.stub.reply import Reply
from tests.support.services import KEYS, Service, refusal, v2


@pytest.fixture
def service():
    found = Service()
    found.answers["m"] = lambda body: v2(f"re: {body['messages'][-1]['content']}")
    return found


@pytest.fixture
def client(service):
    with Qianfan(model="m", settings=Settings(**KEYS, retry_count=1), transport=service) as client:
        yield client


def text_of(client, prompt):
    with client.stream(prompt) as stream:
        return "".join(delta.text for delta in stream)


def prompts(service):
    return [body["messages"][-1]["content"] for body in service.bodies]


def test_map_sends_each_row_once_and_keeps_row_order(client, service):
    rows = qfmagic.map([str(n) for n in range(60)], "Q {{ item }}", client=client, workers=16, system="short")
    assert [row["answer"] for row in rows] == [f"re: Q {n}" for n in range(60)]
    assert sorted(prompts(service)) == sorted(f"Q {n}" for n in range(60))
    assert {row["prompt_tokens"] for row in rows} == {10}
    assert {row["error"] for row in rows} == {None}
    assert service.bodies[0]["messages"][0] == {"role": "system", "content": "short"}, "no row sees another"


KINDS = {
    "pandas": (pd.DataFrame, lambda frame: [row._asdict() for row in frame.itertuples()]),
    "polars": (pl.DataFrame, lambda frame: frame.to_dicts()),
    "list": (list, list),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [["a", None], ["a", "b"]], ids=["one failed", "none failed"])
def test_map_error_of_answered_row_is_falsy(client, kind, texts):
    made, rows = KINDS[kind]
    found = qfmagic.map(made([{"text": text} for text in texts]), "{{ text }}", client=client)
    assert [bool(row["error"]) for row in rows(found)] == [text is None for text in texts]


def test_map_template_sees_columns_row_item_index_and_namespace(client, service):
    frame = pd.DataFrame({"text": ["x"], "index": ["mine"], "a b": [3]}, index=["i"])
    template = "{{ text.upper() }} {{ row['a b'] }} {{ item['text'] }} {{ index }} {{ helper(text) }} {single} $x"
    qfmagic.map(frame, template, client=client, namespace={"helper": len, "text": "hidden"})
    assert prompts(service) == ["X 3 x mine 1 {single} $x"]


def test_map_failed_row_does_not_affect_others(client, service):
    service.answers["m"] = lambda body: (
        refusal("invalid_argument", "no", 400) if "bad" in body["messages"][-1]["content"] else v2("fine")
    )
    frame = pd.DataFrame({"text": ["good", "bad", None, "  ", "good"]})
    result = qfmagic.map(frame, "{{ text }}", client=client)
    assert result["answer"].tolist()[0] == "fine"
    assert result["answer"].tolist()[4] == "fine"
    errors = result["error"].tolist()
    assert "RequestError" in errors[1]
    assert "no value in this row" in errors[2]
    assert "PromptError" in errors[3]
    assert len(service.bodies) == 3, "a row without a value is not asked, nor an empty prompt"


def test_map_rejects_row_over_model_limit_before_sending(service):
    with Qianfan(model="yi_34b_chat", settings=Settings(**KEYS), transport=service) as client:
        service.answers[None] = lambda _: v2("")
        rows = qfmagic.map(["x" * 100_000], "{{ item }}", client=client)
    assert "ContextLengthError" in rows[0]["error"]
    assert not service.bodies


@pytest.mark.parametrize(
    ("data", "template", "options", "key"),
    [
        (["a"], "the same", {}, "map.no_placeholder"),
        (["a"], "{{ mine }}", {"namespace": {"mine": 1}}, "map.same_prompt"),
        ([{"text": "a"}], "{{ txet }}", {}, "map.no_column"),
        ([], "{{ item }}", {}, "map.empty"),
        (["a"], "{{ item }}", {"workers": 0}, "option.value"),
        (["a"], "{{ item }}", {"workers": 101}, "option.value"),
        (["a"], "{{ item }}", {"workers": True}, "option.value"),
        ([{"answer": 1}], "{{ answer }}", {}, "map.column_taken"),
        ([{"error": 1}], "{{ error }}", {"schema": "error str"}, "map.column_taken"),
        (["a"], "{{ item }}", {"model": "yi_34b_chat", "temperature": 9}, "parameter.value"),
    ],
    ids=str,
)
def test_map_rejects_invalid_arguments_before_sending(client, service, data, template, options, key):
    with pytest.raises((OptionError, PromptError, ValueError)) as caught:
        qfmagic.map(data, template, client=client, **options)
    assert not service.bodies
    assert caught.value.key.startswith(key.partition(".")[0])
    assert caught.value.message("zh")
    if key.startswith("map."):
        assert caught.value.key == key
    if key == "map.no_column":
        assert "Did you mean text?" in str(caught.value)


def test_map_prefix_adds_columns_to_earlier_results(client):
    first = qfmagic.map(["a"], "{{ item }}", client=client)
    second = qfmagic.map(first, "{{ answer }}!", client=client, prefix="again_")
    assert second[0]["again_answer"] == "re: re: a!"
    assert second[0]["answer"] == "re: a"


def test_map_keep_reuses_stored_rows(client, service, tmp_path):
    keep = tmp_path / "kept" / "answers.sqlite"
    service.answers["m"] = lambda body: (
        refusal("busy", "later", 400) if body["messages"][-1]["content"] == "b" else v2("fine")
    )
    first = qfmagic.map(["a", "b", "a"], "{{ item }}", client=client, keep=keep)
    assert [row["error"] is None for row in first] == [True, False, True]
    assert oct(keep.stat().st_mode)[-3:] == "600"
    service.bodies.clear()
    service.answers["m"] = v2("now")
    second = qfmagic.map(["new", "a", "b", "a"], "{{ item }}", client=client, keep=keep)
    assert sorted(prompts(service)) == ["b", "new"], "only what is missing or failed"
    assert [row["answer"] for row in second] == ["now", "fine", "now", "fine"]
    assert second[1]["id"] == "as-1"
    assert second[1]["completion_tokens"] == 20
    service.bodies.clear()
    qfmagic.map(["a"], "{{ item }}", client=client, keep=keep, temperature=0.5)
    assert prompts(service) == ["a"], "another request is another question"
    qfmagic.map(["a", "b"], "{{ item }}", client=client, keep=keep, fresh=True)
    assert prompts(service) == ["a", "a", "b"]


def test_map_iterator_is_read_as_answers_arrive(client):
    pulled = 0

    def source():
        nonlocal pulled
        for number in range(500):
            pulled += 1
            yield number

    rows = qfmagic.map(source(), "{{ item }}", client=client, workers=4)
    assert next(rows)["answer"] == "re: 0"
    assert pulled < 100
    assert [row["item"] for row in rows] == list(range(1, 500)), "in order"


def test_map_iterator_stops_when_closed(client, service):
    rows = qfmagic.map(iter(range(500)), "{{ item }}", client=client, workers=4)
    next(rows)
    rows.close()
    asked = len(service.bodies)
    assert text_of(client, "is free") == "re: is free"
    assert len(service.bodies) < 100
    assert len(service.bodies) - asked <= 9


@pytest.mark.slow
def test_map_slow_first_row_bounds_memory(client, service):
    gate = threading.Event()
    service.answers["m"] = lambda body: v2("fine", model="slow" if body["messages"][-1]["content"] == "0" else "m")

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if '"0"' in (await request.aread()).decode():
                await asyncio.to_thread(gate.wait)
            return await service.handle_async_request(request)

    pulled = []
    with Qianfan(model="m", settings=Settings(**KEYS), transport=Slow()) as slow:
        rows = qfmagic.map(_noting(5000, pulled, gate), "{{ item }}", client=slow, workers=4)
        assert len(list(rows)) == 5000
    assert gate.is_set()


def _noting(count, pulled, gate):
    """Rows; the first is answered when no more rows are pulled though there are some."""
    timer = threading.Timer(3, gate.set)
    timer.start()
    for number in range(count):
        pulled.append(number)
        if not gate.is_set():
            assert number < 1100, "no more than a window of rows waits for the first"
        yield number
    timer.cancel()


def test_map_wrong_key_stops_with_partial_result(client, service):
    service.answers["m"] = lambda body: (
        v2("fine") if body["messages"][-1]["content"] == "0" else refusal("invalid_iam_token", "no", 401)
    )
    with pytest.raises(AuthenticationError) as caught:
        qfmagic.map([str(n) for n in range(100)], "{{ item }}", client=client, workers=2)
    assert len(service.bodies) < 20, "the others would fail too"
    rows = caught.value.result
    assert len(rows) == 100
    assert rows[0]["answer"] == "fine"
    assert rows[-1]["error"] == "not sent"


def test_map_lost_network_stops():
    class Gone(httpx.AsyncBaseTransport):
        asked = 0

        async def handle_async_request(self, request):
            self.asked += 1
            raise httpx.ConnectError("gone")

    gone = Gone()
    with (
        Qianfan(model="m", settings=Settings(**KEYS, retry_count=1), transport=gone) as client,
        pytest.raises(ConnectError),
    ):
        qfmagic.map(range(1000), "{{ item }}", client=client, workers=2)
    assert gone.asked < 40


def test_map_schema_gives_typed_columns_and_counts_repairs(client, service):
    replies = {"a": ["no json", '{"score": 1, "mood": "good"}'], "b": ['```json\n{"score": 2, "mood": "bad"}\n```']}
    service.answers["m"] = lambda body: v2(
        replies[body["messages"][-1]["content"][:1] if len(body["messages"]) == 1 else "a"].pop(0)
    )
    frame = pd.DataFrame({"t": ["a", "b"]})
    done = []
    result = qfmagic.map(
        frame, "{{ t }}", client=client, schema="score int, mood good|bad", workers=1, on_done=done.append
    )
    assert result["score"].tolist() == [1, 2]
    assert str(result["score"].dtype) == "Int64"
    assert result["mood"].tolist() == ["good", "bad"]
    assert result["prompt_tokens"].tolist() == [20, 10]
    assert sorted(len(one.paid) for one in done) == [1, 2]


def test_map_unmatched_schema_keeps_text(client, service):
    service.answers["m"] = v2("never")
    row = qfmagic.map(["a"], "{{ item }}", client=client, schema="score int", repairs=2)[0]
    assert row["answer"] == "never"
    assert row["score"] is None
    assert "SchemaError" in row["error"]
    assert len(service.bodies) == 3


def test_map_budget_stops_before_row_that_exceeds_it(client, service):
    meter = Meter(lambda: 0.0, budget=lambda: Budget(100, "tok"))
    target, _ = client.target()
    job = decide(
        [str(n) for n in range(50)],
        "{{ item }}",
        lambda template, schema: Work(client=client, questions=Questions(template, target, schema=schema), meter=meter),
        workers=4,
    )
    done = []
    with pytest.raises(BudgetError):
        done.extend(completed(job, job.rows()))
    assert len(service.bodies) == sum(call.times for call in meter.calls)
    assert 3 <= len(service.bodies) <= 5, "30 tokens each, which is known when the first has come"


def test_amap_returns_same_result_and_can_be_canceled(client, service):
    async def run():
        rows = await qfmagic.amap(["a", "b"], "{{ item }}", client=client)
        flowing = [row async for row in await qfmagic.amap(iter(["c", "d"]), "{{ item }}", client=client)]
        return rows, flowing

    rows, flowing = asyncio.run(run())
    assert [row["answer"] for row in (*rows, *flowing)] == ["re: a", "re: b", "re: c", "re: d"]

    async def cancelled():
        gate = service.gates["m"] = threading.Event()
        flow = await qfmagic.amap(iter(range(50)), "{{ item }}", client=client, workers=4)
        first = asyncio.ensure_future(anext(flow))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.set()

    asyncio.run(cancelled())
    assert text_of(client, "still works") == "re: still works"


# ---- what ends it before its time


def interrupting(service, at):
    """Ctrl-C with the answer to that many requests."""

    def answer(body):
        if len(service.bodies) == at:
            os.kill(os.getpid(), signal.SIGINT)
        return v2("fine")

    service.answers["m"] = answer


def test_map_interrupt_carries_partial_result(client, service):
    interrupting(service, 20)
    with pytest.raises(KeyboardInterrupt) as caught:
        qfmagic.map(range(600), "{{ item }}", client=client, workers=4)
    answered = [row["answer"] for row in caught.value.result].count("fine")
    sent = len(service.bodies)
    # Python's own handler may strike while one row is being handed on.
    assert 17 <= sent - 1 <= answered <= sent, "what was sent is paid for, and has a moment to end"
    assert caught.value.result[-1]["error"] == "not sent"


def test_map_interrupted_iterator_keeps_rows_it_read(client, service):
    interrupting(service, 20)
    pulled = []
    rows = qfmagic.map(noted(600, pulled), "{{ item }}", client=client, workers=4)
    came = []
    with pytest.raises(KeyboardInterrupt) as caught:
        came.extend(rows)
    found = [*came, *caught.value.result]
    assert len(pulled) - 1 <= len(found)
    assert {row["item"] for row in found} <= set(pulled)
    assert [row["answer"] for row in found].count("fine") >= len(service.bodies) - 1, "as above"


def noted(count, pulled, broken_at=None):
    for number in range(count):
        if number == broken_at:
            raise ZeroDivisionError("of the source")
        pulled.append(number)
        yield number


def test_map_source_error_keeps_answered_rows(client, service):
    pulled, came = [], []
    with pytest.raises(ZeroDivisionError):
        came.extend(qfmagic.map(noted(50, pulled, broken_at=30), "{{ item }}", client=client, workers=4))
    assert [row["answer"] for row in came] == [f"re: {n}" for n in range(30)]


def test_map_on_done_error_carries_partial_result(client, service):
    def tell(done):
        if done.number == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        qfmagic.map(range(8), "{{ item }}", client=client, workers=1, on_done=tell)
    assert [row["answer"] for row in caught.value.result][:3] == ["re: 0", "re: 1", "re: 2"]


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt])
def test_map_on_done_error_keeps_current_row(client, raised):
    def tell(done):
        if done.number == 1:
            raise raised

    came = []
    with pytest.raises(raised) as caught:
        came.extend(qfmagic.map(iter(range(4)), "{{ item }}", client=client, workers=4, on_done=tell))
    came += getattr(caught.value, "result", [])
    assert [row["answer"] for row in came][:2] == ["re: 0", "re: 1"]


def test_amap_on_done_error_keeps_current_row(client):
    def tell(done):
        if done.number == 1:
            raise ZeroDivisionError

    came = []

    async def follow():
        async for row in await qfmagic.amap(iter(range(4)), "{{ item }}", client=client, workers=4, on_done=tell):
            came.append(row)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ZeroDivisionError):
        asyncio.run(follow())
    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(qfmagic.amap(range(4), "{{ item }}", client=client, workers=4, on_done=tell))
    for found in (came, caught.value.result):
        assert [row["answer"] for row in found][:2] == ["re: 0", "re: 1"]


def test_map_iterator_raises_key_error_after_answered_rows(client, service):
    service.answers["m"] = lambda body: (
        v2("fine") if body["messages"][-1]["content"] in "012" else refusal("invalid_iam_token", "no", 401)
    )
    came = []
    with pytest.raises(AuthenticationError):
        came.extend(qfmagic.map(iter(range(100)), "{{ item }}", client=client, workers=2))
    assert [row["answer"] for row in came[:3]] == ["fine"] * 3
    assert {row["error"] is None for row in came[3:]} == {False}


def test_map_slow_source_yields_answers_before_next_read(client, monkeypatch):
    there, flush = threading.Event(), WorkerPool.flush
    monkeypatch.setattr(WorkerPool, "flush", lambda self: (flush(self), there.set()))
    seen, came = [], []

    def slow():
        for number in range(20):
            seen.append(len(came))
            if number == 1:
                assert there.wait(10), "the first row's answer"
            yield number

    for row in qfmagic.map(slow(), "{{ item }}", client=client, workers=8):
        came.append(row)  # noqa: PERF402 - counted meanwhile
    assert len(came) == 20
    assert seen[0] == 0 < seen[2]


# ---- results of any kind


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize(
    ("schema", "answers"),
    [
        ("n int", ['{"n": 99999999999999999999999}', '{"n": 1}']),
        ("d date", ['{"d": "2024-01-02"}', '{"d": "2024-01-03"}']),
        ("d datetime", ['{"d": "2024-01-02T03:04:05"}', '{"d": "2024-01-03T03:04:05+08:00"}']),
        ({"properties": {"v": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}, ['{"v": 1}', '{"v": "x"}']),
        ({"properties": {"v": {"enum": [1, "x"]}}}, ['{"v": 1}', '{"v": "x"}']),
        ({"properties": {"v": {"type": "integer"}}}, ['{"v": 1.0}', '{"v": 2}']),
        ({"properties": {"v": True}}, ['{"v": [1, 2]}', '{"v": {"a": [3]}}']),
        ("tags list[str]", ['{"tags": ["a", "b"]}', '{"tags": []}']),
    ],
    ids=str,
)
def test_map_any_matching_answer_fits_frame(client, service, library, schema, answers):
    service.answers["m"] = lambda body: v2(answers[int(body["messages"][-1]["content"][0])])
    result = qfmagic.map(library.DataFrame({"t": ["0", "1"]}), "{{ t }}", client=client, schema=schema)
    assert type(result) is library.DataFrame
    assert list(result["error"].isna() if library is pd else result["error"].is_null()) == [True, True]
    (name,) = [name for name in result.columns if name in ("n", "d", "v", "tags")]
    assert all(value is not None for value in list(result[name]))


# ---- what is asked


def test_map_row_without_column_does_not_use_namespace(client, service):
    rows = [{"text": "a"}, {"title": "b"}, "c"]
    result = qfmagic.map(rows, "{{ text }}", client=client, namespace={"text": "private"})
    assert prompts(service) == ["a"]
    assert ["no value" in str(row["error"]) for row in result] == [False, True, True]
    service.bodies.clear()
    came = list(qfmagic.map(iter(rows), "{{ text }}", client=client, namespace={"text": "private"}))
    assert prompts(service) == ["a"]
    assert len(came) == 3


def test_map_sends_wide_row_and_long_text_whole(client, service):
    row = {f"c{n}": n for n in range(40)} | {"text": "长" * 30_000}
    qfmagic.map([row], "{{ row }} {{ text }}", client=client, model="ernie-5.1")
    (asked,) = (body["messages"][-1]["content"] for body in service.bodies)
    assert '"c39": 39' in asked
    assert asked.count("长") == 60_000
    assert "left out" not in asked


@pytest.mark.parametrize(
    ("template", "told"),
    [("{{ my col }}", "row['my col']"), ("{{ class }}", "row['class']"), ("{{ a + }}", "is not a Python expression")],
)
def test_map_error_for_invalid_column_name_suggests_row_access(client, service, template, told):
    with pytest.raises(PromptError, match=re.escape(told)):
        qfmagic.map([{"my col": 1, "class": 2}], template, client=client)
    assert not service.bodies


FIELDS = "answer str, error str, seconds str, id str, prompt_tokens str"


@pytest.mark.parametrize("prefix", ["", "x_"])
@pytest.mark.parametrize("schema", [FIELDS, f"{FIELDS}, qf_error str"])
def test_map_schema_field_may_be_named_like_own_column(client, service, schema, prefix):
    said = {part.split()[0]: f"the {part.split()[0]}" for part in schema.split(", ")}
    service.answers["m"] = v2(json.dumps(said))
    for data in ([{"t": "a"}], pd.DataFrame({"t": ["a"]})):
        found = qfmagic.map(data, "{{ t }}", client=client, schema=schema, prefix=prefix)
        (row,) = found if isinstance(found, list) else found.to_dict("records")
        assert {name: row[f"{prefix}{name}"] for name in said} == said
        own = "qf_qf_error" if "qf_error" in said else "qf_error"
        assert row[f"{prefix}qf_answer"] == json.dumps(said)
        assert row[f"{prefix}{own}"] is None or pd.isna(row[f"{prefix}{own}"])
        assert row[f"{prefix}qf_id"] is None or isinstance(row[f"{prefix}qf_id"], str)


def test_map_schema_field_may_be_named_item(client, service):
    service.answers["m"] = v2('{"item": "thing"}')
    (row,) = qfmagic.map(["a"], "{{ item }}", client=client, schema="item str")
    assert (row["qf_item"], row["item"]) == ("a", "thing")


def test_map_builtin_function_is_not_a_column(client, service):
    with pytest.raises(PromptError, match="Unknown column or variable 'input'"):
        qfmagic.map([{"text": "a"}], "{{ input }} {{ text }}", client=client)
    qfmagic.map([{"text": "a"}], "{{ len(text) }}", client=client)
    assert prompts(service) == ["1"]


def test_map_later_row_rejects_result_column_name(client, service):
    rows = iter([{"text": "a"}, {"text": "b", "answer": "mine"}])
    came = []
    with pytest.raises(OptionError) as caught:
        came.extend(qfmagic.map(rows, "{{ text }}", client=client))
    assert caught.value.key == "map.column_taken"
    assert [row["answer"] for row in came] == ["re: a"]


# ---- what is kept


def test_map_fresh_keeps_stored_answers_until_replaced(client, service, tmp_path):
    keep = tmp_path / "k.sqlite"
    ask = partial(qfmagic.map, ["a", "b", "c"], "{{ item }}", client=client, keep=keep)
    ask()
    with pytest.raises(OptionError):
        ask(fresh=True, schema="error strng")
    service.answers["m"] = refusal("invalid_iam_token", "no", 401)
    with pytest.raises(AuthenticationError):
        ask(fresh=True)
    service.answers["m"] = v2("newer")
    ask(fresh=True, sample=1)
    service.bodies.clear()
    assert [row["answer"] for row in ask()] == ["newer", "re: b", "re: c"]
    assert not service.bodies


def test_map_unreadable_stored_answer_is_sent_again(client, service, tmp_path):
    keep = tmp_path / "k.sqlite"
    ask = partial(qfmagic.map, ["a", "b", "c"], "{{ item }}", client=client, keep=keep, workers=1)
    ask()
    with closing(sqlite3.connect(keep, isolation_level=None)) as database:
        rows = [row for (row,) in database.execute("select request from map_rows")]
        database.execute("update map_rows set record = 'no json' where request = ?", rows[:1])
        database.execute("""update map_rows set record = '{"newer": 1, "usage": []}' where request = ?""", rows[1:2])
    service.bodies.clear()
    assert [row["error"] for row in ask()] == [None] * 3
    assert len(service.bodies) == 2


def test_answer_cache_waits_for_locked_file_once(client, service, tmp_path, monkeypatch):
    monkeypatch.setattr("qfmagic.batch.answer_cache.LOCK_WAIT_S", 0.01)
    kept = AnswerCache(tmp_path / "k.sqlite")
    with closing(sqlite3.connect(tmp_path / "k.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        for n in range(3):
            kept.put(RowKey("x", n), Answer("paid"))
        other.execute("rollback")
    assert "locked" in kept.error
    assert kept.lost == 3
    kept.close()


@pytest.mark.parametrize("path", ["folder", "table.csv"])
def test_map_rejects_unusable_keep_path(client, service, tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "table.csv").write_text("text\n" * 2000)
    with pytest.raises(OptionError, match="keep= accepts"):
        qfmagic.map(["a"], "{{ item }}", client=client, keep=tmp_path / path)
    assert not service.bodies


# ---- budget, faults, ends


def limited(client, data, tokens, schema=None, repairs=1, **options):
    meter = Meter(lambda: 0.0, budget=lambda: Budget(tokens, "tok"))
    target, _ = client.target()

    def work(template, schema):
        questions = Questions(template, target, schema=schema)
        return Work(client=client, questions=questions, repairs=repairs, meter=meter)

    job = decide(data, "{{ item }}", work, schema=schema, **options)
    return meter, completed(job, job.rows())


def test_map_budget_includes_repairs(client, service):
    service.answers["m"] = v2("never json")
    meter, work = limited(client, ["a"], 300, schema="mood good|bad", repairs=9)
    (done,) = work
    assert 2 <= len(service.bodies) < 10
    assert type(done.error).__name__ == "SchemaError"
    assert "budget" in done.error.message("en")
    assert sum(sum(call.used) for call in meter.calls) == 30 * len(service.bodies) <= 300
    assert not meter.reserved


def test_map_budget_reserves_tokens_of_repair(client, service):
    service.answers["m"] = v2("never json", prompt=10, completion=10)
    meter, _ = limited(client, ["a"], 10_000)
    held = []
    before = meter.before
    meter.before = lambda *given, **more: (held.append(given), before(*given, **more))[1]
    target, _ = client.target()
    job = decide(
        ["a"],
        "{{ item }}",
        lambda template, schema: Work(
            client=client,
            questions=Questions(template, target, {"max_output_tokens": 500}, schema=schema),
            meter=meter,
        ),
        schema="mood good|bad",
    )
    list(completed(job, job.rows()))
    assert [completion for _, _, completion in held] == [500, 510], "and what the row has taken"


def test_map_failed_row_does_not_change_answer_estimate(client, service):
    long = v2("long", completion=1000)
    service.answers["m"] = lambda body: refusal("x", "no", 400) if body["messages"][-1]["content"] == "0" else long
    _, work = limited(client, [str(n) for n in range(50)], 40, workers=8)
    with pytest.raises(BudgetError):
        list(work)
    assert len(service.bodies) == 2


def test_map_closed_client_raises_clear_error(service):
    gate = service.gates["m"] = threading.Event()
    with Qianfan(model="m", settings=Settings(**KEYS, retry_count=1), transport=service) as client:

        def close():
            while len(service.bodies) < 2:
                pass
            client.close()

        threading.Thread(target=close).start()
        with pytest.raises(QianfanError, match="closed") as caught:
            qfmagic.map(range(6), "{{ item }}", client=client, workers=2)
    gate.set()
    assert {row["error"] for row in caught.value.result} <= {"QianfanError: interrupted", "not sent"}


def test_map_unknown_size_sends_one_row_before_the_rest(client, service):
    service.answers["m"] = v2("long", completion=1000)
    _, work = limited(client, [str(n) for n in range(50)], 40, workers=8)
    with pytest.raises(BudgetError):
        list(work)
    assert len(service.bodies) == 1


def test_map_skips_repair_that_exceeds_model_limit(service):
    service.answers[None] = lambda _: told_v1("no JSON " * 1500)
    with Qianfan(model="yi_34b_chat", settings=Settings(**KEYS), transport=service) as client:
        (row,) = qfmagic.map(["a"], "{{ item }}", client=client, schema="name str", stream=False)
    assert len(service.bodies) == 1
    assert "exceeds the model's limit" in row["error"]
    assert row["name"] is None


def told_v1(text):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return Reply.of_json({"id": "as-1", "object": "chat.completion", "created": 1, "result": text, "usage": usage})


class Odd(Exception):
    def __str__(self):
        raise ValueError


def test_map_computed_field_error_fails_its_row(client, service):
    class Rated(pydantic.BaseModel):
        score: int

        @pydantic.computed_field
        def share(self) -> float:
            return 1 / self.score

    service.answers["m"] = lambda body: v2(f'{{"score": {body["messages"][-1]["content"][0]}}}')
    rows = qfmagic.map(range(2), "{{ item }}", client=client, schema=Rated, repairs=0)
    assert "ZeroDivisionError" in rows[0]["error"]
    assert [row["answer"] for row in rows] == ['{"score": 0}', '{"score": 1}']
    assert (rows[1]["error"], rows[1]["score"]) == (None, 1)


@pytest.mark.parametrize("raised", [Odd, SystemExit, asyncio.CancelledError, ZeroDivisionError])
def test_map_validator_error_fails_its_row(client, service, raised, monkeypatch):
    service.answers["m"] = lambda body: v2('{"score": 1}')
    read = Schema.read

    def odd(self, text):
        if threading.current_thread() is threading.main_thread() or not faults:
            return read(self, text)
        raise faults.pop()

    faults = [raised()]
    monkeypatch.setattr(Schema, "read", odd)
    rows = qfmagic.map(range(6), "{{ item }}", client=client, schema="score int", workers=3)
    assert [row["error"] is None for row in rows].count(False) == 1
    assert text_of(client, "still there") == '{"score": 1}'


def test_tally_collects_flawed_answers(client):
    tally = Tally()
    for number, answer in enumerate(
        [
            Answer("half", finish_reason="length"),
            Answer("x", finish_reason="content_filter"),
            Answer("y", need_clear_history=True),
            Answer(" "),
            Answer("fine"),
            Answer("z", flag=1),
            Answer("secret", flag=3),
        ]
    ):
        tally.add(Done(number=number, answer=answer), "en")
    flaws = {"map.cut": [0], "map.filtered": [1], "map.flagged": [2, 5], "map.blank": [3], "map.withheld": [6]}
    assert tally.flaws == flaws
    assert tally.flagged == 4


def test_rows_of_a_search_have_their_sources_and_withheld_ones_nothing():
    found = Answer("Rain", extra={"search_results": [{"url": "https://a.example"}, {"url": "https://b.example"}]})
    names = result_names(None, searches=True)
    cells = [dict(zip(names, cells_of(done, None, "en", searches=True), strict=True)) for done in (
        Done(number=0, answer=found), Done(number=1, answer=replace(found, flag=3)), Done(number=2, answer=Answer("Sun")), None,
    )]  # fmt: skip
    assert [row["sources"] for row in cells] == ["https://a.example\nhttps://b.example", None, None, None]
    assert [row["answer"] for row in cells] == ["Rain", None, "Sun", None]
    assert tuple(result_kinds(None, searches=True)) == names


@pytest.mark.parametrize(
    "options", [{"sample": 0}, {"sample": "x"}, {"repairs": -1}, {"repairs": 11}, {"timeout": -1}], ids=str
)
def test_map_rejects_invalid_options_before_sending(client, service, options):
    with pytest.raises(OptionError):
        qfmagic.map(["a"], "{{ item }}", client=client, **options)
    assert not service.bodies


def test_map_rejects_array_without_dimensions(client):
    with pytest.raises(OptionError, match="ndarray"):
        qfmagic.map(np.array(5), "{{ item }}", client=client)


def test_import_star_keeps_builtin_map():
    names = {}
    exec("from qfmagic import *", names)
    assert "map" not in names
    assert qfmagic.map is not map
