"""What the stub makes up where JSON is asked for."""

import datetime as dt
import decimal
import ipaddress
import json

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qfmagic.core.i18n import text
from qfmagic.structured.schema import Schema
from qfmagic.structured.short_form import TYPES
from qfmagic.transport.stub.fake_json import made_up

SHORT = "name str, score float, mood good|bad"
bounds = st.tuples(st.integers(-50, 50), st.integers(1, 60))


def numbers(kind):
    return bounds.map(lambda pair: {"type": kind, "minimum": pair[0], "maximum": pair[0] + pair[1]}) | bounds.map(
        lambda pair: {"type": kind, "exclusiveMinimum": pair[0], "exclusiveMaximum": pair[0] + pair[1] + 1}
    )


leaves = st.one_of(
    st.sampled_from(
        [{"type": "string"}, {"type": "boolean"}, {"type": "null"}, {"type": "integer"}, {"type": "number"}]
    ),
    st.sampled_from([{"const": 5}, {"enum": ["a", 1, None]}, {"type": ["integer", "null"]}, {"$ref": "#/$defs/d"}]),
    st.sampled_from([{"type": "string", "format": name} for name in ("date", "date-time", "email")]),
    st.sampled_from([{"type": "integer", "multipleOf": 7, "minimum": 10}, {"maximum": -3, "type": "number"}]),
    bounds.map(lambda pair: {"type": "string", "minLength": abs(pair[0]), "maxLength": abs(pair[0]) + pair[1]}),
    numbers("integer"),
    numbers("number"),
)
schemas = st.recursive(
    leaves,
    lambda inside: st.one_of(
        inside.map(lambda one: {"type": "array", "items": one, "minItems": 1, "maxItems": 3}),
        inside.map(lambda one: {"anyOf": [one, {"type": "null"}]}),
        inside.map(lambda one: {"allOf": [one]}),
        st.dictionaries(st.sampled_from("abcd"), inside, min_size=1).map(
            lambda fields: {"type": "object", "properties": fields, "required": list(fields)}
        ),
    ),
    max_leaves=6,
)


@given(schemas, st.text(max_size=20), st.sampled_from(["en", "zh"]))
@settings(deadline=None, max_examples=200)
def test_fake_json_matches_schema_in_instruction(inside, question, lang):
    schema = Schema.of({**inside, "$defs": {"d": {"type": "boolean"}}})
    contents = [f"{question}\n\n{schema.instruction(lang)}"]
    said = made_up({}, contents, "")
    assert schema.parse(said) == json.loads(said)
    assert made_up({}, contents, "") == said


@given(
    st.lists(st.tuples(st.sampled_from(["x|y", "1|2|3", *TYPES]), st.booleans(), st.booleans()), min_size=1, max_size=6)
)
@settings(deadline=None)
def test_fake_json_matches_every_short_form(fields):
    parts = [f"f{n} {f'list[{kind}]' if many else kind}{'?' * maybe}" for n, (kind, many, maybe) in enumerate(fields)]
    schema = Schema.of(", ".join(parts))
    assert set(schema.parse(made_up({}, [schema.instruction("en")], ""))) == set(schema.names)


@pytest.mark.parametrize("wrapped", [False, True])
def test_fake_json_matches_schema_parameter(wrapped):
    schema = Schema.of(SHORT)
    given_as = {"name": "it", "schema": schema.json_schema} if wrapped else schema.json_schema
    said = made_up({"response_format": {"type": "json_schema", "json_schema": given_as}}, ["hi"], "")
    assert schema.parse(said)["mood"] in ("good", "bad")


def test_fake_json_matches_types_written_as_text():
    class Written(pydantic.BaseModel):
        took: dt.timedelta
        four: ipaddress.IPv4Address
        six: ipaddress.IPv6Address
        inside: pydantic.Json[list[int]]
        anything: pydantic.Json
        counts: dict[str, int] = pydantic.Field(min_length=3)
        price: decimal.Decimal

    schema = Schema.of(Written)
    found = schema.parse(made_up({}, [schema.instruction("en")], ""))
    assert (len(found.counts), type(found.inside)) == (3, list)


@pytest.mark.parametrize("form", ["json_object", {"type": "json_object"}, {"type": "json_schema"}])
def test_fake_json_without_schema_has_usual_answer(form):
    assert json.loads(made_up({"response_format": form}, ["hi"], "said")) == {"answer": "said"}


@pytest.mark.parametrize("body", [{}, {"response_format": {"type": "text"}}, {"response_format": 5}])
def test_fake_json_is_skipped_for_text(body):
    schema = Schema.of(SHORT)
    assert made_up(body, ["hi"], "") is None
    assert made_up(body, [schema.instruction("en"), "{}", "And in words?"], "") is None
    assert made_up(body, [text("schema.instruction", "en") + "\n{broken"], "") is None


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_fake_json_repair_matches_and_differs(lang):
    schema = Schema.of("score float")
    first = [schema.instruction(lang)]
    again = [*first, "no", text("schema.repair", lang, fault="Wrong.")]
    assert schema.parse(made_up({}, again, "")) != schema.parse(made_up({}, first, ""))


def test_fake_json_of_recursive_schema_ends():
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "required": []}
    schema = Schema.of(tree)
    assert schema.parse(made_up({}, [schema.instruction("en")], ""))
    endless = {"type": "object", "properties": {"on": {"$ref": "#"}}, "required": ["on"]}
    assert made_up({}, [Schema.of(endless).instruction("en")], "")
    assert made_up({}, [f'{text("schema.instruction", "en")}\n{{"$ref": "#"}}'], "")
