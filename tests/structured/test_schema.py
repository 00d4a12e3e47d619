"""Schemas: what may be given as one, how it's asked for, and what an object's columns are."""

import asyncio
import dataclasses
import datetime as dt
import decimal
import enum
import json
import pickle
import sys
import typing
from contextlib import suppress
from copy import deepcopy
from types import SimpleNamespace

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import TypedDict

from qfmagic import Schema
from qfmagic.batch.results import result_kinds
from qfmagic.core.errors import OptionError, SchemaError
from qfmagic.structured.short_form import TYPES, parse_short_form
from qfmagic.testing.stub_server import LoopbackServer
from qfmagic.transport.stub.reply import Reply

OPTIONAL, UNION = typing.Optional, typing.Union  # as they are still written


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Review(pydantic.BaseModel):
    name: str
    score: float = pydantic.Field(ge=0, le=1)
    mood: Mood = Mood.GOOD


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Inner(typing.TypedDict, total=False):
    deep: int


class Record(typing.TypedDict):
    """One of typing's own, which pydantic refuses before Python 3.12."""

    when: dt.date
    inner: list[Inner]
    note: typing.NotRequired[str]


class Extended(TypedDict):
    a: int


JSON = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/B"}},
    "required": ["a"],
    "$defs": {"B": {"enum": ["x", "y"]}},
}
NAMESPACE = {
    "Review": Review,
    "Point": Point,
    "Record": Record,
    "JSON": JSON,
    "short": "a int",
    "models": SimpleNamespace(Point=Point),
}


@pytest.mark.parametrize(
    ("spec", "written", "value", "columns"),
    [
        (
            Review,
            '{"name": "a", "score": 0.5}',
            Review(name="a", score=0.5),
            {"name": "a", "score": 0.5, "mood": "good"},
        ),
        ("Review", '{"name": "a", "score": 1}', Review(name="a", score=1), {"name": "a", "score": 1.0, "mood": "good"}),
        (Point, '{"x": 1}', Point(1), {"x": 1, "y": 0}),
        ("models.Point", '{"x": 1}', Point(1), {"x": 1, "y": 0}),
        (Extended, '{"a": 1}', {"a": 1}, {"a": 1}),
        (
            "Record",
            '{"when": "2025-01-08", "inner": [{"deep": 1}, {}]}',
            {"when": dt.date(2025, 1, 8), "inner": [{"deep": 1}, {}]},
            {"when": dt.date(2025, 1, 8), "inner": [{"deep": 1}, {}], "note": None},
        ),
        (list[Point], '[{"x": 1}, {"x": 2}]', [Point(1), Point(2)], {"value": [{"x": 1, "y": 0}, {"x": 2, "y": 0}]}),
        (JSON, '{"a": 1, "b": "x", "more": 0}', {"a": 1, "b": "x", "more": 0}, {"a": 1, "b": "x"}),
        ("JSON", '{"a": 1}', {"a": 1}, {"a": 1, "b": None}),
        ('{"type": "object", "properties": {"a": {}}}', '{"a": null}', {"a": None}, {"a": None}),
        ({"type": "array"}, "[1]", [1], {"value": [1]}),
        ("short", '{"a": "3"}', {"a": 3}, {"a": 3}),
        ("b str, a float, c int?", '{"a": 1, "b": 2025, "d": 0}', {"b": "2025", "a": 1.0, "c": None}, None),
        ("t list[a|b]?, n 1|2", '{"t": ["a", "b"], "n": 2}', {"t": ["a", "b"], "n": 2}, None),
        ("情感 正面｜负面，分数: float？", '{"情感": "正面"}', {"情感": "正面", "分数": None}, None),
        ("d date, t datetime?, b bool", '{"d": "2025-01-08", "b": true}', None, None),
    ],
)
def test_schema_kinds_give_objects_and_columns(spec, written, value, columns):
    schema = Schema.of(spec, NAMESPACE)
    found = schema.parse(written)
    assert value is None or found == value
    assert list(schema.columns(found)) == list(schema.names)
    assert schema.columns(found) == (columns or found)
    assert schema.columns(None) == dict.fromkeys(schema.names)


def test_short_form_columns_have_types():
    row = Schema.of("d date, t datetime, n int, x float, b bool").parse(
        '{"d": "2025-01-08", "t": "2025-01-08T12:00:00", "n": 1, "x": 1, "b": false}'
    )
    assert [type(value) for value in row.values()] == [dt.date, dt.datetime, int, float, bool]


@pytest.mark.parametrize("spec", [Review, Point, Record, JSON, "a int, b x|y?"])
def test_schema_survives_pickling(spec):
    schema = Schema.of(spec)
    schema.names  # noqa: B018 - what checks has been made
    copy = pickle.loads(pickle.dumps(schema))
    assert (copy.names, copy.json_schema) == (schema.names, schema.json_schema)


def test_schema_of_schema_is_itself():
    schema = Schema.of("a int")
    assert Schema.of(schema) is schema
    assert Schema.of("it", {"it": schema}) is schema


def test_short_form_has_json_schema():
    assert Schema.of("name str, tags list[str], n 1|2, note float?").json_schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "n": {"enum": [1, 2]},
            "note": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        },
        "required": ["name", "tags", "n"],
    }


def test_instruction_contains_schema_in_both_languages():
    schema = Schema.of({"type": "object", "properties": {"a": {"description": "two  blanks, {braces} 和中文"}}})
    for lang, word in (("en", "JSON"), ("zh", "请")):
        assert word in schema.instruction(lang)
        assert schema.instruction(lang).endswith(
            '\n{"type":"object","properties":{"a":{"description":"two  blanks, {braces} 和中文"}}}'
        )


@pytest.mark.parametrize(
    ("spec", "is_object"),
    [(Review, True), (Point, True), ("a int", True), (JSON, True), ({"properties": {}}, True), (list[Review], False),
     ({"type": ["object", "null"]}, False), ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}, True),
     ({"$ref": "#/$defs/A", "$defs": {"A": {"enum": [1]}}}, False)],
)  # fmt: skip
def test_is_object_is_known(spec, is_object):
    assert Schema.of(spec).is_object is is_object


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("Reviw", "Did you mean Review?"),
        ("Review.Nope", "Undefined name in schema=Review.Nope"),
        ("name", "Undefined name in schema=name"),
        ("name strng", "part 'name strng' of the short form: unknown type 'strng'. Did you mean str?"),
        ("a int, b list[oops]", "'b list[oops]'"),
        ("a int, b", "b has no type"),
        ("a int, a str", "duplicate field a"),
        ("a int,, b str", "no field between two commas"),
        ("1a int", "'1a' is not a valid field name"),
        ("a x|x", "choices separated by | must be words"),
        ("a x|", "choices separated by | must be words"),
        ("import os; os.system('x')", "unknown type"),
        ("__import__('os')", "is not a valid field name"),
        (5, "Unsupported schema of type int"),
        (None, "Unsupported schema of type NoneType"),
        (int, "Unsupported schema of type type"),
        (Point(1), "Unsupported schema of type Point"),
        ({}, "Unsupported schema of type dict"),
        ([], "Unsupported schema of type list"),
        (len, "Unsupported schema of type builtin_function_or_method"),
        ('{"type": ', "Invalid JSON Schema"),
        ({"type": "strin"}, "Invalid JSON Schema: Unknown type"),
        ({"properties": 5}, "Invalid JSON Schema"),
        ({"properties": {"a": {"pattern": "("}}}, "Invalid JSON Schema"),
        ({"$ref": "#/nope"}, "Invalid JSON Schema: Unresolvable"),
        ({"items": [{"$ref": "http://127.0.0.1:1/x"}]}, "Unsupported reference http://127.0.0.1:1/x"),
        ({"properties": {"prefixItems": {"prefixItems": [{}]}}}, "keyword prefixItems"),
        (list[object()], "Unsupported schema list"),
        ("", "The schema is empty"),
        (" , ", "no field between two commas"),
        (",", "no field between two commas"),
        ("{}", "Unsupported schema of type dict"),
        ("<class '__main__.Review'>", "the name of a class without {{ }}, as in schema=Review"),
        ("note str|None", "str is not a choice"),
        ("n 1|null", "null is not a choice: separate words with |. A field that may be missing"),
        ("n 1|+1", "without duplicates"),
        ("list[Reviw]", "Did you mean Review?"),
        ("list[JSON]", "Unsupported schema of type dict"),
        (Review.model_fields, "Invalid JSON Schema"),
        (pydantic.BaseModel, "Unsupported schema of type BaseModel"),
    ],
)
def test_schema_rejects_invalid_spec_with_reason(spec, told):
    with pytest.raises(OptionError) as caught:
        Schema.of(spec, NAMESPACE)
    assert told in caught.value.message("en")
    assert caught.value.message("zh")


@pytest.mark.parametrize("keyword", ["default", "const", "examples", "required", "x", "$defs"])
def test_json_schema_fetches_nothing(keyword):
    with LoopbackServer(lambda _: Reply.of_json({"type": "integer"})) as server:
        for url in (f"{server.url}/leak", f"{server.url}/leak#/a", f"//{server.url.partition('//')[2]}/leak"):
            spec = {"$ref": f"#/{keyword}/0", keyword: [{"$ref": url}]}
            with pytest.raises(OptionError, match="Allowed: references within the schema"):
                Schema.of(spec)
            with pytest.raises(OptionError, match="Unsupported reference http"):
                Schema.of({"$id": server.url, "properties": {"a": {"$id": "/b", "items": {"$ref": "c"}}}})
        assert server.requests == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,{}", "other.json", "?x", "x:y"])
def test_json_schema_opens_no_file(url):
    for spec in ({"$ref": url}, {"$ref": "#/default", "default": {"$ref": url}}):
        with pytest.raises(OptionError, match="Unsupported reference"):
            Schema.of(json.dumps(spec))


def test_json_schema_id_is_not_fetched():
    spec = {"$id": "http://127.0.0.1:1/a", "$ref": "http://127.0.0.1:1/a#/$defs/B", "$defs": {"B": {"enum": [1]}}}
    before = deepcopy(spec)
    for _ in range(2):
        assert Schema.of(spec).parse("1") == 1
        assert spec == before


@pytest.mark.parametrize(
    "spec",
    [
        {"enum": [{1, 2}]},
        {"properties": {"a": {"enum": [dt.date(2025, 1, 8)]}}},
        {"const": float("nan")},
        {"minimum": float("inf")},
        '{"const": NaN}',
    ],
)
def test_json_schema_rejects_values_that_are_not_json(spec):
    with pytest.raises(OptionError, match="Invalid JSON Schema"):
        Schema.of(spec)


def test_json_schema_keywords_can_be_field_names():
    schema = Schema.of(
        {"type": "object", "properties": {"prefixItems": {"type": "string"}, "$ref": {"const": "$anchor"}}}
    )
    assert schema.parse('{"prefixItems": "x"}') == {"prefixItems": "x"}


@pytest.mark.parametrize(("spec", "package"), [("a int", "pydantic"), (Review, "pydantic"), (JSON, "fastjsonschema")])
def test_schema_without_extra_names_package_to_install(monkeypatch, spec, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(OptionError, match=rf"Package {package} required by schema=: pip install 'qfmagic\[pydantic\]'"):
        Schema.of(spec)


def test_validator_key_error_is_a_mismatch():
    class Broken(pydantic.BaseModel):
        a: int

        @pydantic.field_validator("a")
        @classmethod
        def look(cls, value):
            raise KeyError(value)

    with pytest.raises(SchemaError, match="KeyError: 1"):
        Schema.of(Broken).parse('{"a": 1}')


@pytest.mark.parametrize("spec", [{"$ref": "#"}, {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"$ref": "#"}}}])
def test_json_schema_rejects_self_reference(spec):
    with pytest.raises(OptionError, match="refers only to itself"):
        Schema.of(spec)
    assert Schema.of({"properties": {"a": {"$ref": "#"}}}).parse('{"a": {"a": {}}}')


@pytest.mark.parametrize("keyword", ["exclusiveMinimum", "exclusiveMaximum"])
def test_json_schema_draft4_limit_requires_draft4(keyword):
    limit = {"properties": {"a": {keyword.replace("exclusiveM", "m"): 5, keyword: True}}}
    with pytest.raises(OptionError, match=f"{keyword}: 5"):
        Schema.of(limit)
    schema = Schema.of({"$schema": "http://json-schema.org/draft-04/schema#", **limit})
    with pytest.raises(SchemaError):
        schema.parse('{"a": 5}')


# ---- columns


class Point3(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(serialize_by_alias=True)

    x: int = pydantic.Field(alias="X")
    y: float | None = pydantic.Field(default=None, serialization_alias="Y")
    hidden: str = pydantic.Field(default="h", exclude=True)


class Listed(pydantic.BaseModel):
    a: int
    b: Point | None = None

    @pydantic.model_serializer
    def as_list(self) -> list[int]:
        return [self.a]


class Node(pydantic.BaseModel):
    value: int
    when: dt.date | None = None
    mood: Mood | None = None
    price: decimal.Decimal = decimal.Decimal(1)
    kids: list["Node"] = []


class Methods(typing.TypedDict, total=False):
    items: int
    keys: int


@pytest.mark.parametrize(
    ("spec", "written", "columns", "kinds"),
    [
        (Point3, '{"X": 1}', {"x": 1, "y": None, "hidden": "h"}, {"x": int, "y": float, "hidden": None}),
        (Listed, '{"a": 1, "b": {"x": 2}}', {"a": 1, "b": {"x": 2, "y": 0}}, {"a": None, "b": None}),
        (pydantic.RootModel[list[int]], "[1]", {"value": [1]}, {"value": None}),
        (pydantic.RootModel[int], "1", {"value": 1}, {"value": int}),
        (pydantic.RootModel[dict[str, int]], '{"value": 1}', {"value": {"value": 1}}, {"value": None}),
        (
            Node,
            '{"value": 1, "kids": [{"value": 2}]}',
            {"value": 1, "when": None, "mood": None, "price": 1},
            {"value": int, "when": None, "mood": str, "price": None, "kids": None},
        ),
        (Methods, '{"keys": 1}', {"items": None, "keys": 1}, {"items": int, "keys": int}),
        ("items int?, n 1|2, b bool?", '{"n": 1}', {"items": None, "n": 1, "b": None}, [int, int, bool]),
        ("d date, t datetime?, s str", '{"d": "2025-01-08", "s": ""}', {"s": ""}, [None, None, str]),
        (OPTIONAL[Point], '{"x": 1}', {"value": {"x": 1, "y": 0}}, {"value": None}),
        (
            {"properties": {"a": {"type": ["integer", "null"]}, "b": {"type": "string", "format": "date"}, "c": True}},
            '{"b": "2025-01-08"}',
            {"a": None, "b": "2025-01-08", "c": None},
            {"a": int, "b": str, "c": None},
        ),
        (
            {"properties": {"a": {"$ref": "#/$defs/A"}, "b": {"enum": [1, "x"]}, "c": {"const": True}},
             "$defs": {"A": {"anyOf": [{"type": "null"}, {"type": "number"}]}}},
            "{}",
            {"a": None},
            {"a": float, "b": None, "c": bool},
        ),
    ],
)  # fmt: skip
def test_columns_have_kinds_by_field_name(spec, written, columns, kinds):
    schema = Schema.of(spec)
    found = schema.columns(schema.parse(written))
    assert found.items() >= columns.items()
    assert tuple(found) == schema.names
    assert schema.kinds == (kinds if isinstance(kinds, dict) else dict(zip(schema.names, kinds, strict=True)))
    assert result_kinds(schema)["answer"] is str


def test_columns_that_fail_are_a_mismatch():
    class Inverse(pydantic.BaseModel):
        x: int

        @pydantic.computed_field
        def inverse(self) -> float:
            return 1 / self.x

    schema = Schema.of(Inverse)
    with pytest.raises(SchemaError, match="ZeroDivisionError"):
        schema.parse('{"x": 0}')
    assert schema.columns(schema.parse('{"x": 1}')) == {"x": 1}
    with pytest.raises(SchemaError, match="ZeroDivisionError"):
        schema.columns(Inverse(x=0))


# ---- numbers and dates


def test_numbers_are_not_rounded():
    class Price(pydantic.BaseModel):
        price: decimal.Decimal
        weight: float

    price = Schema.of(Price).parse('{"price": 12345678901234567.89, "weight": 0.10}')
    assert price == Price(price=decimal.Decimal("12345678901234567.89"), weight=0.1)
    row = Schema.of("version str, weight float, count int, more str?").parse(
        '{"version": 1.10, "weight": 0.10, "count": 2.00, "more": "1.10, \\" 1.20"}'
    )
    assert row == {"version": "1.10", "weight": 0.1, "count": 2, "more": '1.10, " 1.20'}
    assert Schema.of("count int, code str").parse('{"count": 1e2, "code": 1.10}')["count"] == 100


@pytest.mark.parametrize("kind", ["date", "datetime"])
@pytest.mark.parametrize("value", ["0", "2025", "20250108", '"20250108"', '"1736294400"', "1.5", '""', "true"])
def test_number_is_not_a_date(kind, value):
    with pytest.raises(SchemaError, match="written like 2025-01-08"):
        Schema.of(f"d {kind}").parse(f'{{"d": {value}}}')


class Event(pydantic.BaseModel):
    when: dt.datetime | None = None
    day: dt.date | None = None
    at: dt.time | None = None
    lasts: dt.timedelta | None = None
    price: float = 0
    count: int = 0
    days: list[dt.date] = []
    named: dict[str, dt.date] = {}
    dated: dict[dt.date, int] = {}
    either: dt.date | int | None = None
    words: dt.date | str | None = None


@dataclasses.dataclass
class Dated:
    when: dt.datetime
    price: float = 0


class Nested(pydantic.BaseModel):
    events: list[Event]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("when", 2024), ("when", "20240506"), ("when", "1714953600"), ("day", 20240506), ("day", "2024"), ("at", 3600),
        ("at", "3600"), ("lasts", 90), ("price", "NaN"), ("price", "inf"), ("price", True), ("count", True),
        ("days", [5]), ("named", {"a": 5}), ("dated", {"2024": 1}), ("price", "1e999"), ("either", "20240506"),
    ],
)  # fmt: skip
def test_guards_hold_for_fields_of_classes(field, said):
    for spec, value in ((Event, {field: said}), (Nested, {"events": [{field: said}]}), (list[Event], [{field: said}])):
        with pytest.raises(SchemaError, match=f"{field}.*(written like|finite number|should be)"):
            Schema.of(spec).parse(json.dumps(value))


@pytest.mark.parametrize("spec", [Dated, Record])
def test_guards_hold_for_dataclasses_and_typed_dicts(spec):
    with pytest.raises(SchemaError, match="written like 2025-01-08"):
        Schema.of(spec).parse('{"when": 2024, "inner": []}')


def test_guards_pass_what_is_written_as_such():
    said = {"when": "2024-05-06T10:00:00Z", "day": "2024-05-06", "at": "09:30", "lasts": "PT90S", "price": "1.5",
            "either": 2024, "words": "20240506", "named": {"2024": "2024-05-06"}}  # fmt: skip
    found = Schema.of(Event).parse(json.dumps(said))
    assert (found.day, found.at, found.either, found.words) == (dt.date(2024, 5, 6), dt.time(9, 30), 2024, "20240506")


class Leaf(pydantic.BaseModel):
    inner: "Leaf | Twin | None" = None
    day: dt.date | None = None


class Twin(pydantic.BaseModel):
    inner: "Leaf | Twin | None" = None
    day: dt.date | None = None


def test_guards_take_linear_time_for_unions():
    said = '{"inner": ' * 16 + '{"day": 5}' + "}" * 16
    with pytest.raises(SchemaError, match="written like 2025-01-08"):
        Schema.of(Leaf).parse(said)


def test_guards_leave_code_of_the_class_alone():
    class Year(pydantic.BaseModel):
        year: dt.date
        far: float = pydantic.Field(default=0, allow_inf_nan=True)

        @pydantic.field_validator("year", mode="before")
        @classmethod
        def of_number(cls, value):
            return dt.date(value, 1, 1)

    found = Schema.of(Year).parse('{"year": 2024, "far": "inf"}')
    assert (found.year, found.far) == (dt.date(2024, 1, 1), float("inf"))


# ---- choices, old models, files, descriptions

Tone = typing.Literal["good", "bad"]


@pytest.mark.parametrize("said", ['"good"', "good", "Good.", "```\ngood\n```", '{"mood": "good"}', '["good"]'])
@pytest.mark.parametrize(("spec", "value"), [(Mood, Mood.GOOD), ("Mood", Mood.GOOD), (Tone, "good"), ("Tone", "good")])
def test_choices_are_a_schema(spec, value, said):
    schema = Schema.of(spec, {"Mood": Mood, "Tone": Tone})
    found = schema.parse(said)
    assert found == value
    assert schema.columns(found) == {"value": "good"}
    assert schema.kinds == {"value": str}


@pytest.mark.parametrize("said", ['"fine"', "fine", "It is good", '["good", "bad"]', "good\nbad", ""])
def test_choices_reject_other_words(said):
    for spec in (Mood, Tone):
        with pytest.raises(SchemaError):
            Schema.of(spec).parse(said)


def test_choices_may_be_listed_and_numbers():
    assert Schema.of("list[Tone]", {"Tone": Tone}).parse('["good", "Bad"]') == ["good", "bad"]
    assert Schema.of(list[Mood]).parse('["good"]') == [Mood.GOOD]
    assert [Schema.of(typing.Literal[1, 2]).parse(said) for said in ("2", '"2"', "2.0")] == [2, 2, 2]


def test_model_of_pydantic_1_is_rejected_as_such():
    old = pytest.importorskip("pydantic.v1")

    class Old(old.BaseModel):
        a: int

    @dataclasses.dataclass
    class Around:
        inner: Old

    for spec in (Old, list[Old], Around, OPTIONAL[Old], "Old"):
        with pytest.raises(OptionError, match="Old: a model of pydantic 1"):
            Schema.of(spec, {"Old": Old})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_schema_is_read_from_file(tmp_path, encoding):
    path = tmp_path / "review.JSON"
    path.write_bytes(json.dumps(JSON).encode(encoding))
    for spec in (path, str(path), f" {path} "):
        assert Schema.of(spec).names == ("a", "b")


def test_schema_file_is_relative_to_folder_or_home(tmp_path, monkeypatch):
    (tmp_path / "review.json").write_text(json.dumps(JSON))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Schema.of("review.json").names == Schema.of("~/review.json").names == ("a", "b")
    # A name that is defined counts first, as before.
    assert Schema.of("review.json", {"review": SimpleNamespace(json=Point)}).names == ("x", "y")


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "No such file"), ("{", "not JSON"), ("[1]", "a JSON list, not an object"), ('{"type": 5}', "Invalid")],
)
def test_schema_file_is_rejected_with_reason(tmp_path, content, told):
    path = tmp_path / "review.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OptionError, match=told) as caught:
        Schema.of(str(path))
    assert caught.value.message("zh")


@pytest.mark.parametrize(
    ("written", "fields"),
    [
        ("name: the full name, age int: in years", [("name", "str", "the full name"), ("age", "int", "in years")]),
        (
            "score float: from (0, 1], note str?: a remark",
            [("score", "float", "from (0, 1]"), ("note", "str", "a remark")],
        ),
        ("name：姓名, 时间 datetime: 如 10:30", [("name", "str", "姓名"), ("时间", "datetime", "如 10:30")]),
        ("name: str: the full name", [("name", "str", "the full name")]),
        (
            "name: first, last\nage int: in years, rounded,\n",
            [("name", "str", "first, last"), ("age", "int", "in years, rounded")],
        ),
        ("a: int, b: str\nc float", [("a", "int", ""), ("b", "str", ""), ("c", "float", "")]),
        ("page: see https://x.y", [("page", "str", "see https://x.y")]),
        ("t list[date]?: days", [("t", "date", "days")]),
    ],
)
def test_short_form_accepts_descriptions(written, fields):
    assert [(field.name, field.kind, field.description) for field in parse_short_form(written)] == fields


def test_short_form_choices_may_have_descriptions_and_colons():
    (mood, time) = parse_short_form("mood good|bad: how it sounds, time 10:00|12:00")
    assert (mood.choices, mood.description) == (("good", "bad"), "how it sounds")
    assert (time.choices, time.description) == (("10:00", "12:00"), "")


def test_short_form_descriptions_are_in_json_schema():
    schema = Schema.of("mood good|bad: how it sounds, note str?: a remark")
    assert schema.json_schema["properties"] == {
        "mood": {"enum": ["good", "bad"], "description": "how it sounds"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "a remark"},
    }
    assert schema.parse('{"mood": "good"}') == {"mood": "good", "note": None}


@pytest.mark.parametrize(
    "written", ["name: strng", "name: integer", "name: the name, age", "a str b", ": foo", "name str x: y"]
)
def test_short_form_rejects_what_may_be_a_mistake(written):
    with pytest.raises(OptionError):
        parse_short_form(written)


# ---- what a class may do


class _Mute(RuntimeError):
    def __str__(self):
        return str(1 / 0)


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, GeneratorExit, RecursionError, _Mute])
def test_validator_exception_of_any_kind_is_a_mismatch(kind):
    class Broken(pydantic.BaseModel):
        a: int

        @pydantic.field_validator("a")
        @classmethod
        def look(cls, value):
            raise kind(value)

    with pytest.raises(SchemaError, match=kind.__name__):
        Schema.of(Broken).parse('{"a": 1}')


def test_validator_error_without_text_is_a_mismatch():
    class Broken(pydantic.BaseModel):
        a: int

        @pydantic.field_validator("a")
        @classmethod
        def look(cls, value):
            raise type("Mute", (ValueError,), {"__str__": lambda _: str(1 / 0)})

    with pytest.raises(SchemaError):
        Schema.of(Broken).parse('{"a": 1}')


def test_validator_interrupt_is_raised():
    class Slow(pydantic.BaseModel):
        a: int

        @pydantic.field_validator("a")
        @classmethod
        def look(cls, value):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Schema.of(Slow).parse('{"a": 1}')


def test_validator_runs_once_for_an_answer():
    seen = []

    class Counted(pydantic.BaseModel):
        a: int

        @pydantic.field_validator("a")
        @classmethod
        def look(cls, value):
            seen.append(value)
            if value < 0:
                raise ValueError("negative")
            return value

    Schema.of(Counted).parse('{"a": 1}\n{"a": 1}')
    with pytest.raises(SchemaError, match="negative"):
        Schema.of(Counted).parse('{"a": -1}')
    assert seen == [1, -1]


# ---- TypedDicts and unions of typing


class Deep(typing.TypedDict):
    a: typing.NotRequired[list[Inner]]
    b: typing.Annotated[Inner, "x"]
    c: OPTIONAL[Inner]
    d: "Inner | None"
    e: typing.Required[dict[str, Inner]]
    f: tuple[Inner, ...]


class Endless(typing.TypedDict):
    kids: "list[Endless]"


def test_typed_dicts_are_supported_anywhere():
    value = {"b": {"deep": 1}, "c": None, "d": {"deep": 2}, "e": {"x": {}}, "f": ({"deep": 3},)}
    assert Schema.of(Deep).parse(json.dumps(value)) == value
    assert Schema.of(Deep).parse(json.dumps({**value, "a": [{"deep": 4}]}))["a"] == [{"deep": 4}]
    with pytest.raises(SchemaError, match="deep"):
        Schema.of(Deep).parse(json.dumps({**value, "a": [{"deep": "x"}]}))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="typing's own are taken as they are")
def test_recursive_typed_dict_is_rejected_with_hint():
    with pytest.raises(OptionError, match="typing_extensions.TypedDict"):
        Schema.of(Endless)


def test_unions_are_supported_in_every_spelling():
    for union in (OPTIONAL[Point], Point | None):
        assert [Schema.of(union).parse(said) for said in ('{"x": 1}', "null")] == [Point(1), None]
    both = UNION[Point, Review]
    assert Schema.of(both).parse('{"name": "a", "score": 1}') == Review(name="a", score=1)


def test_list_of_class_is_found_by_name():
    assert Schema.of("list[models.Point]", NAMESPACE).parse('[{"x": 1}]') == [Point(1)]
    assert Schema.of("list[ int ]").parse("[1, 2]") == [1, 2]


@pytest.mark.parametrize(
    ("written", "same"),
    [("name:str,score:float", "name str, score float"), ("name\tstr", "name str"), ("名字\u3000str", "名字 str"),
     ("name ： str？", "name str?"), ("code 010|020", "code 010|020")],
)  # fmt: skip
def test_short_form_accepts_several_spellings(written, same):
    assert parse_short_form(written) == parse_short_form(same)


def test_short_form_keeps_leading_zeros():
    assert Schema.of("code 010|020, n 0|-1").parse('{"code": "010", "n": -1}') == {"code": "010", "n": -1}


names = st.text(min_size=1, max_size=8).filter(str.isidentifier)
words = st.text(st.characters(categories=["L"], exclude_characters="｜"), min_size=1, max_size=6).filter(
    lambda word: word not in (*TYPES, "None", "null")
)
kinds = st.one_of(st.sampled_from(list(TYPES)), st.lists(words, min_size=2, max_size=4, unique=True).map("|".join))


@given(st.dictionaries(names, st.tuples(kinds, st.booleans(), st.booleans()), min_size=1, max_size=5))
@settings(deadline=None)
def test_short_form_of_any_fields_is_parsed(fields):
    parts = [
        f"{name} {f'list[{kind}]' if many else kind}{'?' if maybe else ''}"
        for name, (kind, many, maybe) in fields.items()
    ]
    read = parse_short_form(", ".join(parts))
    assert [(f.name, f.kind or "|".join(map(str, f.choices)), f.many, f.optional) for f in read] == [
        (name, kind, many, maybe) for name, (kind, many, maybe) in fields.items()
    ]


@given(st.text(max_size=60))
@settings(deadline=None)
def test_short_form_of_any_text_is_parsed_or_rejected(written):
    with suppress(OptionError):
        assert parse_short_form(written) is not None
