"""A template over many rows: what is sent, what comes back, what is asked again, and what goes wrong."""

import asyncio
import threading

import httpx
import pandas as pd
import pytest

import qfmagic
from qfmagic import Qianfan, Settings
from qfmagic.analysis.meter import Meter
from qfmagic.analysis.prices import Budget
from qfmagic.core.errors import AuthenticationError, BudgetError, ConnectError, OptionError, PromptError
from tests.services import KEYS, Service, refusal, v2


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


def test_every_row_is_asked_once_and_the_answers_stand_in_the_rows_order(client, service):
    rows = qfmagic.map([str(n) for n in range(60)], "Q {{ item }}", client=client, workers=16, system="short")
    assert [row["answer"] for row in rows] == [f"re: Q {n}" for n in range(60)]
    assert sorted(prompts(service)) == sorted(f"Q {n}" for n in range(60))
    assert {row["prompt_tokens"] for row in rows} == {10}
    assert {row["error"] for row in rows} == {None}
    assert service.bodies[0]["messages"][0] == {"role": "system", "content": "short"}, "no row sees another"


def test_the_template_sees_columns_row_item_index_and_further_names(client, service):
    frame = pd.DataFrame({"text": ["x"], "index": ["mine"], "a b": [3]}, index=["i"])
    template = "{{ text.upper() }} {{ row['a b'] }} {{ item['text'] }} {{ index }} {{ helper(text) }} {single} $x"
    qfmagic.map(frame, template, client=client, namespace={"helper": len, "text": "hidden"})
    assert prompts(service) == ["X 3 x mine 1 {single} $x"]


def test_a_failing_row_fails_only_itself(client, service):
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


def test_rows_over_the_models_limit_fail_before_they_are_sent(service):
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
        (["a"], "{{ item }}", {"schema": "error str"}, "map.column_taken"),
        (["a"], "{{ item }}", {"model": "yi_34b_chat", "temperature": 9}, "parameter.value"),
    ],
    ids=str,
)
def test_what_cannot_be_right_is_told_before_anything_is_sent(client, service, data, template, options, key):
    with pytest.raises((OptionError, PromptError, ValueError)) as caught:
        qfmagic.map(data, template, client=client, **options)
    assert not service.bodies
    assert caught.value.key.startswith(key.partition(".")[0])
    assert caught.value.message("zh")
    if key.startswith("map."):
        assert caught.value.key == key
    if key == "map.no_column":
        assert "Did you mean text?" in str(caught.value)


def test_a_prefix_makes_room_for_results_beside_earlier_ones(client):
    first = qfmagic.map(["a"], "{{ item }}", client=client)
    second = qfmagic.map(first, "{{ answer }}!", client=client, prefix="again_")
    assert second[0]["again_answer"] == "re: re: a!"
    assert second[0]["answer"] == "re: a"


def test_what_is_kept_is_not_asked_again_though_rows_were_added(client, service, tmp_path):
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


def test_an_iterator_is_pulled_only_as_fast_as_answers_come(client):
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


def test_an_iterator_that_is_left_stops(client, service):
    rows = qfmagic.map(iter(range(500)), "{{ item }}", client=client, workers=4)
    next(rows)
    rows.close()
    asked = len(service.bodies)
    assert text_of(client, "is free") == "re: is free"
    assert len(service.bodies) < 100
    assert len(service.bodies) - asked <= 9


def test_a_slow_first_row_holds_the_order_but_not_the_memory(client, service):
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


def test_wrong_keys_end_it_with_what_there_is(client, service):
    service.answers["m"] = lambda body: (
        v2("fine") if body["messages"][-1]["content"] == "0" else refusal("invalid_iam_token", "no", 401)
    )
    with pytest.raises(AuthenticationError) as caught:
        qfmagic.map([str(n) for n in range(100)], "{{ item }}", client=client, workers=2)
    assert len(service.bodies) < 20, "the others would fail too"
    rows = caught.value.result
    assert len(rows) == 100
    assert rows[0]["answer"] == "fine"
    assert rows[-1]["error"] == "not asked"


def test_a_network_that_is_gone_ends_it():
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


def test_a_structured_answer_gives_typed_columns_and_its_repairs_are_counted(client, service):
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


def test_a_schema_that_cannot_be_met_keeps_the_text(client, service):
    service.answers["m"] = v2("never")
    row = qfmagic.map(["a"], "{{ item }}", client=client, schema="score int", repairs=2)[0]
    assert row["answer"] == "never"
    assert row["score"] is None
    assert "SchemaError" in row["error"]
    assert len(service.bodies) == 3


def test_a_budget_stops_before_the_row_that_would_break_it(client, service):
    from qfmagic.analysis.batch import completed, decide
    from qfmagic.analysis.crew import Work
    from qfmagic.analysis.questions import Questions

    meter = Meter(lambda: 0.0, budget=lambda: Budget(100, "tok"))
    target, _ = client.target()
    job = decide(
        [str(n) for n in range(50)],
        "{{ item }}",
        lambda template, schema: Work(client, Questions(template, target, schema=schema)),
        workers=4,
        meter=meter,
    )
    done = []
    with pytest.raises(BudgetError):
        done.extend(completed(job, job.rows()))
    assert len(service.bodies) == sum(call.times for call in meter.calls)
    assert 3 <= len(service.bodies) <= 5, "30 tokens each, which is known when the first has come"


def test_amap_gives_the_same_and_can_be_cancelled(client, service):
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


def test_import_star_leaves_pythons_own_map_alone():
    names = {}
    exec("from qfmagic import *", names)
    assert "map" not in names
    assert qfmagic.map is not map
