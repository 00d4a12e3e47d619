"""What single fields of V2's answers become: calls, the state of a search, sources, fields nobody knows."""

import json

from qfmagic.core.answer import Delta
from qfmagic.core.sources import sources_of
from qfmagic.core.wire.accumulator import Accumulator
from qfmagic.core.wire.response import feed_events
from qfmagic.core.wire.sse import Event


def streamed(*payloads):
    collector = Accumulator(streamed=True)
    feed_events("v2", collector, [Event(json.dumps(payload)) for payload in payloads])
    return collector


def chunk(delta, **fields):
    return {"choices": [{"index": 0, "delta": delta, **fields}]}


def test_search_status_is_no_text():
    collector = streamed(chunk({"content": "searching"}, delta_tag="search_status"), chunk({"content": "Rain."}))
    assert "".join(collector.pieces) == "Rain."
    assert collector.extra["delta_tag"] == "search_status"  # an unknown field of a choice is kept
    inside = streamed(chunk({"content": "searching", "delta_tag": "search_status"}), chunk({"content": "Rain."}))
    assert "".join(inside.pieces) == "Rain."


def test_tool_call_without_index_continues_the_call_of_its_id():
    def call(name, arguments):
        return chunk({"tool_calls": [{"id": name, "function": {"arguments": arguments}}]})

    collector = streamed(call("a", '{"x"'), call("b", "{"), call("a", ": 1}"), call("b", "}"))
    assert [one["function"]["arguments"] for one in collector.calls] == ['{"x": 1}', "{}"]


def test_tool_calls_with_indexes_are_told_apart_by_them():
    def call(index, arguments):
        return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})

    collector = streamed(call(0, "["), call(1, "{"), call(0, "]"), call(1, "}"))
    assert [one["function"]["arguments"] for one in collector.calls] == ["[]", "{}"]


def test_tool_call_gets_its_id_from_a_later_fragment():
    first = chunk({"tool_calls": [{"function": {"name": "rain", "arguments": "{"}}]})
    later = chunk({"tool_calls": [{"id": "a", "function": {"arguments": "}"}}]})
    (call,) = streamed(first, later).calls
    assert (call["id"], call["function"]["arguments"]) == ("a", "{}")


def test_function_call_of_earlier_models_is_merged():
    collector = streamed(
        chunk({"function_call": {"name": "rain", "arguments": '{"city"'}}),
        chunk({"function_call": {"arguments": ': "Oslo"}'}}),
    )
    assert collector.extra["function_call"] == {"name": "rain", "arguments": '{"city": "Oslo"}'}


def test_search_info_keeps_the_last_list_with_results():
    found = [{"index": 1, "url": "https://a.example/w", "title": "Weather"}]
    collector = streamed(
        {**chunk({"content": "Rain"}), "search_info": {"search_results": found}},
        {**chunk({"content": "."}), "search_info": {"search_results": [], "took": 3}},
    )
    assert collector.extra["search_info"] == {"search_results": found, "took": 3}
    assert sources_of(collector.extra) == tuple(found)


def test_sources_are_read_from_every_place_once():
    extra = {
        "search_results": [{"url": "https://a.example"}, {"title": "no address"}, 7],
        "citations": ["https://a.example", "https://b.example", " "],
        "annotations": [{"url_citation": {"url": "https://c.example"}}],
    }
    assert [source["url"] for source in sources_of(extra)] == [f"https://{one}.example" for one in "abc"]
    assert sources_of({"search_results": "none"}) == ()


def test_search_status_is_handed_on_until_text_comes():
    collector = streamed(chunk({"content": [{"type": "text", "text": "reading\n3 pages"}]}, delta_tag="search_status"))
    assert collector.take() == Delta(status="reading 3 pages")
    assert collector.take() is None
    collector = streamed(chunk({"content": "x" * 1000}, delta_tag="search_status"))
    assert len(collector.take().status) == 200
    collector = streamed(chunk({"content": "reading"}, delta_tag="search_status"), chunk({"content": "Rain"}))
    assert (collector.take(), collector.take()) == (Delta("Rain"), None)
    assert streamed(chunk({"content": 7}, delta_tag="search_status")).take() is None


def test_served_model_is_the_first_that_is_named():
    first, then = {"id": "a", **chunk({"content": "x"})}, {"id": "a", "model": "m-1", **chunk({"content": "y"})}
    assert streamed(first, then, {**then, "model": "m-2"}).served_model == "m-1"
