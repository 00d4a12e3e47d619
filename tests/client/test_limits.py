"""Pauses and limits in the client: with clocks that are turned, so that nothing really waits."""

import asyncio
import gc
import threading
from contextlib import closing

import httpx
import pytest

from qfmagic import Qianfan, Settings
from qfmagic.client import throttle
from qfmagic.client.background_loop import BackgroundLoop
from qfmagic.client.exchange import HttpExchange
from qfmagic.client.service import Service
from qfmagic.core.errors import AuthenticationError, OptionError, QianfanError, RateLimitError, TransportError
from qfmagic.core.models import registry
from qfmagic.core.pacing.limits import RateLimits
from qfmagic.core.plan import plan_request
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply, incoming

FINE = Reply.of_json(
    {"id": "as-1", "result": "ok", "usage": {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}}
)
NOON = 1_763_812_800.0


class World:
    """A service that plays a function, and clocks that only a pause turns."""

    def __init__(self, answer, **settings):
        self.answer, self.now, self.pauses, self.waits = answer, NOON, [], []
        self.sent = []
        self.settings = Settings(**{"access_token": "t", "bearer_token": "b", **settings})

    async def handle_async_request(self, request):
        seen = await incoming(request)
        self.sent.append((round(self.now - NOON, 3), seen))
        reply = self.answer(seen)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=b"".join(reply.chunks))

    async def sleep(self, seconds):
        self.pauses.append(round(seconds, 3))
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)

    def ask(self, count=1, *, limits=None, prompt="hi", model="yi_34b_chat", many=False):
        class Transport(httpx.AsyncBaseTransport):
            handle_async_request = staticmethod(self.handle_async_request)

        def note(delta):
            self.waits += [delta.wait] if delta.wait else []

        async def go():
            service = Service(
                self.settings, Transport(), limits=limits, clock=lambda: self.now, timer=lambda: self.now,
                sleep=self.sleep, draw=lambda: 0.5,
            )  # fmt: skip
            request = plan_request(registry().target(model), prompt).request
            try:
                if many:
                    return await asyncio.gather(
                        *(service.run(HttpExchange(request, 5.0, note)) for _ in range(count)), return_exceptions=True
                    )
                return [await service.run(HttpExchange(request, 5.0, note)) for _ in range(count)]
            finally:
                await service.aclose()

        return asyncio.run(go())

    @property
    def times(self):
        return [at for at, _ in self.sent]


def replies(*several):
    several = list(several)
    return lambda _: several.pop(0) if len(several) > 1 else several[0]


def refused(code, **headers):
    return Reply.of_json({"error_code": code, "error_msg": "x"}, headers=headers)


# ---- asking again


def test_retry_pauses_match_sdk():
    world = World(replies(refused(336100)), retry_count=4)
    with pytest.raises(QianfanError, match=r"Failed after 4 attempts in 8\.5 s"):
        world.ask()
    assert world.pauses == [1.5, 2.5, 4.5]
    assert [(wait.seconds, wait.attempt, wait.attempts) for wait in world.waits] == [
        (1.5, 2, 4),
        (2.5, 3, 4),
        (4.5, 4, 4),
    ]


def test_retry_minute_follows_service_clock():
    date = "Sat, 22 Nov 2025 12:00:50 GMT"
    world = World(replies(refused(336501, date=date), FINE))
    world.ask()
    assert world.pauses == [10.5]


def test_retry_after_header_is_used():
    world = World(replies(refused(18, **{"retry-after": "7"}), FINE))
    world.ask()
    assert world.pauses == [7.5]


def test_retry_total_time_is_bounded():
    world = World(replies(refused(336100)), retry_count=1000, retry_timeout=100)
    with pytest.raises(QianfanError, match="retry_timeout=100 s"):
        world.ask()
    assert sum(world.pauses) <= 100


def test_retry_signs_each_attempt():
    world = World(replies(refused(336100), FINE), access_token="", access_key="a", secret_key="s")
    world.ask()
    first, second = (request.headers["authorization"] for _, request in world.sent)
    assert first != second


async def other_tasks():
    return len(asyncio.all_tasks()) - 1


def test_stream_stop_ends_retry_pause():
    asked = threading.Event()

    def busy(_):
        asked.set()
        return refused(336100)

    with LoopbackServer(busy) as server:
        settings = Settings(access_token="t", base_url=server.url, backoff_factor=60)
        with (
            closing(BackgroundLoop()) as loop,
            Qianfan(settings=settings, model="yi_34b_chat", loop=loop) as client,
        ):
            stream = client.stream("hi")
            assert next(stream).wait.seconds >= 60
            assert stream.drain(0.01) == []
            stream.close()
            assert loop.submit(other_tasks()).result(timeout=5) == 0
            assert stream.answer.finish_reason == "interrupted"
            assert list(stream) == []
            assert len(server.requests) == 1


def test_retry_pause_is_logged_without_secrets(caplog):
    caplog.set_level("INFO", logger="qfmagic")
    World(replies(refused(18), FINE), access_token="very-secret").ask()
    (record,) = caplog.records
    assert record.getMessage() == "Limit of requests per second (QPS) reached. Retrying in 1.5 s (2 of 3)."


def test_token_endpoint_error_is_retried_once_for_all():
    fetched = []

    def answer(request):
        if request.path == "/oauth/2.0/token":
            fetched.append(request)
            if len(fetched) == 1:
                return Reply((b"",), 503)
            return Reply.of_json({"access_token": "t1", "expires_in": 3600})
        return FINE

    world = World(answer, access_token="", ak="a", sk="s")
    assert all(answer.text == "ok" for answer in world.ask(8, many=True))
    assert len(fetched) == 2


def test_token_rejected_is_one_error_for_all():
    fetched = []

    def answer(request):
        fetched.append(request)
        return Reply.of_json({"error": "invalid_client", "error_description": "unknown client id"}, status=401)

    found = World(answer, access_token="", ak="a", sk="s").ask(8, many=True)
    assert {type(error) for error in found} == {AuthenticationError}
    assert len({id(error) for error in found}) == 8
    assert len(fetched) == 1


@pytest.mark.parametrize(("off", "said"), [(-3600, "60 min behind"), (7200, "120 min ahead"), (10, None)])
def test_wrong_clock_is_reported_with_rejected_keys(off, said):
    date = "Sat, 22 Nov 2025 12:00:00 GMT"
    for keys, said_no in (
        ({"access_token": "t"}, {"error_code": 14, "error_msg": "IAM Certification failed"}),
        ({"access_token": "", "ak": "a", "sk": "s"}, {"error": "invalid_client"}),
    ):
        reply = Reply.of_json(said_no, headers={"date": date})
        world = World(replies(reply), **keys)
        world.now += off
        with pytest.raises(AuthenticationError) as error:
            world.ask()
        assert (f"clock is {said}" in str(error.value)) if said else ("min " not in str(error.value))


# ---- limits


def test_limits_delay_requests_and_report_it():
    world = World(replies(FINE))
    world.ask(3, limits=RateLimits(rpm=2))
    assert world.times == [0, 0, 60]
    assert [wait.describe("en") for wait in world.waits] == ["Rate limit rpm=2 (requests per minute). Sending in 60 s."]


def test_limits_count_tokens_like_service():
    world = World(replies(FINE))
    world.ask(4, limits=RateLimits(tpm=25))
    assert world.times == [0, 0, 0, 60]
    with pytest.raises(OptionError, match="tpm=25"):
        World(replies(FINE)).ask(limits=RateLimits(tpm=25), prompt="word " * 26)


def test_limits_of_settings_are_used():
    world = World(replies(FINE), qps=1)
    world.ask(3)
    assert world.times == [0, 1, 2]


def test_limits_from_response_headers_are_used():
    told = Reply.of_json(
        {"id": "as-1", "result": "ok"},
        headers={"x-ratelimit-limit-requests": "2", "x-ratelimit-remaining-requests": "1"},
    )
    world = World(replies(told))
    world.ask(4)
    assert world.times == [0, 0, 0, 60]


def test_limits_wait_for_next_minute_if_used_up():
    told = Reply.of_json({"id": "as-1", "result": "ok"}, headers={"x-ratelimit-remaining-tokens": "0"})
    world = World(replies(told, FINE))
    world.now += 20
    world.ask(2)
    assert world.pauses == [40]
    assert world.waits[0].reason.key == "wait.used_up"


def test_limits_are_shared_by_clients_with_same_keys():
    with LoopbackServer(lambda _: FINE) as server:

        def client(token, **more):
            return Qianfan(settings=Settings(access_token=token, base_url=server.url, **more), model="yi_34b_chat")

        with client("one", rpm=1) as limited, client("one") as same, client("two") as other:
            assert limited.ask("hi").text == "ok"
            assert other.ask("hi").text == "ok"
            for waiting in (same, limited):
                stream = waiting.stream("hi")
                assert "rpm" in next(stream).wait.describe("en")
                stream.close()
        # As long as who asked for the limit lives.
        gc.collect()
        with client("one") as free:
            assert free.ask("hi").text == "ok"
    assert len(server.requests) == 3


def test_throttle_give_back_frees_booking():
    shared = throttle.Throttle(lambda: 0.0)
    shared.join(member := object_with_a_reference(), RateLimits(rpm=1, tpm=100))
    first = shared.book("m", lambda: 1.0)
    second = shared.book("m", lambda: 1.0)
    shared.give_back(second)
    assert shared.book("m", lambda: 1.0).seconds == second.seconds == 60
    shared.settle(first, 99)
    shared.leave(member)
    assert shared.book("m", lambda: 1.0).seconds == 0


def object_with_a_reference():
    return type("Member", (), {})()


def test_limits_reject_negative_and_nan():
    for wrong in (RateLimits(rpm=-1), RateLimits(qps=float("nan"))):
        with pytest.raises(OptionError):
            Qianfan(settings=Settings(), limits=wrong)
    assert Settings.from_env({"QIANFAN_RPM_LIMIT": "300", "QIANFAN_QPS_LIMIT": "0"}).limits == RateLimits(rpm=300)


def test_retry_policy_reads_sdk_variables(tmp_path):
    policy = Settings.from_env(
        {
            "QIANFAN_LLM_API_RETRY_COUNT": "5",
            "QIANFAN_LLM_API_RETRY_BACKOFF_FACTOR": "0",
            "QIANFAN_LLM_API_RETRY_JITTER": "0.5",
            "QIANFAN_LLM_API_RETRY_MAX_WAIT_INTERVAL": "9",
            "QIANFAN_LLM_API_RETRY_ERR_CODES": '["18", "336100"]',
            "QFMAGIC_RETRY_TIMEOUT": "77",
        },
        directory=tmp_path,
    ).retry_policy
    assert (policy.attempts, policy.factor, policy.jitter, policy.max_wait, policy.total) == (5, 0, 0.5, 9, 77)
    assert policy.codes == {"18", "336100"}
    assert Settings(retry_err_codes="{2, 15}").retry_policy.codes == {"2", "15"}
    assert Settings().retry_policy.codes is None


def test_retry_err_codes_exclude_rate_limit():
    world = World(replies(refused(18)), retry_err_codes="2,15")
    with pytest.raises(RateLimitError):
        world.ask()
    assert len(world.sent) == 1


def test_transport_error_reports_attempts():
    def broken(_):
        raise httpx.ReadError("reset")

    with pytest.raises(TransportError, match="Failed after 3 attempts"):
        World(broken).ask()
