"""The forms in which a request asks for JSON, and the requests of earlier versions."""

import pytest

from qfmagic.core.errors import RequestError
from qfmagic.core.i18n import text
from qfmagic.core.models import registry
from qfmagic.core.plan import plan_request
from qfmagic.core.wire.json_format import as_earlier_versions, json_forms, may_take

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
WRAPPED = {"name": "answer", "schema": SCHEMA, "strict": True}


def asking(json_schema):
    return {"model": "m", "messages": [], "response_format": {"type": "json_schema", "json_schema": json_schema}}


def test_schema_of_the_user_has_two_envelopes():
    assert [*json_forms(asking(WRAPPED)).items()] == [("wrapped", asking(WRAPPED)), ("bare", asking(SCHEMA))]
    assert [*json_forms(asking(SCHEMA)).items()] == [("bare", asking(SCHEMA)), ("wrapped", asking(WRAPPED))]


@pytest.mark.parametrize(
    "body", [{}, {"response_format": "json_object"}, {"response_format": {"type": "json_object"}}, asking("x")]
)
def test_other_requests_have_one_form(body):
    asked = {"messages": [], **body}
    assert [*json_forms(asked).values()] == [asked]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_question_with_a_schema_may_be_asked_for_in_words(lang):
    messages = [{"role": "user", "content": f"Rate it.\n\n{text('schema.instruction', lang)}\n{{}}"}]
    words, body = {"model": "m", "messages": messages}, {**asking(WRAPPED), "messages": messages}
    of_object = {**words, "response_format": {"type": "json_object"}}
    assert [*json_forms(body)] == ["wrapped", "bare", "json_object", "words"]
    assert json_forms(body)["json_object"] == of_object
    assert json_forms(body)["words"] == words
    assert [*json_forms(of_object).values()] == [of_object, words]


@pytest.mark.parametrize(
    ("form", "detail", "cause", "may"),
    [
        ("bare", "no", "cause.argument", True),
        ("wrapped", "no", "cause.parameter", False),
        ("json_object", "no", "cause.argument", False),
        ("json_object", "json_schema is not supported", "cause.argument", True),
        ("words", "body.response_format: Extra inputs are not permitted", "cause.argument", True),
    ],
)
def test_rejected_request_may_be_accepted_in_another_form(form, detail, cause, may):
    error = RequestError(code=1, detail=detail, status=400, cause=cause)
    assert may_take(form, error) is may


def planned(prompt, **parameters):
    return plan_request(registry().target("nobody"), prompt, parameters=parameters).request


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_questions_with_a_schema_are_found_as_earlier_versions_sent_them(lang):
    prompt = f"Rate it.\n\n{text('schema.instruction', lang)}\n{{}}"
    plain, of_object = planned(prompt), planned(prompt, response_format="json_object")
    native = planned(prompt, response_format=asking(WRAPPED)["response_format"])
    assert [one.hash for one in as_earlier_versions(native)] == [of_object.hash, plain.hash]
    assert [one.hash for one in as_earlier_versions(of_object)] == [plain.hash]
    assert [*as_earlier_versions(plain)] == []


def test_response_format_of_the_user_has_one_envelope():
    assert [*as_earlier_versions(planned("Rate it.", response_format="json_object"))] == []
    assert [*as_earlier_versions(planned("hi", extra={"response_format": 5}))] == []
